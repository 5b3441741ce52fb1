import Catalog
import EventLog
import Foundation
import Integrity
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Random operations on a store and on the reference model, with snapshots, prunes and reclaiming between them; states of
/// the past are looked at, restored to files, and made into stores again, and compared with the model as it was.
private struct HistoryRun {
    private static let windowSeconds: UInt64 = 600

    struct State {
        let sequence: SequenceNumber
        let time: Timestamp
        let model: StoreModel
    }

    let stage: SnapshotStage
    let context: String
    var model = StoreModel()
    var generator: OperationGenerator
    var states: [State] = []
    var snapshots: [String: State] = [:]
    var seen = 0
    var outOfReach = 0
    var broughtBack = 0
    var made = 0
    /// Bytes of payloads that prunes dropped from the repository's log.
    var dropped: UInt64 = 0

    init(seed: UInt64) async throws {
        stage = try await SnapshotStage { $0.historySeconds = Self.windowSeconds }
        _ = try await stage.store.deleteBucket(stage.bucket, actor: tester)
        generator = OperationGenerator(seed: seed)
        context = "HOLDFAST_SEED=\(seed)"
    }

    mutating func run(_ count: Int) async throws {
        for _ in 0..<count {
            switch Int.random(in: 0..<60, using: &generator.random) {
            case 0: try await snapshot()
            case 1: try prune(keeping: .random(in: 1...3, using: &generator.random))
            case 2...3: stage.started.fixture.advance(seconds: .random(in: 1...300, using: &generator.random))
            case 4: while try await stage.store.reclaim() {}
            case 5...6: try await lookBack()
            case 7: try checkSnapshots()
            case 8: try await restoreInPlace()
            default: try await step()
            }
        }
        try await snapshot()
        try checkSnapshots()
        for _ in 0..<4 { try await lookBack() }
        try await makeStores()
        try await giveBack()
        stage.store.close()
    }

    private mutating func step() async throws {
        let operation = generator.next(model)
        // What is locked keeps a restore from replacing it, which other tests are about.
        if case .lock = operation { return }
        do {
            let (_, id) = try await ModelDriver(stage.store, model).apply(operation)
            _ = try model.apply(operation, id: id)
        } catch {
            #expect(StoreModel.Refusal(error) != nil, "\(context): \(operation): \(error)")
        }
        guard Int.random(in: 0..<4, using: &generator.random) == 0 else { return }
        let head = stage.store.head.sequence
        let time = try #require(try stage.store.events(from: head, limit: 1).first?.time)
        states.append(State(sequence: head, time: time, model: model))
    }

    // MARK: The past

    private mutating func lookBack() async throws {
        guard let state = states.randomElement(using: &generator.random) else { return }
        let byTime = Bool.random(using: &generator.random)
        let moment: Moment =
            byTime ? .time(microseconds: state.time.microseconds) : .event(state.sequence.rawValue)
        try compare(state.model, "event \(state.sequence)") { bucket in
            var order = ListingOrder(bucket)
            order.moment = moment
            order.showsVersions = true
            let listing = try StoreListing(stage.store, order)
            var found: [String] = []
            guard bucket != nil else { return try listing.buckets().map(\.name.rawValue) }
            try listing.forEachVersion { version, _ in found.append(Self.row(version)) }
            return found
        }
        let folder = stage.scratch + "/out"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var order = RestoreOrder(at: moment)
        order.folder = folder
        do {
            let summary = try await Restore(stage.store, order).run { _ in }
            #expect(summary.total.failed == 0, "\(context): event \(state.sequence)")
            seen += 1
            try compareFiles(state.model, folder, "event \(state.sequence)")
        } catch SnapshotError.outOfReach(_, _) {
            outOfReach += 1
            let now = stage.started.fixture.environment(stage.backup).clock().microseconds
            #expect(
                now - state.time.microseconds > Self.windowSeconds * 1_000_000,
                "\(context): event \(state.sequence) is within the window")
        }
    }

    /// All that a state of the past showed comes back over what is there now, and nothing else changes.
    private mutating func restoreInPlace() async throws {
        guard let state = states.randomElement(using: &generator.random) else { return }
        var order = RestoreOrder(at: .event(state.sequence.rawValue))
        order.overwrites = true
        var ids: [[String]: String] = [:]
        var failures: [String] = []
        do {
            _ = try await Restore(stage.store, order).run { outcome in
                if outcome.action == .failed { failures.append("\(outcome)") }
                if outcome.action == .restored { ids[[outcome.bucket, outcome.key]] = outcome.detail }
            }
        } catch SnapshotError.outOfReach(_, _) { return }
        #expect(failures == [], "\(context): event \(state.sequence)")
        var made = 0
        try model.restore(state.model) { bucket, key in
            made += 1
            return ids[[bucket, key]] ?? StoreModel.unknownID
        }
        #expect(made == ids.count, "\(context): event \(state.sequence)")
        #expect(
            try await model.differences(from: stage.store) == [], "\(context): event \(state.sequence)")
        broughtBack += 1
    }

    private static func row(_ version: ObjectVersion) -> String {
        "\(version.key) \(version.wireVersionID) \(version.isDeleteMarker ? "" : version.etag)"
    }

    /// - Parameter list: the buckets, or what one bucket shows.
    private func compare(
        _ model: StoreModel, _ place: String, _ list: (String?) throws -> [String]
    ) throws {
        let names = model.buckets.keys.sorted()
        #expect(try list(nil) == names, "\(context): \(place)")
        for name in names {
            let expected = model.list(
                name, prefix: "", delimiter: "", after: "", limit: 10_000, versions: true)
            #expect(try list(name) == expected.items, "\(context): \(place), bucket \(name)")
        }
    }

    private func compareFiles(_ model: StoreModel, _ folder: String, _ place: String) throws {
        var expected: [String: [UInt8]] = [:]
        for (name, bucket) in model.buckets {
            for (key, versions) in bucket.keys {
                guard let bytes = versions.first?.bytes else { continue }
                // A file and a folder of one name cannot both be there.
                let isFile = bucket.keys["a"]?.first?.bytes != nil
                let path = isFile && key.hasPrefix("a/") ? "a%\(key.dropFirst())" : key
                expected["\(name)/\(path)"] = bytes
            }
        }
        #expect(try Self.files(below: folder) == expected.keys.sorted(), "\(context): \(place)")
        for (path, bytes) in expected {
            let found = FileManager.default.contents(atPath: "\(folder)/\(path)")
            #expect(
                found.map { Array($0) == bytes } == true,
                "\(context): \(place), \(path), \(bytes.count) bytes")
        }
    }

    /// Everything that is no folder, by its path, in order; nothing where nothing was restored.
    private static func files(below folder: String) throws -> [String] {
        guard FileManager.default.fileExists(atPath: folder) else { return [] }
        return try FileManager.default.subpathsOfDirectory(atPath: folder).filter { path in
            var isFolder: ObjCBool = false
            return !FileManager.default.fileExists(atPath: "\(folder)/\(path)", isDirectory: &isFolder)
                || !isFolder.boolValue
        }.sorted()
    }

    // MARK: Snapshots

    private mutating func snapshot() async throws {
        let name = "s\(made)"
        made += 1
        let head = stage.store.head.sequence
        try await stage.snapshot(name)
        snapshots[name] = State(sequence: head, time: Timestamp(microseconds: 0), model: model)
    }

    private mutating func prune(keeping count: Int) throws {
        let repository = try stage.repository()
        defer { repository.close() }
        let report = try SnapshotPruning(repository, scratch: stage.scratch).run(
            keeping: RetentionRule(last: count))
        for name in report.deleted { snapshots[name] = nil }
        dropped += report.payloadBytes
        try checkLog(repository)
    }

    /// What a snapshot needs of the log is there; of what none needs less than a quarter of each sealed segment is.
    private func checkLog(_ repository: Repository) throws {
        let manifests = try repository.snapshots().good
        guard let newest = manifests.last?.position else { return }
        var needed: Set<SequenceNumber> = []
        for manifest in manifests {
            let snapshot = try SnapshotCatalog.open(manifest, in: repository, scratch: stage.scratch)
            try snapshot.catalog.read { reader in
                for version in try reader.versions(after: nil, limit: 100_000) {
                    for piece in version.record.pieces where piece.blobID.isEmpty && piece.length > 0 {
                        needed.insert(version.carrier(of: piece))
                    }
                }
                try reader.forEachPart { piece in
                    if piece.blobID.isEmpty, piece.length > 0 {
                        needed.insert(SequenceNumber(piece.payloadSequence))
                    }
                }
            }
        }
        for sequence in needed { _ = try repository.log.payload(of: sequence) }
        let files = try stage.backup.files(below: "/backup/log")
        let firsts = files.compactMap { Segment.first(of: String($0.suffix(24))) }
        for (file, (first, next)) in zip(files, zip(firsts, firsts.dropFirst())) where next <= newest {
            var unneeded = 0
            let count = Int(next.rawValue - first.rawValue)
            for event in try repository.log.events(from: first, limit: count)
            where event.payloadLength > 0 && !needed.contains(event.sequence) {
                do { unneeded += try repository.log.payload(of: event.sequence).count } catch is LogError {
                    continue  // it was dropped, which is what is looked for
                }
            }
            let size = try stage.backup.contents(of: file).count
            #expect(unneeded * 4 < size, "\(context): \(unneeded) of \(size) bytes of \(file)")
        }
    }

    private func checkSnapshots() throws {
        #expect(try stage.verify() == [], "\(context)")
        for (name, state) in snapshots {
            let versions = try stage.versions(name)
            try compare(state.model, "snapshot \(name)") { bucket in
                guard let bucket else { return state.model.buckets.keys.sorted() }
                return versions.filter { $0.record.bucket == bucket }.map(Self.row)
            }
        }
    }

    /// Each snapshot becomes a store again, version for version, on a new disk.
    private func makeStores() async throws {
        for (name, state) in snapshots {
            let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
            let disk = SimulatedFileSystem()
            let repository = try stage.repository()
            defer { repository.close() }
            let report = try await WholeRestore(fixture.settings, fixture.environment(disk)).run(
                from: repository, snapshot: name, scratch: stage.scratch)
            #expect(report.recreation.missing.isEmpty, "\(context): \(name)")
            let store = try await fixture.open(disk)
            let events = try store.events(from: state.sequence, limit: 1)
            #expect(events.first?.chain.description == report.manifest.chain, "\(context): \(name)")
            #expect(try await state.model.differences(from: store) == [], "\(context): \(name)")
            var findings: [String] = []
            _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run {
                findings.append("\($0)")
            }
            #expect(findings == [], "\(context): \(name)")
            store.close()
        }
    }

    /// What no snapshot and no moment within the window can see takes no space.
    private mutating func giveBack() async throws {
        stage.started.fixture.advance(seconds: Self.windowSeconds + 1)
        while try await stage.store.reclaim() {}
        let live = try stage.store.inspection.catalog.read { try $0.counts() }.blobs
        #expect(try stage.started.blobs().map(\.count) == [live, live, live], "\(context)")
        try prune(keeping: 1)
        try checkSnapshots()
        let repository = try stage.repository()
        defer { repository.close() }
        _ = try SnapshotPruning(repository, scratch: stage.scratch).run(deleting: Array(snapshots.keys))
        #expect(try stage.files() == [], "\(context)")
    }
}

@Suite struct HistoryModelTests {
    @Test func everyStateOfThePastIsWhatTheModelWas() async throws {
        let seed = SeededGenerator.seed(standard: 5_000)
        var seen = 0
        var outOfReach = 0
        var broughtBack = 0
        var dropped: UInt64 = 0
        // A round takes about a second: of many, it is told how far they are.
        let rounds = SeededGenerator.rounds(standard: 6)
        for round in 0..<rounds {
            if round > 0, round % 50 == 0 { print("round \(round) of \(rounds)") }
            var run = try await HistoryRun(seed: seed + UInt64(round))
            try await run.run(400)
            seen += run.seen
            outOfReach += run.outOfReach
            broughtBack += run.broughtBack
            dropped += run.dropped
        }
        #expect(
            seen > 10 && outOfReach > 0 && broughtBack > 5,
            "\(seen) states seen, \(outOfReach) out of reach, \(broughtBack) brought back")
        #expect(dropped > 0, "space of small objects came back")
    }
}
