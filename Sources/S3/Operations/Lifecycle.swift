import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketLifecycle(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?lifecycle")
    }

    func putBucketLifecycle(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?lifecycle")
    }

    func deleteBucketLifecycle(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("DELETE ?lifecycle")
    }
}
