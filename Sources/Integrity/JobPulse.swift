/// What a job that never ends tells of itself, for a watchdog to know whether it hangs.
public enum JobBeat: Sendable {
    /// It has come a step further.
    case worked
    /// It has nothing to do until something happens.
    case waits
}

/// Told of each step of a job that never ends.
public typealias JobPulse = @Sendable (JobBeat) -> Void
