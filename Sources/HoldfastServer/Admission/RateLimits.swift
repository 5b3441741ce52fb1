import NIOCore
import Synchronization

/// How much may be asked for in a second.
package struct RateLimit: Sendable, Equatable {
    /// Requests a second; `nil` for any number.
    package var requests: Double?
    /// Requests at once, after a time without any; as many as in a second, and one at least, where nothing is said.
    package var burst: Double?
    /// Bytes of bodies a second, of requests and answers; `nil` for any number.
    package var bytes: Double?

    package init(requests: Double? = nil, burst: Double? = nil, bytes: Double? = nil) {
        self.requests = requests
        self.burst = burst
        self.bytes = bytes
    }
}

/// The rates that access keys and buckets may ask at.
///
/// A key is the one that a request claims: the signature is checked later, which is work. What a request took is given back
/// unless it turns out to be from the key's holder, so that nobody uses up another's rate for longer than a request takes.
/// Requests without a signature share one bucket, that of the empty key.
///
/// Of a body no more is taken beforehand than comes in a second, whatever it is announced as, for anybody may announce
/// anything. When the request is over, what was really received and sent is counted in place of that.
package final class RateLimits: Sendable {
    /// Whom a request was counted for.
    package struct Charge: Sendable {
        let key: String?
        let bucket: String?
        /// Bytes that were taken of each beforehand.
        fileprivate var keyBytes = 0
        fileprivate var bucketBytes = 0
    }

    /// What a request came to.
    package struct Outcome: Sendable {
        /// Of its body and its answer's, as many as moved.
        package var byteCount = 0
        /// It was not shown to be from the holder of the key that it was counted for.
        package var isForeign = false
        package var wasRefused = false

        package init(byteCount: Int = 0, isForeign: Bool = false, wasRefused: Bool = false) {
            self.byteCount = byteCount
            self.isForeign = isForeign
            self.wasRefused = wasRefused
        }

        /// Nothing was done for it.
        package static let nothing = Outcome(isForeign: true, wasRefused: true)
    }

    package enum Answer: Sendable {
        case allowed(Charge?)
        case refused(RefusalReason, retryAfter: TimeAmount)
    }

    private struct State {
        var keys: RateTable
        var buckets: RateTable
    }

    private let state: Mutex<State>

    /// - Parameter capacity: keys, and buckets, that are tracked at most.
    package init(_ settings: RateLimitSettings, capacity: Int = 10_000) {
        state = Mutex(
            State(
                keys: RateTable(settings.eachKey, settings.keys, capacity: capacity),
                buckets: RateTable(settings.eachBucket, settings.buckets, capacity: capacity)))
    }

    /// Counts a request, if its key and its bucket both have something left.
    /// - Parameter byteCount: of its body, as announced.
    package func ask(key: String, bucket: String, byteCount: Int, at now: NIODeadline) -> Answer {
        state.withLock { state in
            let keyPlace = state.keys.place(of: key, at: now)
            let bucketPlace = bucket.isEmpty ? nil : state.buckets.place(of: bucket, at: now)
            guard keyPlace != nil || bucketPlace != nil else { return .allowed(nil) }
            if let keyPlace {
                let wait = state.keys.wait(keyPlace, at: now)
                guard wait == .zero else { return .refused(.keyRate, retryAfter: wait) }
            }
            if let bucketPlace {
                let wait = state.buckets.wait(bucketPlace, at: now)
                guard wait == .zero else { return .refused(.bucketRate, retryAfter: wait) }
            }
            var charge = Charge(key: keyPlace == nil ? nil : key, bucket: bucketPlace == nil ? nil : bucket)
            if let keyPlace { charge.keyBytes = state.keys.take(keyPlace, bytes: byteCount, at: now) }
            if let bucketPlace {
                charge.bucketBytes = state.buckets.take(bucketPlace, bytes: byteCount, at: now)
            }
            return .allowed(charge)
        }
    }

    /// The request is over: what it came to is counted, and not what it was taken for.
    ///
    /// The holder of a key pays nothing for what others do in its name. A bucket pays for the bytes that moved, whoever
    /// sent them, and for no more.
    package func settle(_ charge: Charge, _ outcome: Outcome, at now: NIODeadline) {
        state.withLock { state in
            // Who was forgotten meanwhile is not made again for it.
            if let place = charge.key.flatMap({ state.keys.known($0) }) {
                if outcome.isForeign { state.keys.giveBackRequest(place) }
                let spent = outcome.isForeign ? 0 : outcome.byteCount
                state.keys.spend(place, bytes: spent - charge.keyBytes, at: now)
            }
            if let place = charge.bucket.flatMap({ state.buckets.known($0) }) {
                if outcome.isForeign, outcome.wasRefused { state.buckets.giveBackRequest(place) }
                state.buckets.spend(place, bytes: outcome.byteCount - charge.bucketBytes, at: now)
            }
        }
    }

    package var tracked: (keys: Int, buckets: Int) {
        state.withLock { ($0.keys.count, $0.buckets.count) }
    }
}

/// Token buckets by name, so many at most: who comes when it is full takes the place of one of those that were not heard of
/// for long. Names that the settings name stay.
struct RateTable: Sendable {
    private struct Entry {
        let name: String
        let isNamed: Bool
        var requests: TokenBucket?
        var bytes: TokenBucket?
        var used: NIODeadline
    }

    /// Of so many the one that was not heard of for longest goes.
    private static let sampleCount = 16

    private let each: RateLimit?
    private let named: [String: RateLimit]
    private let capacity: Int
    private var entries: [Entry] = []
    private var places: [String: Int] = [:]

    /// - Parameters:
    ///   - each: for names that `named` has not; `nil` for no limit.
    ///   - capacity: besides those that are named.
    init(_ each: RateLimit?, _ named: [String: RateLimit], capacity: Int) {
        precondition(capacity > 0, "somebody can be tracked")
        self.each = each
        self.named = named
        self.capacity = capacity + named.count
    }

    var count: Int { entries.count }

    func known(_ name: String) -> Int? { places[name] }

    /// `nil` for who has no limit. Good until the next call of this.
    mutating func place(of name: String, at now: NIODeadline) -> Int? {
        if let place = places[name] {
            entries[place].used = now
            return place
        }
        guard let limit = named[name] ?? each else { return nil }
        if entries.count >= capacity { evict() }
        let entry = Entry(
            name: name, isNamed: named[name] != nil,
            requests: limit.requests.map {
                TokenBucket(rate: $0, burst: max(1, limit.burst ?? $0), at: now)
            },
            bytes: limit.bytes.map { TokenBucket(rate: $0, burst: $0, at: now) }, used: now)
        places[name] = entries.count
        entries.append(entry)
        return entries.count - 1
    }

    private mutating func evict() {
        var victim: Int?
        // As many named ones as there are cannot keep it from finding another.
        while victim == nil {
            for _ in 0..<Self.sampleCount {
                let place = Int.random(in: entries.indices)
                guard !entries[place].isNamed else { continue }
                if let known = victim, entries[known].used <= entries[place].used { continue }
                victim = place
            }
        }
        guard let victim else { preconditionFailure("a victim was found") }
        places[entries[victim].name] = nil
        let last = entries.removeLast()
        if victim < entries.count {
            entries[victim] = last
            places[last.name] = victim
        }
    }

    mutating func wait(_ place: Int, at now: NIODeadline) -> TimeAmount {
        let requests = entries[place].requests?.wait(for: 1, at: now) ?? .zero
        // Any are enough: what is taken may exceed what is there.
        let bytes = entries[place].bytes?.wait(for: 1, at: now) ?? .zero
        return max(requests, bytes)
    }

    /// Takes a request.
    /// - Parameter bytes: of its body, as announced.
    /// - Returns: how many bytes were taken: no more than the bucket holds when it is full.
    mutating func take(_ place: Int, bytes: Int, at now: NIODeadline) -> Int {
        entries[place].requests?.take(1, at: now)
        guard bytes > 0, let burst = entries[place].bytes?.burst else { return 0 }
        let count = Int(min(Double(bytes), burst))
        entries[place].bytes?.take(Double(count), at: now)
        return count
    }

    /// - Parameter bytes: below 0 for bytes that are given back.
    mutating func spend(_ place: Int, bytes: Int, at now: NIODeadline) {
        if bytes > 0 { entries[place].bytes?.take(Double(bytes), at: now) }
        if bytes < 0 { entries[place].bytes?.giveBack(Double(-bytes)) }
    }

    mutating func giveBackRequest(_ place: Int) { entries[place].requests?.giveBack(1) }
}
