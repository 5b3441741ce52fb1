/// The kinds of events that a bucket can announce.
///
/// Source: Amazon S3 User Guide, "Supported event types for SQS, SNS, and Lambda".
enum NotificationEvents {
    /// By family; an empty list is a family of one, without a wildcard.
    private static let families: [String: [String]] = [
        "s3:ObjectCreated": ["Put", "Post", "Copy", "CompleteMultipartUpload"],
        "s3:ObjectRemoved": ["Delete", "DeleteMarkerCreated"],
        "s3:ObjectRestore": ["Post", "Completed", "Delete"],
        "s3:ReducedRedundancyLostObject": [],
        "s3:Replication": [
            "OperationFailedReplication", "OperationMissedThreshold", "OperationNotTracked",
            "OperationReplicatedAfterThreshold",
        ],
        "s3:LifecycleTransition": [],
        "s3:IntelligentTiering": [],
        "s3:ObjectAcl:Put": [],
        "s3:LifecycleExpiration": ["Delete", "DeleteMarkerCreated"],
        "s3:ObjectTagging": ["Put", "Delete"],
        // Holdfast's own, of a bucket's objects.
        "holdfast:Upload": ["Confirmed"],
        "holdfast:Object": ["Damaged", "Repaired", "Restored", "Lost"],
    ]

    /// The events that each name stands for: itself, or with a wildcard its family.
    private static let byName: [String: Set<String>] = {
        var byName: [String: Set<String>] = [:]
        for (family, members) in families {
            guard !members.isEmpty else {
                byName[family] = [family]
                continue
            }
            let names = members.map { "\(family):\($0)" }
            for name in names { byName[name] = [name] }
            byName["\(family):*"] = Set(names)
        }
        return byName
    }()

    /// `nil` if there is no such event.
    static func events(named name: String) -> Set<String>? { byName[name] }
}
