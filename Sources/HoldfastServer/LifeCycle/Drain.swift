import Synchronization

/// How a server is to stop: for how long it says that it will, before it takes no more connections, and how long what
/// is under way may take then.
public final class Drain: Sendable {
    /// How often is looked whether what is waited for has come.
    private static let interval = Duration.milliseconds(5)

    let delay: Duration
    let deadline: Duration
    private let hurries = Atomic<Bool>(false)

    /// - Parameters:
    ///   - delay: readiness is false, requests are answered, and nobody is turned away.
    ///   - deadline: from then on, for the requests that are under way.
    public init(delay: Duration, deadline: Duration) {
        self.delay = delay
        self.deadline = deadline
    }

    /// Nothing is waited for any more: what is under way is cut off, and the store closed as it should be.
    public func hurry() { hurries.store(true, ordering: .relaxed) }

    /// Returns when `condition` holds, when `duration` has passed, or when there is a hurry.
    func wait(atMost duration: Duration, until condition: () -> Bool = { false }) async {
        let end = ContinuousClock.now + duration
        while !condition(), ContinuousClock.now < end, !hurries.load(ordering: .relaxed) {
            // Nobody cancels who stops a server; if someone did, the wait would only end sooner.
            guard (try? await Task.sleep(for: Self.interval)) != nil else { return }
        }
    }
}
