import HTTPTypes
import Model
import ObjectStore

/// Whom a bucket tells of its events: kept as it was checked.
///
/// Source: Amazon S3 API Reference, GetBucketNotificationConfiguration and PutBucketNotificationConfiguration.
extension S3Service {
    func getBucketNotification(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings[NotificationRules.setting] else {
            return ServiceResponse(xml: XMLWriter("NotificationConfiguration") { _ in })
        }
        return ServiceResponse(.ok, headers: [.contentType: "application/xml"], body: .bytes(document))
    }

    /// An empty configuration removes what was there.
    func putBucketNotification(_ call: S3Call) async throws -> ServiceResponse {
        let rules = try NotificationRules(try await document(call))
        return try await configure(
            try call.bucket(), NotificationRules.setting, rules.isEmpty ? nil : rules.document.bytes, call)
    }
}
