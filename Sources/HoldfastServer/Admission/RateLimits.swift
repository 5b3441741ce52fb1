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
/// A key is the one that a request claims: the signature is checked later, which is work. What a request took is given back if
/// its signature turns out wrong, so that nobody uses up another's rate for longer than a request takes. Requests without
/// a signature share one bucket, that of the empty key.
package final class RateLimits: Sendable {
    /// Whom a request was counted for.
    package struct Charge: Sendable {
        let key: String?
        let bucket: String?
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
            if let keyPlace { state.keys.take(keyPlace, requests: 1, bytes: byteCount, at: now) }
            if let bucketPlace { state.buckets.take(bucketPlace, requests: 1, bytes: byteCount, at: now) }
            return .allowed(
                Charge(key: keyPlace == nil ? nil : key, bucket: bucketPlace == nil ? nil : bucket))
        }
    }

    /// Counts the bytes of an answer.
    package func spend(_ byteCount: Int, _ charge: Charge, at now: NIODeadline) {
        guard byteCount > 0 else { return }
        state.withLock { state in
            // Who was forgotten meanwhile is not made again for it.
            if let place = charge.key.flatMap({ state.keys.known($0) }) {
                state.keys.take(place, requests: 0, bytes: byteCount, at: now)
            }
            if let place = charge.bucket.flatMap({ state.buckets.known($0) }) {
                state.buckets.take(place, requests: 0, bytes: byteCount, at: now)
            }
        }
    }

    /// The sender was not who they claimed to be.
    /// - Parameter byteCount: as it was asked with.
    package func giveBack(_ charge: Charge, byteCount: Int) {
        state.withLock { state in
            if let place = charge.key.flatMap({ state.keys.known($0) }) {
                state.keys.giveBack(place, bytes: byteCount)
            }
            if let place = charge.bucket.flatMap({ state.buckets.known($0) }) {
                state.buckets.giveBack(place, bytes: byteCount)
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

    mutating func take(_ place: Int, requests: Int, bytes: Int, at now: NIODeadline) {
        if requests > 0 { entries[place].requests?.take(Double(requests), at: now) }
        if bytes > 0 { entries[place].bytes?.take(Double(bytes), at: now) }
    }

    mutating func giveBack(_ place: Int, bytes: Int) {
        entries[place].requests?.giveBack(1)
        if bytes > 0 { entries[place].bytes?.giveBack(Double(bytes)) }
    }
}
