import Model
import ObjectStore
import Testing

@Suite struct SlowVolumeTests {
    /// Appends on three volumes, on a clock of its own.
    private struct Stage {
        var watch = SlowVolumeWatch()
        var counts = Dictionary(
            uniqueKeysWithValues: (1...3).map { ($0, HistogramCounts(bounds: HistogramCounts.secondsBounds)) }
        )
        var now = Timestamp(microseconds: 1_700_000_000_000_000)

        init() { _ = watch.look(counts, at: now) }

        /// So many appends on each volume, each taking as many seconds.
        mutating func append(_ seconds: [Int: Double], times: Int) {
            for (volume, seconds) in seconds { for _ in 0..<times { counts[volume]?.add(seconds) } }
        }

        mutating func look(after seconds: UInt64 = 30) -> SlowVolumeWatch.Finding? {
            now = Timestamp(microseconds: now.microseconds + seconds * 1_000_000)
            return watch.look(counts, at: now)
        }
    }

    @Test func aVolumeThatTakesTenTimesAsLongIsFoundAfterHalfAMinute() {
        var stage = Stage()
        stage.append([1: 0.004, 2: 2, 3: 0.02], times: 10)
        #expect(stage.look(after: 29) == nil)
        let found = stage.look(after: 1)
        #expect(found?.volume == 2)
        #expect(
            found?.reason
                == "its disk takes more than 1.0 s to make a batch durable, the others less than 0.025")
    }

    @Test func oneThatIsSlowForAMomentIsNot() {
        var stage = Stage()
        stage.append([1: 0.004, 2: 2, 3: 0.004], times: 10)
        stage.append([1: 0.004, 2: 0.004, 3: 0.004], times: 11)
        #expect(stage.look() == nil)
        // What was before the window does not count either.
        stage.append([1: 0.004, 2: 0.004, 3: 0.004], times: 10)
        #expect(stage.look() == nil)
    }

    @Test(arguments: [
        [1: 0.004, 2: 0.4, 3: 0.004], [1: 0.004, 2: 2, 3: 2], [1: 0.2, 2: 2, 3: 0.004], [1: 2, 2: 2, 3: 2],
        [1: 40, 2: 40, 3: 40], [1: 0.004, 2: 0.004, 3: 0.004],
    ])
    func whereOneAloneDoesNotStandOutNoneIsFound(seconds: [Int: Double]) {
        var stage = Stage()
        stage.append(seconds, times: 10)
        #expect(stage.look() == nil)
    }

    @Test func fewAppendsSayNothing() {
        var stage = Stage()
        stage.append([1: 0.004, 2: 7, 3: 0.004], times: 3)
        #expect(stage.look() == nil)
        stage.append([1: 0.004, 2: 7, 3: 0.004], times: 4)
        #expect(stage.look()?.volume == 2)
    }

    @Test func withAVolumeAsideTheOthersStay() {
        var stage = Stage()
        stage.append([1: 0.004, 2: 2, 3: 0.004], times: 10)
        let third = stage.counts.removeValue(forKey: 3)
        #expect(stage.look() == nil)
        // It is back, and what was measured before does not count.
        stage.counts[3] = third
        #expect(stage.look() == nil)
        #expect(stage.look() == nil)
    }

    @Test func aLogThatWasOpenedAgainIsLookedAtAnew() {
        var stage = Stage()
        stage.append([1: 0.004, 2: 2, 3: 0.004], times: 10)
        #expect(stage.look(after: 29) == nil)
        #expect(stage.look(after: 1)?.volume == 2)
        stage.counts = Stage().counts
        stage.append([1: 0.004, 2: 2, 3: 0.004], times: 5)
        #expect(stage.look() == nil)
    }
}
