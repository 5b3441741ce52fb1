import Dispatch
import EventLog
import Foundation
import Model
import ObjectStore
import Synchronization
import TestSupport
import Testing
import Volumes

/// Many callers at once, on threads.
@Suite struct RaceTests {
    private func started() async throws -> (StoreFixture, ObjectStore, BucketName) {
        let fixture = try StoreFixture { $0.catalogReaders = 4 }
        let disk = SimulatedFileSystem()
        var environment = fixture.environment(disk)
        environment.makeLane = { ThreadLane($0) }
        try ObjectStore.create(fixture.settings, environment)
        let store = try await ObjectStore.open(fixture.settings, environment)
        let bucket = try bucketName("bucket")
        _ = try await store.createBucket(bucket, region: "r", actor: tester)
        return (fixture, store, bucket)
    }

    @Test(arguments: [100, 100_000])
    func ofSixteenCreatorsExactlyOneWins(count: Int) async throws {
        let (fixture, store, bucket) = try await started()
        for round in 0..<10 {
            let winners = try await withThrowingTaskGroup(of: UInt8?.self) { group in
                for number in UInt8(1)...16 {
                    group.addTask {
                        do {
                            try await store.put(
                                bucket, "key-\(round)", [UInt8](repeating: number, count: count),
                                conditions: WriteConditions(ifNoneMatch: .any))
                            return number
                        } catch StoreError.preconditionFailed { return nil }
                    }
                }
                return try await group.reduce(into: [UInt8]()) { if let winner = $1 { $0.append(winner) } }
            }
            #expect(winners.count == 1)
            #expect(try await store.get(bucket, "key-\(round)").first == winners.first)
        }
        store.close()
        _ = fixture
    }

    /// Compare and swap: no update is lost.
    @Test func increments16AtATimeWithIfMatchLoseNone() async throws {
        let (fixture, store, bucket) = try await started()
        let key = try ObjectKey("counter")
        try await store.put(bucket, "counter", [0])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    for _ in 0..<5 {
                        while true {
                            let version = try store.version(bucket, key, .current)
                            let value = try await store.read(version)[0]
                            do {
                                try await store.put(
                                    bucket, "counter", [value + 1],
                                    conditions: WriteConditions(ifMatch: .tags([version.etag])))
                                break
                            } catch StoreError.preconditionFailed { continue }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await store.get(bucket, "counter") == [80])
        store.close()
        _ = fixture
    }

    /// What is being appended when the store closes is appended to every mirror.
    @Test func aStoreThatClosesAmidAFlushLeavesNoMirrorBehind() async throws {
        let fixture = try StoreFixture()
        let disk = SimulatedFileSystem()
        let last = ClosingLane()
        var environment = fixture.environment(disk)
        environment.makeLane = { $0.name == "log-3" ? last as any Lane : ThreadLane($0) }
        try ObjectStore.create(fixture.settings, environment)
        let store = try await ObjectStore.open(fixture.settings, environment)
        let bucket = try bucketName("bucket")
        _ = try await store.createBucket(bucket, region: "r", actor: tester)
        let (closed, closing) = AsyncStream<Void>.makeStream()
        last.beforeNext {
            store.close()
            closing.finish()
        }
        #expect(try await store.put(bucket, "k", [1]).commit.replicas == 3)
        for await _ in closed {}
        let again = try await ObjectStore.open(fixture.settings, fixture.environment(disk))
        #expect(again.opening.log.lagging == [])
        #expect(try await again.get(bucket, "k") == [1])
        again.close()
    }
}

/// A lane before whose next item something happens on another thread, as far as it gets meanwhile.
private final class ClosingLane: Lane {
    private let state = Mutex<(isFinished: Bool, body: (@Sendable () -> Void)?)>((false, nil))
    private let finished = DispatchSemaphore(value: 0)

    func beforeNext(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.body = body } }

    func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        if let body = state.withLock({ $0.body.take() }) {
            Thread(block: body).start()
            // Either it ends the lane under the item, or it waits for the item.
            _ = finished.wait(timeout: .now() + .milliseconds(300))
        }
        guard !state.withLock({ $0.isFinished }) else { return false }
        work()
        return true
    }

    var depth: Int { 0 }

    func finish() {
        state.withLock { $0.isFinished = true }
        finished.signal()
    }
}
