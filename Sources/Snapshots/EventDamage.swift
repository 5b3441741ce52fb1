import EventLog
import Model
import ObjectStore

/// Events that no mirror of a log has good: what is wrong with each on each, and, as they are mended, where what was there
/// has been put. One task at a time calls it.
final class EventDamage {
    typealias Flaw = (volume: Int, reason: String)

    private struct Place: Hashable {
        let volume: Int
        /// The first event of the sealed segment, which is set aside whole; or the event itself.
        let first: SequenceNumber
    }

    private let inspection: StoreInspection
    private var damaged: [SequenceNumber: [Flaw]] = [:]
    private var quarantined: [Place: String] = [:]

    init(_ inspection: StoreInspection) { self.inspection = inspection }

    /// Those that were found and not taken.
    var left: [SequenceNumber] { damaged.keys.sorted() }

    func isDamaged(_ sequence: SequenceNumber) -> Bool { damaged[sequence] != nil }

    func findAll(through last: SequenceNumber) {
        var next = SequenceNumber(1)
        while next <= last, let found = inspection.firstUnreadableEvent(from: next, through: last) {
            find(found)
            next = found.next
        }
    }

    func find(_ sequence: SequenceNumber) {
        guard damaged[sequence] == nil, !inspection.isReadable(sequence) else { return }
        damaged[sequence] = inspection.log.inService.sorted().compactMap { index in
            inspection.log.verifyFrames(from: sequence, through: sequence, mirror: index).first.map {
                (index, $0.reason)
            }
        }
    }

    func take(_ sequence: SequenceNumber) -> [Flaw] { damaged.removeValue(forKey: sequence) ?? [] }

    func put(
        _ mended: [(volume: Int, evidence: String, quarantined: String)], _ sequence: SequenceNumber
    ) {
        for (volume, _, path) in mended { quarantined[place(sequence, volume)] = path }
    }

    /// Relative to the volume.
    func quarantined(_ sequence: SequenceNumber, on volume: Int) -> String {
        quarantined[place(sequence, volume)] ?? ""
    }

    private func place(_ sequence: SequenceNumber, _ volume: Int) -> Place {
        Place(
            volume: volume, first: inspection.log.sealedSegment(of: sequence)?.first ?? sequence)
    }
}
