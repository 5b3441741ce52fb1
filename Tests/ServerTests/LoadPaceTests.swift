import HoldfastServer
import Integrity
import Synchronization
import Testing

@Suite struct LoadPaceTests {
    /// Time passes when the pace waits, and when the test says so.
    private final class World: Sendable {
        struct State {
            var now = 100.0
            var waited = 0.0
            /// Nanoseconds that requests take while it copies, and while it rests; 0 for none.
            var copying: UInt64 = 0
            var resting: UInt64 = 0
            var isResting = false
        }
        let state: Mutex<State>

        init(copying: UInt64, resting: UInt64) {
            state = Mutex(State(copying: copying, resting: resting))
        }

        func pace() -> LoadPace {
            LoadPace(
                load: { [self] in
                    state.withLock { state in
                        var counts = LatencyCounts()
                        let each = state.isResting ? state.resting : state.copying
                        state.isResting = false
                        if each > 0 { for _ in 0..<100 { counts.add(nanoseconds: each) } }
                        return counts
                    }
                }, uptime: { [self] in state.withLock { $0.now } },
                wait: { [self] seconds in
                    state.withLock {
                        $0.now += seconds
                        $0.waited += seconds
                        $0.isResting = true
                    }
                })
        }

        /// - Returns: the part of the time in which it copied.
        func run(_ pace: LoadPace, seconds: Double) -> Double {
            let start = state.withLock { $0 }
            while state.withLock({ $0.now }) < start.now + seconds {
                state.withLock { $0.now += 0.005 }
                pace.spent(1_000_000)
            }
            let end = state.withLock { $0 }
            return 1 - (end.waited - start.waited) / (end.now - start.now)
        }
    }

    @Test func nobodyIsWaitedForWhereNobodyAsks() {
        let world = World(copying: 0, resting: 0)
        #expect(world.run(world.pace(), seconds: 10) == 1)
    }

    @Test func itTakesLittleOfTheTimeWhileRequestsFeelIt() {
        let world = World(copying: 5_000_000, resting: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        #expect(world.run(pace, seconds: 60) < 0.05)
    }

    /// What was answered before it began is neither: it would be taken for what its copying did.
    @Test func whatIsAnsweredWhileNobodyCopiesCountsForNothing() {
        let world = World(copying: 2_000_000, resting: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        let share = world.run(pace, seconds: 10)
        for _ in 0..<50 {
            // Slow for its own reasons, each time for as long as nothing is copied.
            world.state.withLock {
                $0.copying = 900_000_000
                $0.now += 3600
            }
            pace.spent(1)
            world.state.withLock { $0.copying = 2_000_000 }
            _ = world.run(pace, seconds: 1)
        }
        #expect(world.run(pace, seconds: 10) > share - 0.15)
    }

    @Test func itTakesMostOfTheTimeWhileTheyDoNot() {
        let world = World(copying: 2_000_000, resting: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        #expect(world.run(pace, seconds: 60) > 0.6)
    }
}
