import Catalog
import Foundation
import Integrity
import Logging
import Model
import ObjectStore
import Synchronization

/// Counts the versions of open incidents, owner by owner, for the status page. For a volume's incident that takes a look at
/// every version of the store: so it is done beside, page by page (``SamplingPace``). What a closed incident came to is counted
/// once.
final class IncidentSampler: Sendable {
    /// Incidents that are counted: the open ones first.
    static let incidentCount = 8
    /// Owners of each that are kept.
    static let ownerCount = 12
    private static let interval = Duration.seconds(2)

    private struct State {
        var incidents: [StatusFacts.Incident] = []
        var more = 0
        var closed: [UInt64: StatusFacts.Incident] = [:]
    }

    private let store: ObjectStore
    private let logger: Logger
    private let state = Mutex(State())

    init(_ store: ObjectStore, _ logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// As counted last.
    var counted: [UInt64: StatusFacts.Incident] {
        state.withLock { state in Dictionary(uniqueKeysWithValues: state.incidents.map { ($0.id, $0) }) }
    }

    /// Until the task is cancelled; on a thread that may wait for disks.
    func run() async {
        await SamplingPace.repeat(every: Self.interval, "counting for the status page", logger) {
            try look(&$0)
        }
    }

    /// Which incidents are worth a place on a page, the open ones first, the newest before the others.
    static func shown(_ rows: [IncidentRow]) -> [IncidentRow] {
        let real = rows.filter { $0.id != 0 }.reversed()
        return Array((real.filter(\.isOpen) + real.filter { !$0.isOpen }).prefix(incidentCount))
    }

    private func look(_ pace: inout SamplingPace) throws {
        let report = IncidentReport(store)
        var counted: [StatusFacts.Incident] = []
        for row in Self.shown(try report.incidents()) {
            if !row.isOpen, let known = state.withLock({ $0.closed[row.id] }) {
                counted.append(known)
                continue
            }
            let facts = try Self.count(row, report, &pace)
            counted.append(facts)
            if !row.isOpen { state.withLock { $0.closed[row.id] = facts } }
        }
        let ids = Set(counted.map(\.id))
        let incidents = counted
        state.withLock { state in
            state.incidents = incidents
            state.closed = state.closed.filter { ids.contains($0.key) }
        }
    }

    private static func count(
        _ row: IncidentRow, _ report: IncidentReport, _ pace: inout SamplingPace
    ) throws -> StatusFacts.Incident {
        let totals = try report.totals(row, prefixDepth: 0) { try pace.rest() }
        let progress = report.progress(of: row, totals)
        var facts = StatusFacts.Incident(row)
        facts.phase = progress.phase.rawValue
        facts.part = progress.part
        facts.secondsLeft = progress.secondsLeft
        facts.versions = totals.all.versions
        facts.bytes = totals.all.bytes
        facts.words = totals.all.words
        facts.counted = .now()
        // Whoever has lost something is named before others.
        let owners = totals.owners.sorted {
            ($0.value.gone, $0.value.versions, $1.key.name) > ($1.value.gone, $1.value.versions, $0.key.name)
        }
        facts.owners = owners.prefix(ownerCount).map { owner, group in
            var facts = StatusFacts.Incident.Owner()
            facts.name = owner.name
            facts.versions = group.versions
            facts.settled = group.settled
            facts.gone = group.gone
            facts.words = group.words
            return facts
        }
        facts.moreOwners = owners.count - facts.owners.count
        return facts
    }
}

extension IncidentTotals.Group {
    /// Versions whose bytes are nowhere.
    var gone: Int { states.reduce(0) { $0 + ($1.key.isGone ? $1.value : 0) } }
}

extension StatusFacts.Incident {
    /// What the row says, before its versions are counted.
    init(_ row: IncidentRow) {
        self.init()
        id = row.id
        reason = row.reason
        opened = row.opened
        closed = row.closedTime
        outcome = row.outcome
    }
}
