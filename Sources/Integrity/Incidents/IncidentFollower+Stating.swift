import Catalog
import EventLog
import Foundation
import Model
import ObjectStore

/// How versions stand, stated by events.
extension IncidentFollower {
    /// States every version whose bytes were found damaged or mended, if it stands otherwise than before.
    func state(
        _ seen: [DamagedBytes: Seen], _ places: OpenPlaces, through: SequenceNumber, readAt: SequenceNumber
    ) async throws {
        var statements: [UInt64: [EventAffectedVersion]] = [:]
        var looked: Set<SequenceNumber> = []
        // A version of many pieces is stated once, by the newest of what was seen of it.
        for (version, seen) in try versions(of: seen) where looked.insert(version.sequence).inserted {
            guard let (incident, entry) = try await statement(version, seen, places) else { continue }
            statements[incident, default: []].append(entry)
        }
        var changes: [EventVersionsStated] = []
        for (incident, entries) in statements.sorted(by: { $0.key < $1.key }) {
            let entries = entries.sorted { $0.publishedSequence < $1.publishedSequence }
            for start in stride(from: 0, to: entries.count, by: Self.statementCount) {
                var change = EventVersionsStated()
                change.incident = incident
                change.versions = Array(entries[start..<min(start + Self.statementCount, entries.count)])
                changes.append(change)
            }
        }
        // Only when the last is durable, all of it is followed.
        if !changes.isEmpty { changes[changes.count - 1].throughSequence = through.rawValue }
        for change in changes { _ = try await inspection.state(change, readAt: readAt) }
    }

    /// Versions that hold any of the bytes, with what was seen of them, the newest first.
    private func versions(of seen: [DamagedBytes: Seen]) throws -> [(ObjectVersion, Seen)] {
        var found: [(ObjectVersion, Seen)] = []
        var frames: [SequenceNumber: Seen] = [:]
        var segments: [(ClosedRange<SequenceNumber>, Seen)] = []
        try inspection.catalog.read { reader in
            for (damaged, seen) in seen {
                switch damaged {
                case .blob(let id):
                    guard let row = try BlobID(bytes: id).flatMap({ try reader.blob($0) }) else { continue }
                    found += try reader.versions(using: row).map { ($0, seen) }
                case .version(let sequence):
                    let finding = seen.item.finding
                    let version = try reader.version(finding.bucket, finding.key, publishedBy: sequence)
                    if let version { found.append((version, seen)) }
                case .frame(let sequence): frames[sequence] = seen
                case .segment(let events): segments.append((events, seen))
                }
            }
            guard let first = (frames.keys.map { $0 } + segments.map(\.0.lowerBound)).min() else { return }
            let carried =
                frames.count == 1 && segments.isEmpty
                ? try reader.versions(carriedBy: first)
                : try reader.versions(
                    carriedByAny: { event in
                        frames[event] != nil || segments.contains { $0.0.contains(event) }
                    }, from: first)
            for version in carried {
                for event in version.carriers {
                    let of = frames[event] ?? segments.first { $0.0.contains(event) }?.1
                    if let of { found.append((version, of)) }
                }
            }
        }
        return found.sorted { $0.1.item.sequence > $1.1.item.sequence }
    }

    /// - Returns: `nil` if it is stated so already.
    private func statement(
        _ version: ObjectVersion, _ seen: Seen, _ places: OpenPlaces
    ) async throws -> (incident: UInt64, EventAffectedVersion)? {
        let last = try inspection.catalog.read { try $0.lastStated(of: version.sequence) }
        let incident = try incident(after: last, seen)
        var entry = AffectedVersions.entry(version, .detected, .missingReplica, "")
        if let last, last.version.state.isGone {
            // What is lost is lost until it can be read again; a snapshot's bytes may have made it so.
            entry = last.version
            if seen.source?.hasPrefix("snapshot ") == true, try await inspection.canRead(version) {
                entry.settle(
                    damaged: places.volumes(of: version), finding: seen.item.finding, source: seen.source,
                    isUnderRepair: false)
            }
        } else {
            entry.settle(
                damaged: places.volumes(of: version), finding: seen.item.finding, source: seen.source,
                isUnderRepair: version.record.pieces.contains { inspection.isUnderRepair($0) })
        }
        if let last, last.incident == incident, last.version.state == entry.state,
            last.version.detail == entry.detail
        {
            return nil
        }
        return (incident, entry)
    }

    /// A version stays with the incident that follows it; a new matter goes where new matters go.
    private func incident(after last: AffectedRow?, _ seen: Seen) throws -> UInt64 {
        guard let last else { return seen.incident }
        if last.incident == 0 { return seen.incident }
        let row = try inspection.catalog.read { try $0.incident(last.incident) }
        if row?.isOpen == true { return last.incident }
        // Repairs, and what comes of a loss, belong to where the damage was stated.
        return seen.item.isRepaired || last.version.state.isGone ? last.incident : seen.incident
    }

    // MARK: Claiming

    /// Takes versions that were stated since the open incident's first finding, and belong to none, into it.
    func claim() async throws -> Bool {
        let open = try inspection.catalog.read { try $0.incidents(openOnly: true) }
        guard let incident = open.last(where: { $0.cause != .volume }) else { return false }
        var isAny = false
        var after = SequenceNumber.zero
        while true {
            let (rows, readAt) = try inspection.catalog.read {
                (
                    try $0.unclaimedVersions(
                        since: incident.since, after: after, limit: Self.statementCount),
                    try $0.position().sequence
                )
            }
            guard let last = rows.last else { return isAny }
            var change = EventVersionsStated()
            change.incident = incident.id
            change.versions = rows.map(\.version)
            if try await inspection.state(change, readAt: readAt) > 0 { isAny = true }
            after = SequenceNumber(last.version.publishedSequence)
        }
    }

    // MARK: Closing

    /// How often versions that are not settled are looked at again, at most.
    private static let settleMicroseconds: UInt64 = 10_000_000

    /// Closes what is over.
    func close(_ progress: inout Progress) async throws -> (openCount: Int, isAny: Bool) {
        let open = try inspection.catalog.read { try $0.incidents(openOnly: true) }
        guard !open.isEmpty else { return (0, false) }
        let now = inspection.now
        var isAny = false
        if now >= progress.settleDue {
            let window = UInt64(settings.windowSeconds) * 1_000_000
            progress.settleDue = Timestamp(
                microseconds: now.microseconds + min(Self.settleMicroseconds, window))
            for incident in open { if try await settle(incident.id, progress.places) { isAny = true } }
        }
        var left = 0
        for incident in open {
            guard let outcome = try outcome(incident, now) else {
                left += 1
                continue
            }
            var change = EventIncidentClosed()
            change.incident = incident.id
            change.outcome = outcome
            change.groups = try IncidentReport(inspection).freeze(incident)
            _ = try await inspection.record(.incidentClosed(change))
            isAny = true
        }
        return (left, isAny)
    }

    /// Versions that were deleted meanwhile are waited for no longer; one that is said to be under repair, and is not
    /// any more, is damaged as before.
    private func settle(_ incident: UInt64, _ places: OpenPlaces) async throws -> Bool {
        var isAny = false
        var after = SequenceNumber.zero
        while true {
            let (rows, readAt) = try inspection.catalog.read {
                (
                    try $0.unsettledVersions(incident: incident, after: after, limit: Self.statementCount),
                    try $0.position().sequence
                )
            }
            guard let last = rows.last else { return isAny }
            var change = EventVersionsStated()
            change.incident = incident
            for row in rows {
                var entry = row.version
                let version = try inspection.catalog.read {
                    try $0.version(
                        entry.bucket, entry.key, publishedBy: SequenceNumber(entry.publishedSequence))
                }
                if let version {
                    guard entry.state == .repairing,
                        !version.record.pieces.contains(where: { inspection.isUnderRepair($0) })
                    else { continue }
                    let damaged = places.volumes(of: version)
                    guard !damaged.isEmpty else { continue }
                    entry.settle(damaged: damaged, finding: .init(), source: nil, isUnderRepair: false)
                } else {
                    entry.state = .removed
                    entry.detail = "it was deleted before it was mended"
                }
                change.versions.append(entry)
            }
            if !change.versions.isEmpty, try await inspection.state(change, readAt: readAt) > 0 {
                isAny = true
            }
            after = SequenceNumber(last.version.publishedSequence)
        }
    }

    /// How an incident came out; `nil` while it is not over.
    private func outcome(_ incident: IncidentRow, _ now: Timestamp) throws -> String? {
        let (unsettled, lastChange, outages, acknowledged) = try inspection.catalog.read { reader in
            (
                try reader.unsettledVersions(incident: incident.id, after: .zero, limit: 1),
                try reader.lastChange(incident: incident.id),
                incident.cause == .volume
                    ? try reader.outages(of: incident.volume, from: incident.since) : [],
                try reader.acknowledgements(of: incident.id).contains(where: \.coversAll)
            )
        }
        guard unsettled.isEmpty else { return nil }
        let window = UInt64(settings.windowSeconds) * 1_000_000
        let isQuiet =
            max(lastChange ?? incident.opened, incident.opened).microseconds + window <= now.microseconds
        switch incident.cause {
        case .volume: guard outages.last?.state == .healed else { return nil }
        case .operator: guard acknowledged || lastChange != nil && isQuiet else { return nil }
        default: guard isQuiet else { return nil }
        }
        return try IncidentReport(inspection).outcome(of: incident)
    }
}
