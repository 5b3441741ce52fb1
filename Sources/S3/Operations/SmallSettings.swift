import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketRequestPayment(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?requestPayment")
    }

    func putBucketRequestPayment(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?requestPayment")
    }

    func getBucketAccelerate(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?accelerate")
    }
}
