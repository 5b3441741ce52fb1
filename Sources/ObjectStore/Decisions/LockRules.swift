import Model

/// What a version's lock forbids. Asked on the commit thread of the state at commit, and nowhere else: a check
/// made before could be overtaken by a lock that is placed meanwhile.
///
/// Source: Amazon S3 User Guide, "Locking objects with Object Lock".
extension EventMetadata {
    /// Why a version that has this metadata must stay; `nil` if it may be removed.
    func obstacleToRemoval(bypassesGovernance: Bool, now: () -> Timestamp) -> String? {
        if legalHold { return "it is under legal hold" }
        return obstacleToRelease(bypassesGovernance: bypassesGovernance, now: now)
    }

    /// Why this metadata must not become `other`: retention may become longer, and nothing else while it lasts.
    func obstacleToBecoming(
        _ other: EventMetadata, bypassesGovernance: Bool, now: () -> Timestamp
    ) -> String? {
        guard hasRetention, !other.hasRetention || retention != other.retention else { return nil }
        if other.hasRetention, other.retention.mode == retention.mode,
            other.retention.untilMicroseconds >= retention.untilMicroseconds
        {
            return nil
        }
        return obstacleToRelease(bypassesGovernance: bypassesGovernance, now: now)
    }

    /// A mode that this program does not know holds like the strictest that it does.
    private func obstacleToRelease(bypassesGovernance: Bool, now: () -> Timestamp) -> String? {
        guard hasRetention, !(bypassesGovernance && retention.mode == .governance) else { return nil }
        let end = Timestamp(microseconds: retention.untilMicroseconds)
        guard end > now() else { return nil }
        return
            "it is under \(retention.mode == .governance ? "governance" : "compliance") retention until \(end)"
    }
}

extension ObjectVersion {
    /// - Throws: ``StoreError/locked(_:reason:)`` if the version must stay.
    func checkRemovable(bypassesGovernance: Bool, now: () -> Timestamp) throws {
        let metadata = record.metadata
        guard metadata.legalHold || metadata.hasRetention else { return }
        if let reason = metadata.obstacleToRemoval(bypassesGovernance: bypassesGovernance, now: now) {
            throw StoreError.locked(self, reason: reason)
        }
    }
}
