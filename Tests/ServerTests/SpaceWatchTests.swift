import HoldfastServer
import Model
import Testing

/// When space is given back early.
@Suite struct SpaceWatchTests {
    private func at(_ seconds: UInt64) -> Timestamp {
        Timestamp(microseconds: (10_000 + seconds) * 1_000_000)
    }

    private func look(_ watch: SpaceWatch, _ second: Double, at seconds: UInt64) -> SpaceWatch.Order {
        watch.look([(1, 0.5), (2, second), (3, 0.5)], at: at(seconds))
    }

    @Test func aVolumeThatIsNearlyFullHasGarbageGivenBackAtOnce() {
        let watch = SpaceWatch(percent: 10, isAllowed: true)
        #expect(look(watch, 0.12, at: 0) == SpaceWatch.Order() && !watch.isLow)
        let order = look(watch, 0.09, at: 5)
        #expect(order.runs && order.volume == 2 && watch.isLow)
        #expect(order.reason?.hasPrefix("it has 9 % of its room left, less than 10 %") == true)
    }

    @Test func onceAMinuteAtMostAndToldOnceAnHour() {
        let watch = SpaceWatch(percent: 10, isAllowed: true)
        var runs = 0
        var told = 0
        for second in stride(from: UInt64(0), to: 7200, by: 5) {
            let order = look(watch, 0.05, at: second)
            runs += order.runs ? 1 : 0
            told += order.reason == nil ? 0 : 1
        }
        #expect(runs == 120 && told == 2)
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
        #expect(look(watch, 0, at: 0) == SpaceWatch.Order() && !watch.isLow)
    }
}
