import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing
import Volumes

/// Looks at the past that begin at a catalog that was kept.
@Suite struct HistoryCheckpointTests {
    private struct Stage {
        let started: StartedStore
        var store: ObjectStore { started.store }
        var directory: String { started.fixture.settings.stateDirectory + "/history" }
        var checkpoints: HistoryCheckpoints {
            HistoryCheckpoints(store.inspection, leastStep: 20, rowByteCount: .max)
        }

        init() async throws { started = try await StartedStore() }

        func put(_ count: Int) async throws {
            for number in 0..<count {
                try await store.put(started.bucket, "k\(number % 7)", bytes(UInt8(number % 250), 50))
            }
        }

        /// Where a look at an event begins.
        func begin(_ sequence: SequenceNumber) throws -> SequenceNumber {
            try SnapshotCatalog.beginHistory(of: store.inspection, through: sequence).catalog.read {
                try $0.position().sequence
            }
        }

        func keep() async throws -> SequenceNumber {
            let head = store.head.sequence
            #expect(try HistoryKeeper(store, checkpoints).makeIfDue() == head)
            return head
        }

        func files(_ suffix: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(suffix) }
                .map { directory + "/" + $0 }
        }

        func shown(_ sequence: SequenceNumber) throws -> [String] {
            var order = ListingOrder("bucket")
            order.moment = .event(sequence.rawValue)
            var found: [String] = []
            try StoreListing(store, order).forEachVersion { version, _ in
                found.append("\(version.key) \(version.wireVersionID) \(version.etag)")
            }
            return found
        }
    }

    @Test func aLookBeginsAtTheNearestCheckpointAndShowsTheSame() async throws {
        let stage = try await Stage()
        try await stage.put(30)
        let before = stage.store.head.sequence
        let expected = try stage.shown(before)
        #expect(try stage.begin(before) == .zero)
        let first = try await stage.keep()
        #expect(
            try HistoryKeeper(stage.store, stage.checkpoints).makeIfDue() == nil, "too little has come since")
        try await stage.put(30)
        let second = try await stage.keep()
        try await stage.put(5)
        #expect(try stage.begin(stage.store.head.sequence) == second)
        #expect(try stage.begin(second) == second)
        #expect(try stage.begin(SequenceNumber(second.rawValue - 1)) == first)
        #expect(try stage.begin(SequenceNumber(first.rawValue - 1)) == .zero)
        #expect(try stage.shown(before) == expected)
        let scratch = try FileManager.default.contentsOfDirectory(
            atPath: stage.started.fixture.settings.stateDirectory)
        #expect(scratch.filter { $0.hasPrefix("snapshot-") } == [], "a scratch file stays")
        stage.store.close()
    }

    @Test func aCheckpointThatIsDamagedOrOfAnotherLogIsRemovedAndTheOneBeforeTaken() async throws {
        let stage = try await Stage()
        try await stage.put(30)
        let first = try await stage.keep()
        let kept = Set(try stage.files(".gz"))
        try await stage.put(30)
        _ = try await stage.keep()
        let head = stage.store.head.sequence
        let expected = try stage.shown(head)
        let damaged = try #require(try stage.files(".gz").first { !kept.contains($0) })
        let file = try #require(FileHandle(forUpdatingAtPath: damaged))
        try file.seek(toOffset: 200)
        try file.write(contentsOf: Data(repeating: 0xAA, count: 16))
        try file.close()
        #expect(try stage.begin(head) == first)
        #expect(try stage.files(".gz").count == 1 && stage.files(".json").count == 1)
        let entry = try #require(try stage.files(".json").first)
        let text = try String(contentsOfFile: entry, encoding: .utf8)
        let chain = try stage.store.inspection.log.chainHash(at: first).description
        let other = text.replacing(chain, with: String(repeating: "0", count: chain.count))
        try #require(other != text)
        try other.write(toFile: entry, atomically: true, encoding: .utf8)
        #expect(try stage.begin(head) == .zero)
        #expect(try stage.files(".gz") == [])
        #expect(try stage.shown(head) == expected)
        stage.store.close()
    }

    /// As when the server stops.
    @Test func oneThatIsEndedWhereverItIsLeavesNothing() async throws {
        struct Over: Error {}
        let stage = try await Stage()
        try await stage.put(300)
        let keeper = HistoryKeeper(stage.store, stage.checkpoints)
        let state = stage.started.fixture.settings.stateDirectory
        var steps = 0
        while true {
            let left = Mutex(steps)
            let pace: SnapshotPace = { _ in
                try left.withLock { left in
                    if left == 0 { throw Over() }
                    left -= 1
                }
            }
            do {
                let event = try keeper.makeIfDue(pace)
                #expect(event == stage.store.head.sequence)
                break
            } catch is Over {
                let files = try FileManager.default.contentsOfDirectory(atPath: state)
                #expect(files.filter { $0.hasPrefix("snapshot-") } == [], "after \(steps) steps")
                if files.contains("history") { #expect(try stage.files(".gz") == [], "after \(steps) steps") }
                steps += 1
            }
        }
        #expect(steps > 2)
        #expect(try stage.files(".gz").count == 1 && stage.files(".json").count == 1)
        stage.store.close()
    }

    /// SQLite's own, in the scratch file; what it comes to behind the last of the events.
    @Test func theWriteAheadLogOfALookDoesNotGrowWithTheEvents() async throws {
        let stage = try await Stage()
        try await stage.put(50)
        let head = stage.store.head.sequence
        func left(limit: UInt64) throws -> UInt64 {
            let look = try SnapshotCatalog.beginHistory(of: stage.store.inspection, through: head)
            // Its file goes with it.
            defer { withExtendedLifetime(look) {} }
            try stage.store.inspection.replay(to: look.catalog, through: head, walLimit: limit)
            #expect(try look.catalog.read { try $0.position().sequence } == head)
            return try RealFileSystem().status(of: look.catalog.walPath)?.size ?? 0
        }
        #expect(try left(limit: .max) > 0)
        #expect(try left(limit: 1) == 0)
        stage.store.close()
    }

    @Test(
        arguments: [
            // Sequences, times, the window's start, and what is kept.
            ([10, 20, 30], [1, 2, 3], 0, [10, 20, 30]),
            ([10, 20, 30], [1, 2, 3], 3, [20, 30]),
            ([10, 20, 30], [1, 2, 3], 9, [30]),
            (
                [10, 20, 30, 31, 40, 50, 60, 70, 80], [1, 1, 1, 1, 1, 1, 1, 1, 1], 0,
                [10, 20, 30, 40, 50, 60, 70, 80]
            ),
            (
                [1, 20, 40, 60, 80, 100, 120, 140, 141], [1, 1, 1, 1, 1, 1, 1, 1, 1], 0,
                [20, 40, 60, 80, 100, 120, 140, 141]
            ),
        ] as [([UInt64], [UInt64], UInt64, [UInt64])])
    func theyStaySpreadOverTheWindow(
        sequences: [UInt64], times: [UInt64], windowStart: UInt64, kept: [UInt64]
    ) {
        let entries = zip(sequences, times).map {
            HistoryCheckpoints.Entry(sequence: $0, timeMicroseconds: $1)
        }
        #expect(HistoryCheckpoints.kept(of: entries, windowStart: windowStart).map(\.sequence) == kept)
    }
}
