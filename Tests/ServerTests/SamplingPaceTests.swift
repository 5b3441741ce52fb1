import HoldfastServer
import Logging
import Synchronization
import Testing

/// Looks at what is counted page by page.
@Suite struct SamplingPaceTests {
    private struct Failure: Error {}

    @Test func aLookThatFailsIsMadeAgainAndOneThatIsCancelledIsTheLast() async {
        let looks = Mutex(0)
        let pages = Mutex(0)
        let task = Task {
            await SamplingPace.repeat(every: .zero, "counting", Logger(label: "test")) { pace in
                let look = looks.withLock { count in
                    count += 1
                    return count
                }
                try pace.rest()
                pages.withLock { $0 += 1 }
                if look == 1 { throw Failure() }
                withUnsafeCurrentTask { $0?.cancel() }
                try pace.rest()
                pages.withLock { $0 += 1 }
            }
        }
        await task.value
        #expect(looks.withLock { $0 } == 2)
        #expect(pages.withLock { $0 } == 2, "what is cancelled goes on to no further page")
    }
}
