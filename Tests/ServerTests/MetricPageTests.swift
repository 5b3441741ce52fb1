import HoldfastServer
import Model
import Testing

/// The page of metrics in its two formats.
@Suite struct MetricPageTests {
    @Test(
        arguments: [
            (nil, MetricPage.Format.prometheus), ("*/*", .prometheus), ("text/plain", .prometheus),
            ("application/openmetrics-text", .openMetrics),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                .openMetrics
            ),
            ("application/openmetrics-text; q=0.2, text/plain; q=0.7", .prometheus),
            ("application/openmetrics-text;q=0", .prometheus),
        ] as [(String?, MetricPage.Format)])
    func theFormatIsTheOneThatIsWantedMost(_ accept: String?, _ format: MetricPage.Format) {
        #expect(MetricPage.Format(accept: accept) == format)
    }

    private static func page(_ format: MetricPage.Format) -> String {
        var counts = HistogramCounts(bounds: [0.5, 1])
        for value in [0.1, 0.5, 0.75, 3] { counts.add(value) }
        var page = MetricPage(format)
        page.counter("a_things", "Things.", [([("name", "x\"\\\ny")], 3)])
        page.histogram("b_seconds", "Durations.", [([], counts)])
        page.gauge("c", "None.", nil)
        page.info("d", "What it is.", [("version", "1")])
        return page.finish()
    }

    @Test func theOlderFormatCallsAFamilyAsItsSamples() {
        #expect(
            Self.page(.prometheus) == """
                # HELP a_things_total Things.
                # TYPE a_things_total counter
                a_things_total{name="x\\"\\\\\\ny"} 3
                # HELP b_seconds Durations.
                # TYPE b_seconds histogram
                b_seconds_bucket{le="0.5"} 2
                b_seconds_bucket{le="1"} 3
                b_seconds_bucket{le="+Inf"} 4
                b_seconds_sum 4.35
                b_seconds_count 4
                # HELP c None.
                # TYPE c gauge
                # HELP d_info What it is.
                # TYPE d_info gauge
                d_info{version="1"} 1

                """)
    }

    @Test func theNewerFormatHasItsOwnNamesAndAnEnd() {
        let page = Self.page(.openMetrics)
        #expect(page.contains("# TYPE a_things counter\na_things_total{"))
        #expect(page.contains("b_seconds_bucket{le=\"1.0\"} 3\n"))
        #expect(page.contains("# TYPE d info\nd_info{version=\"1\"} 1\n"))
        #expect(page.hasSuffix("# EOF\n"))
    }
}
