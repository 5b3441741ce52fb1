import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Brings objects back as they were, from a snapshot or from the store's own history, into a store that is open or out
/// to a directory.
///
/// Into the store, each becomes a new version, with metadata, tags, retention, owner, ETag and checksums as they were:
/// what is there stays as an older version where the bucket keeps versions. An object whose bytes the store has is left
/// alone, so a restore that was cut off is finished by giving it again. Buckets that are gone are made again with the
/// settings that they had. Every block that is read is verified, and a version is published only when it came whole.
public struct Restore: Sendable {
    private let store: ObjectStore
    private let repository: Repository?
    private let order: RestoreOrder
    private let isAffected: (@Sendable (ObjectVersion) throws -> Bool)?

    /// - Parameter isAffected: whether the incident that the order names affects a version. Of a volume's incident that is
    ///   computed, so it is asked of each.
    public init(
        _ store: ObjectStore, _ repository: Repository, _ order: RestoreOrder,
        isAffected: (@Sendable (ObjectVersion) throws -> Bool)? = nil
    ) {
        precondition(
            order.unit.incident == nil || isAffected != nil,
            "what an incident affects is known to who names it")
        self.store = store
        self.repository = repository
        self.order = order
        self.isAffected = isAffected
    }

    /// From the store itself, as it was at the order's moment.
    public init(_ store: ObjectStore, _ order: RestoreOrder) {
        self.store = store
        repository = nil
        self.order = order
        isAffected = nil
    }

    /// - Parameter report: told what became of each object.
    /// - Throws: ``SnapshotError``; what goes wrong with one object is its outcome.
    public func run(
        report: (RestoreOutcome) throws -> Void, progress: (Double) -> Void = { _ in }
    ) async throws -> RestoreSummary {
        switch order.source {
        case .snapshot(let name, _):
            guard let repository else { preconditionFailure("a snapshot is in a repository") }
            if order.unit.isDamagedOnly {
                return try await DamageRestore(
                    store, repository, order, try repository.snapshot(name), isAffected
                ).run(report: report, progress: progress)
            }
            let snapshot = try SnapshotCatalog.open(
                try repository.snapshot(name), in: repository, scratch: store.inspection.stateDirectory)
            return try await run(
                from: SnapshotSource(name: name, repository: repository, snapshot: snapshot),
                report: report, progress: progress)
        case .moment(let moment):
            let inspection = store.inspection
            let sequence = try History.sequence(of: moment, in: inspection)
            return try await inspection.holding(sequence) {
                let history = try History.open(inspection, at: sequence)
                try history.requireBytes(in: inspection)
                return try await run(
                    from: HistorySource(history: history, inspection: inspection), report: report,
                    progress: progress)
            }
        }
    }

    private func run(
        from source: any RestoreSource, report: (RestoreOutcome) throws -> Void, progress: (Double) -> Void
    ) async throws -> RestoreSummary {
        let counts = try source.catalog.read { try $0.counts() }
        try await makeEmptyBuckets(from: source)
        var summary = RestoreSummary()
        let start = ContinuousClock.now
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        var seen = 0
        var last: (bucket: String, key: String)?
        while true {
            let page = try source.catalog.read { try $0.versions(after: place, limit: 1000) }
            for version in page {
                seen += 1
                let isNewest = last?.bucket != version.record.bucket || last?.key != version.key
                last = (version.record.bucket, version.key)
                guard isWanted(version, isNewest: isNewest) else { continue }
                let outcome = await restore(version, from: source)
                summary.add(outcome)
                try report(outcome)
                try await pace(summary.total.restoredBytes, since: start)
            }
            progress(Double(seen) / Double(max(1, counts.versions + counts.deleteMarkers)))
            guard let end = page.last, page.count == 1000 else { return summary }
            place = (end.record.bucket, end.key, end.sequence)
        }
    }

    /// A bucket is there without its objects too.
    /// - Throws: ``StoreError/noSuchBucket(_:)`` if the order names a bucket that the source has not.
    private func makeEmptyBuckets(from source: any RestoreSource) async throws {
        let names = try source.catalog.read { try $0.buckets().map(\.name) }
        if let wanted = order.unit.bucket, !names.contains(where: { $0.rawValue == wanted }) {
            throw StoreError.noSuchBucket(try BucketName(wanted))
        }
        guard order.folder == nil, order.into == nil, !order.isDryRun, order.unit.isOfWholeBuckets else {
            return
        }
        for name in names where order.unit.bucket.map({ $0 == name.rawValue }) ?? true {
            try await makeBucket(name.rawValue, as: name.rawValue, from: source)
        }
    }

    private func isWanted(_ version: ObjectVersion, isNewest: Bool) -> Bool {
        guard !version.isDeleteMarker, order.unit.holds(version) else { return false }
        return order.unit.version.map { $0 == version.wireVersionID } ?? isNewest
    }

    private func pace(_ bytes: UInt64, since start: ContinuousClock.Instant) async throws {
        guard order.rate > 0, !order.isDryRun else { return }
        let due = start.advanced(by: .seconds(Double(bytes) / Double(order.rate)))
        if due > .now { try await Task.sleep(until: due) }
    }

    private func restore(_ version: ObjectVersion, from source: any RestoreSource) async -> RestoreOutcome {
        func outcome(_ action: RestoreOutcome.Action, _ detail: String) -> RestoreOutcome {
            RestoreOutcome(
                action: action, bucket: version.record.bucket, key: version.key,
                version: version.wireVersionID, owner: version.record.ownerDisplayName, size: version.size,
                detail: detail)
        }
        do {
            if let folder = order.folder {
                let files = RestoredFiles(folder, source)
                let path = try files.path(of: version)
                return try order.isDryRun || files.write(version, to: path)
                    ? outcome(.restored, path) : outcome(.present, path)
            }
            var record = version.record
            record.bucket = order.into ?? record.bucket
            let present = try current(record)
            if let present, Self.isSame(present.record, record) {
                return outcome(.present, present.wireVersionID)
            }
            if let present, present.published > version.published, !order.overwrites {
                return outcome(.newer, present.wireVersionID)
            }
            if order.isDryRun { return outcome(.restored, "") }
            try await makeBucket(record.bucket, as: version.record.bucket, from: source)
            let conditions: WriteConditions =
                present == nil && !order.overwrites ? WriteConditions(ifNoneMatch: .any) : .none
            let restored = try await store.restore(
                record, reason: "restored from \(source.label)", conditions: conditions,
                from: source.pieces(of: version))
            return outcome(.restored, restored.value.wireVersionID)
        } catch { return outcome(.failed, "\(error)") }
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

    private func makeBucket(
        _ name: String, as original: String, from origin: any RestoreSource
    ) async throws {
        let bucket = try BucketName(name)
        do {
            _ = try store.bucket(bucket)
            return
        } catch StoreError.noSuchBucket {
            // Made below.
        }
        let source = try BucketName(original)
        guard let was = try origin.catalog.read({ try $0.bucket(source) }) else {
            throw StoreError.noSuchBucket(source)
        }
        var settings = name == original ? was.settings.documents : [:]
        if was.versioning != .off { settings["versioning"] = Array(was.versioning.rawValue.utf8) }
        let owner = Actor(id: was.owner, displayName: "", requestID: "")
        _ = try await store.createBucket(bucket, region: was.region, settings: settings, actor: owner)
    }
}
