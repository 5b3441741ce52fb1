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

    @Test func withoutARateNothingWaits() async throws {
        let waits = Waits()
        try await waits.pace(rate: 0).spent(1 << 40)
        #expect(waits.all.isEmpty)
    }
}
