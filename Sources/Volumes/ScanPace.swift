import Foundation

/// Slows the reading of a whole replica down: whoever verifies at leisure is told of each piece read, and may wait
/// before the next. It counts for the thread that verifies; a check that somebody waits for sets nothing.
public enum ScanPace {
    private static let key = "holdfast.scan-pace"

    private final class Box {
        let pace: (_ byteCount: Int) -> Void
        init(_ pace: @escaping (Int) -> Void) { self.pace = pace }
    }

    /// Runs `body`, whose scans tell `pace` of what they read.
    public static func run<Value>(
        _ pace: @escaping (_ byteCount: Int) -> Void, _ body: () throws -> Value
    ) rethrows -> Value {
        let values = Thread.current.threadDictionary
        values[key] = Box(pace)
        defer { values.removeObject(forKey: key) }
        return try body()
    }

    static func note(_ byteCount: Int) {
        (Thread.current.threadDictionary[key] as? Box)?.pace(byteCount)
    }
}
