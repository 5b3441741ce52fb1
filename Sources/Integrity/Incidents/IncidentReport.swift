import Catalog
import Foundation
import Model
import ObjectStore

/// A version that an incident affects, as reports name it.
public struct AffectedLine: Sendable {
    public let version: EventAffectedVersion
    /// `nil` where the state is computed.
    public let changed: Timestamp?
    public let isAcknowledged: Bool

    public var state: EventAffectedVersion.State { version.state }
    /// As requests name it.
    public var wireVersionID: String {
        version.nullVersion ? "null" : Array(version.versionID).hexadecimal
    }
    /// For people: the name, else the id.
    public var ownerName: String {
        version.ownerDisplayName.isEmpty ? version.owner : version.ownerDisplayName
    }
}

/// Which of an incident's versions are meant.
public struct IncidentScope: Sendable {
    /// Canonical ids or names.
    public var owners: Set<String>?
    public var states: Set<EventAffectedVersion.State>?

    public init(owners: Set<String>? = nil, states: Set<EventAffectedVersion.State>? = nil) {
        self.owners = owners
        self.states = states
    }

    func holds(_ version: EventAffectedVersion) -> Bool {
        if let owners, !owners.contains(version.owner), !owners.contains(version.ownerDisplayName) {
            return false
        }
        return states?.contains(version.state) ?? true
    }
}

/// Why nothing can be said of an incident.
public enum IncidentRefusal: Error, Sendable, CustomStringConvertible {
    case noSuchIncident(UInt64)
    case nothingAffected(String)

    public var description: String {
        switch self {
        case .noSuchIncident(let id): "there is no incident \(id): 'holdfast incident list' shows them"
        case .nothingAffected(let what): "the incident affects nothing of \(what)"
        }
    }
}

/// Reads incidents: which there are, the versions that each affects, and the totals. Versions are read a page at a
/// time, so a million of them take no more memory than a few.
public struct IncidentReport: Sendable {
    static let pageCount = 1000

    let inspection: StoreInspection
    private let isOnlyInspected: Bool
    /// How far a volume's refill is, for reports that must not change while they are made.
    private var position: RefillPosition?

    public init(_ store: ObjectStore) {
        inspection = store.inspection
        isOnlyInspected = store.isOnlyInspected
    }

    init(_ inspection: StoreInspection) {
        self.inspection = inspection
        isOnlyInspected = false
    }

    /// The same, and how far a volume's refill is stays as it is now.
    public func pinned(to incident: IncidentRow) throws -> IncidentReport {
        guard incident.cause == .volume else { return self }
        var pinned = self
        pinned.position = try RefillPosition(incident, inspection, isOnlyInspected: isOnlyInspected)
        return pinned
    }

    /// All of them, the oldest first; at the end, as number 0, what belongs to none, if there is anything.
    public func incidents() throws -> [IncidentRow] {
        try inspection.catalog.read { reader in
            let unclaimed = try reader.affectedVersions(incident: 0, limit: 1)
            return try reader.incidents() + (unclaimed.isEmpty ? [] : [.none])
        }
    }

    public var openCount: Int {
        get throws { try inspection.catalog.read { try $0.incidents(openOnly: true) }.count }
    }

    /// - Throws: ``IncidentRefusal/noSuchIncident(_:)``.
    public func incident(_ id: UInt64) throws -> IncidentRow {
        if id == 0 { return .none }
        guard let row = try inspection.catalog.read({ try $0.incident(id) }) else {
            throw IncidentRefusal.noSuchIncident(id)
        }
        return row
    }

    public func acknowledgements(of incident: IncidentRow) throws -> [AcknowledgementRow] {
        try inspection.catalog.read { try $0.acknowledgements(of: incident.id) }
    }

    /// Calls `body` with each version that an incident affects, and `betweenPages` after each page but the last.
    public func forEach(
        _ incident: IncidentRow, _ scope: IncidentScope = IncidentScope(),
        betweenPages: () throws -> Void = {}, _ body: (AffectedLine) throws -> Void
    ) throws {
        if incident.cause == .volume { try forEachComputed(incident, scope, betweenPages, body) }
        var after = SequenceNumber.zero
        while true {
            let rows = try inspection.catalog.read {
                try $0.affectedVersions(incident: incident.id, after: after, limit: Self.pageCount)
            }
            for row in rows where scope.holds(row.version) {
                try body(
                    AffectedLine(
                        version: row.version, changed: row.changedTime,
                        isAcknowledged: row.acknowledged != nil))
            }
            guard let last = rows.last, rows.count == Self.pageCount else { return }
            after = SequenceNumber(last.version.publishedSequence)
            try betweenPages()
        }
    }

    /// Versions of which a volume that was away must hold a replica, but those of which something was stated.
    private func forEachComputed(
        _ incident: IncidentRow, _ scope: IncidentScope, _ betweenPages: () throws -> Void,
        _ body: (AffectedLine) throws -> Void
    ) throws {
        let position =
            try position ?? RefillPosition(incident, inspection, isOnlyInspected: isOnlyInspected)
        let acknowledged = try acknowledgements(of: incident)
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        while true {
            let (page, stated) = try inspection.catalog.read { reader in
                let page = try reader.versions(after: place, limit: Self.pageCount)
                guard try !reader.affectedVersions(incident: incident.id, limit: 1).isEmpty else {
                    return (page, Set<SequenceNumber>())
                }
                let stated = try page.filter {
                    try reader.affectedVersion(incident: incident.id, $0.sequence) != nil
                }
                return (page, Set(stated.map(\.sequence)))
            }
            for version in page where position.concerns(version) && !stated.contains(version.sequence) {
                let line = computed(version, position, acknowledged)
                if scope.holds(line.version) { try body(line) }
            }
            guard let last = page.last, page.count == Self.pageCount else { return }
            place = (last.record.bucket, last.key, last.sequence)
            try betweenPages()
        }
    }

    /// How one version stands in an incident; `nil` if that does not affect it.
    public func line(of version: ObjectVersion, in incident: IncidentRow) throws -> AffectedLine? {
        let row = try inspection.catalog.read {
            try $0.affectedVersion(incident: incident.id, version.sequence)
        }
        if let row {
            return AffectedLine(
                version: row.version, changed: row.changedTime, isAcknowledged: row.acknowledged != nil)
        }
        guard incident.cause == .volume else { return nil }
        let position =
            try position ?? RefillPosition(incident, inspection, isOnlyInspected: isOnlyInspected)
        guard position.concerns(version) else { return nil }
        return computed(version, position, try acknowledgements(of: incident))
    }

    private func computed(
        _ version: ObjectVersion, _ position: RefillPosition, _ acknowledged: [AcknowledgementRow]
    ) -> AffectedLine {
        let (state, detail) = position.state(of: version)
        let entry = AffectedVersions.entry(version, state, .missingReplica, detail)
        let isSeen = acknowledged.contains {
            $0.covers(owner: entry.owner, bucket: entry.bucket, key: entry.key)
        }
        return AffectedLine(version: entry, changed: nil, isAcknowledged: isSeen)
    }

    /// - Parameter betweenPages: called after each page of versions but the last.
    public func totals(
        _ incident: IncidentRow, _ scope: IncidentScope = IncidentScope(), prefixDepth: Int = 1,
        betweenPages: () throws -> Void = {}
    ) throws -> IncidentTotals {
        var totals = IncidentTotals(prefixDepth: prefixDepth)
        try forEach(incident, scope, betweenPages: betweenPages) {
            // It may take long: a task that is cancelled needs no totals.
            try Task.checkCancellation()
            totals.add($0)
        }
        let frozen = try frozen(incident)
        if !frozen.isEmpty { totals.replace(by: frozen, scope, try acknowledgements(of: incident)) }
        return totals
    }

    /// The totals of several owners, by their ids, in one pass.
    public func totals(
        _ incident: IncidentRow, ofEach owners: Set<String>, prefixDepth: Int
    ) throws -> [String: IncidentTotals] {
        var totals: [String: IncidentTotals] = [:]
        try forEach(incident, IncidentScope(owners: owners)) {
            totals[$0.version.owner, default: IncidentTotals(prefixDepth: prefixDepth)].add($0)
        }
        let frozen = try frozen(incident)
        guard !frozen.isEmpty else { return totals }
        let acknowledged = try acknowledgements(of: incident)
        for owner in owners {
            totals[owner, default: IncidentTotals(prefixDepth: prefixDepth)].replace(
                by: frozen, IncidentScope(owners: [owner]), acknowledged)
        }
        return totals.filter { $0.value.all.versions > 0 }
    }

    /// How an incident came out, in a few words.
    func outcome(of incident: IncidentRow) throws -> String {
        let all = try totals(incident, prefixDepth: 0).all
        guard all.versions > 0 else { return "no version was affected" }
        return all.words
    }

    /// How far an incident has come.
    public func progress(of incident: IncidentRow, _ totals: IncidentTotals) -> IncidentProgress {
        let all = totals.all
        let part = all.versions == 0 ? 1 : Double(all.settled) / Double(all.versions)
        guard incident.isOpen else { return IncidentProgress(phase: .closed, part: 1, secondsLeft: nil) }
        guard incident.cause == .volume else {
            return IncidentProgress(
                phase: all.settled == all.versions ? .settled : .repairing, part: part,
                secondsLeft: secondsLeft(incident, all))
        }
        switch inspection.statuses.first(where: { $0.index == incident.volume })?.standing {
        case .returning:
            let refill = inspection.refills.progress(of: incident.volume)
            return IncidentProgress(
                phase: .filling, part: part, secondsLeft: refill?.secondsLeft(at: inspection.now))
        case .inService: return IncidentProgress(phase: .verifying, part: part, secondsLeft: nil)
        case .setAside, nil: return IncidentProgress(phase: .volumeOut, part: part, secondsLeft: nil)
        }
    }

    /// By the rate so far: there is none to tell by before something was repaired.
    private func secondsLeft(_ incident: IncidentRow, _ all: IncidentTotals.Group) -> Double? {
        let now = inspection.now
        guard all.settled > 0, all.settled < all.versions, now > incident.opened else { return nil }
        let elapsed = Double(now.microseconds - incident.opened.microseconds) / 1_000_000
        return elapsed * Double(all.versions - all.settled) / Double(all.settled)
    }
}
