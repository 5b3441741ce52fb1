import Integrity
import Model

/// What one run of a job came to.
package struct JobOutcome: Sendable {
    /// In words.
    package let summary: String
    /// Whether it found everything as it should be.
    package var isGood = true
    /// Whether those that need it may run, though it did not: a snapshot without what the store has lost is one.
    package var isMade: Bool
    /// Seconds until the next run, instead of what the schedule says.
    package var nextIn: Double?

    package init(_ summary: String, isGood: Bool = true, isMade: Bool? = nil, nextIn: Double? = nil) {
        self.summary = summary
        self.isGood = isGood
        self.isMade = isMade ?? isGood
        self.nextIn = nextIn
    }
}

/// A run that is not to go on now: it is taken up again when it may.
package struct JobStopped: Error, CustomStringConvertible {
    package let reason: String
    package var description: String { reason }
}

/// A job of the scheduler.
package struct JobDefinition: Sendable {
    /// How a job that paces itself stands, and how it is told.
    package struct Control: Sendable {
        package let isPaused: @Sendable () -> Bool
        package let pause: @Sendable () throws -> Void
        package let resume: @Sendable () throws -> Void
        package let run: @Sendable () throws -> Void
        /// What it does now, and the part of it that is done; `nil` while it waits.
        package let activity: @Sendable () -> (text: String, part: Double)?

        package init(
            isPaused: @escaping @Sendable () -> Bool, pause: @escaping @Sendable () throws -> Void,
            resume: @escaping @Sendable () throws -> Void, run: @escaping @Sendable () throws -> Void,
            activity: @escaping @Sendable () -> (text: String, part: Double)?
        ) {
            self.isPaused = isPaused
            self.pause = pause
            self.resume = resume
            self.run = run
            self.activity = activity
        }
    }

    package let kind: JobKind
    package var repository: String?
    package var schedule: JobSchedule
    package var window = ScrubWindow.always
    /// A run is over when the window is, and the next goes on where it was; else a run that began goes on to its end.
    package var endsWithWindow = false
    /// Bytes per second at most; 0 for as fast as it goes.
    package var rate = 0
    package var control: Control?
    /// Runs on a thread that may wait for disks. A continuous one returns when its task is cancelled.
    package var body: @Sendable (JobContext) async throws -> JobOutcome

    package init(
        _ kind: JobKind, repository: String? = nil, _ schedule: JobSchedule,
        body: @escaping @Sendable (JobContext) async throws -> JobOutcome
    ) {
        self.kind = kind
        self.repository = repository
        self.schedule = schedule
        self.body = body
    }

    /// "scrub", "snapshot:nas".
    package var name: String { Self.name(kind, repository) }

    package static func name(_ kind: JobKind, _ repository: String?) -> String {
        repository.map { "\(kind.rawValue):\($0)" } ?? kind.rawValue
    }
}

/// What a run knows of the world: it tells how far it is and what it reads and writes, and is held up, or stopped, where
/// the table says so.
package final class JobContext: Sendable {
    /// What earlier runs came to.
    package let record: JobRecord
    /// For a continuous job, whose progress has no end to be told by.
    package let pulse: JobPulse
    private let gate: @Sendable (_ byteCount: Int) throws -> Void
    private let tell: @Sendable (Double) -> Void
    private let note: @Sendable (String) -> Void

    init(
        record: JobRecord, gate: @escaping @Sendable (Int) throws -> Void,
        tell: @escaping @Sendable (Double) -> Void,
        note: @escaping @Sendable (String) -> Void, pulse: @escaping JobPulse
    ) {
        self.record = record
        self.pulse = pulse
        self.gate = gate
        self.tell = tell
        self.note = note
    }

    /// The part of the work that is done, from 0 to 1.
    package func progress(_ part: Double) { tell(part) }

    /// Bytes were read or written. Returns when the job may go on: its rate, and repairs that need the disks, are waited
    /// for.
    /// - Throws: ``JobStopped``, `CancellationError`.
    package func spent(_ byteCount: Int) throws { try gate(byteCount) }

    /// Something went wrong, and the job goes on.
    package func failed(_ text: String) { note(text) }
}
