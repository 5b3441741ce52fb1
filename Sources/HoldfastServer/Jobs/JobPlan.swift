/// Decides which jobs begin now, and what the others wait for. Pure: how each stands is given.
package struct JobPlan: Sendable {
    /// How a job stands.
    package struct Job: Sendable {
        package let name: String
        package let kind: JobKind
        package var repository: String?
        package var isRunning = false
        package var isPaused = false
        /// Somebody wants it to run now: neither its time nor its window counts.
        package var isAsked = false
        package var isDue = false
        package var isInWindow = true
        /// After a failure it waits before it is tried again.
        package var isBackingOff = false
        /// The job that it needs has succeeded.
        package var hasNeeded = true

        package init(name: String, kind: JobKind, repository: String? = nil) {
            self.name = name
            self.kind = kind
            self.repository = repository
        }
    }

    package enum Step: Sendable, Equatable {
        case start
        case running
        case paused
        case idle
        /// For what, in words.
        case wait(String)
    }

    package static let repairs = "a repair or a refill"
    package static let window = "its window"
    package static let backoff = "its next try after a failure"

    /// One step for each job, by its name.
    package static func steps(_ jobs: [Job], isRepairing: Bool) -> [String: Step] {
        var running = jobs.filter(\.isRunning)
        var steps: [String: Step] = [:]
        let ordered = jobs.sorted {
            ($1.kind.rule.priority, $0.name) < ($0.kind.rule.priority, $1.name)
        }
        for job in ordered {
            let step = step(job, running, isRepairing: isRepairing)
            steps[job.name] = step
            if step == .start { running.append(job) }
        }
        return steps
    }

    private static func step(_ job: Job, _ running: [Job], isRepairing: Bool) -> Step {
        if job.isRunning { return .running }
        if job.isPaused { return .paused }
        guard job.isAsked || job.isDue else { return .idle }
        guard job.hasNeeded else {
            return .wait("a first \(job.kind.rule.needs?.rawValue ?? "")")
        }
        if !job.isAsked, job.isBackingOff { return .wait(backoff) }
        if !job.isAsked, !job.isInWindow { return .wait(window) }
        let other = running.first {
            JobKind.exclude((job.kind, job.repository), ($0.kind, $0.repository))
        }
        if let other { return .wait(other.name) }
        // A continuous job minds the repairs by itself.
        if job.kind.rule.yieldsToRepairs, !job.kind.rule.isContinuous, isRepairing { return .wait(repairs) }
        return .start
    }
}
