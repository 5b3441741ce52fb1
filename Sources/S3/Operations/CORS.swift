import Foundation
import HTTPTypes
import Model
import ObjectStore

/// Source: Amazon S3 API Reference, the actions named by each method, and "OPTIONS object"; Amazon S3 User Guide,
/// "Using cross-origin resource sharing".
extension S3Service {
    // MARK: The setting

    func getBucketCORS(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings["cors"] else {
            throw S3Error(
                S3ErrorCode("NoSuchCORSConfiguration", 404), "The CORS configuration does not exist",
                details: [("BucketName", bucket.name.rawValue)])
        }
        return ServiceResponse(.ok, headers: [.contentType: "application/xml"], body: .bytes(document))
    }

    func putBucketCORS(_ call: S3Call) async throws -> ServiceResponse {
        let name = try call.bucket()
        guard try call.headers[.contentMD5] != nil || AnnouncedChecksum(call.headers) != nil else {
            throw S3Error(
                .invalidRequest,
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
        }
        let rules = try CORSRules(try await document(call))
        return try await configure(name, "cors", rules.xml.bytes, call)
    }

    func deleteBucketCORS(_ call: S3Call) async throws -> ServiceResponse {
        return try await configure(
            try call.bucket(), "cors", nil, call, answering: ServiceResponse(.noContent))
    }

    // MARK: A browser asks first

    func preflight(_ call: S3Call) throws -> ServiceResponse {
        guard let origin = call.headers[.origin] else {
            throw S3Error(
                .badRequest, "Insufficient information. Origin request header needed.")
        }
        let method = call.headers[.accessControlRequestMethod]
        guard let method, ["GET", "PUT", "POST", "DELETE", "HEAD"].contains(method) else {
            throw S3Error(.badRequest, "Invalid Access-Control-Request-Method: \(method ?? "null")")
        }
        let asked = (call.headers[.accessControlRequestHeaders] ?? "").split(separator: ",")
            .map { $0.trimmingBlanks() }.filter { !$0.isEmpty }
        func refuse(_ reason: String) -> S3Error {
            S3Error(
                S3ErrorCode("AccessForbidden", 403), "CORSResponse: \(reason)",
                details: [
                    ("Method", method), ("ResourceType", call.target.key == nil ? "BUCKET" : "OBJECT"),
                ])
        }
        let rules: CORSRules?
        do {
            rules = try sharing(of: try call.bucket())
        } catch StoreError.noSuchBucket {
            throw refuse("Bucket not found")
        }
        guard let rules else { throw refuse("CORS is not enabled for this bucket.") }
        guard let grant = rules.grant(origin: origin, method: method, headers: asked) else {
            throw refuse(
                "This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
            )
        }
        var response = ServiceResponse(.ok, headers: [.vary: Self.variesWith])
        grant.write(origin: origin, requestedHeaders: asked, to: &response.headers)
        return response
    }

    // MARK: A page of another origin asks

    /// Tells a browser whether the page of an origin may read a response, errors included.
    func share(
        _ response: inout ServiceResponse, with origin: String, _ head: HTTPRequest, _ target: RequestTarget
    ) {
        let rules: CORSRules?
        do {
            guard let bucket = target.bucket else { return }
            rules = try sharing(of: try BucketName(bucket))
        } catch {
            // The response says already what is wrong with the bucket; without rules nobody may read it.
            return
        }
        guard let rules else { return }
        response.headers[.vary] = Self.variesWith
        rules.grant(origin: origin, method: head.method.rawValue)?.write(
            origin: origin, to: &response.headers)
    }

    /// Moves what a browser was to be told to the response that takes another's place.
    static func keepSharing(of response: ServiceResponse, in other: inout ServiceResponse) {
        for field in response.headers
        where field.name == .vary || field.name.canonicalName.hasPrefix("access-control-") {
            other.headers.append(field)
        }
    }

    private func sharing(of bucket: BucketName) throws -> CORSRules? {
        try store.bucket(bucket).stored("cors") { try CORSRules($0) }
    }

    private static let variesWith =
        "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
}
