/// Waits for what may not end.
enum Grace {
    /// Returns when `body` has, or when the time is over; `body` goes on then, and nobody waits for it.
    /// - Returns: whether it has ended.
    static func wait(atMost time: Duration, for body: @escaping @Sendable () async -> Void) async -> Bool {
        let first = AsyncStream.makeStream(of: Bool.self, bufferingPolicy: .bufferingOldest(1))
        let work = Task {
            await body()
            first.continuation.yield(true)
        }
        let clock = Task {
            // Cancelled, it has nothing to tell.
            guard (try? await Task.sleep(for: time)) != nil else { return }
            first.continuation.yield(false)
        }
        defer { clock.cancel() }
        var results = first.stream.makeAsyncIterator()
        let hasEnded = await results.next() ?? false
        if !hasEnded { work.cancel() }
        return hasEnded
    }
}
