import Model
import Testing

@Suite struct HistogramTests {
    @Test func aValueCountsAtTheFirstBoundThatItDoesNotPass() {
        var counts = HistogramCounts(bounds: [1, 2])
        for value in [0, 1, 1.5, 2, 2.5] { counts.add(value) }
        #expect(counts.counts == [2, 2, 1] && counts.sum == 7 && counts.count == 5)
        var twice = counts
        twice.add(counts)
        #expect(twice.counts == [4, 4, 2] && twice.sum == 14)
    }

    @Test func durationsAreSeconds() {
        let histogram = Histogram(bounds: [0.5])
        histogram.add(.milliseconds(250))
        #expect(histogram.counts.counts == [1, 0] && histogram.counts.sum == 0.25)
    }
}
