import Foundation
import GRDB
import Model

/// How much there is.
public struct CatalogCounts: Sendable, Equatable {
    public var buckets = 0
    public var versions = 0
    public var deleteMarkers = 0
    /// Of the versions, as users count them.
    public var versionBytes: UInt64 = 0
    /// Blobs that something refers to, and their bytes.
    public var blobs = 0
    public var blobBytes: UInt64 = 0
}

extension CatalogReader {
    /// Looks at every row: takes as long as the catalog is large.
    public func counts() throws -> CatalogCounts {
        var counts = CatalogCounts()
        if let row = try row(
            "SELECT (SELECT count(*) FROM buckets), count(*), coalesce(sum(length), 0) FROM blobs WHERE uses > 0",
            [])
        {
            counts.buckets = row[0]
            counts.blobs = row[1]
            counts.blobBytes = UInt64(row[2] as Int64)
        }
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        while true {
            let page = try versions(after: place, limit: 4096)
            for version in page {
                if version.isDeleteMarker { counts.deleteMarkers += 1 } else { counts.versions += 1 }
                counts.versionBytes += version.size
            }
            guard let last = page.last, page.count == 4096 else { return counts }
            place = (last.record.bucket, last.key, last.sequence)
        }
    }
}
