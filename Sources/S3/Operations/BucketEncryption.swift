import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketEncryption(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?encryption")
    }

    func putBucketEncryption(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?encryption")
    }

    func deleteBucketEncryption(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("DELETE ?encryption")
    }
}
