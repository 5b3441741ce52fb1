import Foundation
import Synchronization
import Testing
import Volumes

/// Threads behind a bounded queue.
@Suite struct ThreadLaneTests {
    @Test func aLaneOfOneThreadKeepsTheOrder() async throws {
        let lane = ThreadLane(LaneShape("writer", capacity: 2001))
        let seen = Mutex<[Int]>([])
        for number in 0..<2000 { #expect(lane.submit { seen.withLock { $0.append(number) } }) }
        let last = DispatchSemaphore(value: 0)
        #expect(lane.submit { last.signal() })
        lane.finish()
        Self.wait(last)
        #expect(seen.withLock { $0 } == Array(0..<2000))
    }

    @Test func finishLetsQueuedWorkRunAndRefusesMore() {
        let lane = ThreadLane(LaneShape("writer", threads: 3, capacity: 100))
        let done = DispatchSemaphore(value: 0)
        for _ in 0..<100 { #expect(lane.submit { done.signal() }) }
        lane.finish()
        for _ in 0..<100 { Self.wait(done) }
        #expect(!lane.submit {})
        lane.finish()
    }

    @Test func threadsThatHaveTimeYieldMore() async throws {
        let lane = ThreadLane(LaneShape("check", capacity: 1, niceness: LaneShape.leisurely))
        defer { lane.finish() }
        // Of the thread that asks, on Linux.
        let (niceness, policy) = try await lane.run {
            (getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0), sched_getscheduler(0))
        }
        #expect(niceness == LaneShape.leisurely)
        #expect(policy == 5, "SCHED_IDLE, which Glibc does not pass on")
    }

    @Test func aFullQueueRefuses() async throws {
        let lane = ThreadLane(LaneShape("writer", capacity: 2))
        let (gate, started) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        #expect(
            lane.submit {
                started.signal()
                gate.wait()
            })
        Self.wait(started)
        #expect(lane.submit {} && lane.submit {})
        #expect(!lane.submit {})
        #expect(lane.depth == 3)
        await #expect(throws: LaneRefused.self) { try await lane.run { 1 } }
        gate.signal()
        lane.finish()
    }

    @Test func severalThreadsWorkAtOnce() {
        let lane = ThreadLane(LaneShape("reader", threads: 4, capacity: 8))
        let (arrived, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        for _ in 0..<4 {
            #expect(
                lane.submit {
                    arrived.signal()
                    gate.wait()
                })
        }
        // Would hang if one thread did the work of all.
        for _ in 0..<4 { Self.wait(arrived) }
        for _ in 0..<4 { gate.signal() }
        lane.finish()
    }

    @Test func workReturnsItsValueOrItsError() async throws {
        let lane = ThreadLane(LaneShape("reader", capacity: 8))
        #expect(try await lane.run { 42 } == 42)
        await #expect(throws: VolumeError.self) {
            try await lane.run { throw VolumeError.missing(path: "/v") }
        }
        lane.finish()
    }

    @Test func aLaneThatIsFinishedFromWithinDoesNotWaitForItself() async throws {
        let lane = ThreadLane(LaneShape("reader", capacity: 8))
        try await lane.run { lane.finish() }
        #expect(!lane.submit {})
    }

    static func wait(_ semaphore: DispatchSemaphore) { semaphore.wait() }
}
