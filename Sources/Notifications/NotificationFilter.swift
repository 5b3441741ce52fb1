import Model
import ObjectStore
import S3

/// What a sink wants to be told of whatever buckets say.
public struct NotificationFilter: Sendable, Hashable {
    /// Names of events; one that ends in `*` stands for all that begin so.
    public var events: [String]
    /// All, if it is empty.
    public var buckets: Set<String>
    public var prefix: String
    public var suffix: String

    public init(events: [String], buckets: Set<String> = [], prefix: String = "", suffix: String = "") {
        self.events = events
        self.buckets = buckets
        self.prefix = prefix
        self.suffix = suffix
    }

    func matches(_ told: Notification) -> Bool {
        guard buckets.isEmpty || buckets.contains(told.bucket), told.hasKey(prefix, suffix) else {
            return false
        }
        return events.contains { $0.hasSuffix("*") ? told.name.hasPrefix($0.dropLast()) : told.name == $0 }
    }
}

/// Finds whom a notification goes to: a sink's own filter, or a rule of the bucket whose destination has the sink's
/// name as the last part of its ARN.
struct NotificationRouter {
    let sink: String
    let filter: NotificationFilter
    let store: ObjectStore
    let region: String

    /// - Throws: what keeps the catalog from being read.
    func address(_ told: Notification) throws -> Addressed? {
        let bucket = try self.bucket(told.bucket)
        let id = filter.matches(told) ? sink : try bucket.flatMap { try rule($0, told) }
        return id.map {
            Addressed(
                notification: told, configurationID: $0, bucketOwner: bucket?.owner ?? "",
                region: bucket?.region ?? region)
        }
    }

    /// `nil` for one that is gone.
    private func bucket(_ name: String) throws -> Bucket? {
        guard !name.isEmpty, let name = try? BucketName(name) else { return nil }
        do { return try store.bucket(name) } catch StoreError.noSuchBucket { return nil }
    }

    private func rule(_ bucket: Bucket, _ told: Notification) throws -> String? {
        let rules = try bucket.settings.meaning(of: NotificationRules.setting) { try NotificationRules($0) }
        return rules?.configurations.first { rule in
            rule.kinds.contains(told.name)
                && rule.destination.split(separator: ":").last.map(String.init) == sink
                && told.hasKey(rule.prefix ?? "", rule.suffix ?? "")
        }?.id
    }
}

extension Notification {
    /// Whether the key begins and ends so, byte for byte.
    fileprivate func hasKey(_ prefix: String, _ suffix: String) -> Bool {
        key.utf8.starts(with: prefix.utf8)
            && key.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }
}

extension NotificationFilter {
    /// What a sink can be told of.
    public static let names = [
        "s3:ObjectCreated:Put", "s3:ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload",
        "s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated", "s3:ObjectTagging:Put",
        "s3:ObjectTagging:Delete", "s3:ObjectAcl:Put", "s3:LifecycleExpiration:Delete",
        "s3:LifecycleExpiration:DeleteMarkerCreated", "holdfast:Upload:Confirmed", "holdfast:Object:Damaged",
        "holdfast:Object:Repairing", "holdfast:Object:Repaired", "holdfast:Object:Restored",
        "holdfast:Object:Lost",
        "holdfast:Volume:SetAside", "holdfast:Volume:Returned", "holdfast:Volume:Replaced",
        "holdfast:Snapshot:Taken", "holdfast:Restore:Ended", "holdfast:Incident:Opened",
        "holdfast:Incident:Acknowledged", "holdfast:Incident:Closed",
    ]

    /// Whether a name, or a beginning of one with `*`, stands for some event.
    public static func isKnown(_ pattern: String) -> Bool {
        names.contains { pattern.hasSuffix("*") ? $0.hasPrefix(pattern.dropLast()) : $0 == pattern }
    }
}
