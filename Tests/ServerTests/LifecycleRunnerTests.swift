import Foundation
import HoldfastServer
import Logging
import Model
import ObjectStore
import S3
import Synchronization
import TestSupport
import Testing

/// A pass of the lifecycle rules that is stopped and taken up again, and how fast one goes.
@Suite struct LifecycleRunnerTests {
    private static let day: UInt64 = 86_400

    /// How a runner is brought to its end before its pass is.
    private enum Stop {
        /// Cancelled while it waits for its turn.
        case waiting
        /// Cancelled, and the store closed, while a change is on its way: as a server stops.
        case closing
    }

    /// The runner's time. What is longer than a second is the wait for the next day, and ends the runner.
    private final class Clock: Sendable {
        private let pauses = Mutex<[Duration]>([])
        private let now: Timestamp

        init(_ now: Timestamp) { self.now = now }

        var all: [Duration] { pauses.withLock { $0 } }

        func time(stop: (after: Int, how: Stop)?, _ store: ObjectStore) -> LifecycleRunner.Time {
            LifecycleRunner.Time(now: { [now] in now }) { [self] pause in
                guard pause <= .seconds(1) else { throw CancellationError() }
                let number = pauses.withLock {
                    $0.append(pause)
                    return $0.count
                }
                guard let stop, number > stop.after else { return }
                switch stop.how {
                case .waiting: throw CancellationError()
                case .closing:
                    withUnsafeCurrentTask { $0?.cancel() }
                    store.close()
                }
            }
        }
    }

    /// What a pass did, and what it left.
    private struct Outcome: Equatable {
        var events: [String] = []
        var rows: [String] = []
        var uploads = 0
    }

    private static let rules = """
        <LifecycleConfiguration><Rule><ID>r</ID><Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>\
        <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
        <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>\
        </Rule></LifecycleConfiguration>
        """
    private static let names = ["first", "second", "third"]

    /// Three buckets: objects that are removed, then more versions than one page of a listing has, then uploads.
    private static func fill(_ stage: StartedStore) async throws {
        let store = stage.store
        for name in names {
            let bucket = try BucketName(name)
            _ = try await store.createBucket(bucket, region: "r", actor: tester)
            _ = try await store.configureBucket(
                bucket, setting: "lifecycle", value: Array(rules.utf8), actor: tester)
        }
        let (first, second, third) = try (BucketName("first"), BucketName("second"), BucketName("third"))
        _ = try await store.configureBucket(
            second, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        for number in 0..<5 { try await store.put(first, "k\(number)", [1]) }
        for number in 0..<1100 {
            let key = "k\(1000 + number)"
            try await store.put(second, key, [1])
            if number % 5 == 0 { try await store.put(second, key, [2]) }
        }
        for number in 0..<3 {
            _ = try await store.createUpload(
                third, try ObjectKey("u\(number)"), metadata: EventMetadata(),
                checksumAlgorithm: .unspecified, composite: false, actor: tester)
        }
        stage.fixture.advance(seconds: 10 * day)
    }

    private static func outcome(_ store: ObjectStore) throws -> Outcome {
        var outcome = Outcome()
        for event in try store.events(from: SequenceNumber(1), limit: .max) {
            switch event.record.change {
            case .versionPublished(let change) where !change.reason.isEmpty:
                outcome.events.append("hidden \(change.bucket)/\(change.key) \(change.reason)")
            case .versionRemoved(let change) where !change.reason.isEmpty:
                outcome.events.append(
                    "removed \(change.bucket)/\(change.key) \(change.publishedSequence) \(change.reason)")
            case .uploadAborted(let change) where !change.reason.isEmpty:
                outcome.events.append("aborted \(change.bucket)/\(change.key) \(change.reason)")
            default: break
            }
        }
        outcome.events.sort()
        for name in names {
            let bucket = try BucketName(name)
            let rows = try store.listVersions(
                bucket, prefix: "", delimiter: "", keyMarker: "", versionMarker: nil, limit: 10_000
            ).items.compactMap { if case .version(let row) = $0 { row } else { nil } }
            outcome.rows += rows.map { "\(name)/\($0.key) \($0.isDeleteMarker) \($0.size)" }
            outcome.uploads += try store.listUploads(
                bucket, prefix: "", delimiter: "", keyMarker: "", uploadMarker: nil, limit: 10
            ).items.count
        }
        return outcome
    }

    private static func settings(_ stage: StartedStore, rate: Int = 200) throws -> ServerSettings {
        // The runner keeps its progress below the server's directory, in `state`.
        let directory = stage.fixture.settings.stateDirectory
        try FileManager.default.createDirectory(
            atPath: directory + "/state", withIntermediateDirectories: true)
        return try ServerSettings.load(
            directory: directory, environment: [:], flags: [("lifecycle-rate", "\(rate)")])
    }

    /// Runs passes, each stopped as said, and then one that is not.
    private static func run(_ stops: [(after: Int, how: Stop)]) async throws -> (Outcome, changes: Int) {
        let stage = try await StartedStore()
        try await fill(stage)
        let settings = try settings(stage)
        let logger = Logger(label: "lifecycle")
        let clock = Clock(Timestamp(microseconds: 10 * day * 1_000_000))
        var store = stage.store
        for stop in stops {
            let (running, before) = (store, clock.all.count)
            let time = clock.time(stop: (before + stop.after, stop.how), running)
            // A task of its own, for it is cancelled.
            await Task { await LifecycleRunner(running, settings, logger, time: time).run() }.value
            let file = settings.store.stateDirectory + "/lifecycle.json"
            let progress =
                FileManager.default.fileExists(atPath: file)
                ? try String(contentsOfFile: file, encoding: .utf8) : ""
            #expect(
                !progress.contains("\"isDone\":true"), "a pass that was stopped after \(stop) is not done")
            if stop.how == .waiting { store.close() }
            store = try await stage.fixture.open(stage.disk)
        }
        let before = clock.all.count
        await LifecycleRunner(store, settings, logger, time: clock.time(stop: nil, store)).run()
        let outcome = try outcome(store)
        store.close()
        return (outcome, clock.all.count - before)
    }

    @Test func aPassThatWasStoppedGoesOnToTheSameEnd() async throws {
        let (whole, changes) = try await Self.run([])
        // 5 removed, 1100 hidden, the 220 under a newer version removed, 3 uploads aborted.
        #expect(changes == 1328 && whole.events.count == 1328 && whole.uploads == 0)
        #expect(Set(whole.events).count == 1328, "nothing expires twice")
        #expect(whole.rows.count == 2200 && whole.rows.allSatisfy { $0.hasPrefix("second/") })
        // At the first change, in a page, behind a page, and at the very last of all.
        let stops: [(after: Int, how: Stop)] = [
            (0, .waiting), (1, .closing), (3, .waiting), (998, .closing), (4, .waiting), (250, .waiting),
            (60, .closing),
        ]
        let (resumed, left) = try await Self.run(stops)
        #expect(resumed == whole)
        #expect(left > 0 && left < changes, "the last one did the rest only")
        let (last, again) = try await Self.run([(1327, .closing)])
        #expect(last == whole && again == 1, "a change that the closing store refused is made afterwards")
    }

    @Test(arguments: [1, 3, 7, 200, 300, 100_000])
    func thePauseBeforeEachChangeHoldsThePassToItsRate(rate: Int) async throws {
        let stage = try await StartedStore()
        let bucket = try BucketName("first")
        _ = try await stage.store.createBucket(bucket, region: "r", actor: tester)
        _ = try await stage.store.configureBucket(
            bucket, setting: "lifecycle", value: Array(Self.rules.utf8), actor: tester)
        for number in 0..<20 { try await stage.store.put(bucket, "k\(number)", [1]) }
        stage.fixture.advance(seconds: 10 * Self.day)
        let clock = Clock(Timestamp(microseconds: 10 * Self.day * 1_000_000))
        await LifecycleRunner(
            stage.store, try Self.settings(stage, rate: rate), Logger(label: "lifecycle"),
            time: clock.time(stop: nil, stage.store)
        ).run()
        let removed = try stage.store.events(from: SequenceNumber(1), limit: .max).filter {
            if case .versionRemoved = $0.record.change { true } else { false }
        }
        #expect(removed.count == 20 && clock.all.count == 20, "one pause for each change")
        let total = clock.all.reduce(Duration.zero, +)
        #expect(total * rate >= .seconds(20), "20 changes take \(total) at \(rate) in a second")
        #expect(total * rate <= .seconds(22), "and not much more than they must")
        stage.store.close()
    }
}
