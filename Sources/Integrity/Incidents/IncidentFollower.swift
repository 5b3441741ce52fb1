import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Synchronization

/// Makes incidents of findings: the one place through which every finding and repair flows, whoever made it: a check,
/// the completion verifier, a read, the scrub.
///
/// It follows the log. A volume that is set aside or replaced opens an incident, and so does a burst of findings; each
/// finding and each repair states how the versions stand whose bytes it concerns; an incident closes by itself. All
/// of that is events, and an event that states something says up to where findings are followed, so that what
/// comes after a crash begins there. What is behind may be looked at twice: what is stated already is not stated again.
///
/// A volume's incident states nothing of each version: that is computed (``RefillPosition``), at any size.
public final class IncidentFollower: Sendable {
    /// Findings of one round, and versions of one event.
    static let pageCount = 512
    static let statementCount = 256
    /// Between two rounds: what is committed meanwhile is followed together.
    private static let pause = Duration.milliseconds(200)
    private static let openPause = Duration.seconds(1)

    let inspection: StoreInspection
    let settings: IncidentSettings
    private let store: ObjectStore

    /// What was read of the findings so far.
    struct Progress {
        var through: SequenceNumber
        var places = OpenPlaces()
        var burst: FindingBurst
        /// Versions of incidents are looked at again from here on.
        var settleDue: Timestamp
    }

    private let progress = Mutex<Progress?>(nil)
    private let hasOpen = Mutex(false)

    public init(_ store: ObjectStore, _ settings: IncidentSettings = IncidentSettings()) {
        self.store = store
        self.settings = settings
        inspection = store.inspection
    }

    /// Follows the log until the task is cancelled.
    /// - Throws: why a round could not be finished; the next run begins where it began.
    public func run(_ pulse: @escaping JobPulse = { _ in }) async throws {
        while !Task.isCancelled {
            pulse(.worked)
            // Of the catalog, which comes after the log: what is committed while this round looks wakes the next.
            let position = try inspection.catalog.read { try $0.position().sequence }
            let isMore = try await round()
            do {
                try await Task.sleep(for: Self.pause)
                if isMore { continue }
                // Time alone closes an incident.
                if hasOpen.withLock({ $0 }) {
                    try await Task.sleep(for: Self.openPause)
                } else {
                    pulse(.waits)
                    await store.waitForEvents(after: position)
                }
            } catch { return }  // cancelled
        }
    }

    /// Follows what there is to its end.
    public func followToEnd() async throws {
        while try await round() {}
    }

    /// One round.
    /// - Returns: whether there may be more to follow at once.
    @discardableResult
    public func round() async throws -> Bool {
        var progress = try self.progress.withLock({ $0 }) ?? load()
        let volumes = try await followVolumes()
        let isMore = try await followFindings(&progress)
        self.progress.withLock { $0 = progress }
        let claimed = try await claim()
        let closed = try await close(&progress)
        self.progress.withLock { $0 = progress }
        hasOpen.withLock { $0 = closed.openCount > 0 }
        return isMore || volumes || claimed || closed.isAny
    }

    /// Everything that was followed before this process: which places are open, and what may be the first of a burst.
    private func load() throws -> Progress {
        let through = try inspection.catalog.read { try $0.followedThrough() }
        var progress = Progress(
            through: .zero, burst: FindingBurst(settings: settings), settleDue: inspection.now)
        var recent: [Item] = []
        while progress.through < through {
            let items = try nextItems(after: progress.through).filter { $0.sequence <= through }
            for item in items { note(item, &progress) }
            recent = (recent + items).suffix(Self.pageCount)
            progress.through = items.count < Self.pageCount ? through : items.last?.sequence ?? through
        }
        let incidents = try inspection.catalog.read { try $0.incidents() }
        guard !incidents.contains(where: { $0.isOpen && $0.cause != .volume }) else { return progress }
        // What is older was in the last one.
        let end = incidents.filter { $0.cause != .volume }.compactMap(\.closed).max() ?? .zero
        for item in recent where item.sequence > end {
            let isOfVolume = incidents.contains { $0.isOpen && $0.volume == Int(item.finding.volume) }
            guard !isOfVolume || item.finding.volume == 0,
                let event = try inspection.log.events(from: item.sequence, limit: 1).first
            else { continue }
            progress.burst.add(item.asOf(event.time))
        }
        return progress
    }

    // MARK: Findings

    /// A finding, a repair, a repair that was undone, or a loss that nothing else tells of.
    struct Item {
        let sequence: SequenceNumber
        let finding: EventFinding
        let isRepaired: Bool

        func asOf(_ time: Timestamp) -> FindingBurst.Item {
            FindingBurst.Item(
                sequence: sequence, time: time, place: OpenFindings.Place(finding), code: finding.code)
        }
    }

    private func nextItems(after: SequenceNumber) throws -> [Item] {
        try inspection.catalog.read { reader in
            let found = try reader.findings(after: after, limit: Self.pageCount).map {
                Item(sequence: $0.sequence, finding: $0.finding, isRepaired: $0.isRepaired)
            }
            let undone = try reader.undoneRepairs(after: after, limit: Self.pageCount).compactMap {
                undone -> Item? in
                guard let repair = try reader.finding(undone.repair) else { return nil }
                return Item(sequence: undone.sequence, finding: repair.finding, isRepaired: false)
            }
            let lost = try reader.unclaimedLosses(after: after, limit: Self.pageCount).map {
                Item(sequence: $0.changed, finding: $0.version.loss, isRepaired: false)
            }
            let items = (found + undone + lost).sorted { $0.sequence < $1.sequence }
            guard items.count > Self.pageCount else { return items }
            // One event may state many losses: they are followed together.
            let last = items[Self.pageCount - 1].sequence
            return items.filter { $0.sequence <= last }
        }
    }

    @discardableResult
    private func note(_ item: Item, _ progress: inout Progress) -> DamagedBytes? {
        let damaged = DamagedBytes(item.finding, inspection.log)
        progress.places.note(item.finding, damaged, isRepaired: item.isRepaired)
        return damaged
    }

    private func followFindings(_ progress: inout Progress) async throws -> Bool {
        let readAt = try inspection.catalog.read { try $0.position().sequence }
        let items = try nextItems(after: progress.through).filter { $0.sequence <= readAt }
        let open = try inspection.catalog.read { try $0.incidents(openOnly: true) }
        let collecting = open.last { $0.cause != .volume }
        // The last that was seen or mended of each run of bytes speaks for it.
        var seen: [DamagedBytes: Seen] = [:]
        for item in items {
            let event = try inspection.log.events(from: item.sequence, limit: 1).first
            let ofVolume = open.first { $0.cause == .volume && $0.volume == Int(item.finding.volume) }
            if let damaged = note(item, &progress) {
                var source: String?
                if case .replicaRepaired(let change) = event?.record.change { source = change.source }
                seen[damaged] = Seen(item: item, source: source, incident: (ofVolume ?? collecting)?.id ?? 0)
            }
            if ofVolume == nil, collecting == nil, let event {
                progress.burst.add(item.asOf(event.time))
            }
        }
        let through = items.last?.sequence ?? progress.through
        try await state(seen, progress.places, through: through, readAt: readAt)
        if collecting == nil, let burst = progress.burst.burst {
            var change = EventIncidentOpened()
            change.cause = .findings
            change.reason =
                "\(burst.places) places found damaged within \(settings.windowSeconds) seconds, the first of class \(burst.first.code)"
            change.fromSequence = burst.first.sequence.rawValue
            change.throughSequence = through.rawValue
            _ = try await inspection.record(.incidentOpened(change))
        }
        if collecting != nil || progress.burst.burst != nil { progress.burst.clear() }
        progress.through = through
        return !items.isEmpty
    }

    // MARK: Volumes

    private func followVolumes() async throws -> Bool {
        var isChanged = false
        let incidents = try inspection.catalog.read { try $0.incidents() }
        for volume in 1...Limits.volumeCount {
            let last = incidents.last { $0.cause == .volume && $0.volume == volume }
            let outages = try inspection.catalog.read {
                try $0.outages(of: volume, from: last?.since ?? .zero)
            }
            guard case .open(let outage) = VolumeIncident(outages, last: last) else { continue }
            var change = EventIncidentOpened()
            change.cause = .volume
            change.volume = UInt32(volume)
            let reason = outage.reason.isEmpty ? "" : ": \(outage.reason)"
            change.reason = "volume \(volume) was \(outage.state.rawValue)\(reason)"
            change.fromSequence = outage.sequence.rawValue
            _ = try await inspection.record(.incidentOpened(change))
            isChanged = true
        }
        return isChanged
    }
}

extension IncidentFollower {
    struct Seen {
        let item: Item
        /// Of a repair.
        let source: String?
        /// Where a version goes of which nothing was known; 0 for none.
        let incident: UInt64
    }
}

extension EventAffectedVersion {
    /// The loss of a version as a finding: where it is is the version itself.
    fileprivate var loss: EventFinding {
        var finding = EventFinding()
        finding.code = code
        finding.path = "\(bucket)/\(key), version of event \(publishedSequence)"
        return finding
    }
}
