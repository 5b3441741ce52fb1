import Integrity
import Testing

@Suite struct ScrubPacerTests {
    @Test func aPassIsAsSlowAsItsRateAsks() {
        var pacer = ScrubPacer()
        var now = 100.0
        var bytes = 0
        while now < 200 {
            bytes += 1_000_000
            now = max(now + 0.01, pacer.spend(1_000_000, seconds: 0.01, rate: 2_000_000, at: now + 0.01))
        }
        #expect(abs(Double(bytes) - 200e6) < 3e6)
    }

    @Test func timeThatWasNotUsedIsNotMadeUpFor() {
        var pacer = ScrubPacer()
        _ = pacer.spend(1000, seconds: 0, rate: 1000, at: 0)
        #expect(pacer.spend(1000, seconds: 0, rate: 1000, at: 500) == 501)
    }

    @Test func itReadsInItsWindowUnlessItIsAskedAndNeverWhileARepairIsUnderWay() throws {
        let window = try #require(ScrubWindow("01:00-02:00"))
        func isAllowed(paused: Bool = false, asked: Bool = false, minute: Int = 90, repairing: Bool = false)
            -> Bool
        {
            ScrubPacer.isAllowed(
                isPaused: paused, isAsked: asked, window: window, minute: minute, isRepairing: repairing)
        }
        #expect(isAllowed())
        #expect(!isAllowed(minute: 200))
        #expect(isAllowed(asked: true, minute: 200))
        #expect(!isAllowed(paused: true, asked: true))
        #expect(!isAllowed(asked: true, repairing: true))
    }
}
