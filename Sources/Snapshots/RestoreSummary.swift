import Model

/// What a restore came to: counts of outcomes, in all and for each owner. The command prints it, and the event that
/// ends the restore keeps it.
public struct RestoreSummary: Encodable, Sendable {
    public struct Count: Codable, Sendable, Equatable {
        public var restored = 0
        public var restoredBytes: UInt64 = 0
        public var present = 0
        public var newer = 0
        public var failed = 0
        /// How many of all these are parts of unfinished uploads.
        public var parts = 0

        public init() {}

        mutating func add(_ outcome: RestoreOutcome) {
            switch outcome.action {
            case .restored:
                restored += 1
                restoredBytes += outcome.size
            case .present: present += 1
            case .newer: newer += 1
            case .failed: failed += 1
            }
            if outcome.part != nil { parts += 1 }
        }

        static func += (left: inout Count, right: Count) {
            left.restored += right.restored
            left.restoredBytes += right.restoredBytes
            left.present += right.present
            left.newer += right.newer
            left.failed += right.failed
            left.parts += right.parts
        }
    }

    /// An owner is who has the canonical id, whatever the name was when a version was written.
    struct Account: Sendable, Equatable {
        let id: String
        var name: String
        var count = Count()
    }

    public private(set) var total = Count()
    private var accounts: [String: Account] = [:]
    /// Why the store's log does not say how the restore came out; `nil` if it does, and for a dry run.
    public internal(set) var unnoted: String?

    package init() {}

    package mutating func add(_ outcome: RestoreOutcome) {
        total.add(outcome)
        var account = accounts[outcome.ownerID] ?? Account(id: outcome.ownerID, name: outcome.owner)
        if account.name.isEmpty { account.name = outcome.owner }
        account.count.add(outcome)
        accounts[outcome.ownerID] = account
    }

    /// Owners by their names; where several have the same one, by name and canonical id.
    public var owners: [String: Count] {
        let named = Dictionary(grouping: accounts.values) { $0.name.isEmpty ? $0.id : $0.name }
        var counts: [String: Count] = [:]
        for (name, accounts) in named {
            for account in accounts {
                counts[accounts.count == 1 ? name : "\(name) (\(account.id))"] = account.count
            }
        }
        return counts
    }

    /// Who has the most to be told first: by what failed, then by what was restored, then by name.
    var ordered: [Account] {
        accounts.values.sorted { left, right in
            let (first, second) = (left.count, right.count)
            if first.failed != second.failed { return first.failed > second.failed }
            if first.restored != second.restored { return first.restored > second.restored }
            return (left.name, left.id) < (right.name, right.id)
        }
    }

    private enum CodingKeys: String, CodingKey { case total, owners, unnoted }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(total, forKey: .total)
        try fields.encode(owners, forKey: .owners)
        try fields.encodeIfPresent(unnoted, forKey: .unnoted)
    }
}

extension EventRestoreEnded {
    /// Owners that one event keeps apart; the rest are one account more.
    package static let ownerLimit = 1000
    /// Characters of a name that somebody else chose: an event has 4 MiB of room, and these are 2 MiB at most.
    private static let nameLimit = 256
    private static let wordLimit = 4096

    package init(
        _ order: RestoreOrder, _ summary: RestoreSummary, repository: String?, asOf sequence: SequenceNumber,
        began: Timestamp
    ) {
        self.init()
        if case .snapshot(let name, _) = order.source {
            self.repository = repository ?? ""
            snapshot = name
        }
        self.sequence = sequence.rawValue
        unit = Self.cut(order.unit.words, Self.wordLimit)
        (target, targetName) =
            switch (order.into, order.folder) {
            case (_, let folder?): (.directory, Self.cut(folder, Self.wordLimit))
            case (let bucket?, nil): (.bucket, Self.cut(bucket, Self.wordLimit))
            case (nil, nil): (.inPlace, "")
            }
        overwrites = order.overwrites
        incident = order.unit.incident ?? 0
        beganMicroseconds = began.microseconds
        complete = summary.total.failed == 0
        total = Self.account(summary.total)
        let accounts = summary.ordered
        owners = accounts.prefix(Self.ownerLimit).map {
            var account = Self.account($0.count)
            account.owner = Self.cut($0.id, Self.nameLimit)
            account.ownerDisplayName = Self.cut($0.name, Self.nameLimit)
            return account
        }
        let rest = accounts.dropFirst(Self.ownerLimit)
        guard !rest.isEmpty else { return }
        furtherOwners = UInt64(rest.count)
        further = Self.account(rest.reduce(into: RestoreSummary.Count()) { $0 += $1.count })
    }

    private static func account(_ count: RestoreSummary.Count) -> EventRestoreAccount {
        var account = EventRestoreAccount()
        account.restored = UInt64(count.restored)
        account.restoredBytes = count.restoredBytes
        account.present = UInt64(count.present)
        account.newer = UInt64(count.newer)
        account.failed = UInt64(count.failed)
        return account
    }

    private static func cut(_ text: String, _ count: Int) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(count)))
    }
}
