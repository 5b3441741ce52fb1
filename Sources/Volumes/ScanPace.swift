/// Slows the reading of a whole replica down: whoever verifies at leisure is told of each piece read, and may
/// wait before the next. Bound for the task that verifies; a check that somebody waits for binds nothing.
public enum ScanPace {
    @TaskLocal public static var current: (@Sendable (_ byteCount: Int) -> Void)?
}
