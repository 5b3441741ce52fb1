import Foundation
import Model

/// What putting, copying, amending or deleting a version comes to, given what is true when it is committed.
/// Nothing here writes.
///
/// Source of the rules of versioning: Amazon S3 User Guide, "How S3 Versioning works", "Deleting object
/// versions".
enum VersionDecisions {
    /// Publishes `draft`, whose bucket's versioning decides whether it is the null version and which version
    /// it replaces.
    /// - Parameter bucketCreated: tells the bucket that is meant from a later one of its name.
    static func publish(
        _ draft: EventVersionPublished, bucketCreated: SequenceNumber? = nil, conditions: WriteConditions,
        now: () -> Timestamp, in view: any LedgerView
    ) throws -> Decision<ObjectVersion> {
        let name = try BucketName(draft.bucket)
        let key = try ObjectKey(draft.key)
        guard let bucket = try view.bucket(name),
            bucketCreated == nil || bucketCreated == bucket.createdSequence
        else { throw StoreError.noSuchBucket(name) }
        if conditions != .none {
            try conditions.check(against: try view.newestVersion(name, key), key: key)
        }
        return try place(draft, key: key, in: bucket, now: now, view)
    }

    /// - Throws: ``StoreError/locked(_:reason:)`` if the null version that it would replace must stay.
    static func place(
        _ draft: EventVersionPublished, key: ObjectKey, in bucket: Bucket, now: () -> Timestamp,
        _ view: any LedgerView
    ) throws -> Decision<ObjectVersion> {
        var record = draft
        let isNull = bucket.versioning != .enabled
        let replaced = isNull ? try view.version(bucket.name, key, .null) : nil
        // What is replaced is removed: no bypass reaches here, as none does on Amazon S3.
        try replaced?.checkRemovable(bypassesGovernance: false, now: now)
        // A record that is changed is copied, which costs the commit thread a microsecond.
        if record.nullVersion != isNull { record.nullVersion = isNull }
        if let replaced { record.replacedSequence = replaced.sequence.rawValue }
        let change = record
        return .append(.versionPublished(change)) { sequence, time in
            ObjectVersion(sequence: sequence, published: time, record: change)
        }
    }

    /// A copy by reference: the copy's pieces are the source's blobs; bytes in the log were read before and
    /// stand in the copy's own event. `source` must still be there, else its blobs may be on their way out.
    static func copy(
        of source: ObjectVersion, as draft: EventVersionPublished, bucketCreated: SequenceNumber? = nil,
        conditions: WriteConditions, now: () -> Timestamp, in view: any LedgerView
    ) throws -> Decision<ObjectVersion> {
        let key = try ObjectKey(source.key)
        let bucket = try BucketName(source.record.bucket)
        guard let present = try view.version(bucket, key, .id(source.versionID)),
            present.sequence == source.sequence
        else { throw StoreError.noSuchKey(key, deleteMarker: nil) }
        return try publish(
            draft, bucketCreated: bucketCreated, conditions: conditions, now: now, in: view)
    }

    /// - Parameter version: as it is in the state that the change is decided against.
    static func amend(
        _ version: ObjectVersion, _ amendment: Amendment, metadata: EventMetadata, bypassesGovernance: Bool,
        now: () -> Timestamp
    ) throws -> Decision<Void> {
        let present = version.record.metadata
        if try present.hasSameBytes(as: metadata) { return .nothing(()) }
        if let reason = present.obstacleToBecoming(
            metadata, bypassesGovernance: bypassesGovernance, now: now)
        {
            throw StoreError.locked(version, reason: reason)
        }
        var change = EventVersionAmended()
        change.bucket = version.record.bucket
        change.key = version.key
        change.versionID = version.record.versionID
        change.publishedSequence = version.sequence.rawValue
        change.metadata = metadata
        change.setting = amendment.setting
        change.removed = amendment.isRemoved
        return .append(.versionAmended(change)) { _, _ in }
    }

    /// What a delete came to, before its place in the log is known.
    typealias Outcome = (versionID: String?, isDeleteMarker: Bool)

    static func delete(
        _ name: BucketName, _ key: ObjectKey, _ selector: VersionSelector, conditions: WriteConditions,
        bypassesGovernance: Bool, actor: Actor, now: () -> Timestamp, in view: any LedgerView
    ) throws -> Decision<Outcome> {
        guard let bucket = try view.bucket(name) else { throw StoreError.noSuchBucket(name) }
        let target = try view.version(name, key, selector)
        if conditions != .none { try conditions.check(against: target, key: key) }
        guard selector == .current else {
            let wire = selector.wire
            guard let target else { return .nothing((wire, false)) }
            let isMarker = target.isDeleteMarker
            let removal = try removal(of: target, bypassesGovernance: bypassesGovernance, now: now)
            return .append(.versionRemoved(removal)) { _, _ in (wire, isMarker) }
        }
        if bucket.versioning == .off {
            guard let target else { return .nothing((nil, false)) }
            let removal = try removal(of: target, bypassesGovernance: bypassesGovernance, now: now)
            return .append(.versionRemoved(removal)) { _, _ in (nil, false) }
        }
        let marker = marker(name, key, owner: actor)
        switch try place(marker, key: key, in: bucket, now: now, view) {
        case .append(let change, let outcome):
            return .append(change) { (outcome($0, $1).wireVersionID, true) }
        case .nothing(let version):
            return .nothing((version.wireVersionID, true))
        }
    }

    /// - Parameter reason: why, when it is no request.
    static func marker(
        _ bucket: BucketName, _ key: ObjectKey, owner: Actor, reason: String = ""
    ) -> EventVersionPublished {
        var marker = EventVersionPublished()
        marker.bucket = bucket.rawValue
        marker.key = key.rawValue
        marker.versionID = Data(VersionID.random().bytes)
        marker.deleteMarker = true
        marker.owner = owner.id
        marker.ownerDisplayName = owner.displayName
        marker.reason = reason
        return marker
    }

    /// - Throws: ``StoreError/locked(_:reason:)`` if the version must stay.
    static func removal(
        of version: ObjectVersion, reason: String = "", bypassesGovernance: Bool, now: () -> Timestamp
    ) throws -> EventVersionRemoved {
        try version.checkRemovable(bypassesGovernance: bypassesGovernance, now: now)
        var change = EventVersionRemoved()
        change.bucket = version.record.bucket
        change.key = version.key
        change.versionID = version.record.versionID
        change.publishedSequence = version.sequence.rawValue
        change.reason = reason
        return change
    }
}

extension VersionSelector {
    /// The name on the wire; `nil` for the current version.
    var wire: String? {
        switch self {
        case .current: nil
        case .null: "null"
        case .id(let id): id.description
        }
    }
}
