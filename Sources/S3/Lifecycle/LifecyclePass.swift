import Model
import ObjectStore

/// One walk through every bucket that has lifecycle rules, in which what is due goes.
///
/// It reads pages of the listing and asks the commit thread for each version that is due; there it is decided
/// again. So it can be stopped anywhere and begun again anywhere, and two of them would only be in each other's
/// way.
public struct LifecyclePass: Sendable {
    /// How far a pass has come: this bucket, and in it this key, are done.
    public struct Place: Codable, Hashable, Sendable {
        public var bucket: String
        public var key: String

        public init(bucket: String, key: String) {
            self.bucket = bucket
            self.key = key
        }
    }

    public struct Summary: Hashable, Sendable {
        public var removed = 0
        public var hidden = 0
        public var aborted = 0
        public var locked = 0
        public var overtaken = 0
        /// Why something that was due could not be done; it is tried again in the next pass.
        public var failures: [String] = []
    }

    static let pageCount = 1000
    /// Reasons that a summary keeps.
    static let failureCount = 10

    let store: ObjectStore
    let calendar: LifecycleCalendar
    let clock: @Sendable () -> Timestamp
    /// Waits until the next change may be made.
    let pace: @Sendable () async throws -> Void

    public init(
        _ store: ObjectStore, daySeconds: UInt64, clock: @escaping @Sendable () -> Timestamp = { .now() },
        pace: @escaping @Sendable () async throws -> Void = {}
    ) {
        self.store = store
        calendar = LifecycleCalendar(daySeconds: daySeconds)
        self.clock = clock
        self.pace = pace
    }

    /// - Parameters:
    ///   - start: where an earlier pass was stopped.
    ///   - onProgress: told now and then how far it has come.
    /// - Throws: what `pace` and `onProgress` throw, and what keeps a listing from being read.
    public func run(
        from start: Place? = nil, onProgress: (Place) throws -> Void = { _ in }
    ) async throws -> Summary {
        var summary = Summary()
        let buckets = try store.buckets().sorted { $0.name.rawValue < $1.name.rawValue }
        for bucket in buckets where bucket.name.rawValue >= start?.bucket ?? "" {
            let found: LifecycleConfiguration?
            do { found = try S3Service.lifecycle(of: bucket) } catch let flaw as UnreadableSetting {
                if summary.failures.count < Self.failureCount { summary.failures.append("\(flaw)") }
                continue
            }
            guard let rules = found, let document = bucket.settings[LifecycleConfiguration.setting]
            else { continue }
            let from = bucket.name.rawValue == start?.bucket ? start?.key ?? "" : ""
            let walk = BucketWalk(pass: self, bucket: bucket, rules: rules, document: document)
            do {
                try await walk.versions(after: from, &summary, onProgress)
                try await walk.uploads(&summary)
            } catch StoreError.noSuchBucket {
                // It was deleted meanwhile.
            }
        }
        return summary
    }

    /// Makes one change, after waiting for its turn. One that cannot be made keeps no other from being made.
    func change(
        _ summary: inout Summary, as done: WritableKeyPath<Summary, Int>,
        _ body: () async throws -> ExpiryOutcome
    ) async throws {
        try await pace()
        do {
            switch try await body() {
            case .removed: summary[keyPath: done] += 1
            case .hidden: summary.hidden += 1
            case .overtaken: summary.overtaken += 1
            case .locked: summary.locked += 1
            }
        } catch {
            // Of a store that is being closed under the pass: it is to go on from here, and not to count as ended.
            try Task.checkCancellation()
            if summary.failures.count < Self.failureCount { summary.failures.append("\(error)") }
        }
    }
}

/// The part of a pass that is about one bucket.
private struct BucketWalk {
    let pass: LifecyclePass
    let bucket: Bucket
    let rules: LifecycleConfiguration
    let document: [UInt8]

    /// The rows of a key so far, newest first.
    private struct KeyRows {
        var last: ListedVersion?
        var count = 0
    }

    func versions(
        after key: String, _ summary: inout LifecyclePass.Summary,
        _ onProgress: (LifecyclePass.Place) throws -> Void
    ) async throws {
        let wantsVersions = rules.rules.contains {
            $0.isEnabled && ($0.expiration != nil || $0.noncurrent != nil)
        }
        guard wantsVersions else { return }
        let prefix = rules.commonPrefix
        var marker = (key: key, version: VersionSelector?.none)
        var rows = KeyRows()
        while true {
            let page = try pass.store.listVersions(
                bucket.name, prefix: prefix, delimiter: "", keyMarker: marker.key,
                versionMarker: marker.version, limit: LifecyclePass.pageCount)
            let found = page.items.compactMap { if case .version(let row) = $0 { row } else { nil } }
            for (index, row) in found.enumerated() {
                if rows.last?.key != row.key { rows = KeyRows() }
                // A marker that was removed since makes its key come again from its newest version on.
                if let last = rows.last, row.sequence >= last.sequence { continue }
                let next = index + 1 < found.count ? found[index + 1].key : nil
                let isAlone = rows.count == 0 && next != row.key && (next != nil || !page.isTruncated)
                try await visit(row, rows, isAlone: isAlone, &summary)
                rows.last = row
                rows.count += 1
            }
            guard page.isTruncated, let last = found.last else { return }
            marker = (last.key.rawValue, last.isNull ? .null : .id(last.versionID))
            // The key of the last row may have more of them: only the one before it is done.
            if let done = found.last(where: { $0.key != last.key }) {
                try onProgress(.init(bucket: bucket.name.rawValue, key: done.key.rawValue))
            }
        }
    }

    private func visit(
        _ row: ListedVersion, _ rows: KeyRows, isAlone: Bool, _ summary: inout LifecyclePass.Summary
    ) async throws {
        let facts = VersionFacts(
            key: row.key.rawValue, size: row.size, isDeleteMarker: row.isDeleteMarker,
            published: row.modified, replaced: rows.last?.modified, newerNoncurrent: max(0, rows.count - 1),
            isAlone: isAlone)
        let due = try rules.due(facts, now: pass.clock(), pass.calendar) {
            do {
                return try pass.store.version(bucket.name, row.key, .id(row.versionID)).record.metadata.tags
            } catch StoreError.noSuchVersion {
                return [:]  // it is gone, and the commit will say so
            }
        }
        guard let due else { return }
        let filter = due.rule.filter
        let expiry = Expiry(
            kind: due.kind, bucket: bucket.name, of: row, document: document,
            reason: Self.reason(due.rule), matches: { filter.matches($0) })
        try await pass.change(&summary, as: \.removed) { try await pass.store.expire(expiry) }
    }

    func uploads(_ summary: inout LifecyclePass.Summary) async throws {
        guard rules.rules.contains(where: { $0.isEnabled && $0.abortDays != nil }) else { return }
        var marker = (key: "", upload: UploadID?.none)
        while true {
            let page = try pass.store.listUploads(
                bucket.name, prefix: rules.commonPrefix, delimiter: "", keyMarker: marker.key,
                uploadMarker: marker.upload, limit: LifecyclePass.pageCount)
            let found = page.items.compactMap { if case .upload(let upload) = $0 { upload } else { nil } }
            for upload in found {
                guard
                    let rule = rules.dueUpload(
                        upload.record.key, initiated: upload.initiated, now: pass.clock(), pass.calendar)
                else { continue }
                try await pass.change(&summary, as: \.aborted) {
                    try await pass.store.expire(upload, document: document, reason: Self.reason(rule))
                }
            }
            guard page.isTruncated, let last = found.last else { return }
            marker = (last.record.key, last.uploadID)
        }
    }

    private static func reason(_ rule: LifecycleConfiguration.Rule) -> String { "lifecycle: \(rule.id)" }
}
