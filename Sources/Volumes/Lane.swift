import Model
import Synchronization

/// Where a volume's work is done: a thread of its own behind a bounded queue, or, in simulation, the caller
/// itself.
public protocol Lane: Sendable {
    /// Queues `work` behind what is queued already.
    /// - Returns: `false` if the queue is full or the lane has ended, and `work` will not run.
    func submit(_ work: @escaping @Sendable () -> Void) -> Bool
    /// Items queued or running.
    var depth: Int { get }
    /// Lets the queued work finish, then ends the threads. `submit` refuses from the first call on.
    func finish()
}

/// What a lane is to be like.
public struct LaneShape: Sendable {
    /// How much the threads of those who have time yield: of processors that are busy they get hardly anything, and none keeps
    /// one that another thread wants.
    public static let leisurely: Int32 = 19

    public var name: String
    /// 1 keeps what is submitted in order.
    public var threads: Int
    /// Items that may wait.
    public var capacity: Int
    /// How much the threads yield to others when the processors are busy; 0 to 19.
    public var niceness: Int32

    public init(_ name: String, threads: Int = 1, capacity: Int, niceness: Int32 = 0) {
        self.name = name
        self.threads = threads
        self.capacity = capacity
        self.niceness = niceness
    }
}

extension Lane {
    /// Runs `work` on the lane and returns what it returns.
    /// - Throws: ``LaneRefused`` if the queue is full, else what `work` throws.
    public func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws
        -> Value
    {
        try await withUnsafeThrowingContinuation { continuation in
            let accepted = submit { continuation.resume(with: Result(catching: work)) }
            if !accepted { continuation.resume(throwing: LaneRefused()) }
        }
    }
}

/// The lane's queue is full, or the lane has ended.
public struct LaneRefused: Error, Hashable, Sendable {
    public init() {}
}

/// Runs what is submitted at once, on the caller's thread: the deterministic lane of simulations and of
/// commands that need no second thread.
public struct InlineLane: Lane {
    public init() {}
    public func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        work()
        return true
    }
    public var depth: Int { 0 }
    public func finish() {}
}
