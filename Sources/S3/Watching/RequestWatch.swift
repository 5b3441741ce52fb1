import Foundation
import HTTPTypes
import Model
import Synchronization

/// What the protocol tells of a request while it works at it, for a log of requests and for tracing: who sent it, what
/// it is about, and how long each step took. A request that nobody watches has none, which costs it a comparison for
/// each step.
public final class RequestWatch: Sendable {
    /// A step of the work. Times are nanoseconds since 1970.
    public struct Span: Sendable {
        public let name: String
        public let start: UInt64
        public var end: UInt64
        /// What it failed of; `nil` if it did not.
        public var failure: String?
    }

    private struct State {
        var spans: [Span] = []
        var userID: String?
        var requestID: String?
        var bucket: String?
        var key: String?
        var versionID: String?
    }

    /// Steps that are noted: a request has few, but may delete a thousand keys.
    public static let spanLimit = 32

    /// Of the clock that spans are read from, and of the one that knows the date, at the same moment.
    private let origin: (clock: ContinuousClock.Instant, nanoseconds: UInt64)
    private let state = Mutex(State())

    /// Whatever the watcher keeps beside, set before the request is worked at.
    public let companion: (any Sendable)?

    public init(companion: (any Sendable)? = nil) {
        self.companion = companion
        origin = (ContinuousClock.now, Timestamp.now().microseconds * 1000)
    }

    /// When the request came in, in nanoseconds since 1970.
    public var start: UInt64 { origin.nanoseconds }

    public var now: UInt64 {
        let (seconds, attoseconds) = (ContinuousClock.now - origin.clock).components
        return origin.nanoseconds + UInt64(max(0, seconds)) * 1_000_000_000
            + UInt64(max(0, attoseconds) / 1_000_000_000)
    }

    public var spans: [Span] { state.withLock { $0.spans } }
    /// The sender's canonical id; `nil` for anonymous requests, and where it is not known.
    public var userID: String? { state.withLock { $0.userID } }
    public var requestID: String? { state.withLock { $0.requestID } }
    public var bucket: String? { state.withLock { $0.bucket } }
    public var key: String? { state.withLock { $0.key } }
    public var versionID: String? { state.withLock { $0.versionID } }

    func isFrom(_ identity: Identity) {
        guard !identity.isAnonymous else { return }
        state.withLock { $0.userID = identity.userID }
    }

    func isCalled(_ requestID: String) { state.withLock { $0.requestID = requestID } }

    func isAbout(_ target: RequestTarget) {
        state.withLock {
            $0.bucket = target.bucket
            $0.key = target.key
            $0.versionID = target.query["versionId"]
        }
    }

    /// Notes a step that began at `start`, a value of ``now``.
    public func step(_ name: String, since start: UInt64, failure: String? = nil) {
        let span = Span(name: name, start: start, end: now, failure: failure)
        state.withLock { if $0.spans.count < Self.spanLimit { $0.spans.append(span) } }
    }
}

/// A step that is under way.
public struct WatchedStep: Sendable {
    private let watch: RequestWatch
    private let name: String
    private let start: UInt64

    init(_ watch: RequestWatch, _ name: String) {
        self.watch = watch
        self.name = name
        start = watch.now
    }

    public func end() { watch.step(name, since: start) }

    /// Only that it failed and how it is called: what an error says may be a client's own words.
    public func fail(_ error: any Error) { watch.step(name, since: start, failure: S3Error(error).code.name) }
}

extension RequestWatch {
    public func begin(_ name: String) -> WatchedStep { WatchedStep(self, name) }

    /// Steps, by the names that traces have for them.
    public enum Step {
        /// Finding out who sent the request, and that it was not changed.
        public static let signature = "signature"
        /// Looking up in the catalog what the request is about, and whether its sender may.
        public static let catalog = "catalog"
        /// Taking the bytes in, and writing them to every volume as they come; or reading them.
        public static let volumes = "volumes"
        /// From asking for the commit to its being durable.
        public static let commit = "commit"
    }
}

extension Optional where Wrapped == RequestWatch {
    /// Carries out a step, and notes how long it took if somebody watches.
    func step<Value>(_ name: String, _ body: () throws -> Value) rethrows -> Value {
        guard let self else { return try body() }
        let step = self.begin(name)
        do {
            let value = try body()
            step.end()
            return value
        } catch {
            step.fail(error)
            throw error
        }
    }
}
