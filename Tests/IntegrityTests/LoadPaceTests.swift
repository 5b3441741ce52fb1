import Foundation
import Integrity
import Synchronization
import Testing

@Suite struct LoadPaceTests {
    /// Time passes when the pace waits, and when the test says so; requests are answered as it passes.
    private final class World: Sendable {
        struct State {
            var now = 100.0
            var waited = 0.0
            var requests = LatencyCounts()
            /// Bytes of large requests under way that have moved, and that move in a second.
            var moved: UInt64 = 0
            var speed = 0.0
            /// In a second.
            var rate: Double
            /// Seconds that requests take a tenth longer for after work.
            var echo = 0.0
            var lastWork = -1.0
            /// Nanoseconds that requests take while there is work, and after the echo of it.
            var busy: UInt64
            var calm: UInt64
            /// What somebody else does while one waits.
            var other: (@Sendable () -> Void)?

            mutating func pass(_ seconds: Double, isWork: Bool) {
                let before = Int(now * rate)
                let movedBefore = UInt64(now * speed)
                now += seconds
                moved += UInt64(now * speed) - movedBefore
                if isWork { lastWork = now }
                let each = isWork || now - lastWork < echo ? busy : calm
                for _ in before..<Int(now * rate) { requests.add(nanoseconds: each) }
            }
        }
        let state: Mutex<State>

        init(rate: Double, busy: UInt64 = 2_000_000, calm: UInt64 = 2_000_000, echo: Double = 0) {
            state = Mutex(State(rate: rate, echo: echo, busy: busy, calm: calm))
        }

        func pace() -> LoadPace {
            LoadPace(
                requests: { [self] in state.withLock { $0.requests } },
                moved: { [self] in state.withLock { $0.moved } },
                uptime: { [self] in state.withLock { $0.now } },
                sleep: { [self] seconds in
                    let other = state.withLock {
                        $0.pass(seconds, isWork: false)
                        $0.waited += seconds
                        return $0.other
                    }
                    other?()
                })
        }

        /// Works, and has to wait for something else after each piece.
        /// - Returns: the part of the time in which it was not kept waiting by the pace.
        func run(_ pace: LoadPace, seconds: Double, idle: Double = 0) -> Double {
            let start = state.withLock { $0 }
            while state.withLock({ $0.now }) < start.now + seconds {
                state.withLock {
                    $0.pass(0.005, isWork: true)
                    if idle > 0 { $0.pass(idle, isWork: false) }
                }
                pace.pass(worked: 0.005)
            }
            let end = state.withLock { $0 }
            return 1 - (end.waited - start.waited) / (end.now - start.now)
        }
    }

    @Test func nobodyIsWaitedForWhereNobodyAsks() {
        let world = World(rate: 0)
        #expect(world.run(world.pace(), seconds: 10) == 1)
    }

    @Test func itTakesLittleOfTheTimeWhileRequestsFeelIt() {
        let world = World(rate: 4000, busy: 5_000_000, calm: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        #expect(world.run(pace, seconds: 60) < 0.05)
        #expect(pace.share < 0.05)
    }

    /// A hundred requests in a second feel it as thousands do: that none comes in some stretch of 25 ms proves nothing.
    @Test func itGivesWayToFewRequestsToo() {
        let world = World(rate: 100, busy: 50_000_000, calm: 20_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 600)
        #expect(world.run(pace, seconds: 60) < 0.05)
    }

    /// What was begun beside work and ends after it is no sign of how it is without.
    @Test func whatEndsShortlyAfterWorkDoesNotCountAsCalm() {
        let world = World(rate: 4000, busy: 5_000_000, calm: 2_000_000, echo: 0.03)
        let pace = world.pace()
        _ = world.run(pace, seconds: 120)
        #expect(pace.share < 0.05)
    }

    /// What was answered before it began is neither: it would be taken for what its work did.
    @Test func whatIsAnsweredWhileNobodyWorksCountsForNothing() {
        let world = World(rate: 4000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        let share = world.run(pace, seconds: 10)
        for _ in 0..<50 {
            // Slow for its own reasons, each time for as long as nothing is done.
            world.state.withLock {
                for _ in 0..<1000 { $0.requests.add(nanoseconds: 900_000_000) }
                $0.now += 3600
            }
            pace.pass(worked: 0)
            _ = world.run(pace, seconds: 1)
        }
        #expect(world.run(pace, seconds: 10) > share - 0.15)
    }

    @Test func itTakesMostOfTheTimeWhileTheyDoNot() {
        let world = World(rate: 4000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 200)
        // A quarter goes by in looking how it is without.
        #expect(world.run(pace, seconds: 60) > 0.5)
        #expect(pace.share > 0.7)
    }

    /// Where it is held up by something else for longer than it would rest, it does not rest besides.
    @Test func whatItHadToWaitForElsewhereIsRestEnough() {
        let world = World(rate: 4000, busy: 2_000_000, calm: 2_000_000)
        let pace = world.pace()
        let part = world.run(pace, seconds: 60, idle: 0.1)
        // But for looking how it is without.
        #expect(part > 0.75, "\(part)")
    }

    /// Hours in which nobody worked are neither rest that it may use up, nor work that it has to rest for.
    @Test func aLongTimeWithoutWorkChangesNothing() {
        let world = World(rate: 4000, busy: 5_000_000, calm: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        world.state.withLock { $0.now += 3600 }
        let part = world.run(pace, seconds: 60)
        #expect(part < 0.05, "\(part)")
        #expect(part > 0)
    }

    /// Another may work on while one waits for the calm: what is answered then is no sign of how it is without.
    @Test func aCalmInWhichSomebodyWorkedOnCountsForNothing() {
        let world = World(rate: 4000, busy: 5_000_000, calm: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        let before = pace.share
        // Each wait of the one is a piece of the other's work, which all requests feel.
        world.state.withLock {
            $0.calm = $0.busy
            $0.other = { pace.pass(worked: 0.25, isOver: { true }) }
        }
        _ = world.run(pace, seconds: 120)
        // What was answered before may have counted once more.
        #expect(pace.share <= before)
        world.state.withLock { $0.other = nil }
        _ = world.run(pace, seconds: 120)
        #expect(pace.share > before)
    }

    /// Who comes in the morning is not met by what the night allowed.
    @Test func aLongAbsenceTakesNoMoreThanANewServerDoes() {
        let world = World(rate: 4000, busy: 5_000_000, calm: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        world.state.withLock { $0.rate = 0 }
        #expect(world.run(pace, seconds: 600) > 0.95)
        #expect(pace.share == 0.1)
        world.state.withLock { $0.rate = 4000 }
        #expect(world.run(pace, seconds: 10) < 0.1)
    }

    @Test func whatTheEveningDidNotFeelIsForgottenOverTheNight() {
        let world = World(rate: 4000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 200)
        #expect(pace.share > 0.7)
        world.state.withLock { $0.rate = 0 }
        #expect(world.run(pace, seconds: 600) > 0.95)
        #expect(pace.share == 0.1)
    }

    /// Load in bursts is felt as load without gaps is.
    @Test func aShortAbsenceUnlearnsNothing() {
        let world = World(rate: 4000, busy: 5_000_000, calm: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 60)
        for _ in 0..<10 {
            world.state.withLock { $0.rate = 0 }
            _ = world.run(pace, seconds: 3)
            world.state.withLock { $0.rate = 4000 }
            _ = world.run(pace, seconds: 10)
        }
        #expect(pace.share < 0.05)
    }

    /// No request ends while it lasts: a download or an upload of gigabytes is somebody all the same, from the first moment on.
    @Test func aLargeRequestUnderWayIsSomebody() {
        let world = World(rate: 4000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 200)
        #expect(pace.share > 0.7, "what others do not feel")
        world.state.withLock {
            $0.rate = 0
            $0.speed = 50e6
        }
        _ = world.run(pace, seconds: 2)
        for _ in 0..<3 {
            let part = world.run(pace, seconds: 20)
            #expect(part > 0.08 && part < 0.2, "\(part)")
        }
        world.state.withLock { $0.speed = 0 }
        // A second for it to be missed.
        #expect(world.run(pace, seconds: 60) > 0.95)
    }

    /// Its client holds it open for hours and takes nothing of it, or a little.
    @Test(arguments: [0, 10e3]) func aRequestThatHardlyMovesKeepsNobodyWaiting(speed: Double) {
        let world = World(rate: 0)
        world.state.withLock { $0.moved = 1 << 40 }
        let pace = world.pace()
        world.state.withLock { $0.speed = speed }
        #expect(world.run(pace, seconds: 300) > 0.95)
    }

    /// What requests felt neither bounds the work beside a large one nor is forgotten over it.
    @Test func aLargeRequestTeachesNothing() {
        let world = World(rate: 4000, busy: 5_000_000, calm: 2_000_000)
        let pace = world.pace()
        _ = world.run(pace, seconds: 120)
        world.state.withLock {
            $0.rate = 0
            $0.speed = 50e6
        }
        let part = world.run(pace, seconds: 120)
        #expect(part > 0.08 && part < 0.2, "\(part)")
        #expect(pace.share < 0.05)
        world.state.withLock { $0.rate = 4000 }
        #expect(world.run(pace, seconds: 60) < 0.05)
    }

    /// Bytes of requests that are answered are theirs: what these feel is what counts.
    @Test func besideRequestsThatFeelNothingALargeOneChangesNothing() {
        let world = World(rate: 4000)
        world.state.withLock { $0.speed = 50e6 }
        let pace = world.pace()
        _ = world.run(pace, seconds: 200)
        #expect(world.run(pace, seconds: 60) > 0.5)
        #expect(pace.share > 0.7)
    }

    @Test func whoIsStoppedDoesNotWait() {
        let world = World(rate: 4000)
        let pace = world.pace()
        for _ in 0..<1000 {
            world.state.withLock { $0.pass(0.005, isWork: true) }
            pace.pass(isOver: { true })
        }
        #expect(world.state.withLock { $0.waited } == 0)
    }
}
