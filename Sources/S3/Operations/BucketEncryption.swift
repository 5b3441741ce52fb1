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
        let rule = try EncryptionRule(try await document(call))
        return try await configure(try call.bucket(), EncryptionRule.setting, rule.document, call)
    }

    func deleteBucketEncryption(_ call: S3Call) async throws -> ServiceResponse {
        try await configure(
            try call.bucket(), EncryptionRule.setting, nil, call, answering: ServiceResponse(.noContent))
    }
}
