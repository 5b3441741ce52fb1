import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func preflight(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("OPTIONS")
    }

    func getBucketCORS(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?cors")
    }

    func putBucketCORS(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?cors")
    }

    func deleteBucketCORS(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("DELETE ?cors")
    }
}
