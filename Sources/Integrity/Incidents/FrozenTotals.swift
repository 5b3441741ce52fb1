import Catalog
import EventLog
import Model
import ObjectStore

/// How a volume's incident stood when it was closed. Its versions' states are computed, and versions are deleted
/// afterwards: what an operator was told of it once must not become less. So the event that closes it keeps the counts of
/// each owner in each bucket; whose rows are gone by then is counted and not listed.
struct FrozenTotals: Sendable {
    /// Groups that one event keeps apart; the rest is one more.
    static let groupLimit = 5_000

    private struct Place: Hashable {
        let owner: String
        let bucket: String
    }

    private var groups: [Place: EventIncidentGroup] = [:]
    private var counts: [Place: [EventAffectedVersion.State: UInt64]] = [:]

    init() {}

    mutating func add(_ line: AffectedLine) {
        var place = Place(owner: line.version.owner, bucket: line.version.bucket)
        if groups[place] == nil, groups.count >= Self.groupLimit { place = Place(owner: "", bucket: "") }
        var group = groups[place] ?? EventIncidentGroup()
        if group.bucket.isEmpty, !place.bucket.isEmpty {
            group.owner = place.owner
            group.ownerDisplayName = line.version.ownerDisplayName
            group.bucket = place.bucket
        }
        group.bytes += line.version.size
        group.acknowledged += line.isAcknowledged ? 1 : 0
        groups[place] = group
        counts[place, default: [:]][line.state, default: 0] += 1
    }

    /// In the order of buckets, and of owners in each.
    var events: [EventIncidentGroup] {
        groups.map { place, group in
            var group = group
            group.counts = (counts[place] ?? [:]).sorted { $0.key.rawValue < $1.key.rawValue }.map {
                var count = EventIncidentGroup.Count()
                count.state = $0.key
                count.versions = $0.value
                return count
            }
            return group
        }.sorted { ($0.bucket, $0.owner) < ($1.bucket, $1.owner) }
    }
}

extension IncidentReport {
    /// What the event that closed an incident keeps; empty for one that is open, whose versions each have a row, or that
    /// was closed before such events kept anything.
    func frozen(_ incident: IncidentRow) throws -> [EventIncidentGroup] {
        guard incident.cause == .volume, let closed = incident.closed,
            let event = try inspection.log.events(from: closed, limit: 1).first,
            case .incidentClosed(let change) = event.record.change
        else { return [] }
        return change.groups
    }

    /// What to put into the event that closes an incident.
    func freeze(_ incident: IncidentRow) throws -> [EventIncidentGroup] {
        guard incident.cause == .volume else { return [] }
        var totals = FrozenTotals()
        try forEach(incident) { totals.add($0) }
        return totals.events
    }
}

extension IncidentTotals {
    /// Takes what was frozen for the counts of all, of owners and of buckets. Prefixes are of what can be listed still, and
    /// so is what of a group was acknowledged by key since.
    mutating func replace(
        by frozen: [EventIncidentGroup], _ scope: IncidentScope, _ acknowledgements: [AcknowledgementRow]
    ) {
        var parts = IncidentTotals(prefixDepth: 0)
        for group in frozen where scope.holds(group) {
            let seen = acknowledgements.contains {
                $0.covers(owner: group.owner, bucket: group.bucket, key: "")
            }
            parts.add(group, states: scope.states, isAcknowledged: seen)
        }
        take(parts)
    }
}

extension IncidentScope {
    fileprivate func holds(_ group: EventIncidentGroup) -> Bool {
        guard let owners else { return true }
        return owners.contains(group.owner) || owners.contains(group.ownerDisplayName)
    }
}
