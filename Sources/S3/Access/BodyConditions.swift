import HTTPTypes
import Model
import ObjectStore

/// Condition keys whose values stand in the body of a request: its sender's right depends on what it says.
///
/// Source: Service Authorization Reference, "Condition keys for Amazon S3"; Amazon S3 User Guide, "Tagging and access
/// control policies", "Object Lock considerations".
extension S3Service {
    /// Reads the body of a request that a policy may decide by; for nearly all there is none.
    /// - Throws: whatever is wrong with the body.
    func readConditions(of operation: Operation, _ call: inout S3Call) async throws {
        call.bodyConditions = [:]
        guard try hasPolicy(operation, call) else { return }
        let document = try await call.document()
        call.readDocument = document
        call.bodyConditions = Self.conditions(operation, document)
    }

    private func hasPolicy(_ operation: Operation, _ call: S3Call) throws -> Bool {
        switch operation {
        case .createBucket: return call.identity.policies != nil
        case .putObjectTagging, .putObjectRetention, .putObjectLegalHold:
            if call.identity.policies != nil { return true }
            do {
                return try store.bucket(try call.bucket()).settings[BucketAccess.policyName] != nil
            } catch StoreError.noSuchBucket {
                return false  // who may hear of it is decided later
            }
        default: return false
        }
    }

    /// What is malformed has no values; the operation refuses it.
    private static func conditions(_ operation: Operation, _ document: [UInt8]) -> [String: [String]] {
        let name =
            switch operation {
            case .createBucket: "CreateBucketConfiguration"
            case .putObjectTagging: "Tagging"
            case .putObjectRetention: "Retention"
            default: "LegalHold"
            }
        guard !document.isEmpty, let root = try? XMLElement.parse(document, root: name) else { return [:] }
        var values: [String: [String]] = [:]
        switch operation {
        case .createBucket: values["s3:locationconstraint"] = root.value("LocationConstraint").map { [$0] }
        case .putObjectTagging:
            guard let tags = try? TagSet(root, of: .object).byKey else { return [:] }
            values["s3:requestobjecttagkeys"] = tags.isEmpty ? nil : tags.keys.sorted()
            // Two keys may differ by case alone: the first that fits counts.
            for (key, value) in tags.sorted(by: { $0.key < $1.key }) {
                let name = "s3:requestobjecttag/\(key.lowercased())"
                if values[name] == nil { values[name] = [value] }
            }
        case .putObjectRetention:
            values["s3:object-lock-mode"] = root.value("Mode").map { [$0] }
            values["s3:object-lock-retain-until-date"] = root.value("RetainUntilDate").map { [$0] }
        default: values["s3:object-lock-legal-hold"] = root.value("Status").map { [$0] }
        }
        return values
    }
}

extension Operation {
    /// Whether a condition key, in lower case, has its value from the body of such an operation.
    static func isOfBody(_ key: String) -> Bool {
        switch key {
        case "s3:locationconstraint", "s3:object-lock-mode", "s3:object-lock-retain-until-date",
            "s3:object-lock-legal-hold":
            true
        default: key.hasPrefix("s3:requestobjecttag")
        }
    }

    /// Whether a policy may ask for what the body says.
    var mayDecideByBody: Bool {
        switch self {
        case .createBucket, .putObjectTagging, .putObjectRetention, .putObjectLegalHold: true
        default: false
        }
    }
}
