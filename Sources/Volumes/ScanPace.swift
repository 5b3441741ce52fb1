import Foundation

/// Slows the reading of a whole replica down: whoever verifies at leisure is told of each piece read, and may wait
/// before the next. It counts for the thread that verifies; a check that somebody waits for sets nothing.
public enum ScanPace {
    private static let key = "holdfast.scan-pace"

    private final class Box {
        private let pace: (_ byteCount: Int) throws -> Void
        private(set) var stop: (any Error)?

        init(_ pace: @escaping (Int) throws -> Void) { self.pace = pace }

        /// - Returns: whether the scan is to go on.
        func note(_ byteCount: Int) -> Bool {
            guard stop == nil else { return false }
            do { try pace(byteCount) } catch { stop = error }
            return stop == nil
        }
    }

    /// Runs `body`, whose scans tell `pace` of what they read.
    public static func run<Value>(
        _ pace: @escaping (_ byteCount: Int) -> Void, _ body: () throws -> Value
    ) rethrows -> Value {
        try withBox(Box(pace), body)
    }

    /// Runs `body`, whose scans tell `pace` of what they read, and end when it throws.
    /// - Throws: what `pace` throws. A scan that was ended has read too little to say anything of a replica: what it came
    ///   to is not told.
    public static func run<Value>(
        endedBy pace: @escaping (_ byteCount: Int) throws -> Void, _ body: () throws -> Value
    ) throws -> Value {
        let box = Box(pace)
        let outcome = Result { try withBox(box, body) }
        if let stop = box.stop { throw stop }
        return try outcome.get()
    }

    private static func withBox<Value>(_ box: Box, _ body: () throws -> Value) rethrows -> Value {
        let values = Thread.current.threadDictionary
        values[key] = box
        defer { values.removeObject(forKey: key) }
        return try body()
    }

    /// - Returns: whether the scan is to go on.
    static func note(_ byteCount: Int) -> Bool {
        (Thread.current.threadDictionary[key] as? Box)?.note(byteCount) ?? true
    }
}
