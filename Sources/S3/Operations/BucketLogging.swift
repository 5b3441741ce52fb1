import HTTPTypes
import Model
import ObjectStore

/// Whether and where a bucket's requests are logged.
///
/// Source: Amazon S3 API Reference, GetBucketLogging and PutBucketLogging; Amazon S3 User Guide, "Logging requests
/// with server access logging".
extension S3Service {
    func getBucketLogging(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings[LoggingRules.setting] else {
            return ServiceResponse(xml: XMLWriter("BucketLoggingStatus") { _ in })
        }
        return ServiceResponse(.ok, headers: [.contentType: "application/xml"], body: .bytes(document))
    }

    func putBucketLogging(_ call: S3Call) async throws -> ServiceResponse {
        let rules = try LoggingRules(request: try await document(call))
        let bucket = try store.bucket(try call.bucket())
        if let rules { try checkTarget(rules.target, of: bucket) }
        let response = try await configure(bucket.name, LoggingRules.setting, rules?.document.bytes, call)
        if rules != nil { accessLogs.mayLog(bucket.name.rawValue) }
        return response
    }

    private func checkTarget(_ name: String, of bucket: Bucket) throws {
        func fail(_ code: S3ErrorCode, _ reason: String) -> S3Error {
            S3Error(code, reason, details: [("TargetBucket", name)])
        }
        let target: Bucket
        do { target = try store.bucket(try BucketName(name)) } catch is InvalidName {
            throw fail(.invalidTargetBucketForLogging, "The target bucket for logging does not exist")
        } catch StoreError.noSuchBucket {
            throw fail(.invalidTargetBucketForLogging, "The target bucket for logging does not exist")
        }
        // Records tell who asked for what: they are for the owner of the bucket alone.
        guard target.owner == bucket.owner else {
            throw fail(
                .invalidTargetBucketForLogging,
                "The owner for the bucket to be logged and the target bucket must be the same.")
        }
        guard try ObjectLockConfiguration.of(target)?.defaultRetention == nil else {
            throw fail(
                .invalidTargetBucketForLogging,
                "The target bucket for logging cannot have a default Object Lock retention period.")
        }
        guard target.region == bucket.region else {
            throw fail(
                .crossLocationLoggingProhibited,
                "Cross S3 location logging not allowed. The bucket to be logged and the target bucket must be in one region."
            )
        }
    }
}

extension S3ErrorCode {
    static let invalidTargetBucketForLogging = S3ErrorCode("InvalidTargetBucketForLogging", 400)
    static let crossLocationLoggingProhibited = S3ErrorCode("CrossLocationLoggingProhibited", 403)
}
