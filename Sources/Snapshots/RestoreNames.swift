import Catalog
import Model
import ObjectStore

/// What an order names one by one must be there: a name that is mistyped would bring back nothing, and look like success.
/// A prefix names nothing: as with other S3 tools, one that nothing begins with is no error.
extension RestoreOrder.Unit {
    /// - Parameters:
    ///   - catalog: of what is restored from; or, for what is mended in place, of the store.
    ///   - place: what the catalog is of: "snapshot monday".
    /// - Throws: ``StoreError/noSuchBucket(_:)``, ``StoreError/noSuchKey(_:deleteMarker:)``,
    ///   ``StoreError/noSuchVersion(_:_:)``, ``StoreError/isDeleteMarker(_:)``, ``SnapshotError/noSuchOwner(_:place:)``.
    func requireNamed(in catalog: Catalog, _ place: String) throws {
        if let bucket {
            let name = try BucketName(bucket)
            guard try catalog.read({ try $0.bucket(name) }) != nil else {
                throw StoreError.noSuchBucket(name)
            }
            if let key { try requireObject(name, try ObjectKey(key), in: catalog) }
        }
        // A user may own nothing there.
        if let owner, ownerID == nil, try !hasOwned(catalog) {
            throw SnapshotError.noSuchOwner(owner, place: place)
        }
    }

    private func requireObject(_ bucket: BucketName, _ key: ObjectKey, in catalog: Catalog) throws {
        if hasEveryVersion || isDamagedOnly {
            let isThere = try catalog.read {
                if isDamagedOnly, try $0.hasUpload(bucket, key) { return true }
                return try !$0.allVersions(bucket.rawValue, key.rawValue).isEmpty
            }
            guard isThere else { throw StoreError.noSuchKey(key, deleteMarker: nil) }
            return
        }
        guard let version else {
            let current = try catalog.read { try $0.version(bucket, key, .current) }
            guard let current, !current.isDeleteMarker else {
                throw StoreError.noSuchKey(key, deleteMarker: current)
            }
            return
        }
        guard let selector = VersionSelector(wire: version),
            let named = try catalog.read({ try $0.version(bucket, key, selector) }),
            named.wireVersionID == version
        else { throw StoreError.noSuchVersion(key, version) }
        guard !named.isDeleteMarker else { throw StoreError.isDeleteMarker(named) }
    }

    private func hasOwned(_ catalog: Catalog) throws -> Bool {
        if try catalog.read({ try $0.buckets() }).contains(where: { $0.owner == owner }) { return true }
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        while true {
            let page = try catalog.read { try $0.versions(after: place, limit: 1000) }
            if page.contains(where: { isOwned($0.record) }) { return true }
            guard let end = page.last, page.count == 1000 else { break }
            place = (end.record.bucket, end.key, end.sequence)
        }
        return try isDamagedOnly && hasOwnedUpload(catalog)
    }

    private func hasOwnedUpload(_ catalog: Catalog) throws -> Bool {
        var last: MultipartUpload?
        while true {
            let page = try catalog.read { try $0.uploads(after: last, limit: 1000) }
            if page.contains(where: { isOwned($0.record) }) { return true }
            guard page.count == 1000 else { return false }
            last = page.last
        }
    }
}
