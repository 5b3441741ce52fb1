import Catalog
import Foundation
import Model
import ObjectStore
import Volumes

/// Brings back one version at a time.
struct ObjectRestore: Sendable {
    let order: RestoreOrder
    private let store: ObjectStore
    private let source: any RestoreSource
    private let pace: BytePace

    init(
        _ store: ObjectStore, _ order: RestoreOrder, _ source: any RestoreSource, _ pace: BytePace
    ) {
        self.pace = pace
        self.store = store
        self.order = order
        self.source = source
    }

    /// What was shown under a key becomes a new version, or a file.
    /// - Throws: `CancellationError`; anything else is the outcome.
    func restore(_ version: ObjectVersion) async throws -> RestoreOutcome {
        do {
            if let folder = order.folder {
                let files = RestoredFiles(folder, source, pace)
                let path = try files.path(of: version)
                if order.isDryRun { return outcome(.restored, version, path) }
                return try await files.write(version, to: path)
                    ? outcome(.restored, version, path) : outcome(.present, version, path)
            }
            let record = target(of: version)
            let present = try current(record)
            if let present, Self.isSame(present.record, record) {
                return outcome(.present, version, present.wireVersionID)
            }
            if let present, present.published > version.published, !order.overwrites {
                return outcome(.newer, version, present.wireVersionID)
            }
            if order.isDryRun { return outcome(.restored, version, "") }
            let conditions: WriteConditions =
                present == nil && !order.overwrites ? WriteConditions(ifNoneMatch: .any) : .none
            let restored = try await publish(
                version, record, as: .random(), reason: "restored from \(source.label)", conditions)
            return outcome(.restored, version, restored.wireVersionID)
        } catch let error as CancellationError { throw error } catch {
            return outcome(.failed, version, "\(error)")
        }
    }

    /// Whether versions of a bucket of the source go to one that keeps them all.
    func keepsVersions(_ bucket: String) throws -> Bool {
        let there = try store.inspection.catalog.bucket(try BucketName(order.into ?? bucket))
        let was = try source.catalog.read { try $0.bucket(try BucketName(bucket)) }
        return (there ?? was)?.versioning == .enabled
    }

    /// A version of a key's history comes back as the version that it was, if the bucket keeps versions: it would show,
    /// so only what was behind it may be there.
    /// - Parameter earlier: the key's versions behind it, newest first.
    /// - Throws: `CancellationError`; anything else is the outcome.
    func restore(
        _ version: ObjectVersion, after earlier: ArraySlice<ObjectVersion>
    ) async throws -> RestoreOutcome {
        do {
            let record = target(of: version)
            let bucket = try BucketName(record.bucket)
            let key = try ObjectKey(record.key)
            if try isThere(version, bucket, key) { return outcome(.present, version, version.wireVersionID) }
            let newest = try store.inspection.catalog.currentVersion(bucket, key)
            let isBehind =
                newest.map { newest in earlier.contains { $0.versionID == newest.versionID } } ?? true
            if let newest, !isBehind, newest.published > version.published, !order.overwrites {
                return outcome(.newer, version, newest.wireVersionID)
            }
            if order.isDryRun { return outcome(.restored, version, "") }
            let restored = try await publish(
                version, record, as: version.versionID,
                reason: "restored from \(source.label), published \(version.published)", .none)
            return outcome(.restored, version, restored.wireVersionID)
        } catch let error as CancellationError { throw error } catch {
            return outcome(.failed, version, "\(error)")
        }
    }

    /// Whether the store has the version, by its id; or as the null version, by its bytes.
    private func isThere(_ version: ObjectVersion, _ bucket: BucketName, _ key: ObjectKey) throws -> Bool {
        try store.inspection.catalog.read { reader in
            if try reader.version(bucket, key, .id(version.versionID)) != nil { return true }
            guard version.isNull, let null = try reader.version(bucket, key, .null) else { return false }
            return null.versionID == version.versionID
                || null.isDeleteMarker == version.isDeleteMarker && Self.isSame(null.record, version.record)
        }
    }

    private func target(of version: ObjectVersion) -> EventVersionPublished {
        var record = version.record
        record.bucket = order.into ?? record.bucket
        return record
    }

    /// Blobs that the store has itself are referred to again, not copied.
    private func publish(
        _ version: ObjectVersion, _ record: EventVersionPublished, as versionID: VersionID, reason: String,
        _ conditions: WriteConditions
    ) async throws -> ObjectVersion {
        try await makeBucket(record.bucket, as: version.record.bucket)
        let pieces = source.pieces(of: version)
        if source.isOfTheStore {
            let referring = try await store.restoreByReference(
                record, reason: reason, conditions: conditions, from: pieces, as: versionID, pace: pace)
            if let referring { return referring.value }
        }
        return try await store.restore(
            record, reason: reason, conditions: conditions, from: pieces, as: versionID, pace: pace
        ).value
    }

    private func outcome(
        _ action: RestoreOutcome.Action, _ version: ObjectVersion, _ detail: String
    ) -> RestoreOutcome {
        RestoreOutcome(
            action: action, bucket: version.record.bucket, key: version.key,
            version: version.wireVersionID, owner: version.record.ownerDisplayName, size: version.size,
            detail: detail)
    }

    /// What the store shows under a key; `nil` for nothing, and for a delete marker.
    private func current(_ record: EventVersionPublished) throws -> ObjectVersion? {
        do {
            return try store.version(try BucketName(record.bucket), try ObjectKey(record.key), .current)
        } catch StoreError.noSuchBucket { return nil } catch StoreError.noSuchKey { return nil }
    }

    private static func isSame(_ left: EventVersionPublished, _ right: EventVersionPublished) -> Bool {
        left.size == right.size && left.etag == right.etag
            && left.pieces.map(\.sha256) == right.pieces.map(\.sha256)
    }

    /// Makes a bucket that is gone as it was.
    func makeBucket(_ name: String, as original: String) async throws {
        let bucket = try BucketName(name)
        do {
            _ = try store.bucket(bucket)
            return
        } catch StoreError.noSuchBucket {
            // Made below.
        }
        let wanted = try BucketName(original)
        guard let was = try source.catalog.read({ try $0.bucket(wanted) }) else {
            throw StoreError.noSuchBucket(wanted)
        }
        var settings = name == original ? was.settings.documents : [:]
        if was.versioning != .off { settings["versioning"] = Array(was.versioning.rawValue.utf8) }
        let owner = Actor(id: was.owner, displayName: "", requestID: "")
        _ = try await store.createBucket(bucket, region: was.region, settings: settings, actor: owner)
    }
}
