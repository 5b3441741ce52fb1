import Synchronization

/// How a server is to stop: for how long it says that it will, before it takes no more connections, and how long what
/// is under way may take then.
public final class Drain: Sendable {
    /// How often is looked whether what is waited for has come.
    private static let interval = Duration.milliseconds(5)

    let delay: Duration
    let deadline: Duration
    /// How long a connection may be silent. A client may be sending its next request just as the connection is closed, and
    /// would have no answer: who is silent for so long hardly is. Each request that does come is answered, with
    /// `Connection: close`.
    let silence: Duration
    private let hurries = Atomic<Bool>(false)

    /// - Parameters:
    ///   - delay: readiness is false, requests are answered, and nobody is turned away.
    ///   - deadline: from then on, for the requests that are under way.
    ///   - silence: of a connection that has been used, before it is closed.
    public init(delay: Duration, deadline: Duration, silence: Duration = .milliseconds(500)) {
        self.delay = delay
        self.deadline = deadline
        self.silence = silence
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
