import Foundation
import Model

/// What a lifecycle rule's work comes to, given what is true when it is committed. The rule was evaluated before,
/// on a listing: whatever was overwritten, tagged, locked or reconfigured since is left alone.
///
/// Source: Amazon S3 User Guide, "Managing the lifecycle of objects", "Lifecycle and other bucket configurations".
enum ExpiryDecisions {
    static func expire(
        _ expiry: Expiry, now: () -> Timestamp, in view: any LedgerView
    ) throws -> Decision<ExpiryOutcome> {
        guard let bucket = try governed(expiry.bucket, by: expiry.document, in: view),
            let present = try view.version(bucket.name, expiry.key, .id(expiry.versionID)),
            present.sequence == expiry.sequence, expiry.matches(present)
        else { return .nothing(.overtaken) }
        let isNewest = try view.newestVersion(bucket.name, expiry.key)?.sequence == present.sequence
        do {
            switch expiry.kind {
            case .current:
                guard isNewest, !present.isDeleteMarker else { return .nothing(.overtaken) }
                if bucket.versioning != .off { return try hide(present, expiry, in: bucket, now: now, view) }
            case .noncurrent(let newer):
                guard !isNewest, try newerNoncurrent(than: present, expiry, upTo: newer, in: view) >= newer
                else { return .nothing(.overtaken) }
            case .marker:
                guard isNewest, present.isDeleteMarker, try isAlone(expiry, in: view) else {
                    return .nothing(.overtaken)
                }
            }
            let removal = try VersionDecisions.removal(
                of: present, reason: expiry.reason, bypassesGovernance: false, now: now)
            return .append(.versionRemoved(removal)) { _, _ in .removed }
        } catch StoreError.locked(_, let reason) {
            return .nothing(.locked(reason))
        }
    }

    /// The bucket, if it still has the lifecycle that the rule was read from.
    private static func governed(
        _ name: BucketName, by document: [UInt8], in view: any LedgerView
    ) throws -> Bucket? {
        guard let bucket = try view.bucket(name), bucket.settings[Expiry.setting] == document else {
            return nil
        }
        return bucket
    }

    private static func hide(
        _ present: ObjectVersion, _ expiry: Expiry, in bucket: Bucket, now: () -> Timestamp,
        _ view: any LedgerView
    ) throws -> Decision<ExpiryOutcome> {
        let owner = Actor(id: bucket.owner, displayName: "", requestID: "")
        let marker = VersionDecisions.marker(bucket.name, expiry.key, owner: owner, reason: expiry.reason)
        switch try VersionDecisions.place(marker, key: expiry.key, in: bucket, now: now, view) {
        case .append(let change, _): return .append(change) { _, _ in .hidden }
        case .nothing: return .nothing(.overtaken)
        }
    }

    /// How many versions stand between the current one and `present`: at most `limit` are looked for.
    private static func newerNoncurrent(
        than present: ObjectVersion, _ expiry: Expiry, upTo limit: Int, in view: any LedgerView
    ) throws -> Int {
        guard limit > 0 else { return 0 }
        let newest = try rows(of: expiry.key, in: expiry.bucket, limit: limit + 1, view)
        return newest.dropFirst().prefix { $0.sequence > present.sequence }.count
    }

    private static func isAlone(_ expiry: Expiry, in view: any LedgerView) throws -> Bool {
        try rows(of: expiry.key, in: expiry.bucket, limit: 2, view).count == 1
    }

    /// The newest versions of a key. It comes before all longer keys that begin with it.
    private static func rows(
        of key: ObjectKey, in bucket: BucketName, limit: Int, _ view: any LedgerView
    ) throws -> [ListedVersion] {
        let page = try view.listVersions(
            bucket, prefix: key.rawValue, delimiter: "", keyMarker: "", versionMarker: nil, limit: limit)
        return page.items.compactMap { item in
            if case .version(let row) = item, row.key == key { row } else { nil }
        }
    }

    static func abort(
        _ upload: MultipartUpload, document: [UInt8], reason: String, in view: any LedgerView
    ) throws -> Decision<ExpiryOutcome> {
        let bucket = try BucketName(upload.record.bucket)
        let key = try ObjectKey(upload.record.key)
        guard try governed(bucket, by: document, in: view) != nil,
            try view.upload(bucket, key, upload.uploadID)?.sequence == upload.sequence
        else { return .nothing(.overtaken) }
        var change = EventUploadAborted()
        change.bucket = upload.record.bucket
        change.key = upload.record.key
        change.uploadID = upload.record.uploadID
        change.reason = reason
        return .append(.uploadAborted(change)) { _, _ in .removed }
    }
}
