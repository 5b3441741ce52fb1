import Catalog
import Model

/// The catalog, as the layers above the ledger see it.
struct CatalogView: LedgerView {
    let reader: CatalogReader

    init(_ reader: CatalogReader) { self.reader = reader }

    func position() throws -> LogPosition { try reader.position() }
    func bucket(_ name: BucketName) throws -> Bucket? { try reader.bucket(name) }
    func buckets() throws -> [Bucket] { try reader.buckets() }
    func isEmpty(_ bucket: BucketName) throws -> Bool { try reader.isEmpty(bucket) }

    func newestVersion(_ bucket: BucketName, _ key: ObjectKey) throws -> ObjectVersion? {
        try reader.version(bucket, key, .current)
    }

    func version(
        _ bucket: BucketName, _ key: ObjectKey, _ selector: VersionSelector
    ) throws -> ObjectVersion? {
        try reader.version(bucket, key, selector)
    }

    func upload(_ bucket: BucketName, _ key: ObjectKey, _ id: UploadID) throws -> MultipartUpload? {
        try reader.upload(bucket, key, id)
    }

    func part(_ id: UploadID, number: Int) throws -> UploadedPart? { try reader.part(id, number) }

    func parts(of id: UploadID, after number: Int, limit: Int) throws -> [UploadedPart] {
        try reader.parts(id, after: number, limit: limit)
    }

    func listCurrent(
        _ bucket: BucketName, prefix: String, delimiter: String, after: String, limit: Int
    ) throws -> ListingPage {
        try reader.listCurrent(bucket, prefix: prefix, delimiter: delimiter, after: after, limit: limit)
    }

    func listVersions(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        versionMarker: VersionSelector?, limit: Int
    ) throws -> ListingPage {
        try reader.listVersions(
            bucket, prefix: prefix, delimiter: delimiter, keyMarker: keyMarker,
            versionMarker: versionMarker, limit: limit)
    }

    func listUploads(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        uploadMarker: UploadID?, limit: Int
    ) throws -> UploadsPage {
        let page = try reader.listUploads(
            bucket, prefix: prefix, delimiter: delimiter, keyMarker: keyMarker,
            uploadMarker: uploadMarker, limit: limit)
        let items = page.items.map { item -> UploadsPage.Item in
            switch item {
            case .upload(let upload): .upload(upload)
            case .prefix(let prefix): .prefix(prefix)
            }
        }
        return UploadsPage(items: items, isTruncated: page.isTruncated)
    }

    func isDead(_ id: BlobID) throws -> Bool {
        guard let row = try reader.blob(id) else { return false }
        return row.uses == 0 && !row.isReclaiming
    }

    func isHeld(_ id: BlobID) throws -> Bool { try reader.blob(id).map { !$0.isReclaiming } ?? false }

    func lastStated(of version: SequenceNumber) throws -> SequenceNumber {
        try reader.lastStated(of: version)?.changed ?? .zero
    }
}
