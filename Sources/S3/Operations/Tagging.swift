import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketTagging(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?tagging")
    }

    func putBucketTagging(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?tagging")
    }

    func deleteBucketTagging(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("DELETE ?tagging")
    }

    func getObjectTagging(_ call: S3Call) throws -> ServiceResponse {
        throw S3Error.notImplemented("GET ?tagging")
    }

    func putObjectTagging(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("PUT ?tagging")
    }

    func deleteObjectTagging(_ call: S3Call) async throws -> ServiceResponse {
        throw S3Error.notImplemented("DELETE ?tagging")
    }
}
