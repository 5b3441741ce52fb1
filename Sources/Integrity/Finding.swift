import Foundation
import Model
import Volumes

/// What kind of mismatch a finding is. The raw value is its name, ``number`` the stable code that scripts match
/// (`Documentation/fault-matrix.md`).
public enum FindingCode: String, Sendable, CaseIterable {
    case missingReplica = "replica.missing"
    case corruptBlock = "replica.corrupt-block"
    case truncatedFile = "replica.truncated"
    case extendedFile = "replica.extended"
    case damagedTrailer = "replica.damaged-trailer"
    case wrongIdentity = "replica.wrong-identity"
    case wrongContent = "replica.wrong-content"
    case unreadable = "replica.unreadable"
    case orphanFile = "file.orphan"
    case foreignFile = "file.foreign"
    case danglingMetadata = "metadata.dangling"
    case undecipherable = "metadata.undecipherable"
    case leftover = "incoming.leftover"
    case damagedFrame = "log.damaged-frame"
    case divergedMirror = "log.diverged-mirror"
    case catalogDiffers = "catalog.row-differs"
    case volumeOut = "volume.out"
    case referenceWithoutObject = "reference.no-object"
    case objectWithoutReference = "reference.no-row"
    case referenceSize = "reference.size-differs"
    case referenceHash = "reference.hash-differs"
    case referenceOwner = "reference.owner-differs"
    case olderVersion = "replica.older-version"
    case foreignStoreReplica = "replica.foreign-store"
    case otherVolume = "replica.other-volume"
    case hole = "replica.hole"
    case permissionDenied = "replica.permission-denied"
    case duplicateFile = "file.duplicate"
    case removedOrphan = "file.orphan-removed"
    case nameVariant = "file.name-variant"
    case misplacedFrame = "log.misplaced-frame"
    case damagedSegment = "log.damaged-segment"
    case missingSegment = "log.missing-segment"
    case shortMirror = "log.short-mirror"
    case longMirror = "log.long-mirror"
    case lostEvent = "log.lost-event"
    case catalogRowMissing = "catalog.row-missing"
    case catalogRowExtra = "catalog.row-extra"
    case catalogReferences = "catalog.references-differ"
    case catalogLock = "catalog.lock-differs"
    case catalogTags = "catalog.tags-differ"
    case damagedCatalog = "catalog.damaged"
    case misplacedVolume = "volume.wrong-place"
    case foreignVolume = "volume.foreign-store"
    case failedDrill = "drill.failed"
    case damagedRepository = "repository.damaged"

    /// `HF001` …: given once and never again to another kind.
    public var number: String {
        let number =
            switch self {
            case .missingReplica: 1
            case .corruptBlock: 2
            case .truncatedFile: 3
            case .extendedFile: 4
            case .damagedTrailer: 5
            case .wrongIdentity: 6
            case .wrongContent: 7
            case .unreadable: 8
            case .orphanFile: 9
            case .foreignFile: 10
            case .danglingMetadata: 11
            case .leftover: 12
            case .damagedFrame: 13
            case .divergedMirror: 14
            case .catalogDiffers: 15
            case .volumeOut: 16
            case .referenceWithoutObject: 17
            case .objectWithoutReference: 18
            case .referenceSize: 19
            case .referenceHash: 20
            case .referenceOwner: 21
            case .undecipherable: 22
            case .olderVersion: 23
            case .foreignStoreReplica: 24
            case .otherVolume: 25
            case .hole: 26
            case .permissionDenied: 27
            case .duplicateFile: 28
            case .removedOrphan: 29
            case .nameVariant: 30
            case .misplacedFrame: 31
            case .damagedSegment: 32
            case .missingSegment: 33
            case .shortMirror: 34
            case .longMirror: 35
            case .lostEvent: 36
            case .catalogRowMissing: 37
            case .catalogRowExtra: 38
            case .catalogReferences: 39
            case .catalogLock: 40
            case .catalogTags: 41
            case .damagedCatalog: 42
            case .misplacedVolume: 43
            case .foreignVolume: 44
            case .failedDrill: 45
            case .damagedRepository: 46
            }
        let digits = String(number)
        return "HF" + String(repeating: "0", count: 3 - digits.count) + digits
    }
}

/// One mismatch: what, where, the evidence, and what would mend it.
public struct Finding: Sendable, Equatable {
    public let code: FindingCode
    /// 1, 2, 3; 0 where no one volume is meant.
    public let volume: Int
    /// Relative to the volume.
    public let path: String
    public var bucket = ""
    public var key = ""
    public var versionID = ""
    public var blobID: BlobID?
    /// The event that is meant, where one is.
    public var sequence = SequenceNumber.zero
    public let evidence: String
    /// The repair proposed, in words; empty if there is none.
    public var repair: String
    public var isRepaired = false

    public init(_ code: FindingCode, volume: Int, path: String, evidence: String, repair: String) {
        self.code = code
        self.volume = volume
        self.path = path
        self.evidence = evidence
        self.repair = repair
    }

    /// As the log records it.
    var event: EventFinding {
        var event = EventFinding()
        event.code = code.number
        event.faultClass = code.rawValue
        event.volume = UInt32(volume)
        event.path = path
        event.bucket = bucket
        event.key = key
        event.versionID = versionID
        event.sequence = sequence.rawValue
        if let blobID { event.blobID = .init(blobID.bytes) }
        event.evidence = evidence
        return event
    }
}

/// How a check came out, with the exit statuses of fsck(8).
public struct CheckSummary: Sendable {
    /// The check speaks of the store as it was at this event.
    public var sequence: SequenceNumber = .zero
    public var blobs = 0
    public var replicas = 0
    public var bytes: UInt64 = 0
    public var findings = 0
    public var repaired = 0

    public init() {}

    /// 0 clean, 1 all corrected, 4 damage left.
    public var exitStatus: Int32 { findings == 0 ? 0 : findings == repaired ? 1 : 4 }
}
