import Catalog
import Digests
import Encryption
import Foundation
import Model
import Volumes

/// What the replicas on a store's volumes say of themselves, put together to versions.
struct ReplicaCensus {
    typealias Version = DescriptorTable.Version

    private let table: DescriptorTable
    private let storeID: StoreID
    private let publishesGaps: Bool
    private(set) var report = RebuildReport()
    /// When the first version was published.
    private(set) var earliest: UInt64?
    /// Buckets that keep versions.
    private var versioned: Set<String> = []

    /// - Parameters:
    ///   - publishesGaps: takes numbers that lack between a version's parts for ones that its client left out.
    ///   - scratch: a directory.
    init(
        of volumes: [DirectoryVolume], storeID: StoreID, publishesGaps: Bool, scratch: String
    ) throws {
        table = try DescriptorTable(in: scratch)
        self.storeID = storeID
        self.publishesGaps = publishesGaps
        try table.fill { add in
            for byte in UInt8.min...UInt8.max { try look(at: byte, of: volumes, add) }
        }
        try judge()
        for list in [\RebuildReport.incomplete, \.gapped, \.doubtful] {
            report[keyPath: list].sort { ($0.bucket, $0.key, $0.version) < ($1.bucket, $1.key, $1.version) }
        }
    }

    /// Each replica of the blobs whose ids begin with a byte, until one says whose it is.
    private mutating func look(
        at byte: UInt8, of volumes: [DirectoryVolume],
        _ add: (Version, EventBlobDescriptor) throws -> EventBlobDescriptor?
    ) throws {
        var seen = Set<BlobID>()
        var flawed: [BlobID: String] = [:]
        for volume in volumes {
            for item in try volume.listBlobs(firstByte: byte) {
                guard case .blob(let id) = item, !seen.contains(id) else { continue }
                let descriptor: EventBlobDescriptor
                do throws(BlobFlaw) {
                    descriptor = try volume.info(of: id, length: nil).descriptor
                } catch {
                    flawed[id] = "\(volume.name)/\(volume.path(of: id)): \(error)"
                    continue
                }
                seen.insert(id)
                flawed[id] = nil
                try take(descriptor, path: "\(volume.name)/\(volume.path(of: id))", add)
            }
        }
        for (id, reason) in flawed.sorted(by: { $0.key < $1.key }) {
            report.problems.append(
                .init(path: "blob \(id)", reason: "no replica says whose it is: \(reason)"))
        }
    }

    private mutating func take(
        _ descriptor: EventBlobDescriptor, path: String,
        _ add: (Version, EventBlobDescriptor) throws -> EventBlobDescriptor?
    ) throws {
        func leaveOut(_ path: String, _ reason: String) {
            report.problems.append(.init(path: path, reason: reason))
        }
        guard descriptor.storeID == Data(storeID.bytes) else {
            return leaveOut(path, "it belongs to another store")
        }
        guard (try? BucketName(descriptor.bucket)) != nil, let key = try? ObjectKey(descriptor.key),
            VersionID(bytes: descriptor.versionID) != nil
        else { return leaveOut(path, "it names no object") }
        report.blobs += 1
        let version = Version(bucket: descriptor.bucket, key: key, version: descriptor.versionID)
        guard let older = try add(version, descriptor) else { return }
        leaveOut(
            "blob \(Array(older.blobID).hexadecimal)",
            "a later upload of part \(older.partNumber) of \(older.bucket)/\(older.key) took its place")
    }

    /// Decides which versions are published, and counts them.
    private mutating func judge() throws {
        var buckets: [String: RebuildReport.RebuiltBucket] = [:]
        var owners: [String: [String: Int]] = [:]
        var last: (bucket: String, key: ObjectKey)?
        try table.publish { version, parts in
            if let parted = Self.parted(version, parts) {
                if !parted.gaps.isEmpty, !publishesGaps {
                    // Published means complete (DESIGN invariant 2).
                    report.incomplete.append(parted)
                    return nil
                }
                if !parted.gaps.isEmpty { report.gapped.append(parted) }
                if parted.isEndInDoubt { report.doubtful.append(parted) }
                report.multipart += 1
            }
            let isOnly = last.map { $0 != (version.bucket, version.key) } ?? true
            last = (version.bucket, version.key)
            let isLocked = parts[0].metadata.hasRetention || parts[0].metadata.legalHold
            if !isOnly || isLocked { versioned.insert(version.bucket) }
            if Self.newest(parts).hasEncryption { report.enciphered += 1 }
            owners[version.bucket, default: [:]][parts[0].owner, default: 0] += 1
            buckets[version.bucket, default: .init(name: version.bucket, owner: "", isVersioned: false)]
                .count(parts.reduce(0) { $0 + Self.contentLength($1) })
            let time = Self.newest(parts).createdMicroseconds
            earliest = min(earliest ?? time, time)
            return time
        }
        report.buckets = buckets.values.map { bucket in
            // Whoever has most in it; of several, the same one each time.
            let owner = owners[bucket.name]?.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? ""
            return .init(bucket, owner: owner, isVersioned: versioned.contains(bucket.name))
        }.sorted { $0.name < $1.name }
    }

    /// The versions as events, oldest first, each with the time at which its last blob was written.
    func forEachEvent(_ body: (_ time: UInt64, EventVersionPublished) throws -> Void) throws {
        try table.forEachPublished { time, version, parts in
            try body(time, Self.record(version, parts, isNull: !versioned.contains(version.bucket)))
        }
    }

    /// - Returns: `nil` for a version that was put whole.
    private static func parted(
        _ version: Version, _ parts: [EventBlobDescriptor]
    ) -> RebuildReport.PartedVersion? {
        let found = parts.filter { $0.partNumber > 0 }
        guard !found.isEmpty, let id = VersionID(bytes: version.version) else { return nil }
        return RebuildReport.PartedVersion(
            bucket: version.bucket, key: version.key.rawValue, version: id.description,
            parts: found.map { Int($0.partNumber) },
            blobs: found.compactMap { BlobID(bytes: $0.blobID) },
            bytes: found.reduce(0) { $0 + contentLength($1) },
            etag: found.contains { $0.hasEncryption } ? nil : etag(of: found),
            isEndInDoubt: isEndInDoubt(parts))
    }

    /// - Parameter parts: in order.
    private static func etag(of parts: [EventBlobDescriptor]) -> String {
        "\(MD5.hash(parts.flatMap { Array($0.md5) }).hexadecimal)-\(parts.count)"
    }

    /// Whether another part may have followed that stood in the log: a part that is smaller than one that others may
    /// follow was the last. (An object that was imported may have smaller ones.)
    private static func isEndInDoubt(_ parts: [EventBlobDescriptor]) -> Bool {
        guard let last = parts.last, last.partNumber > 0 else { return false }
        let others = parts.dropLast().map(contentLength)
        return contentLength(last)
            >= min(others.min() ?? Limits.minimumPartByteCount, Limits.minimumPartByteCount)
    }

    private static func newest(_ parts: [EventBlobDescriptor]) -> EventBlobDescriptor {
        guard let last = parts.max(by: { $0.createdMicroseconds < $1.createdMicroseconds }) else {
            preconditionFailure("a version has a blob")
        }
        return last
    }

    private static func record(
        _ key: Version, _ blobs: [EventBlobDescriptor], isNull: Bool
    ) -> EventVersionPublished {
        let last = newest(blobs)
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
        let isDoubtful = isEndInDoubt(blobs)
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
