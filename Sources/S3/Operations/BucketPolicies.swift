import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketPolicy(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?policy")
    }

    func putBucketPolicy(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?policy")
    }

    func deleteBucketPolicy(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("DELETE ?policy")
    }

    func getBucketPolicyStatus(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?policyStatus")
    }

    func getPublicAccessBlock(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?publicAccessBlock")
    }

    func putPublicAccessBlock(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?publicAccessBlock")
    }

    func deletePublicAccessBlock(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("DELETE ?publicAccessBlock")
    }
}
