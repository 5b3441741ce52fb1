import Catalog
import Model
import ObjectStore

/// What of a store is to be listed, as of when.
public struct ListingOrder: Codable, Sendable {
    /// `nil` for the buckets themselves.
    public var bucket: String?
    public var prefix = ""
    /// `nil` for now.
    public var moment: Moment?
    /// Older versions and delete markers too.
    public var showsVersions = false

    public init() {}

    /// - Parameter place: "BUCKET" or "BUCKET/PREFIX".
    public init(_ place: String?) {
        guard let place else { return }
        let parts = place.utf8.split(
            separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        bucket = String(Substring(parts[0]))
        if parts.count > 1 { prefix = String(Substring(parts[1])) }
    }
}

/// Lists buckets and objects of an open store, now or as they were.
public struct StoreListing {
    private let catalog: Catalog
    private let order: ListingOrder
    /// The moment that is shown, where that is not now.
    public let history: History?

    public init(_ store: ObjectStore, _ order: ListingOrder) throws {
        self.order = order
        history = try order.moment.map { try History.open(store, at: $0) }
        catalog = history?.catalog ?? store.inspection.catalog
    }

    public func buckets() throws -> [Bucket] { try catalog.read { try $0.buckets() } }

    /// Objects in the order of their keys' bytes, versions of one newest first. What changes meanwhile is seen or not, as
    /// it comes; a moment of the past does not change.
    /// - Throws: ``StoreError/noSuchBucket(_:)``.
    public func forEachVersion(_ body: (ObjectVersion, _ isLatest: Bool) throws -> Void) throws {
        let bucket = try BucketName(order.bucket ?? "")
        guard try catalog.read({ try $0.bucket(bucket) }) != nil else {
            throw StoreError.noSuchBucket(bucket)
        }
        // Before every version of the key that is the prefix.
        var place = (
            bucket: bucket.rawValue, key: order.prefix, sequence: SequenceNumber(UInt64(Int64.max))
        )
        var last: String?
        while true {
            let page = try catalog.read { try $0.versions(after: place, limit: 1000) }
            for version in page {
                guard version.record.bucket == bucket.rawValue,
                    version.key.utf8.starts(with: order.prefix.utf8)
                else { return }
                let isLatest = last?.utf8.elementsEqual(version.key.utf8) != true
                last = version.key
                guard order.showsVersions || (isLatest && !version.isDeleteMarker) else { continue }
                try body(version, isLatest)
            }
            guard let end = page.last, page.count == 1000 else { return }
            place = (end.record.bucket, end.key, end.sequence)
        }
    }
}
