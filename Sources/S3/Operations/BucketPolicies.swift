import HTTPTypes
import Model
import ObjectStore

/// Bucket policies, and what keeps them from opening a bucket.
///
/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    /// Source: Amazon S3 User Guide, "Bucket policies for Amazon S3": 20 KB.
    private static let policyByteLimit = 20 * 1024

    func getBucketPolicy(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings[BucketAccess.policyName] else { throw Self.noPolicy(bucket) }
        return ServiceResponse(.ok, headers: [.contentType: "application/json"], body: .bytes(document))
    }

    func putBucketPolicy(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        let document = try await document(call)
        guard !document.isEmpty else {
            throw S3Error(S3ErrorCode("MissingRequestBodyError", 400), "Request Body is empty")
        }
        guard document.count <= Self.policyByteLimit else {
            throw S3Error(
                S3ErrorCode("MalformedPolicy", 400),
                "Policy exceeds the maximum allowed document size of \(Self.policyByteLimit) bytes.")
        }
        let policy = try PolicyDocument(document, kind: .bucket(bucket.name))
        let block = BucketAccess(bucket).block
        guard !policy.isPublic || !block.blocksPublicPolicy else {
            throw S3Error(
                .accessDenied,
                "Access Denied: public policies are prevented by the BlockPublicPolicy setting of the bucket's Block Public Access."
            )
        }
        return try await configure(
            try call.bucket(), BucketAccess.policyName, document, call, answering: ServiceResponse(.noContent)
        )
    }

    func deleteBucketPolicy(_ call: S3Call) async throws -> ServiceResponse {
        try await configure(
            try call.bucket(), BucketAccess.policyName, nil, call, answering: ServiceResponse(.noContent))
    }

    func getBucketPolicyStatus(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let policy = try BucketAccess.policy(of: bucket) else { throw Self.noPolicy(bucket) }
        return ServiceResponse(
            xml: XMLWriter("PolicyStatus") { $0.element("IsPublic", policy.isPublic) })
    }

    private static func noPolicy(_ bucket: Bucket) -> S3Error {
        S3Error(
            S3ErrorCode("NoSuchBucketPolicy", 404), "The bucket policy does not exist",
            details: [("BucketName", bucket.name.rawValue)])
    }

    func getPublicAccessBlock(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings[BucketAccess.blockName] else {
            throw S3Error(
                S3ErrorCode("NoSuchPublicAccessBlockConfiguration", 404),
                "The public access block configuration was not found",
                details: [("BucketName", bucket.name.rawValue)])
        }
        return ServiceResponse(.ok, headers: [.contentType: "application/xml"], body: .bytes(document))
    }

    func putPublicAccessBlock(_ call: S3Call) async throws -> ServiceResponse {
        let block = try PublicAccessBlock(document: try await document(call))
        return try await configure(try call.bucket(), BucketAccess.blockName, block.document, call)
    }

    func deletePublicAccessBlock(_ call: S3Call) async throws -> ServiceResponse {
        try await configure(
            try call.bucket(), BucketAccess.blockName, nil, call, answering: ServiceResponse(.noContent))
    }
}
