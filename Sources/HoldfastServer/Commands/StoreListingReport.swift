import Foundation
import Model
import ObjectStore
import Snapshots

/// What `holdfast ls` prints.
enum StoreListingReport {
    private struct BucketLine: Encodable {
        let bucket: String
        let created: String
        let owner: String
        let region: String
        let versioning: String
    }

    private struct ObjectLine: Encodable {
        let bucket: String
        let key: String
        let version: String
        let latest: Bool
        let deleteMarker: Bool
        let size: UInt64
        let etag: String
        let owner: String
        let ownerID: String
        let published: String
        let sequence: UInt64
    }

    static func run(
        _ store: ObjectStore, _ order: ListingOrder, json: Bool, _ output: any CommandOutput
    ) throws {
        let listing = try StoreListing(store, order)
        guard order.bucket != nil else {
            for bucket in try listing.buckets() { try output.line(try line(bucket, json)) }
            return
        }
        try listing.forEachVersion { version, isLatest in
            try output.line(
                json ? try self.json(version, isLatest) : text(version, isLatest, order.showsVersions))
        }
    }

    private static func line(_ bucket: Bucket, _ json: Bool) throws -> String {
        let line = BucketLine(
            bucket: bucket.name.rawValue, created: bucket.created.description, owner: bucket.owner,
            region: bucket.region, versioning: bucket.versioning.rawValue)
        return json ? try CommandJSON.line(line) : "\(line.created)  \(line.bucket)".printable
    }

    private static func json(_ version: ObjectVersion, _ isLatest: Bool) throws -> String {
        try CommandJSON.line(
            ObjectLine(
                bucket: version.record.bucket, key: version.key, version: version.wireVersionID,
                latest: isLatest, deleteMarker: version.isDeleteMarker, size: version.size,
                etag: version.etag, owner: version.record.ownerDisplayName, ownerID: version.record.owner,
                published: version.published.description, sequence: version.sequence.rawValue))
    }

    private static func text(_ version: ObjectVersion, _ isLatest: Bool, _ showsVersions: Bool) -> String {
        let size = version.isDeleteMarker ? "delete marker" : String(version.size)
        let padded = String(repeating: " ", count: max(0, 13 - size.count)) + size
        let id = showsVersions ? "  \(version.wireVersionID)\(isLatest ? " (latest)" : "")" : ""
        return "\(version.published)  \(padded)  \(version.key)\(id)".printable
    }
}
