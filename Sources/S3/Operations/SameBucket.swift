import Model
import ObjectStore

/// A name may pass from one bucket to another while the body of a request comes in. What its sender was allowed to do
/// with the one is not done to the other.
extension S3Service {
    /// The whole of a small body, an XML document, checked against everything that the request says of it.
    /// - Throws: `MaxMessageLengthExceeded` beyond 4 MiB; `NoSuchBucket` if the bucket is another one by then.
    func document(_ call: S3Call, checksumIsOfBody: Bool = true) async throws -> [UInt8] {
        let bytes = try await call.document(checksumIsOfBody: checksumIsOfBody)
        guard let created = call.bucketCreated else { return bytes }
        let name = try call.bucket()
        guard try store.bucket(name).createdSequence == created else { throw StoreError.noSuchBucket(name) }
        return bytes
    }
}
