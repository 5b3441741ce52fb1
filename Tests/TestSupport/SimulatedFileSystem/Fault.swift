import Foundation
import Glibc

/// The calls that a fault can be attached to.
public enum SimulatedOperation: String, Hashable, Sendable, CaseIterable {
    case open, create, read, readIfCached, write, allocate, truncate, size, sync, dropCache
    case status, list, createDirectory, removeDirectory, link, rename, remove, syncDirectory, lock, space

    /// Whether it changes something: these are counted, and a crash happens at one of them.
    public var isMutating: Bool {
        switch self {
        case .create, .write, .allocate, .truncate, .sync, .createDirectory, .removeDirectory, .link, .rename,
            .remove, .syncDirectory:
            true
        case .open, .read, .readIfCached, .size, .dropCache, .status, .list, .lock, .space: false
        }
    }
}

/// What happens to the call instead of, or before, what it asks for.
public enum FaultEffect: Sendable {
    /// It fails with this `errno` and does nothing.
    case fail(Int32)
    /// A write writes this many bytes, then fails.
    case shortWrite(Int, Int32)
    /// A write says that it went well, and a bit of this one of its bytes is another.
    case flippedWrite(at: Int)
    /// A read returns only this many bytes, as if the file ended there.
    case shortRead(Int)
    /// A sync fails, and what it should have made durable never will be, whatever later syncs say.
    case loseSync(Int32)
    /// It waits until the stall is released, and is then carried out.
    case stall(Stall)
}

/// Which calls a fault strikes.
public struct Fault: Sendable {
    public let operations: Set<SimulatedOperation>
    public let matches: @Sendable (_ path: String) -> Bool
    /// Matching calls that are let through first.
    public let skip: Int
    /// Calls that it strikes before it is used up; `nil`: all from then on.
    public let times: Int?
    public let effect: FaultEffect

    /// - Parameter path: asked with the path of the call; for a link or a rename, with the new one.
    public init(
        _ effect: FaultEffect, on operations: Set<SimulatedOperation>, skip: Int = 0, times: Int? = 1,
        path matches: @escaping @Sendable (_ path: String) -> Bool = { _ in true }
    ) {
        self.operations = operations
        self.matches = matches
        self.skip = skip
        self.times = times
        self.effect = effect
    }
}

/// A call that hangs until the test lets it go on.
public final class Stall: @unchecked Sendable {
    // Both counters are touched only with `condition` locked.
    private let condition = NSCondition()
    private var isReleased = false
    private var waiting = 0

    public init() {}

    /// Lets every call go on, those to come too.
    public func release() {
        condition.withLock {
            isReleased = true
            condition.broadcast()
        }
    }

    /// Blocks until a call hangs here.
    public func waitUntilReached() {
        condition.withLock { while waiting == 0 { condition.wait() } }
    }

    func hang() {
        condition.withLock {
            waiting += 1
            condition.broadcast()
            while !isReleased { condition.wait() }
            waiting -= 1
        }
    }
}
