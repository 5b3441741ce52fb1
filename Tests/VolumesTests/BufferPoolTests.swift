import Synchronization
import Testing
import Volumes

/// The bound on memory: nobody gets more than there is, everybody who waits gets his.
@Suite struct BufferPoolTests {
    @Test func buffersAreAlignedAndReused() {
        let pool = BufferPool(bufferSize: 8192, limit: 2)
        let first = pool.tryTake()
        let second = pool.tryTake()
        #expect(first?.capacity == 8192)
        #expect(first.map { Int(bitPattern: $0.bytes.baseAddress) % 4096 } == 0)
        #expect(pool.tryTake() == nil)
        #expect(pool.inUse == 2)
        if let second { pool.give(second) }
        #expect(pool.tryTake() === second)
    }

    @Test func whoWaitsIsServedInOrder() async throws {
        let pool = BufferPool(bufferSize: 4096, limit: 1)
        let buffer = await pool.take()
        let order = Order()
        let tasks = await waiters(10, pool, order)
        #expect(pool.tryTake() == nil)
        pool.give(buffer)
        for task in tasks { try await task.value }
        #expect(order.all == Array(0..<10))
        #expect(pool.inUse == 0)
        #expect(pool.waiting == 0)
    }

    /// The order in which waiters got their buffer.
    final class Order: Sendable {
        private let numbers = Mutex<[Int]>([])
        func note(_ number: Int) { numbers.withLock { $0.append(number) } }
        var all: [Int] { numbers.withLock { $0 } }
    }

    /// Tasks that wait for a buffer, each started once the one before it waits.
    private func waiters(_ count: Int, _ pool: BufferPool, _ order: Order) async -> [Task<Void, any Error>] {
        var tasks: [Task<Void, any Error>] = []
        for number in 0..<count {
            tasks.append(
                Task {
                    let buffer = await pool.take()
                    order.note(number)
                    pool.give(buffer)
                })
            while pool.waiting <= number { await Task.yield() }
        }
        return tasks
    }
}
