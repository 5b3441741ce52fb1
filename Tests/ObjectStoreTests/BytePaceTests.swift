import ObjectStore
import Synchronization
import Testing

@Suite struct BytePaceTests {
    private final class Waits: Sendable {
        let instants = Mutex<[ContinuousClock.Instant]>([])

        var all: [ContinuousClock.Instant] { instants.withLock { $0 } }

        func pace(rate: UInt64) -> BytePace {
            BytePace(rate: rate) { instant in self.instants.withLock { $0.append(instant) } }
        }
    }

    @Test func bytesAreDueOneAfterAnotherAtTheRate() async throws {
        let waits = Waits()
        let pace = waits.pace(rate: 100)
        for count in [500, 100, 50] { try await pace.spent(count) }
        let instants = waits.all
        try #require(instants.count == 3)
        #expect(instants[1] - instants[0] == .seconds(1))
        #expect(instants[2] - instants[1] == .milliseconds(500))
    }

    @Test func withoutARateOthersHaveTheirTurn() async throws {
        struct Over: Error {}
        let asked = Mutex(0)
        let pace = BytePace(rate: 0, room: { asked.withLock { $0 += 1 } })
        for _ in 0..<3 { try await pace.spent(1 << 40) }
        #expect(asked.withLock { $0 } == 3)
        await #expect(throws: Over.self) { try await BytePace(rate: 0, room: { throw Over() }).spent(1) }
        let rated = BytePace(rate: 1, room: { throw Over() }, wait: { _ in })
        try await rated.spent(1)
    }

    @Test func withoutARateNothingWaits() async throws {
        let waits = Waits()
        try await waits.pace(rate: 0).spent(1 << 40)
        #expect(waits.all.isEmpty)
    }
}
