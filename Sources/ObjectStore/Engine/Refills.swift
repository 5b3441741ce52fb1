import Foundation
import Model
import Synchronization

/// How far bringing a volume up to date has come.
public struct RefillProgress: Sendable {
    public let started: Timestamp
    /// Events that the volume's log missed, and of them those that it has.
    public var events: UInt64 = 0
    public var eventsDone: UInt64 = 0
    /// Bytes of the blobs that those events brought.
    public var bytes: UInt64 = 0
    public var bytesDone: UInt64 = 0
    /// Bytes of blobs that were copied, and whose events are not there yet.
    var underWay: UInt64 = 0

    init(started: Timestamp) { self.started = started }

    /// From 0 to 1.
    public var part: Double {
        if bytes > 0 { return min(1, Double(bytesDone + underWay) / Double(bytes)) }
        return events > 0 ? min(1, Double(eventsDone) / Double(events)) : 0
    }

    /// How long the rest takes if it goes on as it went so far; `nil` before there is anything to tell by.
    public func secondsLeft(at now: Timestamp) -> Double? {
        guard part > 0, now > started else { return nil }
        return Double(now.microseconds - started.microseconds) / 1_000_000 * (1 - part) / part
    }
}

/// What is being brought to volumes that were away, how fast, and what of it nobody has read back yet.
package final class Refills: Sendable {
    private struct State {
        var running: [Int: RefillProgress] = [:]
        /// From which event on a volume's log and blobs were brought to it.
        var brought: [Int: SequenceNumber] = [:]
        var allowed: [Int: Double] = [:]
        var isStopped = false
    }

    /// Nobody waits for longer at once, so that a store that closes is not kept.
    private static let longestPause = 0.1

    private let state = Mutex(State())
    /// `nil`: as fast as the disks are.
    private let bytesPerSecond: UInt64?
    private let clock: @Sendable () -> Timestamp
    private let sleep: @Sendable (Double) -> Void

    init(
        bytesPerSecond: UInt64?, clock: @escaping @Sendable () -> Timestamp,
        sleep: @escaping @Sendable (Double) -> Void
    ) {
        self.bytesPerSecond = bytesPerSecond
        self.clock = clock
        self.sleep = sleep
    }

    /// Whether there is a rate that filling a volume keeps to.
    var isBounded: Bool { bytesPerSecond != nil }

    package func progress(of index: Int) -> RefillProgress? { state.withLock { $0.running[index] } }
    package var isRunning: Bool { state.withLock { !$0.running.isEmpty } }

    func begin(_ index: Int) {
        let now = clock()
        state.withLock {
            $0.running[index] = RefillProgress(started: now)
            $0.allowed[index] = Double(now.microseconds) / 1_000_000
        }
    }

    func end(_ index: Int) { state.withLock { $0.running[index] = nil } }

    func change(_ index: Int, _ body: (inout RefillProgress) -> Void) {
        state.withLock { state in
            guard var progress = state.running[index] else { return }
            body(&progress)
            state.running[index] = progress
        }
    }

    /// Returns when so many bytes more may be written to the volume.
    /// - Throws: ``StoreError/unavailable(_:)`` if the store closes.
    func pace(_ index: Int, _ byteCount: Int) throws {
        let rate = bytesPerSecond.map { Double(max(1, $0)) }
        // Time that was not used is lost: nothing is made up for in a burst.
        let now = Double(clock().microseconds) / 1_000_000
        let due = state.withLock { state -> Double in
            guard let rate else { return now }
            let begin = max(state.allowed[index] ?? now, now)
            state.allowed[index] = begin + Double(byteCount) / rate
            return begin + Double(byteCount) / rate
        }
        while true {
            if state.withLock({ $0.isStopped }) { throw StoreError.unavailable("the store is closing") }
            let left = due - Double(clock().microseconds) / 1_000_000
            guard left > 0 else { return }
            sleep(min(left, Self.longestPause))
        }
    }

    package func stop() { state.withLock { $0.isStopped = true } }

    // MARK: What was brought and not read back

    /// Events from `first` on, and their blobs, were brought to the volume: together with what is noted already.
    package func noteBrought(_ index: Int, from first: SequenceNumber) {
        state.withLock { $0.brought[index] = min($0.brought[index] ?? first, first) }
    }

    package func brought(_ index: Int) -> SequenceNumber? { state.withLock { $0.brought[index] } }
    package func noteHealed(_ index: Int) { state.withLock { $0.brought[index] = nil } }
}

extension ObjectStore {
    /// How far bringing the volume up to date has come, while it goes on.
    public func refillProgress(of index: Int) -> RefillProgress? { engine.refills.progress(of: index) }
}
