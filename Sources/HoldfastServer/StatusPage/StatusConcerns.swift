import Integrity
import Model

/// What is wrong, what is done about it, and what a person is to do: the first thing that somebody reads who was woken up.
/// Pure: how things stand is given.
struct StatusConcerns {
    /// A volume with less room than this part of it is named.
    static let freePart = 0.1
    /// Failures in a row after which a job is named: one may be chance.
    private static let failureCount = 2
    private static let limit = 20

    let directory: String
    let earlyPercent: Int
    let facts: StatusFacts
    /// `nil` if it cannot be read, which the page says elsewhere.
    let health: StoreHealth?
    let statuses: [JobStatus]
    let affected: [EventAffectedVersion.State: (versions: Int, bytes: UInt64)]

    /// The most urgent first.
    var all: [StatusFacts.Concern] {
        let concerns =
            (health?.causes ?? []).map(concern) + space + failingJobs + silentSinks
        // A sort that keeps the order of equals.
        let sorted = concerns.enumerated().sorted {
            ($1.element.urgency, $0.offset) < ($0.element.urgency, $1.offset)
        }
        return sorted.prefix(Self.limit).map(\.element)
    }

    private func command(_ words: String) -> String {
        let isPlain = directory.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || ("0"..."9").contains($0) || "/._-+@".unicodeScalars.contains($0)
        }
        let quoted = directory.split(separator: "'", omittingEmptySubsequences: false).joined(
            separator: "'\\''")
        let name = isPlain && !directory.isEmpty ? directory : "'\(quoted)'"
        return words.split(separator: " ").map { $0 == "DIR" ? name : String($0) }.joined(separator: " ")
    }

    private var volumesInService: Int {
        facts.volumes.count { $0.tone != .bad && $0.state != "being filled" }
    }

    private func concern(_ cause: StoreHealth.Cause) -> StatusFacts.Concern {
        switch cause {
        case .setAside(let volume, let reason): return setAside(volume, reason)
        case .filling(let volume):
            return .init(
                .wait, "Volume \(volume) is being filled with what it missed",
                doing: "\(progress(volume)) The other volumes serve meanwhile.")
        case .verifying(let volume):
            return .init(
                .wait, "What was brought to volume \(volume) is not read back yet",
                doing: "\(progress(volume)) It counts as healed when all of it was found good.")
        case .overdue(let volume, let since):
            return .init(
                .look, "Volume \(volume) was not read whole since \(PageText.moment(since))",
                doing: "The scrub reads it when requests, repairs and its window leave time.",
                remedy: "See whether the scrub is paused, or its window too short.",
                command: command("holdfast scrub status DIR"))
        case .notScrubbed:
            return .init(
                .look, "Nothing is read back: the setting scrub-period-days is 0",
                doing: "Damage is found only where somebody reads.",
                remedy: "Set scrub-period-days, to 30 for example.")
        case .openFindings(let count): return openFindings(count)
        case .repairing:
            return .init(
                .wait, "Damage is being repaired", doing: "Replicas are written anew from good ones.")
        case .unconfirmed(let since):
            return .init(
                .look, "An upload of \(PageText.moment(since)) was not read back yet",
                doing: "It is on stable storage; reading it back is under way or held up.",
                remedy: "See whether a volume is slow, and what the job confirm says.",
                command: command("holdfast jobs list DIR"))
        case .unreadable(let reason):
            return .init(
                .act, "The log cannot be read: \(reason)", doing: "Nothing can be said of uploads.",
                remedy: "Look at the volumes first.", command: command("holdfast volume list DIR"))
        }
    }

    private func progress(_ index: Int) -> String {
        guard let volume = facts.volumes.first(where: { $0.index == index }), let part = volume.part else {
            return "It waits for its turn."
        }
        let left = volume.secondsLeft.map { ", about \(IncidentText.duration($0)) left" } ?? ""
        return "\(PageText.percent(part)) % done\(left)."
    }

    private func setAside(_ volume: Int, _ reason: String) -> StatusFacts.Concern {
        let inService = volumesInService
        let canWrite = inService >= Limits.writeQuorum
        let known = facts.volumes.first { $0.index == volume }
        let serving =
            canWrite
            ? "The other \(inService) volumes serve reads and writes."
            : "Writes are refused: \(inService) of \(Limits.volumeCount) volumes are in service."
        let what = "Volume \(volume) is set aside: \(reason)"
        let urgency: StatusFacts.Concern.Urgency = canWrite ? .look : .act
        if known?.isHeld ?? false {
            return .init(
                urgency, what, doing: "\(serving) It is not tried again.",
                remedy: "Look at its cable, controller and disk, and then bring it back:",
                command: command("holdfast volume return DIR \(volume)"))
        }
        return .init(
            urgency, what,
            doing: "\(serving) It is tried again all the time, and filled from the log when it answers.",
            remedy:
                "Look at the disk of \(known?.path ?? ""). If it is lost, put an empty directory of a new disk in its place, and then:",
            command: command("holdfast volume replace DIR \(volume)"))
    }

    private func openFindings(_ count: Int) -> StatusFacts.Concern {
        let lost = (affected[.lost]?.versions ?? 0) + (affected[.olderAvailable]?.versions ?? 0)
        let what = count == 1 ? "A finding is open" : "\(count) findings are open"
        if lost > 0 {
            return .init(
                .act, "\(what), and \(counted(lost, "version")) cannot be read from any volume",
                doing: "Everything else is served. What comes back is taken up at once.",
                remedy: "Bring them back from a snapshot: the incident names each, and whose it is.",
                command: command("holdfast restore DIR --from REPOSITORY --snapshot NAME --damaged-only"))
        }
        return .init(
            .look, what,
            doing: "What is damaged is read from good replicas, and mending it is tried again and again.",
            remedy: "See what stands in the way.", command: command("holdfast fsck DIR --deep"))
    }

    private var space: [StatusFacts.Concern] {
        facts.volumes.compactMap { volume in
            guard let free = volume.freeBytes, let size = volume.sizeBytes, size > 0,
                Double(free) < Double(size) * Self.freePart
            else { return nil }
            let isEarly = Double(free) * 100 < Double(size) * Double(earlyPercent)
            return .init(
                .look, "Volume \(volume.index) has \(PageText.size(free)) of \(PageText.size(size)) left",
                doing: isEarly
                    ? "What nothing needs any more is given back at once."
                    : "What nothing needs any more is given back as always.",
                remedy: "Make room in \(volume.path), delete what is not needed, or shorten history-hours.")
        }
    }

    private var failingJobs: [StatusFacts.Concern] {
        statuses.compactMap { status in
            let record = status.record
            if record.failures >= Self.failureCount {
                let next = status.next.map { "It is tried again \(PageText.until($0, facts.made))." }
                return .init(
                    .look,
                    "\(status.name) failed \(record.failures) times in a row: \(record.error ?? "no reason")",
                    doing: next ?? "It is tried again.",
                    remedy: "Mend what the reason names. To try at once:",
                    command: command("holdfast jobs run DIR \(status.name)"))
            }
            guard record.isGood == false, status.kind == .verify, let repository = status.repository else {
                return nil
            }
            return .init(
                .look, "Repository \(repository) has damage: \(record.result ?? "")",
                doing: "The next snapshot copies anew what the store still has.",
                remedy: "To mend it at once:",
                command: command("holdfast snapshot verify \(repository) --mend DIR"))
        }
    }

    private var silentSinks: [StatusFacts.Concern] {
        facts.sinks.filter { $0.tone == .bad }.map { sink in
            .init(
                .look, "Sink \(sink.name) does not answer: \(sink.error)",
                doing:
                    "\(counted(sink.lag, "event")) wait in the log, and none is lost. No request waits for it.",
                remedy: "Look at \(sink.target).", command: command("holdfast sink status DIR"))
        }
    }
}
