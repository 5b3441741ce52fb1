import Catalog
import EventLog
import Model
import Synchronization

/// How many bytes of each segment of the log are payloads that nothing refers to and that neither history nor a reader sees.
///
/// A segment is written afresh only when enough of it is dead, so much that is dead stays for now, and for good where its
/// segment never comes to that. Each payload is counted once, in the order in which they died: a look for segments that are
/// worth it costs what died since the last one. A process that begins counts all of them once.
final class DeadPayloads: Sendable {
    private struct State {
        /// The last one that was counted.
        var counted = DeadPayload.Place.none
        var byteCounts: [SequenceNumber: Int] = [:]
    }

    /// Each is looked up in the table: on a cold disk a page takes its time.
    private static let pageCount = 1024

    private let state = Mutex(State())

    /// Counts what neither history nor a reader sees any more.
    /// - Parameters:
    ///   - pin: the event before which a payload has to have died, and `time` the time.
    ///   - rests: how many times as long as a page took it rests behind it: requests are not to feel the first count of a process.
    /// - Throws: if the catalog cannot be read, and `CancellationError`.
    func count(
        _ catalog: Catalog, _ log: EventLog, diedBefore pin: SequenceNumber, _ time: Timestamp, rests: Int
    ) async throws {
        while true {
            let begin = ContinuousClock.now
            let last = state.withLock { $0.counted }
            let page = try catalog.read {
                try $0.deadPayloads(after: last, diedBefore: pin, time, limit: Self.pageCount)
            }
            let segments = log.segments(of: page.map(\.place.sequence))
            state.withLock { state in
                // Another may have counted the page meanwhile.
                guard state.counted == last, let end = page.last else { return }
                for (payload, segment) in zip(page, segments) {
                    state.byteCounts[segment, default: 0] += payload.length
                }
                state.counted = end.place
            }
            guard page.count == Self.pageCount else { return }
            try await Task.sleep(for: (ContinuousClock.now - begin) * rests)
        }
    }

    /// Segments with at least so many bytes of them, in their order, each by its first event.
    /// - Returns: also the last payload that was counted.
    func segments(
        ofAtLeast least: Int
    ) -> (segments: [(first: SequenceNumber, byteCount: Int)], last: DeadPayload.Place) {
        state.withLock { state in
            let found = state.byteCounts.filter { $0.value >= least }.map { ($0.key, $0.value) }
            return (found.sorted { $0.0 < $1.0 }, state.counted)
        }
    }

    /// The catalog's rows are other ones now: all are counted again.
    func forget() { state.withLock { $0 = State() } }

    /// So many bytes of a segment are planned to go, or have gone: what only a reader sees again stays counted.
    func take(_ byteCount: Int, from first: SequenceNumber) {
        state.withLock { state in
            let left = state.byteCounts[first, default: 0] - byteCount
            state.byteCounts[first] = left > 0 ? left : nil
        }
    }
}
