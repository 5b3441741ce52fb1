import Model

/// How far an incident has come, and how long the rest takes if it goes on so.
public struct IncidentProgress: Sendable {
    public enum Phase: String, Sendable {
        case volumeOut = "volume out"
        /// What the volume missed is being brought.
        case filling
        /// It is in service; what was brought is being read back.
        case verifying
        case repairing
        /// Nothing is to be done; it closes when nothing comes for a while.
        case settled
        case closed
    }
    public let phase: Phase
    /// Versions to which nothing more is to happen, from 0 to 1.
    public let part: Double
    public let secondsLeft: Double?
}

/// Counts of an incident's versions, by owner, bucket and prefix.
public struct IncidentTotals: Sendable {
    public struct Group: Sendable, Equatable {
        public var versions = 0
        public var bytes: UInt64 = 0
        public var states: [EventAffectedVersion.State: Int] = [:]
        public var acknowledged = 0

        /// Versions to which nothing more is to happen.
        public var settled: Int { states.reduce(0) { $0 + ($1.key.isFinal ? $1.value : 0) } }

        mutating func add(_ line: AffectedLine) {
            versions += 1
            bytes += line.version.size
            states[line.state, default: 0] += 1
            if line.isAcknowledged { acknowledged += 1 }
        }

        mutating func add(
            _ group: EventIncidentGroup, _ wanted: Set<EventAffectedVersion.State>?, isAcknowledged: Bool
        ) {
            var added = 0
            for count in group.counts where wanted?.contains(count.state) ?? true {
                states[count.state, default: 0] += Int(count.versions)
                added += Int(count.versions)
            }
            versions += added
            // The bytes of some of the states are not kept apart: all of them, or in proportion.
            let all = group.counts.reduce(0) { $0 + $1.versions }
            if all > 0 {
                bytes += group.bytes / all * UInt64(added)
                bytes += group.bytes % all * UInt64(added) / all
            }
            acknowledged += isAcknowledged ? added : min(added, Int(group.acknowledged))
        }

        /// "3 repaired, 1 lost".
        public var words: String {
            EventAffectedVersion.State.allCases.compactMap { state in
                states[state].map { "\($0) \(state.word)" }
            }.joined(separator: ", ")
        }
    }

    public struct Owner: Sendable, Hashable {
        public let id: String
        public let name: String
    }

    public struct Prefix: Sendable, Hashable, Comparable {
        public let bucket: String
        /// With its slash; empty for keys that have none.
        public let prefix: String

        public static func == (left: Self, right: Self) -> Bool {
            left.bucket == right.bucket && left.prefix.utf8.elementsEqual(right.prefix.utf8)
        }

        public static func < (left: Self, right: Self) -> Bool {
            guard left.bucket == right.bucket else { return left.bucket < right.bucket }
            return left.prefix.utf8.lexicographicallyPrecedes(right.prefix.utf8)
        }
    }

    /// Prefixes that are counted apart. What comes under more of them is counted with its bucket alone.
    public static let prefixLimit = 10_000

    public private(set) var all = Group()
    public private(set) var owners: [Owner: Group] = [:]
    public private(set) var buckets: [String: Group] = [:]
    public private(set) var prefixes: [Prefix: Group] = [:]
    /// Of versions whose prefix is one too many.
    public private(set) var otherPrefixes = Group()
    private let prefixDepth: Int
    private var ownerNames: [String: Owner] = [:]

    /// - Parameter prefixDepth: parts of a key that make its prefix; 0 for none.
    public init(prefixDepth: Int) { self.prefixDepth = prefixDepth }

    public mutating func add(_ line: AffectedLine) {
        all.add(line)
        // A user who was renamed is one owner.
        let owner = ownerNames[line.version.owner] ?? Owner(id: line.version.owner, name: line.ownerName)
        ownerNames[line.version.owner] = owner
        owners[owner, default: Group()].add(line)
        buckets[line.version.bucket, default: Group()].add(line)
        guard prefixDepth > 0 else { return }
        let prefix = Prefix(
            bucket: line.version.bucket, prefix: Self.prefix(of: line.version.key, depth: prefixDepth))
        if prefixes[prefix] == nil, prefixes.count >= Self.prefixLimit {
            otherPrefixes.add(line)
        } else {
            prefixes[prefix, default: Group()].add(line)
        }
    }

    /// Versions that were counted when the incident was closed.
    mutating func add(
        _ group: EventIncidentGroup, states: Set<EventAffectedVersion.State>?, isAcknowledged: Bool
    ) {
        all.add(group, states, isAcknowledged: isAcknowledged)
        guard !group.bucket.isEmpty else { return }  // of many owners and buckets
        let name = group.ownerDisplayName.isEmpty ? group.owner : group.ownerDisplayName
        let owner = ownerNames[group.owner] ?? Owner(id: group.owner, name: name)
        ownerNames[group.owner] = owner
        owners[owner, default: Group()].add(group, states, isAcknowledged: isAcknowledged)
        buckets[group.bucket, default: Group()].add(group, states, isAcknowledged: isAcknowledged)
    }

    /// Takes the counts of all, of owners and of buckets from others, and keeps its own of prefixes.
    mutating func take(_ other: IncidentTotals) {
        (all, owners, buckets) = (other.all, other.owners, other.buckets)
        ownerNames = other.ownerNames
    }

    /// A key up to and with its slash number `depth`, or its last where it has fewer.
    public static func prefix(of key: String, depth: Int) -> String {
        var end: String.UTF8View.Index?
        var count = 0
        for index in key.utf8.indices where key.utf8[index] == UInt8(ascii: "/") {
            end = key.utf8.index(after: index)
            count += 1
            if count == depth { break }
        }
        return end.map { String(decoding: key.utf8[..<$0], as: UTF8.self) } ?? ""
    }
}
