import HTTPTypes
import Model
import ObjectStore

/// Settings that have one value here, and those that no bucket of this store has: clients read all of them, and
/// tell "none" from "cannot say".
///
/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketRequestPayment(_ call: S3Call) throws -> ServiceResponse {
        _ = try store.bucket(try call.bucket())
        return ServiceResponse(
            xml: XMLWriter("RequestPaymentConfiguration") { $0.element("Payer", "BucketOwner") })
    }

    /// Takes what is so already; a requester cannot pay where nothing costs anything.
    func putBucketRequestPayment(_ call: S3Call) async throws -> ServiceResponse {
        let document = try XMLElement.parse(
            try await document(call), root: "RequestPaymentConfiguration")
        _ = try store.bucket(try call.bucket())
        switch document.value("Payer") {
        case "BucketOwner": return ServiceResponse(.ok)
        case "Requester": throw S3Error.notImplemented("Requester Pays")
        default: throw S3Error.malformedDocument("Payer is neither BucketOwner nor Requester")
        }
    }

    func getBucketAccelerate(_ call: S3Call) throws -> ServiceResponse {
        _ = try store.bucket(try call.bucket())
        return ServiceResponse(xml: XMLWriter("AccelerateConfiguration") { _ in })
    }

    /// Answers as Amazon S3 does where the setting was never made.
    func getBucketSetting(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket()).name.rawValue
        for item in call.query.items {
            if let absent = AbsentSetting.errors[item.name] {
                throw S3Error(
                    S3ErrorCode(absent.code, 404), absent.message, details: [("BucketName", bucket)])
            }
            if let root = AbsentSetting.lists[item.name] {
                guard !call.query.has("id") else {
                    throw S3Error(
                        .noSuchConfiguration, "The specified configuration does not exist.",
                        details: [("BucketName", bucket)])
                }
                return ServiceResponse(xml: XMLWriter(root) { $0.element("IsTruncated", false) })
            }
        }
        preconditionFailure("the operation was chosen for one of these settings")
    }
}

/// What Amazon S3 answers for settings that no bucket of this store has.
private enum AbsentSetting {
    static let errors: [String: (code: String, message: String)] = [
        "replication": (
            "ReplicationConfigurationNotFoundError", "The replication configuration was not found"
        ),
        "website": (
            "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"
        ),
    ]

    /// Lists of configurations, by the root of their document.
    static let lists: [String: StaticString] = [
        "analytics": "ListBucketAnalyticsConfigurationResult",
        "intelligent-tiering": "ListBucketIntelligentTieringConfigurationsOutput",
        "inventory": "ListInventoryConfigurationsResult",
        "metrics": "ListMetricsConfigurationsResult",
    ]
}

extension S3ErrorCode {
    static let noSuchConfiguration = S3ErrorCode("NoSuchConfiguration", 404)
}
