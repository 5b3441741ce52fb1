/// What a server does by itself: one table says of each what it needs, what it keeps out and what it gives way to.
/// `Documentation/jobs.md` shows the same table, and a test holds the two together.
package enum JobKind: String, Sendable, CaseIterable, Codable {
    case confirm, repair, incidents, reclaim, lifecycle, history, snapshot, prune, drill, verify, scrub

    package struct Rule: Sendable, Equatable {
        /// Goes on all the time; the others run when they are due.
        package var isContinuous = false
        /// Must have succeeded before; of the same repository.
        package var needs: JobKind?
        /// Never at the same time, whatever the repository. Of one repository there is never more than one at a time,
        /// whatever the kind.
        package var excludes: Set<JobKind> = []
        /// Waits, also in the middle, while a volume is filled or replicas are mended: they need the disks.
        package var yieldsToRepairs = false
        package var isPausable = true
        /// Of two that wait for the same, the one with the greater number goes first.
        package var priority: Int

        /// Its threads take of the processors what requests leave: what can wait for repairs can wait for these.
        package var isLeisurely: Bool { yieldsToRepairs }
    }

    package var rule: Rule {
        switch self {
        case .confirm: Rule(isContinuous: true, isPausable: false, priority: 9)
        case .repair: Rule(isContinuous: true, isPausable: false, priority: 9)
        case .incidents: Rule(isContinuous: true, isPausable: false, priority: 9)
        case .reclaim: Rule(priority: 7)
        case .lifecycle: Rule(priority: 6)
        case .history: Rule(yieldsToRepairs: true, priority: 6)
        case .snapshot: Rule(excludes: [.snapshot], yieldsToRepairs: true, priority: 5)
        case .prune: Rule(needs: .snapshot, yieldsToRepairs: true, priority: 4)
        case .drill: Rule(needs: .snapshot, yieldsToRepairs: true, priority: 3)
        case .verify: Rule(needs: .snapshot, yieldsToRepairs: true, priority: 2)
        case .scrub: Rule(isContinuous: true, yieldsToRepairs: true, priority: 1)
        }
    }

    /// Whether two jobs must not run at the same time.
    package static func exclude(
        _ one: (kind: JobKind, repository: String?), _ other: (kind: JobKind, repository: String?)
    ) -> Bool {
        if let repository = one.repository, repository == other.repository { return true }
        return one.kind.rule.excludes.contains(other.kind) || other.kind.rule.excludes.contains(one.kind)
    }
}
