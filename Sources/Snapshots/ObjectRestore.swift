import Catalog
import Foundation
import Model
import ObjectStore
import Volumes

/// Brings back one version at a time.
///
/// It looks at what is there, copies, which may take long, and publishes only if what is there is what it saw: else
/// somebody's write, acknowledged meanwhile, would be overwritten. Where it is not, it looks again.
struct ObjectRestore: Sendable {
    /// What is there changed under each of several looks.
    private struct Unsettled: Error, CustomStringConvertible {
        var description: String { "it was written and deleted again and again while it was copied" }
    }

    private static let lookCount = 4

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
                if try files.has(version, at: path) { return outcome(.present, version, path) }
                if !order.isDryRun { try await files.write(version, to: path) }
                return outcome(.restored, version, path)
            }
            let record = target(of: version)
            for _ in 0..<Self.lookCount {
                let newest = try newest(record)
                let present = newest.flatMap { $0.isDeleteMarker ? nil : $0 }
                if let present, let found = try await standing(present, record, over: version) {
                    return found
                }
                if order.isDryRun { return outcome(.restored, version, "") }
                let restored = try await publish(
                    version, record, as: .random(), reason: "restored from \(source.label)", over: newest)
                if let restored { return outcome(.restored, version, restored.wireVersionID) }
                // Somebody wrote there while it was copied. Who deleted what was there did not write.
                if let now = try self.newest(record), !now.isDeleteMarker,
                    now.sequence > newest?.sequence ?? .zero
                {
                    return outcome(
                        Self.hasSameBytes(now.record, record) ? .present : .newer, version, now.wireVersionID)
                }
            }
            throw Unsettled()
        } catch let error as CancellationError { throw error } catch {
            return outcome(.failed, version, "\(error)")
        }
    }

    /// - Parameter present: what the store shows where the version is to go.
    /// - Returns: `nil` if the version is to take its place.
    private func standing(
        _ present: ObjectVersion, _ record: EventVersionPublished, over version: ObjectVersion
    ) async throws -> RestoreOutcome? {
        // What was amended since under the version's own id is newer, too.
        let isNewer = present.published > version.published || present.versionID == version.versionID
        let replaces = order.overwrites || !isNewer
        if Self.hasSameBytes(present.record, record) {
            // Tags, retention, access and owner may be others over the same bytes.
            let isSame =
                try present.record.owner == record.owner
                && present.record.metadata.hasSameBytes(as: record.metadata)
            guard isSame || !replaces else { return nil }
            guard try await isDamaged(present) else {
                return outcome(.present, version, present.wireVersionID)
            }
            return order.overwrites ? nil : outcome(.failed, version, Self.damaged(present))
        }
        return replaces ? nil : outcome(.newer, version, present.wireVersionID)
    }

    /// Whether it is known, or shows without a block being read, that bytes of a version cannot be had. What is suspected
    /// is read whole before it is said: a finding may be mended since, and a blob put together of several replicas.
    private func isDamaged(_ version: ObjectVersion) async throws -> Bool {
        var isSuspected = try !store.inspection.looksWhole(version)
        if case .affected(let state, _) = try store.standing(of: version), state.isGone { isSuspected = true }
        guard isSuspected else { return false }
        return try await !store.inspection.canRead(version)
    }

    private static func damaged(_ version: ObjectVersion) -> String {
        "version \(version.wireVersionID) is there and its bytes are damaged on every volume: --damaged-only mends them from a snapshot"
    }

    /// Whether versions of a bucket of the source go to one that keeps them all.
    func keepsVersions(_ bucket: String) throws -> Bool {
        let there = try store.inspection.catalog.bucket(try BucketName(order.into ?? bucket))
        let was = try source.catalog.read { try $0.bucket(try BucketName(bucket)) }
        return (there ?? was)?.versioning == .enabled
    }

    /// A version of a key's history comes back as the version that it was, if the bucket keeps versions: it would show,
    /// so only what was behind it may be there.
    /// - Parameters:
    ///   - earlier: the key's versions behind it, newest first.
    ///   - isShown: whether it is what the key showed, and is to show again.
    /// - Throws: `CancellationError`; anything else is the outcome.
    func restore(
        _ version: ObjectVersion, after earlier: ArraySlice<ObjectVersion>, isShown: Bool
    ) async throws -> RestoreOutcome {
        do {
            let record = target(of: version)
            let bucket = try BucketName(record.bucket)
            let key = try ObjectKey(record.key)
            if let there = try found(version, bucket, key) {
                // That it is there does not mean that it shows: a delete marker may hide it, or somebody's bytes.
                if isShown { return try await restore(version) }
                guard try await !isDamaged(there) else {
                    return outcome(.failed, version, Self.damaged(there))
                }
                return outcome(.present, version, version.wireVersionID)
            }
            var first: SequenceNumber?
            for _ in 0..<Self.lookCount {
                let newest = try newest(record)
                let sequence = newest?.sequence ?? .zero
                let isNews = first.map { sequence > $0 } ?? false
                first = first ?? sequence
                let isBehind =
                    newest.map { newest in earlier.contains { $0.versionID == newest.versionID } } ?? true
                // What came after the first look is newer, whatever its time says.
                if let newest, !isBehind, isNews || newest.published > version.published,
                    !order.overwrites
                {
                    return outcome(.newer, version, newest.wireVersionID)
                }
                if order.isDryRun { return outcome(.restored, version, "") }
                let restored = try await publish(
                    version, record, as: version.versionID,
                    reason: "restored from \(source.label), published \(version.published)", over: newest)
                if let restored { return outcome(.restored, version, restored.wireVersionID) }
            }
            throw Unsettled()
        } catch let error as CancellationError { throw error } catch {
            return outcome(.failed, version, "\(error)")
        }
    }

    /// The version as the store has it: by its id; or as the null version, by its bytes.
    private func found(
        _ version: ObjectVersion, _ bucket: BucketName, _ key: ObjectKey
    ) throws -> ObjectVersion? {
        try store.inspection.catalog.read { reader in
            if let found = try reader.version(bucket, key, .id(version.versionID)) { return found }
            guard version.isNull, let null = try reader.version(bucket, key, .null) else { return nil }
            let isSame =
                null.versionID == version.versionID
                || null.isDeleteMarker == version.isDeleteMarker
                    && Self.hasSameBytes(null.record, version.record)
            return isSame ? null : nil
        }
    }

    private func target(of version: ObjectVersion) -> EventVersionPublished {
        var record = version.record
        record.bucket = order.into ?? record.bucket
        return record
    }

    /// Blobs that the store has itself are referred to again, not copied.
    /// - Parameter seen: the newest version that the key had when it was decided; unless newer ones are to be overwritten, it
    ///   must have it still.
    /// - Returns: `nil` if it has not: nothing is published then.
    private func publish(
        _ version: ObjectVersion, _ record: EventVersionPublished, as versionID: VersionID, reason: String,
        over seen: ObjectVersion?
    ) async throws -> ObjectVersion? {
        let conditions = order.overwrites ? .none : WriteConditions(unchangedSince: seen)
        try await makeBucket(record.bucket, as: version.record.bucket)
        let pieces = source.pieces(of: version)
        do {
            if source.isOfTheStore {
                let referring = try await store.restoreByReference(
                    record, reason: reason, conditions: conditions, from: pieces, as: versionID, pace: pace)
                if let referring { return referring.value }
            }
            return try await store.restore(
                record, reason: reason, conditions: conditions, from: pieces, as: versionID, pace: pace
            ).value
        } catch StoreError.preconditionFailed { return nil }
    }

    private func outcome(
        _ action: RestoreOutcome.Action, _ version: ObjectVersion, _ detail: String
    ) -> RestoreOutcome {
        RestoreOutcome(
            action: action, bucket: version.record.bucket, key: version.key,
            version: version.wireVersionID, ownerID: version.record.owner,
            owner: version.record.ownerDisplayName, size: version.size,
            detail: detail)
    }

    /// What the store has newest under a key, be it a delete marker; `nil` for nothing.
    private func newest(_ record: EventVersionPublished) throws -> ObjectVersion? {
        try store.inspection.catalog.currentVersion(
            try BucketName(record.bucket), try ObjectKey(record.key))
    }

    private static func hasSameBytes(_ left: EventVersionPublished, _ right: EventVersionPublished) -> Bool {
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
