import Digests
import Encryption
import Foundation
import Model
import Volumes

/// What the replicas on a store's volumes say of themselves, put together to versions.
struct ReplicaCensus {
    struct Key: Hashable {
        let bucket: String
        let key: ObjectKey
        let version: Data
    }

    /// The newest blob of each part of each version, but for those that are ``incomplete``.
    private(set) var versions: [Key: [UInt32: EventBlobDescriptor]] = [:]
    /// A descriptor has its part's number and not how many there were: what lacks between others is all that shows.
    private(set) var incomplete: [RebuildReport.PartedVersion] = []
    /// Those in their place, if they are to be published.
    private(set) var gapped: [RebuildReport.PartedVersion] = []
    private(set) var doubtful: [RebuildReport.PartedVersion] = []
    private(set) var blobs = 0
    private(set) var problems: [RebuildReport.Problem] = []

    /// - Parameter publishesGaps: takes numbers that lack between a version's parts for ones that its client left out.
    init(of volumes: [DirectoryVolume], storeID: StoreID, publishesGaps: Bool) throws {
        for byte in UInt8.min...UInt8.max {
            var seen = Set<BlobID>()
            var flawed: [BlobID: String] = [:]
            for volume in volumes {
                for item in try volume.listBlobs(firstByte: byte) {
                    guard case .blob(let id) = item, !seen.contains(id) else { continue }
                    do throws(BlobFlaw) {
                        let descriptor = try volume.info(of: id, length: nil).descriptor
                        seen.insert(id)
                        flawed[id] = nil
                        take(descriptor, storeID, path: "\(volume.name)/\(volume.path(of: id))")
                    } catch { flawed[id] = "\(volume.name)/\(volume.path(of: id)): \(error)" }
                }
            }
            for (id, reason) in flawed.sorted(by: { $0.key < $1.key }) {
                problems.append(.init(path: "blob \(id)", reason: "no replica says whose it is: \(reason)"))
            }
        }
        for (key, parts) in versions {
            guard let version = Self.parted(key, parts) else { continue }
            if !version.gaps.isEmpty, !publishesGaps {
                // Published means complete (DESIGN invariant 2).
                versions[key] = nil
                incomplete.append(version)
                continue
            }
            if !version.gaps.isEmpty { gapped.append(version) }
            if version.isEndInDoubt { doubtful.append(version) }
        }
        for list in [\Self.incomplete, \Self.gapped, \Self.doubtful] {
            self[keyPath: list].sort { ($0.bucket, $0.key, $0.version) < ($1.bucket, $1.key, $1.version) }
        }
    }

    /// - Returns: `nil` for a version that was put whole.
    private static func parted(
        _ key: Key, _ parts: [UInt32: EventBlobDescriptor]
    ) -> RebuildReport.PartedVersion? {
        let found = parts.filter { $0.key > 0 }.sorted { $0.key < $1.key }
        guard !found.isEmpty, let version = VersionID(bytes: key.version) else { return nil }
        return RebuildReport.PartedVersion(
            bucket: key.bucket, key: key.key.rawValue, version: version.description,
            parts: found.map { Int($0.key) },
            blobs: found.compactMap { BlobID(bytes: $0.value.blobID) },
            bytes: found.reduce(0) { $0 + contentLength($1.value) },
            etag: found.contains { $0.value.hasEncryption } ? nil : etag(of: found.map(\.value)),
            isEndInDoubt: isEndInDoubt(parts))
    }

    /// - Parameter parts: in order.
    private static func etag(of parts: [EventBlobDescriptor]) -> String {
        "\(MD5.hash(parts.flatMap { Array($0.md5) }).hexadecimal)-\(parts.count)"
    }

    /// Whether another part may have followed that stood in the log: a part that is smaller than one that others may
    /// follow was the last. (An object that was imported may have smaller ones.)
    private static func isEndInDoubt(_ parts: [UInt32: EventBlobDescriptor]) -> Bool {
        guard let last = parts.max(by: { $0.key < $1.key }), last.key > 0 else { return false }
        let others = parts.filter { $0.key < last.key }.map { contentLength($0.value) }
        return contentLength(last.value)
            >= min(others.min() ?? Limits.minimumPartByteCount, Limits.minimumPartByteCount)
    }

    private mutating func take(_ descriptor: EventBlobDescriptor, _ storeID: StoreID, path: String) {
        guard descriptor.storeID == Data(storeID.bytes) else {
            return problems.append(.init(path: path, reason: "it belongs to another store"))
        }
        guard (try? BucketName(descriptor.bucket)) != nil, let name = try? ObjectKey(descriptor.key),
            VersionID(bytes: descriptor.versionID) != nil
        else { return problems.append(.init(path: path, reason: "it names no object")) }
        blobs += 1
        let key = Key(bucket: descriptor.bucket, key: name, version: descriptor.versionID)
        let former = versions[key]?[descriptor.partNumber]
        guard let former else {
            versions[key, default: [:]][descriptor.partNumber] = descriptor
            return
        }
        let isNewer = former.createdMicroseconds < descriptor.createdMicroseconds
        if isNewer { versions[key]?[descriptor.partNumber] = descriptor }
        let older = isNewer ? former : descriptor
        problems.append(
            .init(
                path: "blob \(Array(older.blobID).hexadecimal)",
                reason:
                    "a later upload of part \(older.partNumber) of \(older.bucket)/\(older.key) took its place"
            ))
    }

    /// The versions as events, oldest first, each with the time at which its last blob was written.
    func events(_ isNull: (String) -> Bool) -> [(time: UInt64, record: EventVersionPublished)] {
        versions.map { key, parts in
            let pieces = parts.sorted { $0.key < $1.key }.map(\.value)
            return (
                pieces.map(\.createdMicroseconds).max() ?? 0, key,
                Self.record(key, pieces, isNull: isNull(key.bucket))
            )
        }.sorted { ($0.0, $0.1.bucket, $0.1.key) < ($1.0, $1.1.bucket, $1.1.key) }.map { ($0.0, $0.2) }
    }

    private static func record(
        _ key: Key, _ blobs: [EventBlobDescriptor], isNull: Bool
    ) -> EventVersionPublished {
        guard let last = blobs.max(by: { $0.createdMicroseconds < $1.createdMicroseconds }) else {
            preconditionFailure("a version has a blob")
        }
        var record = EventVersionPublished()
        record.bucket = key.bucket
        record.key = key.key.rawValue
        record.versionID = key.version
        record.nullVersion = isNull
        record.owner = last.owner
        record.ownerDisplayName = last.ownerDisplayName
        record.metadata = last.metadata
        if last.hasEncryption { record.encryption = last.encryption }
        record.pieces = blobs.map(piece)
        record.size = blobs.reduce(0) { $0 + contentLength($1) }
        let isWhole = blobs.count == 1 && last.partNumber == 0
        record.etag = isWhole ? Array(last.md5).hexadecimal : etag(of: blobs)
        if isWhole { record.checksums = last.checksums }
        let isDoubtful = isEndInDoubt(
            Dictionary(blobs.map { ($0.partNumber, $0) }, uniquingKeysWith: { $1 }))
        let isGapped = !RebuildReport.PartedVersion.gaps(between: blobs.map { Int($0.partNumber) }).isEmpty
        record.reason =
            "rebuilt from its replicas"
            + (isGapped
                ? "; whether the numbers that its parts lack were left out or are lost is not known" : "")
            + (isDoubtful ? "; whether a last part followed that stood in the log is not known" : "")
        return record
    }

    private static func piece(_ blob: EventBlobDescriptor) -> EventPiece {
        var piece = EventPiece()
        piece.blobID = blob.blobID
        piece.length = blob.length
        piece.sha256 = blob.sha256
        piece.partNumber = blob.partNumber
        if blob.partNumber > 0, let checksum = blob.checksums.first { piece.checksum = checksum }
        piece.keySalt = blob.keySalt
        return piece
    }

    /// Of the bytes that were sent.
    private static func contentLength(_ blob: EventBlobDescriptor) -> UInt64 {
        blob.hasEncryption ? SealedPiece.openedLength(of: blob.length) : blob.length
    }
}
