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

    /// The share after each of so many rounds: requests while there is no work, and then while there is, at that share.
    @discardableResult
    private func rounds(
        _ count: Int, of governor: inout LoadGovernor, idle: () -> LatencyCounts,
        working: (_ share: Double) -> LatencyCounts
    ) -> [Double] {
        (0..<count).map { _ in
            governor.observe(idle(), whileWorking: false, at: 0)
            governor.observe(working(governor.share), whileWorking: true, at: 0)
            return governor.share
        }
    }

    /// Of the last two hundred rounds: by then it has settled.
    private func mean(_ shares: [Double]) -> Double { shares.suffix(200).reduce(0, +) / 200 }

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
        let shares = rounds(21, of: &governor) {
            counts(1)
        } working: { _ in
            counts(1.5)
        }
        #expect(shares.first == before / 2)
        #expect(governor.share == 0.01)
        #expect(governor.rest(afterWorking: 1) > 98)
    }

    @Test func requestsThatDoNotFeelItLetItGrow() {
        var governor = LoadGovernor()
        rounds(60, of: &governor) {
            counts(1)
        } working: { _ in
            counts(1)
        }
        #expect(governor.share == 0.8)
        #expect(governor.rest(afterWorking: 1) > 0.2)
    }

    @Test func fewRequestsProveNothing() {
        var governor = LoadGovernor()
        let before = governor.share
        rounds(1, of: &governor) {
            counts(1, 1999)
        } working: { _ in
            counts(9, 1999)
        }
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
        let shares = rounds(300, of: &governor) {
            sample(1)
        } working: { _ in
            sample(1)
        }
        #expect(mean(shares) > 0.3, "\(mean(shares))")
        rounds(100, of: &governor) {
            sample(1)
        } working: { _ in
            sample(1.4)
        }
        #expect(governor.share < 0.05)
    }

    /// A disk whose requests take longer the more of the time the scrub reads: the loop ends below where a tenth is felt.
    @Test func theLoopSettlesBelowWhereATenthIsFelt() {
        var governor = LoadGovernor()
        let shares = rounds(400, of: &governor) {
            counts(10)
        } working: {
            counts(10 * (1 + $0 * 0.9))
        }
        // Felt above a share of a ninth; the buckets are an eighth of a doubling wide.
        #expect(shares.suffix(200).allSatisfy { $0 < 0.35 }, "\(shares.suffix(200).max() ?? 0)")
        #expect(mean(shares) > 0.04)
    }
}
