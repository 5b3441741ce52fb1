import HoldfastServer
import Model
import Testing

/// When space is given back early.
@Suite struct SpaceWatchTests {
    private func at(_ seconds: UInt64) -> Timestamp {
        Timestamp(microseconds: (10_000 + seconds) * 1_000_000)
    }

    private func look(_ watch: SpaceWatch, _ second: Double, at seconds: UInt64) -> SpaceWatch.Order? {
        watch.look([(1, 0.5), (2, second), (3, 0.5)], at: at(seconds))
    }

    @Test func aVolumeThatIsNearlyFullHasGarbageGivenBackAtOnce() {
        let watch = SpaceWatch(percent: 10, isAllowed: true)
        #expect(look(watch, 0.12, at: 0) == nil && !watch.isLow)
        let order = look(watch, 0.09, at: 5)
        #expect(order?.volume == 2 && watch.isLow)
        #expect(order?.reason.hasPrefix("it has 9 % of its room left, less than 10 %") == true)
    }

    @Test func onceAMinuteAtMostAndToldOnceAnHour() {
        let watch = SpaceWatch(percent: 10, isAllowed: true)
        var runs = 0
        var told = 0
        for second in stride(from: UInt64(0), to: 7200, by: 5) {
            guard let order = look(watch, 0.05, at: second) else { continue }
            if case .acted = watch.carryOut(order, at: at(second), ask: { runs += 1 }) { told += 1 }
        }
        #expect(runs == 120 && told == 2)
    }

    @Test func whatWasNotDoneIsNotToldOfAsDone() throws {
        let watch = SpaceWatch(percent: 10, isAllowed: true)
        var notices: [SpaceWatch.Notice] = []
        for second in stride(from: UInt64(0), to: 1800, by: 60) {
            let order = try #require(look(watch, 0.05, at: second))
            let notice = watch.carryOut(order, at: at(second)) { throw JobRefusal.paused("reclaim") }
            notices += notice.map { [$0] } ?? []
        }
        #expect(notices.count == 1)
        guard case .paused(let reminded)? = notices.first else {
            Issue.record("\(notices)")
            return
        }
        #expect(reminded.volume == 2)
        // It is told of when it is done.
        let order = try #require(look(watch, 0.05, at: 1800))
        #expect(watch.carryOut(order, at: at(1800)) {} == .acted(order))
    }

    @Test func aVolumeThatLeftServiceIsNoLongerLow() {
        let watch = SpaceWatch(percent: 10, isAllowed: true)
        _ = look(watch, 0.05, at: 0)
        #expect(watch.look([(1, 0.5), (3, 0.5)], at: at(60)) == nil)
        #expect(!watch.isLow)
        #expect(watch.look([(1, 0.5), (2, 0.5), (3, 0.08)], at: at(120))?.volume == 3)
    }

    @Test func aVolumeAtTheMarkDoesNotSwitchToAndFro() {
        let watch = SpaceWatch(percent: 10, isAllowed: true)
        _ = look(watch, 0.099, at: 0)
        _ = look(watch, 0.101, at: 5)
        #expect(watch.isLow)
        _ = look(watch, 0.121, at: 10)
        #expect(!watch.isLow)
    }

    @Test(arguments: [(0, true), (10, false)])
    func whereItIsSwitchedOffNothingIsDone(_ percent: Int, _ isAllowed: Bool) {
        let watch = SpaceWatch(percent: percent, isAllowed: isAllowed)
        #expect(look(watch, 0, at: 0) == nil && !watch.isLow)
    }
}
