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
/// what is there stays as an older version where the bucket keeps versions. Asked for every version, it brings back
/// those behind the current ones and delete markers too, oldest first, under the ids that they had; when each was
/// published its event's reason says. One that was the null version has 32 digits then, as all have that are written where
/// versioning is enabled. One that is there by its id and was shown is made to show again. An object whose bytes the store
/// has is left alone, if what is kept with them is the same too or is not to be replaced; so a restore that was cut off is
/// finished by giving it again. Buckets that are gone are made again with the settings that they had. Every block that is
/// read is verified, and a version is published only when it came whole.
///
/// The last event of a restore says how it came out, for each owner. One that is cut off has none.
public struct Restore: Sendable {
    private let store: ObjectStore
    private let repository: Repository?
    /// How the log names the repository.
    private let place: String?
    private let order: RestoreOrder
    private let isAffected: (@Sendable (ObjectVersion) throws -> Bool)?
    private let pace: BytePace
    private let search: BytePace

    /// - Parameters:
    ///   - place: how the log names the repository; `nil` for its directory.
    ///   - isAffected: whether the incident that the order names affects a version. Of a volume's incident that is
    ///     computed, so it is asked of each.
    ///   - pace: `nil` for the order's own rate.
    ///   - search: of reading what may be damaged; `nil` for the order's own rate.
    public init(
        _ store: ObjectStore, _ repository: Repository, _ order: RestoreOrder, named place: String? = nil,
        isAffected: (@Sendable (ObjectVersion) throws -> Bool)? = nil, pace: BytePace? = nil,
        search: BytePace? = nil
    ) {
        precondition(
            order.unit.incident == nil || isAffected != nil,
            "what an incident affects is known to who names it")
        self.store = store
        self.repository = repository
        self.place = place ?? repository.directory
        self.order = order
        self.isAffected = isAffected
        self.pace = pace ?? BytePace(rate: order.rate)
        self.search = search ?? BytePace(rate: order.rate)
    }

    /// From the store itself, as it was at the order's moment.
    /// - Parameter pace: `nil` for the order's own rate.
    public init(_ store: ObjectStore, _ order: RestoreOrder, pace: BytePace? = nil) {
        self.store = store
        repository = nil
        place = nil
        self.order = order
        isAffected = nil
        self.pace = pace ?? BytePace(rate: order.rate)
        search = self.pace
    }

    /// - Parameter report: told what became of each object.
    /// - Throws: ``SnapshotError``; what goes wrong with one object is its outcome.
    public func run(
        report: (RestoreOutcome) throws -> Void, progress: (Double) -> Void = { _ in }
    ) async throws -> RestoreSummary {
        try order.check()
        let began = store.inspection.clock()
        var (summary, sequence) = try await bringBack(report, progress)
        if !order.isDryRun { summary.unnoted = await note(summary, asOf: sequence, began: began) }
        return summary
    }

    /// Says in the store's log how it came out.
    /// - Returns: what keeps the store from it, which takes nothing from what was restored.
    private func note(
        _ summary: RestoreSummary, asOf sequence: SequenceNumber, began: Timestamp
    ) async -> String? {
        guard !store.isOnlyInspected else { return "no server has the store, and it is only looked at" }
        let change = EventRestoreEnded(order, summary, repository: place, asOf: sequence, began: began)
        do {
            _ = try await store.inspection.record(.restoreEnded(change))
            return nil
        } catch { return "\(error)" }
    }

    /// - Returns: what came of it, and the event that what came back is of.
    private func bringBack(
        _ report: (RestoreOutcome) throws -> Void, _ progress: (Double) -> Void
    ) async throws -> (RestoreSummary, SequenceNumber) {
        switch order.source {
        case .snapshot(let name, _):
            guard let repository else { preconditionFailure("a snapshot is in a repository") }
            let manifest = try repository.snapshot(name)
            if order.unit.isDamagedOnly {
                try order.unit.requireNamed(in: store.inspection.catalog, "the store")
                let summary = try await DamageRestore(
                    store, repository, order, manifest, isAffected, pace: pace, search: search
                ).run(report: report, progress: progress)
                return (summary, manifest.position)
            }
            let snapshot = try SnapshotCatalog.open(
                manifest, in: repository, scratch: store.inspection.stateDirectory)
            let summary = try await run(
                from: SnapshotSource(name: name, repository: repository, snapshot: snapshot),
                report: report, progress: progress)
            return (summary, manifest.position)
        case .moment(let moment):
            let inspection = store.inspection
            let sequence = try History.sequence(of: moment, in: inspection)
            let summary = try await inspection.holding(sequence) {
                let history = try History.open(inspection, at: sequence)
                try history.requireBytes(in: inspection)
                return try await run(
                    from: HistorySource(history: history, inspection: inspection), report: report,
                    progress: progress)
            }
            return (summary, sequence)
        }
    }

    private func run(
        from source: any RestoreSource, report: (RestoreOutcome) throws -> Void, progress: (Double) -> Void
    ) async throws -> RestoreSummary {
        try order.unit.requireNamed(in: source.catalog, source.label)
        let counts = try source.catalog.read { try $0.counts() }
        let objects = ObjectRestore(store, order, source, pace)
        try await makeEmptyBuckets(from: source, objects)
        let walk = Walk(objects)
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        var seen = 0
        var last: (bucket: String, key: String)?
        var history = KeyHistory()
        while true {
            let page = try source.catalog.read { try $0.versions(after: place, limit: 1000) }
            for version in page {
                seen += 1
                let isNewest =
                    last?.bucket != version.record.bucket
                    || last?.key.utf8.elementsEqual(version.key.utf8) != true
                last = (version.record.bucket, version.key)
                if order.unit.hasEveryVersion {
                    if isNewest {
                        try await walk.restore(history, report)
                        history = KeyHistory()
                    }
                    if order.unit.holds(version) { history.add(version, isNewest: isNewest) }
                } else if isWanted(version, isNewest: isNewest) {
                    try await walk.restore(version, report)
                }
            }
            progress(Double(seen) / Double(max(1, counts.versions + counts.deleteMarkers)))
            guard let end = page.last, page.count == 1000 else { break }
            place = (end.record.bucket, end.key, end.sequence)
        }
        try await walk.restore(history, report)
        return walk.summary
    }

    /// What is wanted of the versions of the key at hand.
    private struct KeyHistory {
        /// Newest first.
        private(set) var versions: [ObjectVersion] = []
        /// What the key showed, if it showed something and that is wanted.
        private(set) var shown: ObjectVersion?

        mutating func add(_ version: ObjectVersion, isNewest: Bool) {
            versions.append(version)
            if isNewest, !version.isDeleteMarker { shown = version }
        }
    }

    /// What has come of it so far. Of one task.
    private final class Walk {
        private let objects: ObjectRestore
        private(set) var summary = RestoreSummary()

        init(_ objects: ObjectRestore) { self.objects = objects }

        func restore(_ version: ObjectVersion, _ report: (RestoreOutcome) throws -> Void) async throws {
            try note(try await objects.restore(version), report)
        }

        func restore(_ history: KeyHistory, _ report: (RestoreOutcome) throws -> Void) async throws {
            let versions = history.versions
            guard let first = versions.first else { return }
            guard try objects.keepsVersions(first.record.bucket) else {
                if let shown = history.shown { try await restore(shown, report) }
                return
            }
            for (index, version) in versions.enumerated().reversed() {
                let outcome = try await objects.restore(
                    version, after: versions[(index + 1)...], isShown: index == 0 && history.shown != nil)
                try note(outcome, report)
            }
        }

        private func note(
            _ outcome: RestoreOutcome, _ report: (RestoreOutcome) throws -> Void
        ) throws {
            summary.add(outcome)
            try report(outcome)
        }
    }

    /// A bucket is there without its objects too.
    private func makeEmptyBuckets(from source: any RestoreSource, _ objects: ObjectRestore) async throws {
        guard order.folder == nil, order.into == nil, !order.isDryRun, order.unit.isOfWholeBuckets else {
            return
        }
        let names = try source.catalog.read { try $0.buckets().map(\.name) }
        for name in names where order.unit.bucket.map({ $0 == name.rawValue }) ?? true {
            try await objects.makeBucket(name.rawValue, as: name.rawValue)
        }
    }

    private func isWanted(_ version: ObjectVersion, isNewest: Bool) -> Bool {
        guard !version.isDeleteMarker, order.unit.holds(version) else { return false }
        return order.unit.version.map { $0 == version.wireVersionID } ?? isNewest
    }
}
