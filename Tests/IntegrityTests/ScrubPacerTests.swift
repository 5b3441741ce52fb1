import Foundation
import Integrity
import TestSupport
import Testing

@Suite struct ScrubPacerTests {
    private func counts(_ milliseconds: Double, _ number: Int = 2000) -> LatencyCounts {
        var counts = LatencyCounts()
        for _ in 0..<number { counts.add(nanoseconds: UInt64(milliseconds * 1_000_000)) }
        return counts
    }

    @Test func aQuantileIsKnownToATenth() throws {
        #expect(LatencyCounts().quantile(0.99) == nil)
        for exponent in stride(from: 1.0, through: 10, by: 0.37) {
            let wanted = Double(UInt64(exp10(exponent)))
            var counts = LatencyCounts()
            for _ in 0..<100 { counts.add(nanoseconds: UInt64(wanted)) }
            let found = try #require(counts.quantile(0.99))
            #expect(abs(found / wanted - 1) < 0.13, "\(wanted) is \(found)")
        }
    }

    private func exp10(_ exponent: Double) -> Double {
        var value = 1.0
        for _ in 0..<Int(exponent) { value *= 10 }
        return value * (1 + (exponent - Double(Int(exponent))) * 9)
    }

    @Test func requestsThatBecomeSlowerWhileItReadsGetTheirTimeBack() {
        var governor = LoadGovernor()
        let before = governor.share
        governor.observe(counts(1), whileReading: false)
        governor.observe(counts(1.5), whileReading: true)
        #expect(governor.share == before / 2)
        for _ in 0..<20 {
            governor.observe(counts(1), whileReading: false)
            governor.observe(counts(1.5), whileReading: true)
        }
        #expect(governor.share == 0.01)
        #expect(governor.rest(afterReading: 1) > 98)
    }

    @Test func requestsThatDoNotFeelItLetItGrow() {
        var governor = LoadGovernor()
        for _ in 0..<60 {
            governor.observe(counts(1), whileReading: false)
            governor.observe(counts(1), whileReading: true)
        }
        #expect(governor.share == 0.8)
        #expect(governor.rest(afterReading: 1) > 0.2)
    }

    @Test func fewRequestsProveNothing() {
        var governor = LoadGovernor()
        let before = governor.share
        governor.observe(counts(1, 1999), whileReading: false)
        governor.observe(counts(9, 1999), whileReading: true)
        #expect(governor.share == before)
    }

    /// Of two thousand requests of one load, the slowest hundredth is as slow as chance has it.
    @Test func chanceDoesNotMakeItGiveWay() {
        var random = SeededGenerator(seed: 11)
        var governor = LoadGovernor()
        func sample(_ slower: Double) -> LatencyCounts {
            var counts = LatencyCounts()
            for _ in 0..<2000 {
                // A tail as requests have it: one in a hundred takes five times as long as most.
                let part = Double.random(in: 0.000_001..<1, using: &random)
                counts.add(nanoseconds: UInt64(slower * 1_000_000 * (1 - Foundation.log(part))))
            }
            return counts
        }
        var shares: [Double] = []
        for _ in 0..<300 {
            governor.observe(sample(1), whileReading: false)
            governor.observe(sample(1), whileReading: true)
            shares.append(governor.share)
        }
        #expect(shares.suffix(200).reduce(0, +) / 200 > 0.3, "\(shares.suffix(200).reduce(0, +) / 200)")
        for _ in 0..<100 {
            governor.observe(sample(1), whileReading: false)
            governor.observe(sample(1.4), whileReading: true)
        }
        #expect(governor.share < 0.05)
    }

    @Test func itIsCalmForAWhileOnceRequestsWereSeen() throws {
        var pacer = ScrubPacer()
        _ = pacer.spend(1, seconds: 0.01, rate: nil, load: LatencyCounts(), at: 100)
        #expect(pacer.calm(at: 200) == nil)
        _ = pacer.spend(1, seconds: 0.01, rate: nil, load: counts(1, 5), at: 101)
        #expect(pacer.calm(at: 101) == nil)
        let calm = try #require(pacer.calm(at: 103))
        #expect(calm.counting > calm.settling)
        pacer.calmed(counts(1, 5))
        #expect(pacer.calm(at: 300) == nil)
    }

    /// A disk whose requests take longer the more of the time the scrub reads: the loop ends below where a tenth is felt.
    @Test func theLoopSettlesBelowWhereATenthIsFelt() {
        var governor = LoadGovernor()
        var shares: [Double] = []
        for _ in 0..<400 {
            governor.observe(counts(10), whileReading: false)
            governor.observe(counts(10 * (1 + governor.share * 0.9)), whileReading: true)
            shares.append(governor.share)
        }
        let settled = shares.suffix(200)
        // Felt above a share of a ninth; the buckets are an eighth of a doubling wide.
        #expect(settled.allSatisfy { $0 < 0.35 }, "\(settled.max() ?? 0)")
        #expect(settled.reduce(0, +) / 200 > 0.04)
    }

    @Test func aPassIsAsSlowAsItsRateAsks() {
        var pacer = ScrubPacer()
        var now = 100.0
        var bytes = 0
        while now < 200 {
            bytes += 1_000_000
            now = max(
                now + 0.01,
                pacer.spend(1_000_000, seconds: 0.01, rate: 2_000_000, load: LatencyCounts(), at: now + 0.01))
        }
        #expect(abs(Double(bytes) - 200e6) < 3e6)
    }

    @Test func timeThatWasNotUsedIsNotMadeUpFor() {
        var pacer = ScrubPacer()
        _ = pacer.spend(1000, seconds: 0, rate: 1000, load: LatencyCounts(), at: 0)
        #expect(pacer.spend(1000, seconds: 0, rate: 1000, load: LatencyCounts(), at: 500) == 501)
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
