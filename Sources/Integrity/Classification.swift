import Catalog
import Digests
import EventLog
import Foundation
import Model
import ObjectStore
import SwiftProtobuf
import Volumes

/// Which class of `Documentation/fault-matrix.md` a mismatch is of. Decisions only: what was seen goes in, a code
/// comes out, so that fsck, reads and the completion verifier never disagree.
extension FindingCode {
    /// - Parameter length: of the blob.
    init(_ flaw: BlobFlaw, length: UInt64) {
        self =
            switch flaw {
            case .missing: .missingReplica
            case .truncated: .truncatedFile
            case .extended: .extendedFile
            case .badFooter, .badTable, .badDescriptor: .damagedTrailer
            case .wrongIdentity: .wrongIdentity
            case .otherVolume: .otherVolume
            case .wrongContent, .wrongSHA256: .wrongContent
            case .corruptBlock(let index, _, let found):
                Self.isZeroes(found, block: index, length: length) ? .hole : .corruptBlock
            case .unreadable(let error):
                error.code == EACCES || error.code == EPERM ? .permissionDenied : .unreadable
            }
    }

    /// Whether a block with this checksum is nothing but zeros, as a file system leaves what it lost.
    private static func isZeroes(_ checksum: UInt32, block: Int, length: UInt64) -> Bool {
        let start = UInt64(block) * UInt64(Limits.blockSize)
        guard start < length else { return false }
        let count = Int(min(UInt64(Limits.blockSize), length - start))
        return checksum == CRC32C.checksum([UInt8](repeating: 0, count: count))
    }

    init(_ flaw: EventLog.MirrorFlaw) {
        self =
            switch flaw.kind {
            case .damaged: .damagedFrame
            case .misplaced: .misplacedFrame
            case .diverged: .divergedMirror
            case .segmentDamaged: .damagedSegment
            case .segmentMissing: .missingSegment
            }
    }

    /// Whether it is mended by copying frames, or the segment they stand in, from another mirror.
    var isOfLog: Bool {
        switch self {
        case .damagedFrame, .misplacedFrame, .divergedMirror, .damagedSegment, .missingSegment: true
        default: false
        }
    }

    init(_ parting: LogRecovery.Parting.Kind) {
        self =
            switch parting {
            case .short: .shortMirror
            case .damaged: .damagedFrame
            case .diverged: .divergedMirror
            }
    }

    init(_ difference: RowDifference) {
        guard difference.found != nil else {
            self = .catalogRowMissing
            return
        }
        guard difference.expected != nil else {
            self = .catalogRowExtra
            return
        }
        self = Self.altered(difference)
    }

    /// A row that is there and otherwise than the log says.
    private static func altered(_ difference: RowDifference) -> FindingCode {
        if difference.columns == ["uses"] { return .catalogReferences }
        guard difference.columns == ["record"], let found = version(difference.foundRecord),
            let expected = version(difference.expectedRecord)
        else { return .catalogDiffers }
        let locks = (found.lock, expected.lock)
        if locks.0 != locks.1 { return .catalogLock }
        if found.metadata.tags != expected.metadata.tags { return .catalogTags }
        return .catalogDiffers
    }

    private static func version(_ record: Data?) -> EventVersionPublished? {
        // One that is no message any more differs otherwise than in its lock or tags.
        record.flatMap { try? EventVersionPublished(serializedBytes: $0) }
    }

    /// Why a directory is not the volume that belongs in its place; `nil` if that is another matter.
    public init?(_ error: VolumeError) {
        switch error {
        case .foreignStore: self = .foreignVolume
        case .wrongIndex: self = .misplacedVolume
        default: return nil
        }
    }
}

extension Finding {
    /// A frame of a mirror that is not the log's, whoever met it.
    init(_ flaw: EventLog.MirrorFlaw) {
        self.init(
            FindingCode(flaw), volume: flaw.mirror, path: flaw.path,
            evidence: "event \(flaw.sequence): \(flaw.reason)", repair: "copy it from the other mirrors")
        sequence = flaw.sequence
    }
}

extension EventVersionPublished {
    /// What keeps the version from being removed.
    fileprivate var lock: [String] {
        [
            metadata.hasRetention
                ? "\(metadata.retention.mode.rawValue) \(metadata.retention.untilMicroseconds)" : "",
            metadata.legalHold ? "hold" : "",
        ]
    }
}

extension StoreInspection {
    /// What is wrong with a replica of the blob.
    func classify(_ flaw: BlobFlaw, _ row: BlobRow, on volume: any Volume) throws -> FindingCode {
        guard case .wrongIdentity = flaw else { return FindingCode(flaw, length: row.length) }
        return try classifyStranger(in: row, on: volume)
    }

    /// A whole replica under another's name: of another store, of an older version of the same object, or of
    /// whatever else.
    private func classifyStranger(in row: BlobRow, on volume: any Volume) throws -> FindingCode {
        let info: BlobInfo
        do { info = try volume.identify(volume.path(of: row.id)) } catch {
            return .wrongIdentity  // it is another file by now
        }
        let descriptor = info.descriptor
        guard descriptor.storeID == Data(log.storeID.bytes) else { return .foreignStoreReplica }
        guard descriptor.bucket == row.bucket, descriptor.key.utf8.elementsEqual(row.key.utf8) else {
            return .wrongIdentity
        }
        guard let other = try catalog.read({ try $0.blob(info.id) }) else { return .olderVersion }
        // Two parts of one version are no older and newer copy.
        let versions = [other.id, row.id].map { id in
            volumes.lazy.compactMap { try? $0.info(of: id, length: nil).descriptor.versionID }.first
        }
        return versions[0] != versions[1] && other.born < row.born ? .olderVersion : .wrongIdentity
    }

    /// A volume out of service whose place holds another volume: exchanged, or of another store.
    func classifyPlace(_ status: VolumeStatus) -> FindingCode {
        guard let identity = try? DirectoryVolume.readIdentity(status.path, fileSystem: fileSystem) else {
            return .volumeOut  // whatever keeps it from being read is the reason that its standing gives
        }
        if identity.storeID != log.storeID { return .foreignVolume }
        return identity.index == status.index ? .volumeOut : .misplacedVolume
    }
}
