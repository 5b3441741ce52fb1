import Model
import Synchronization

/// Payloads of small objects that are read again and again, in memory.
///
/// **It cannot be stale.** The catalog decides, for each request, which version is meant, and so which event carries its
/// bytes; the cache is asked for the bytes of that event, which never change. What it has was verified against its checksum
/// when it was read. An event of the log about a key drops what is there of it, which makes room sooner.
///
/// It is not asked where the point is what the volumes hold: by checks, by reads of one volume, for versions that were
/// declared lost. A replica that went bad since is not noticed by a read that the cache answers; the scrub finds it.
///
/// A payload gets in when it is missed for the second time within some thousand others, so that a pass over everything leaves
/// the cache as it is. Who goes when it is full, is decided by going round: what was asked for since the last round stays once more.
///
/// Source: the "clock" with one bit of reference, Corbató, "A Paging Experiment with the Multics System", 1968; a filter of
/// what was seen once before it as in TinyLFU's doorkeeper, Einziger, Friedman and Manes, 2017.
public final class PayloadCache: Sendable {
    /// What the cache has been doing.
    public struct Counts: Sendable {
        public internal(set) var hits: UInt64 = 0
        public internal(set) var misses: UInt64 = 0
        public internal(set) var evictions: UInt64 = 0
        public internal(set) var invalidations: UInt64 = 0
        public internal(set) var byteCount = 0
        public let byteLimit: Int
    }

    /// What a key's payloads are found by.
    package struct Name: Sendable, Hashable {
        fileprivate let hash: UInt64

        package init(bucket: String, key: String) {
            var hasher = Hasher()
            hasher.combine(bucket)
            hasher.combine(key)
            hash = UInt64(bitPattern: Int64(hasher.finalize()))
        }
    }

    package enum Answer: Sendable {
        case found([UInt8])
        /// - Parameter isWanted: whether it is to be put in when it was read.
        case missing(isWanted: Bool)
    }

    private struct Entry {
        let sequence: SequenceNumber
        let bytes: [UInt8]
        var wasUsed = false
    }

    private struct Shard {
        /// What there is of each key; hardly ever more than one version.
        var entries: [Name: [Entry]] = [:]
        /// The round, by keys. One that was dropped stays in it until its turn comes.
        var round: [Name] = []
        var hand = 0
        /// Of what was missed of late, by a part of its hash.
        var seen = [UInt32](repeating: 0, count: PayloadCache.seenCount)
        var counts: Counts
    }

    private final class Part: Sendable {
        let shard: Mutex<Shard>
        init(_ limit: Int) { shard = Mutex(Shard(counts: Counts(byteLimit: limit))) }
    }

    private static let partCount = 16
    fileprivate static let seenCount = 1024
    /// What an entry takes besides its bytes, about.
    private static let overhead = 160

    private let parts: [Part]

    /// - Parameter byteLimit: memory that it takes.
    package init(byteLimit: Int) {
        parts = (0..<Self.partCount).map { _ in Part(byteLimit / Self.partCount) }
    }

    private func part(_ name: Name) -> Part { parts[Int(name.hash >> 56) & (Self.partCount - 1)] }

    package func payload(of sequence: SequenceNumber, _ name: Name) -> Answer {
        part(name).shard.withLock { shard in
            if let place = shard.entries[name]?.firstIndex(where: { $0.sequence == sequence }) {
                shard.counts.hits += 1
                // Nothing is written where nothing changes: an entry of a hot key is read by many.
                if shard.entries[name]?[place].wasUsed == false {
                    shard.entries[name]?[place].wasUsed = true
                }
                guard let entry = shard.entries[name]?[place] else {
                    preconditionFailure("the entry was just found")
                }
                return .found(entry.bytes)
            }
            shard.counts.misses += 1
            // Spread, so that two versions in a row have different marks.
            let spread = sequence.rawValue &* 0x9E37_79B9_7F4A_7C15
            let mark = UInt32(truncatingIfNeeded: (name.hash ^ spread) >> 16)
            let place = Int((name.hash >> 32) & UInt64(Self.seenCount - 1))
            let isSecond = shard.seen[place] == mark
            shard.seen[place] = mark
            return .missing(isWanted: isSecond)
        }
    }

    /// Puts in a payload that was read and verified.
    package func insert(_ bytes: [UInt8], of sequence: SequenceNumber, _ name: Name) {
        let cost = bytes.count + Self.overhead
        part(name).shard.withLock { shard in
            guard cost <= shard.counts.byteLimit else { return }
            guard shard.entries[name]?.contains(where: { $0.sequence == sequence }) != true else { return }
            Self.makeRoom(for: cost, &shard)
            if shard.entries[name] == nil { shard.round.append(name) }
            shard.entries[name, default: []].append(Entry(sequence: sequence, bytes: bytes))
            shard.counts.byteCount += cost
            Self.tidy(&shard)
        }
    }

    private static func makeRoom(for cost: Int, _ shard: inout Shard) {
        while shard.counts.byteCount + cost > shard.counts.byteLimit, !shard.round.isEmpty {
            if shard.hand >= shard.round.count { shard.hand = 0 }
            let name = shard.round[shard.hand]
            if var entries = shard.entries[name] {
                if entries.contains(where: { $0.wasUsed }) {
                    for index in entries.indices { entries[index].wasUsed = false }
                    shard.entries[name] = entries
                    shard.hand += 1
                    continue
                }
                shard.counts.evictions += UInt64(remove(name, &shard))
            }
            shard.round.swapAt(shard.hand, shard.round.count - 1)
            shard.round.removeLast()
        }
    }

    /// Keys that were dropped and came again stand twice in the round: it is made afresh before it is long.
    private static func tidy(_ shard: inout Shard) {
        guard shard.round.count > 2 * shard.entries.count + 64 else { return }
        shard.round = Array(shard.entries.keys)
        shard.hand = 0
    }

    /// - Returns: how many there were.
    private static func remove(_ name: Name, _ shard: inout Shard) -> Int {
        guard let entries = shard.entries.removeValue(forKey: name) else { return 0 }
        shard.counts.byteCount -= entries.reduce(0) { $0 + $1.bytes.count + overhead }
        return entries.count
    }

    /// Something was recorded about a key.
    package func drop(_ name: Name) {
        part(name).shard.withLock { shard in
            shard.counts.invalidations += UInt64(Self.remove(name, &shard))
        }
    }

    /// Drops what an event is about, if it is about a key.
    package func follow(_ record: EventRecord) {
        switch record.change {
        case .versionPublished(let change): drop(Name(bucket: change.bucket, key: change.key))
        case .versionRemoved(let change): drop(Name(bucket: change.bucket, key: change.key))
        case .versionAmended(let change): drop(Name(bucket: change.bucket, key: change.key))
        case .findingRecorded(let change):
            drop(Name(bucket: change.finding.bucket, key: change.finding.key))
        default: break
        }
    }

    public var counts: Counts {
        var all = Counts(byteLimit: 0)
        for part in parts {
            let counts = part.shard.withLock { $0.counts }
            all = Counts(
                hits: all.hits + counts.hits, misses: all.misses + counts.misses,
                evictions: all.evictions + counts.evictions,
                invalidations: all.invalidations + counts.invalidations,
                byteCount: all.byteCount + counts.byteCount, byteLimit: all.byteLimit + counts.byteLimit)
        }
        return all
    }
}
