import Foundation
import HoldfastServer
import Synchronization
import Testing

@Suite struct WorkerPoolTests {
    @Test func everyTaskIsRunOnAThreadOfThePool() async {
        let pool = WorkerPool(threads: 3)
        let names = await withTaskGroup(of: String.self, returning: Set<String>.self) { group in
            for _ in 0..<3000 {
                group.addTask(executorPreference: pool) { Self.threadName() }
            }
            var names: Set<String> = []
            for await name in group { names.insert(name) }
            return names
        }
        #expect(!names.isEmpty && names.isSubset(of: ["worker-0", "worker-1", "worker-2"]), "\(names)")
        pool.stop()
    }

    private static func threadName() -> String {
        do {
            return try String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
                .trimmingCharacters(in: .newlines)
        } catch { return "\(error)" }
    }

    @Test func aTaskGoesOnOnThePoolAfterItHasWaited() async {
        let pool = WorkerPool(threads: 1)
        let (stream, continuation) = AsyncStream<Int>.makeStream()
        let task = Task(executorPreference: pool) {
            var names: [String] = []
            for await _ in stream { names.append(Self.threadName()) }
            return names
        }
        for number in 0..<5 { continuation.yield(number) }
        continuation.finish()
        #expect(await task.value == [String](repeating: "worker-0", count: 5))
        pool.stop()
    }

    @Test func aThreadThatIsHeldUpHoldsUpNoneOfTheOthers() async {
        let pool = WorkerPool(threads: 2)
        let gate = DispatchSemaphore(value: 0)
        let blocked = Task(executorPreference: pool) { Self.wait(gate) }
        let others = Task(executorPreference: pool) {
            var sum = 0
            for number in 0..<100 {
                await Task.yield()
                sum += number
            }
            return sum
        }
        #expect(await others.value == 4950)
        gate.signal()
        await blocked.value
        pool.stop()
    }

    private static func wait(_ gate: DispatchSemaphore) { gate.wait() }

    private final class Counter: Sendable { let count = Mutex(0) }

    @Test func whatIsQueuedWhenItIsStoppedIsStillDone() async {
        let pool = WorkerPool(threads: 1)
        let gate = DispatchSemaphore(value: 0)
        let blocked = Task(executorPreference: pool) { Self.wait(gate) }
        let done = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<5000 {
                group.addTask(executorPreference: pool) { done.count.withLock { $0 += 1 } }
            }
            pool.stop()
            gate.signal()
        }
        await blocked.value
        #expect(done.count.withLock { $0 } == 5000)
    }
}
