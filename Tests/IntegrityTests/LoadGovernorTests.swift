import Foundation
import Integrity
import TestSupport
import Testing

@Suite struct LoadGovernorTests {
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

    @Test func requestsThatBecomeSlowerWhileThereIsWorkGetTheirTimeBack() {
        var governor = LoadGovernor()
        let before = governor.share
        governor.observe(counts(1), whileWorking: false, at: 0)
        governor.observe(counts(1.5), whileWorking: true, at: 0)
        #expect(governor.share == before / 2)
        for _ in 0..<20 {
            governor.observe(counts(1), whileWorking: false, at: 0)
            governor.observe(counts(1.5), whileWorking: true, at: 0)
        }
        #expect(governor.share == 0.01)
        #expect(governor.rest(afterWorking: 1) > 98)
    }

    @Test func requestsThatDoNotFeelItLetItGrow() {
        var governor = LoadGovernor()
        for _ in 0..<60 {
            governor.observe(counts(1), whileWorking: false, at: 0)
            governor.observe(counts(1), whileWorking: true, at: 0)
        }
        #expect(governor.share == 0.8)
        #expect(governor.rest(afterWorking: 1) > 0.2)
    }

    @Test func fewRequestsProveNothing() {
        var governor = LoadGovernor()
        let before = governor.share
        governor.observe(counts(1, 1999), whileWorking: false, at: 0)
        governor.observe(counts(9, 1999), whileWorking: true, at: 0)
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
            governor.observe(sample(1), whileWorking: false, at: 0)
            governor.observe(sample(1), whileWorking: true, at: 0)
            shares.append(governor.share)
        }
        #expect(shares.suffix(200).reduce(0, +) / 200 > 0.3, "\(shares.suffix(200).reduce(0, +) / 200)")
        for _ in 0..<100 {
            governor.observe(sample(1), whileWorking: false, at: 0)
            governor.observe(sample(1.4), whileWorking: true, at: 0)
        }
        #expect(governor.share < 0.05)
    }

    /// A disk whose requests take longer the more of the time the scrub reads: the loop ends below where a tenth is felt.
    @Test func theLoopSettlesBelowWhereATenthIsFelt() {
        var governor = LoadGovernor()
        var shares: [Double] = []
        for _ in 0..<400 {
            governor.observe(counts(10), whileWorking: false, at: 0)
            governor.observe(counts(10 * (1 + governor.share * 0.9)), whileWorking: true, at: 0)
            shares.append(governor.share)
        }
        let settled = shares.suffix(200)
        // Felt above a share of a ninth; the buckets are an eighth of a doubling wide.
        #expect(settled.allSatisfy { $0 < 0.35 }, "\(settled.max() ?? 0)")
        #expect(settled.reduce(0, +) / 200 > 0.04)
    }
}
