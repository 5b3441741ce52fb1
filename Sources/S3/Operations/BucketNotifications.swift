import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketNotification(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?notification")
    }

    func putBucketNotification(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?notification")
    }
}
