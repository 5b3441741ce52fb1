import Catalog
import Foundation
import Integrity
import Model
import Notifications
import ObjectStore

/// Looks at everything that the status page shows. What cannot be read is said on the page, and hides nothing else.
/// Reads the catalog and the log: on a thread that may wait for disks.
struct StatusGathering: Sendable {
    /// Rows of each table.
    static let eventCount = 20
    static let jobCount = 40
    static let sinkCount = 20
    /// Of each kind of notable events.
    private static let notableCount = 6
    /// Scalars of a text that somebody else chose.
    static let textCount = 240

    let store: ObjectStore
    let scrub: ScrubService
    let sampler: MetricSampler
    let incidents: IncidentSampler
    let throughput: ThroughputSampler
    let jobs: JobScheduler
    let sinks: Sinks
    let keys: KeyStore
    /// A volume with less of its room free gives garbage back early; 0 for never.
    let earlyPercent: Int
    /// The store's, as the operator names it in commands.
    let directory: String
    let traffic: @Sendable () -> (connections: Int, inFlight: Int, waiting: Int)

    func facts() -> StatusFacts {
        var facts = StatusFacts()
        facts.made = .now()
        facts.directory = directory
        facts.head = store.head.sequence.rawValue
        facts.periodDays = scrub.schedule.periodSeconds.map { Int($0 / 86_400) }
        func read(_ what: String, _ body: () throws -> Void) {
            do { try body() } catch {
                facts.unreadable.append("\(what): \(error)".shortened)
            }
        }
        var health: StoreHealth?
        read("health") { health = try scrub.health() }
        read("confirmations") { facts.confirmed = try store.confirmedThrough().rawValue }
        facts.isGreen = health?.isGreen
        facts.volumes = volumes(health)
        read("incidents") { (facts.incidents, facts.moreIncidents) = try listIncidents() }
        facts.throughput = traffic(throughput.facts)
        let statuses = jobs.statuses()
        facts.jobs = statuses.prefix(Self.jobCount).map { job($0, facts.made) }
        facts.repositories = repositories(statuses)
        facts.sinks = sinks.all.prefix(Self.sinkCount).map { sink($0.standing) }
        read("events") { (facts.events, facts.notable) = try events() }
        facts.concerns =
            StatusConcerns(
                directory: directory, earlyPercent: earlyPercent, facts: facts, health: health,
                statuses: statuses,
                affected: sampler.sample?.affected ?? [:]
            ).all
        return facts
    }

    private func traffic(_ facts: ThroughputFacts) -> ThroughputFacts {
        var facts = facts
        let now = traffic()
        (facts.connections, facts.inFlight, facts.waiting) = (now.connections, now.inFlight, now.waiting)
        return facts
    }

    // MARK: Volumes

    private func volumes(_ health: StoreHealth?) -> [StatusFacts.Volume] {
        let rooms = sampler.sample?.volumes ?? []
        return store.volumeStatuses.map { status in
            var facts = StatusFacts.Volume()
            let known = health?.volumes.first { $0.index == status.index }
            facts.index = status.index
            facts.path = status.path
            facts.reason = (status.reason ?? "").shortened
            facts.isHeld = store.isHeld(volume: status.index)
            facts.since = status.since
            facts.verified = known?.verified
            facts.queued = status.queued
            (facts.state, facts.tone) = state(status, known?.state)
            if let room = rooms.first(where: { $0.index == status.index }) {
                facts.freeBytes = UInt64(room.freeBytes)
                facts.sizeBytes = UInt64(room.sizeBytes)
            }
            if let refill = store.refillProgress(of: status.index) {
                facts.part = refill.part
                facts.secondsLeft = refill.secondsLeft(at: .now())
                facts.lagEvents = refill.events - min(refill.events, refill.eventsDone)
            } else if let activity = scrub.activity, activity.volume == status.index {
                facts.part = activity.part
                if activity.kind == .scrubbing, facts.tone == .good { facts.state = "in service, being read" }
            }
            return facts
        }
    }

    private func state(
        _ status: VolumeStatus, _ state: StoreHealth.VolumeState?
    ) -> (String, StatusFacts.Tone) {
        switch status.standing {
        case .setAside: ("set aside", .bad)
        case .returning: ("being filled", .working)
        case .inService where state == .verifying: ("in service, being read back", .working)
        case .inService: ("in service", .good)
        }
    }

    // MARK: Incidents

    private func listIncidents() throws -> ([StatusFacts.Incident], Int) {
        let rows = try IncidentReport(store).incidents().filter { $0.id != 0 }
        let shown = IncidentSampler.shown(rows)
        let counted = incidents.counted
        let facts = shown.map { row -> StatusFacts.Incident in
            var facts = counted[row.id] ?? StatusFacts.Incident(row)
            // It may have closed since it was counted.
            facts.closed = row.closedTime
            facts.outcome = row.outcome.shortened
            facts.reason = row.reason.shortened
            return facts
        }
        return (facts, rows.count - shown.count)
    }

    // MARK: Jobs, repositories, sinks

    private func job(_ status: JobStatus, _ now: Timestamp) -> StatusFacts.Job {
        var facts = StatusFacts.Job()
        let record = status.record
        facts.name = status.name
        facts.state = status.state.rawValue
        facts.part = status.progress
        facts.next = status.next
        facts.detail = (status.waitingFor.map { "for \($0)" } ?? status.activity ?? "").shortened
        if let begun = record.begun, !status.kind.rule.isContinuous {
            let time = PageText.ago(Timestamp(microseconds: begun), now)
            facts.last = "\(time): \(record.result ?? "")".shortened
        }
        if let error = record.error, record.failures > 0 || status.kind.rule.isContinuous {
            let times = record.failures > 1 ? "failed \(record.failures) times: " : ""
            facts.last = (times + error).shortened
        }
        facts.tone =
            switch status.state {
            case .paused, .stopped: .off
            case _ where record.failures > 0 || record.isGood == false: .bad
            case .waiting: .working
            case .running, .idle: .good
            }
        return facts
    }

    private func repositories(_ statuses: [JobStatus]) -> [StatusFacts.Repository] {
        var names: [String] = []
        for name in statuses.compactMap(\.repository) where !names.contains(name) { names.append(name) }
        return names.prefix(Self.sinkCount).map { name in
            var facts = StatusFacts.Repository()
            facts.name = name
            for status in statuses where status.repository == name {
                let record = status.record
                let succeeded = record.succeeded.map(Timestamp.init(microseconds:))
                switch status.kind {
                case .snapshot: facts.snapshot = succeeded
                case .verify: (facts.verification, facts.isVerificationGood) = (succeeded, record.isGood)
                case .drill: (facts.drill, facts.isDrillGood) = (succeeded, record.isGood)
                default: break
                }
                if record.failures > 0, let error = record.error, facts.error.isEmpty {
                    facts.error = "\(status.kind.rawValue): \(error)".shortened
                }
            }
            return facts
        }
    }

    private func sink(_ standing: Sink.Standing) -> StatusFacts.Sink {
        var facts = StatusFacts.Sink()
        facts.name = standing.name
        facts.target = "\(standing.kind) \(standing.target)".shortened
        facts.lag = standing.lag
        facts.deadLetters = standing.deadLetters
        facts.lastDelivery = standing.lastDelivery
        facts.error = (standing.lastError ?? "").shortened
        (facts.state, facts.tone) =
            switch standing.breaker {
            case _ where standing.isPaused: ("paused", .off)
            case .closed: standing.lastError == nil ? ("delivering", .good) : ("failing", .working)
            case .open: ("not answering", .bad)
            case .halfOpen: ("trying again", .working)
            }
        return facts
    }

    // MARK: Events

    private func events() throws -> (newest: [StatusFacts.Event], notable: [StatusFacts.Event]) {
        let head = store.head.sequence.rawValue
        let first = SequenceNumber(head > UInt64(Self.eventCount) ? head - UInt64(Self.eventCount) + 1 : 1)
        let newest = try store.events(from: first, limit: Self.eventCount).map(event).reversed()
        let sequences = try store.notableEvents(limit: Self.notableCount)
        let notable = try sequences.compactMap { sequence in
            try store.events(from: sequence, limit: 1).first.map(event)
        }
        return (Array(newest), notable)
    }

    private func event(_ event: LoggedEvent) -> StatusFacts.Event {
        var facts = StatusFacts.Event()
        facts.sequence = event.sequence.rawValue
        facts.time = event.time
        facts.actor = keys.displayName(userID: event.record.actor) ?? event.record.actor
        facts.text = event.sentence.shortened
        return facts
    }
}

extension String {
    /// As much as a cell of the page has room for.
    fileprivate var shortened: String { PageText.shortened(self, to: StatusGathering.textCount) }
}
