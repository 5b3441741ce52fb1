import Integrity
import Synchronization
import Testing

/// Several readers of one count of requests.
@Suite struct LatencyReaderTests {
    private final class Requests: Sendable {
        private let counts = Mutex(LatencyCounts())
        func answer(_ nanoseconds: UInt64...) {
            for time in nanoseconds { counts.withLock { $0.add(nanoseconds: time) } }
        }
        var total: LatencyCounts { counts.withLock { $0 } }
    }

    private func counts(_ nanoseconds: UInt64...) -> LatencyCounts {
        var counts = LatencyCounts()
        for time in nanoseconds { counts.add(nanoseconds: time) }
        return counts
    }

    @Test func eachReaderIsToldOfEveryRequest() {
        let requests = Requests()
        let scrub = LatencyReader { requests.total }
        let snapshot = LatencyReader { requests.total }
        requests.answer(1000, 2000)
        #expect(scrub.take() == counts(1000, 2000))
        requests.answer(5_000_000)
        #expect(scrub.take() == counts(5_000_000))
        #expect(snapshot.take() == counts(1000, 2000, 5_000_000))
        #expect(scrub.take() == LatencyCounts())
    }

    @Test func aReaderBeginsBehindWhatIsPast() {
        let requests = Requests()
        requests.answer(1000)
        let reader = LatencyReader { requests.total }
        #expect(reader.take().count == 0)
        requests.answer(3000)
        #expect(reader.take() == counts(3000))
    }
}
