import Model

/// What a request changes of a version: S3's name of the subresource, and whether it is taken away.
public struct Amendment: Sendable {
    public static let tagging = Amendment(setting: "tagging")
    public static let noTagging = Amendment(setting: "tagging", isRemoved: true)
    public static let acl = Amendment(setting: "acl")
    public static let retention = Amendment(setting: "retention")
    /// What no request of S3 asks for: nobody is told of it.
    public static let unnamed = Amendment(setting: "")
    public static let legalHold = Amendment(setting: "legal-hold")

    let setting: String
    var isRemoved = false
}

extension ObjectStore {
    /// Changes part of what is kept with a version beside its bytes: `change` is given what is true when it is
    /// committed, so two that change different fields at once both last.
    /// - Parameter bypassesGovernance: retention in governance mode may be shortened and taken away.
    /// - Throws: ``StoreError/noSuchVersion(_:_:)`` if the version is gone by then,
    ///   ``StoreError/locked(_:reason:)`` for a change that would weaken its lock.
    public func amend(
        _ version: ObjectVersion, _ amendment: Amendment = .unnamed, actor: Actor,
        bypassesGovernance: Bool = false,
        _ change: @escaping @Sendable (inout EventMetadata) throws -> Void
    ) async throws -> Commit {
        try await engine.ledger.commit(
            Proposal(actor: actor) { [clock = engine.clock] view in
                let key = try ObjectKey(version.key)
                let bucket = try BucketName(version.record.bucket)
                guard let present = try view.version(bucket, key, .id(version.versionID)),
                    present.sequence == version.sequence
                else { throw StoreError.noSuchVersion(key, version.wireVersionID) }
                var metadata = present.record.metadata
                try change(&metadata)
                return try VersionDecisions.amend(
                    present, amendment, metadata: metadata, bypassesGovernance: bypassesGovernance,
                    now: clock)
            }
        ).commit
    }
}
