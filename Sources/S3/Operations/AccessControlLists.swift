import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func putBucketACL(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?acl")
    }

    func putObjectACL(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?acl")
    }

    func getBucketOwnershipControls(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?ownershipControls")
    }

    func putBucketOwnershipControls(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?ownershipControls")
    }

    func deleteBucketOwnershipControls(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("DELETE ?ownershipControls")
    }
}
