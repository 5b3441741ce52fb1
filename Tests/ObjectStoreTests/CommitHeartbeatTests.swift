import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// What probes ask of a store: whether its commit thread moves, and whether some process has it.
@Suite struct CommitHeartbeatTests {
    @Test func aCommitThreadThatHangsIsSeenAndOneThatIsDoneIsNot() async throws {
        let fixture = try StoreFixture { $0.operationDeadline = .seconds(60) }
        let disk = SimulatedFileSystem()
        var environment = fixture.environment(disk)
        environment.makeLane = { ThreadLane($0) }
        try ObjectStore.create(fixture.settings, environment)
        let store = try await ObjectStore.open(fixture.settings, environment)
        let bucket = try bucketName("bucket")
        _ = try await store.createBucket(bucket, region: "r", actor: tester)
        let stall = Stall()
        disk.inject(Fault(.stall(stall), on: [.sync], times: nil) { $0.contains("/log/") })
        let put = Task { try await store.put(bucket, "small", [1, 2, 3]) }
        stall.waitUntilReached()
        let first = store.commitBusyTime
        #expect(first > .zero && store.commitObstacle == nil)
        #expect(store.commitBusyTime > first, "it grows while the thread hangs")
        disk.removeFaults()
        stall.release()
        #expect(try await put.value.commit.replicas == 3)
        // The caller is answered a moment before the thread looks for more to do.
        let end = ContinuousClock.now + .seconds(30)
        while store.commitBusyTime > .zero, ContinuousClock.now < end { await Task.yield() }
        #expect(store.commitBusyTime == .zero)
        store.close()
    }

    @Test func aStoreIsOfOneProcessUntilItIsClosed() async throws {
        let fixture = try StoreFixture()
        let disk = SimulatedFileSystem()
        let environment = fixture.environment(disk)
        try ObjectStore.create(fixture.settings, environment)
        #expect(try StoreLock.isFree(fixture.settings, environment))
        let store = try await ObjectStore.open(fixture.settings, environment)
        #expect(try !StoreLock.isFree(fixture.settings, environment))
        #expect(throws: StoreError.self) { try StoreLock.take(fixture.settings, environment) }
        await #expect(throws: StoreError.self) {
            try await StoreLock.waitUntilFree(fixture.settings, deadline: .milliseconds(50), environment)
        }
        store.close()
        try await StoreLock.waitUntilFree(fixture.settings, deadline: .seconds(10), environment)
        #expect(try StoreLock.isFree(fixture.settings, environment))
    }
}
