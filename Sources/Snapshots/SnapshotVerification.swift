import Catalog
import EventLog
import Foundation
import Model
import Volumes

/// One thing that is wrong in a repository.
public struct RepositoryFlaw: Sendable, Equatable {
    public let snapshot: String
    /// Relative to the repository.
    public let path: String
    /// The event of the log that is damaged, if that is what is wrong.
    public var sequence: SequenceNumber?
    /// The blob that is damaged or missing, if that is what is wrong.
    public var blob: BlobID?
    /// The manifest or stored catalog that is damaged or missing, if that is what is wrong. Not a file whose name is no
    /// snapshot's, nor a catalog that is as it was written and is not what it should be.
    public var file: SnapshotFile?
    public let reason: String

    /// Whether it is remembered, and tried to be mended from the store: by ``RepositoryMending``.
    public var canBeMended: Bool { sequence != nil || blob != nil || file != nil }
}

/// Checks a repository: that each snapshot can be restored.
///
/// Always: every manifest against its digest, every frame of the log against its checksums and the chain up to each
/// snapshot's chain hash, no payload dropped that a snapshot needs, every stored catalog against its digest, and for every
/// blob that a snapshot needs, presence and trailer; where a stored catalog is damaged, or a later release's, what the snapshot
/// needs is computed from the log. Besides, a part of the blobs is read whole; a cursor in the repository makes the next check
/// go on behind it, so that repeated checks come to all; it is moved on now and then, so that a check that is killed is gone on
/// with.
/// What is bad is remembered until it is mended: by the next snapshot,
/// or by ``RepositoryMending``. Memory does not grow with the number of blobs.
public struct SnapshotVerification: Sendable {
    public struct Report: Sendable {
        public var snapshots = 0
        public var events: UInt64 = 0
        public var blobs = 0
        /// Blobs and bytes that were read whole.
        public var blobsRead = 0
        public var bytesRead: UInt64 = 0
        /// How many were told.
        public var flaws = 0
        /// The first of them.
        public var firstFlaw: RepositoryFlaw?
        /// Blobs, events, manifests and catalogs that are known to be bad, those among them that an earlier check found and
        /// this one did not read.
        public var knownDamage = 0
    }

    /// What a check has come to so far. Flaws are told as they are found: however many there are, none is kept.
    private struct Account {
        var report = Report()
        var files: Set<SnapshotFile> = []
        let tell: (RepositoryFlaw) throws -> Void

        init(tell: @escaping (RepositoryFlaw) throws -> Void) { self.tell = tell }

        mutating func add(_ flaw: RepositoryFlaw) throws {
            report.flaws += 1
            if let file = flaw.file { files.insert(file) }
            if report.firstFlaw == nil { report.firstFlaw = flaw }
            try tell(flaw)
        }
    }

    private static let cursorName = "verified"

    private let repository: Repository
    private let scratch: String
    private let pace: @Sendable (Int) throws -> Void
    private let saving: Saving

    /// How much is read at most before what a check has come to is saved: one that is killed has not read it for nothing.
    package struct Saving: Sendable {
        package var blobs = 256
        package var bytes: UInt64 = 4 * 1024 * 1024 * 1024
        package var time = Duration.seconds(60)

        package init() {}
    }

    /// - Parameters:
    ///   - scratch: a directory of a real file system.
    ///   - pace: told of bytes that were read; may wait before the work goes on, or end it by throwing.
    public init(
        _ repository: Repository, scratch: String = FileManager.default.temporaryDirectory.path,
        pace: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.init(repository, scratch: scratch, saving: Saving(), pace: pace)
    }

    package init(
        _ repository: Repository, scratch: String, saving: Saving,
        pace: @escaping @Sendable (Int) throws -> Void
    ) {
        self.pace = pace
        self.repository = repository
        self.scratch = scratch
        self.saving = saving
    }

    /// - Parameters:
    ///   - name: one snapshot; `nil` for all.
    ///   - percent: how much of the blobs is read, 0 to 100.
    ///   - tell: told of each flaw.
    public func run(
        _ name: String?, percent: Int, tell: @escaping (RepositoryFlaw) throws -> Void = { _ in }
    ) throws -> Report {
        var account = Account(tell: tell)
        var manifests: [SnapshotManifest] = []
        if let name {
            do { manifests = [try repository.snapshot(name)] } catch SnapshotError.damagedManifest(
                _, let reason)
            {
                try account.add(flaw(.init(.manifest, of: name), reason))
            }
        } else {
            let (good, damaged) = try repository.snapshots()
            manifests = good
            for (name, reason) in damaged {
                // What is there under a name that is no snapshot's is no manifest that could be made anew.
                let file = "\(name).json"
                try account.add(
                    RepositoryFlaw(
                        snapshot: name, path: "snapshots/\(file)", file: SnapshotFile(file), reason: reason))
            }
        }
        account.report.snapshots = manifests.count + account.report.flaws
        var events = DamagedEvents()
        let needed = BlobCensus(scratch: scratch)
        do {
            try checkLog(manifests, &events, &account)
            try checkPayloads(manifests, &events, &account)
            try checkCatalogs(manifests, needed, &events, &account)
        } catch {
            // What was found before the end is bad all the same.
            var damage = try KnownDamage.load(repository)
            damage.events.formUnion(events.all)
            damage.files.formUnion(account.files)
            try damage.save(repository)
            throw error
        }
        var damage = try KnownDamage.load(repository)
        let last = manifests.map(\.position).max() ?? .zero
        damage.events = damage.events.filter { $0 > last }.union(events.all)
        // Of all snapshots that are checked, these are always looked at.
        damage.files = name.map { damage.files.subtracting(SnapshotFile.all(of: $0)) } ?? []
        damage.files.formUnion(account.files)
        try damage.save(repository)
        try checkBlobs(
            needed, ofAll: name == nil && account.report.flaws == 0, percent: percent, &account)
        account.report.knownDamage +=
            damage.events.subtracting(events.unneeded).count + damage.files.count
        return account.report
    }

    private func flaw(_ file: SnapshotFile, _ reason: String) -> RepositoryFlaw {
        RepositoryFlaw(snapshot: file.snapshot, path: file.path, file: file, reason: reason)
    }

    private func flaw(
        _ snapshot: String, _ path: String, _ reason: String, _ sequence: SequenceNumber? = nil
    ) -> RepositoryFlaw {
        RepositoryFlaw(snapshot: snapshot, path: path, sequence: sequence, reason: reason)
    }

    /// - Parameter needed: gets the blobs that the snapshots need.
    private func checkCatalogs(
        _ manifests: [SnapshotManifest], _ needed: BlobCensus, _ events: inout DamagedEvents,
        _ account: inout Account
    ) throws {
        let payloads = PayloadCensus()
        for manifest in manifests {
            guard let catalog = try catalog(manifest, &account) else { continue }
            try needed.add(catalog, pace: pace)
            // Where nothing was dropped there is nothing to look for.
            guard !events.dropped.isEmpty else { continue }
            do {
                try payloads.add(catalog, through: manifest.position, pace: pace) { event in
                    guard events.dropped.contains(event) else { return }
                    events.all.insert(event)
                    try account.add(
                        flaw(manifest.name, "log", "the bytes of event \(event) were dropped", event))
                }
            } catch let error as LogError {
                // It matches its digest: nothing says that another would be better.
                let file = SnapshotFile(.catalog, of: manifest.name)
                try account.add(flaw(manifest.name, file.path, "\(error)"))
            }
        }
    }

    /// The stored catalog of a snapshot; or, where that is damaged or a later release's, the one that its log gives: the blobs
    /// that this snapshot alone needs are looked for all the same.
    /// - Returns: `nil` if the log does not lead there, which is told then.
    private func catalog(
        _ manifest: SnapshotManifest, _ account: inout Account
    ) throws -> SnapshotCatalog? {
        let reason: any Error
        do {
            return try SnapshotCatalog.stored(manifest, in: repository, scratch: scratch, pace)
        } catch CatalogError.unknownSchema {
            return try computed(manifest)  // A later release's, and as that wrote it.
        } catch let error as CompressionError {
            reason = error
        } catch let error as FileSystemError where error.path == repository.catalogPath(manifest.name) {
            reason = error
        } catch let error as LogError {
            reason = error  // It is of an earlier event than the snapshot, and the log does not lead there.
        }
        try account.add(flaw(.init(.catalog, of: manifest.name), "\(reason)"))
        return try computed(manifest)
    }

    private func computed(_ manifest: SnapshotManifest) throws -> SnapshotCatalog? {
        do { return try repository.computedCatalog(of: manifest, scratch: scratch, pace) } catch is LogError {
            return nil  // The check of the log has said so.
        }
    }

    /// What a check has found of the log.
    private struct DamagedEvents {
        /// Those that are damaged, or whose bytes are.
        var all: Set<SequenceNumber> = []
        /// Those of which the bytes alone are.
        var payloads: Set<SequenceNumber> = []
        /// Those that no snapshot needs, known before or not: noted, since one that is taken later may, and no flaw.
        var unneeded: Set<SequenceNumber> = []
        /// Those whose bytes were dropped, which is good where no snapshot needs them.
        var dropped = EventSet()
    }

    /// - Parameter damaged: gets the events that are damaged, or whose bytes are.
    private func checkLog(
        _ manifests: [SnapshotManifest], _ damaged: inout DamagedEvents, _ account: inout Account
    ) throws {
        let last = manifests.map(\.position).max() ?? .zero
        var expected: [SequenceNumber: [SnapshotManifest]] = [:]
        for manifest in manifests { expected[manifest.position, default: []].append(manifest) }
        var next = SequenceNumber(1)
        // Behind a damaged event the rest is looked at too.
        while next <= last {
            do {
                try repository.log.forEachFrame(from: next, through: last) { frame, raw in
                    account.report.events += 1
                    try pace(frame.byteCount)
                    if frame.lacksPayload { damaged.dropped.insert(frame.sequence) }
                    if !frame.hasGoodPayload(raw) {
                        damaged.all.insert(frame.sequence)
                        damaged.payloads.insert(frame.sequence)
                    }
                    for manifest in expected.removeValue(forKey: frame.sequence) ?? []
                    where frame.chain.description != manifest.chain {
                        try account.add(
                            flaw(
                                manifest.name, "log",
                                "event \(frame.sequence) has chain hash \(frame.chain), where the manifest says \(manifest.chain)"
                            ))
                    }
                }
                break
            } catch let error as LogError {
                try account.add(flaw("", "log", "\(error)", error.damagedEvent))
                guard let event = error.damagedEvent, event >= next else { break }
                damaged.all.insert(event)
                expected[event] = nil  // that it is damaged is said already
                next = event.next
            }
        }
        let head = repository.log.head.sequence
        for manifest in expected.values.joined() {
            try account.add(flaw(manifest.name, "log", "the log ends at event \(head)", head.next))
        }
    }

    /// Of the events whose bytes are bad, tells those that a snapshot needs.
    private func checkPayloads(
        _ manifests: [SnapshotManifest], _ damaged: inout DamagedEvents, _ account: inout Account
    ) throws {
        let last = manifests.map(\.position).max() ?? .zero
        let head = repository.log.head.sequence
        let later = try KnownDamage.load(repository).events.filter { $0 > last }
        let payloads = damaged.payloads.union(repository.log.withBadPayload(later))
        let needed = try repository.neededPayloads(of: payloads, scratch: scratch, pace)
        // What is noted before it is copied stays behind if it never is.
        damaged.unneeded = payloads.subtracting(needed).union(later.filter { $0 > head })
        for sequence in damaged.payloads.intersection(needed).sorted() {
            try account.add(
                flaw("", "log", "the bytes that event \(sequence) carries are damaged", sequence))
        }
    }

    /// - Parameter ofAll: whether the blobs are those of all snapshots.
    private func checkBlobs(
        _ needed: BlobCensus, ofAll: Bool, percent: Int, _ account: inout Account
    ) throws {
        let count = (needed.count * min(max(percent, 0), 100) + 99) / 100
        let known = try KnownDamage.load(repository)
        let notes = BlobNotes(known, saving)
        var unneeded = ofAll ? known.blobs : []
        do {
            try needed.forEach(from: try count > 0 ? start(needed) : 0) { place, row in
                let isDeep = place < count
                try pace(0)
                let flaws = try verify(row, deep: isDeep)
                account.report.blobs += 1
                if isDeep {
                    account.report.blobsRead += 1
                    account.report.bytesRead += row.length
                }
                unneeded.remove(row.id)
                // Bad bytes that were read once are bad until they are read again.
                let isDamaged = !flaws.isEmpty || !isDeep && known.blobs.contains(row.id)
                if notes.take(row, isDamaged: isDamaged, isRead: isDeep) { try save(notes) }
                for found in flaws {
                    try account.add(
                        RepositoryFlaw(
                            snapshot: "", path: repository.volume.path(of: row.id), blob: row.id,
                            reason: found.description))
                }
            }
        } catch {
            // Whoever ended it goes on from here the next time.
            try save(notes)
            throw error
        }
        notes.damage.forget(unneeded)
        try save(notes)
        account.report.knownDamage = notes.damage.blobs.count
    }

    /// A large blob is paced between its pieces, and who ends the work is heard there.
    private func verify(_ row: BlobCensus.Row, deep: Bool) throws -> [BlobFlaw] {
        try ScanPace.run(endedBy: pace) {
            repository.volume.verify(row.id, length: row.length, sha256: row.sha256, deep: deep)
        }
    }

    /// The damage first: what lies behind the cursor is not read again soon.
    private func save(_ notes: BlobNotes) throws {
        try notes.damage.save(repository)
        if let last = notes.takeLast() {
            try repository.fileSystem.replaceFile(cursorPath, with: Array("\(last)\n".utf8))
        }
    }

    private var cursorPath: String { "\(repository.directory)/snapshots/\(Self.cursorName)" }

    /// The number of the first blob behind the cursor; from the beginning again at the end.
    private func start(_ needed: BlobCensus) throws -> Int {
        guard try repository.fileSystem.status(of: cursorPath) != nil,
            let cursor = BlobID(
                String(decoding: try repository.fileSystem.contents(of: cursorPath), as: UTF8.self)
                    .trimmingCharacters(in: .whitespacesAndNewlines))
        else { return 0 }
        return try needed.countThrough(cursor) % max(1, needed.count)
    }
}

/// What a check has found of blobs, and how far it has read. Of one task.
private final class BlobNotes {
    var damage: KnownDamage
    private let saving: SnapshotVerification.Saving
    /// The last blob that was read since it was saved.
    private var last: BlobID?
    private var blobs = 0
    private var bytes: UInt64 = 0
    private var saved = ContinuousClock.now

    init(_ known: KnownDamage, _ saving: SnapshotVerification.Saving) {
        damage = known
        self.saving = saving
    }

    /// - Returns: whether it is time to save.
    func take(_ row: BlobCensus.Row, isDamaged: Bool, isRead: Bool) -> Bool {
        damage.note(row.id, isDamaged: isDamaged)
        guard isRead else { return false }
        last = row.id
        blobs += 1
        bytes += row.length
        return blobs >= saving.blobs || bytes >= saving.bytes || .now - saved >= saving.time
    }

    /// Takes what is to be saved.
    func takeLast() -> BlobID? {
        (blobs, bytes, saved) = (0, 0, .now)
        defer { last = nil }
        return last
    }
}

extension LogError {
    /// The event that is damaged, if it is about one.
    fileprivate var damagedEvent: SequenceNumber? {
        if case .damaged(let sequence, _) = self { sequence } else { nil }
    }
}
