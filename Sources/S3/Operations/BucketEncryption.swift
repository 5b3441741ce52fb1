import HTTPTypes
import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketEncryption(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings[EncryptionRule.setting] else {
            throw S3Error(
                .encryptionConfigurationNotFound,
                "The server side encryption configuration was not found",
                details: [("BucketName", bucket.name.rawValue)])
        }
        return ServiceResponse(
            .ok, headers: [.contentType: "application/xml"], body: .bytes(document))
    }

    func putBucketEncryption(_ call: S3Call) async throws -> ServiceResponse {
        let rule = try EncryptionRule(try await call.document())
        return try await setEncryption(rule.document, .ok, call)
    }

    func deleteBucketEncryption(_ call: S3Call) async throws -> ServiceResponse {
        try await setEncryption(nil, .noContent, call)
    }

    private func setEncryption(
        _ document: [UInt8]?, _ status: HTTPResponse.Status, _ call: S3Call
    ) async throws -> ServiceResponse {
        let commit = try await store.configureBucket(
            try call.bucket(), setting: EncryptionRule.setting, value: document, actor: call.actor)
        var response = ServiceResponse(status)
        response.stamp(commit)
        return response
    }
}
