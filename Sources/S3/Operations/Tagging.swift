import HTTPTypes
import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    private static let tagging = "tagging"

    // MARK: Of buckets

    func getBucketTagging(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings[Self.tagging] else {
            throw S3Error(
                .noSuchTagSet, "The TagSet does not exist", details: [("BucketName", bucket.name.rawValue)])
        }
        return ServiceResponse(.ok, headers: [.contentType: "application/xml"], body: .bytes(document))
    }

    func putBucketTagging(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        let tags = try TagSet(try await tagging(call), of: .bucket)
        return try await configureTagging(bucket.name, tags.document.bytes, call)
    }

    func deleteBucketTagging(_ call: S3Call) async throws -> ServiceResponse {
        try await configureTagging(try call.bucket(), nil, call)
    }

    private func configureTagging(
        _ bucket: BucketName, _ document: [UInt8]?, _ call: S3Call
    ) async throws -> ServiceResponse {
        return try await configure(
            bucket, Self.tagging, document, call, answering: ServiceResponse(.noContent))
    }

    private func tagging(_ call: S3Call) async throws -> XMLElement {
        try XMLElement.parse(try await document(call), root: "Tagging")
    }

    // MARK: Of objects

    func getObjectTagging(_ call: S3Call) throws -> ServiceResponse {
        let version = try store.version(try call.bucket(), try call.key(), try call.version())
        var response = ServiceResponse(xml: TagSet(version.record.metadata.tags).document)
        try showVersion(version, in: &response)
        return response
    }

    func putObjectTagging(_ call: S3Call) async throws -> ServiceResponse {
        let tags = try TagSet(try await tagging(call), of: .object).byKey
        return try await tag(.ok, .tagging, tags, call)
    }

    func deleteObjectTagging(_ call: S3Call) async throws -> ServiceResponse {
        try await tag(.noContent, .noTagging, [:], call)
    }

    private func tag(
        _ status: HTTPResponse.Status, _ amendment: Amendment, _ tags: [String: String], _ call: S3Call
    ) async throws -> ServiceResponse {
        let version = try store.version(try call.bucket(), try call.key(), try call.version())
        let commit = try await store.amend(version, amendment, actor: call.actor) { $0.tags = tags }
        var response = ServiceResponse(status)
        try showVersion(version, in: &response)
        response.stamp(commit)
        return response
    }

    private func showVersion(_ version: ObjectVersion, in response: inout ServiceResponse) throws {
        let bucket = try store.bucket(try BucketName(version.record.bucket))
        if bucket.versioning != .off { response.headers[.amzVersionID] = version.wireVersionID }
    }
}
