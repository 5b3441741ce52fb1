import Catalog
import EventLog
import Foundation
import Model
import ObjectStore

/// Bytes of objects that a finding is about.
enum DamagedBytes: Hashable {
    case blob(Data)
    /// An event that carries bytes.
    case frame(SequenceNumber)
    /// All events of a segment of the log.
    case segment(ClosedRange<SequenceNumber>)
    /// A version by the event that published it: its bytes are whole, and do not open.
    case version(SequenceNumber)

    /// - Returns: `nil` for a finding that is about no object's bytes: a file that nothing explains, a row of the
    ///   catalog, which is computed, a volume.
    init?(_ finding: EventFinding, _ log: EventLog) {
        let sequence = SequenceNumber(finding.sequence)
        switch FindingCode(rawValue: finding.faultClass) {
        case .damagedFrame, .misplacedFrame, .lostEvent:
            guard sequence > .zero else { return nil }
            self = .frame(sequence)
        case .divergedMirror:
            // Of a frame. A mirror that leaves the log's way for good is a matter of its volume.
            guard sequence > .zero, finding.path != "log" else { return nil }
            self = .frame(sequence)
        case .damagedSegment, .missingSegment:
            guard let events = log.segmentEvents(of: sequence) else { return nil }
            self = .segment(events)
        case .undecipherable:
            self = .version(sequence)
        case .danglingMetadata, .missingReplica, .corruptBlock, .truncatedFile, .extendedFile,
            .damagedTrailer, .wrongIdentity, .wrongContent, .unreadable, .olderVersion, .foreignStoreReplica,
            .otherVolume, .hole, .permissionDenied:
            guard !finding.blobID.isEmpty else { return nil }
            self = .blob(finding.blobID)
        default: return nil
        }
    }

    func hold(_ version: ObjectVersion) -> Bool {
        switch self {
        case .blob(let id): version.record.pieces.contains { $0.blobID == id }
        case .frame(let sequence): version.carriers.contains(sequence)
        case .segment(let events): version.carriers.contains(where: events.contains)
        case .version(let sequence): version.sequence == sequence
        }
    }
}

/// Places where something was found and has not been mended since, by the bytes that they concern.
struct OpenPlaces {
    private var bytes: [OpenFindings.Place: DamagedBytes] = [:]
    private var places: [DamagedBytes: Set<OpenFindings.Place>] = [:]
    private var segments: Set<DamagedBytes> = []

    mutating func note(_ finding: EventFinding, _ damaged: DamagedBytes?, isRepaired: Bool) {
        guard let damaged else { return }
        let place = OpenFindings.Place(finding)
        if !isRepaired {
            bytes[place] = damaged
            places[damaged, default: []].insert(place)
            if case .segment = damaged { segments.insert(damaged) }
        } else if finding.volume == 0 {
            // Mended wherever it was.
            for place in places[damaged] ?? [] { close(place) }
        } else {
            close(place)
        }
    }

    private mutating func close(_ place: OpenFindings.Place) {
        guard let damaged = bytes.removeValue(forKey: place) else { return }
        places[damaged]?.remove(place)
        if places[damaged]?.isEmpty == true {
            places[damaged] = nil
            segments.remove(damaged)
        }
    }

    /// The volumes on which something of a version's bytes is not good; 0 stands for a mismatch of no one volume.
    func volumes(of version: ObjectVersion) -> [UInt32] {
        guard !bytes.isEmpty else { return [] }
        var found = places[.version(version.sequence)] ?? []
        for piece in version.record.pieces {
            if !piece.blobID.isEmpty {
                found.formUnion(places[.blob(piece.blobID)] ?? [])
            } else if piece.length > 0 {
                found.formUnion(places[.frame(version.carrier(of: piece))] ?? [])
            }
        }
        for segment in segments where segment.hold(version) { found.formUnion(places[segment] ?? []) }
        return Set(found.map(\.volume)).sorted()
    }
}
