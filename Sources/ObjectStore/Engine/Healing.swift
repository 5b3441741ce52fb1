import Foundation
import Model
import Synchronization

/// What a store does by itself to heal, and how much of it: `Documentation/healing.md`.
public struct HealingSettings: Sendable, Equatable {
    /// What can be switched off, each by itself.
    public enum Action: String, Sendable, CaseIterable {
        /// Volumes that were set aside are brought back.
        case volumes
        /// A volume that is much slower than the others is set aside.
        case slow
        /// Damaged replicas and frames are written anew.
        case repairs
        /// Jobs that hang are started again.
        case jobs
        /// Space is given back early where a volume is nearly full.
        case space
    }

    public var allowed = Set(Action.allCases)
    /// How often a volume is brought back within an hour; `nil` for no bound.
    public var returnsPerHour: Int?
    /// Repairs that the server makes by itself in a minute; `nil` for no bound.
    public var repairsPerMinute: Int?
    /// How often a job that hangs is started again within an hour.
    public var restartsPerHour = 3
    /// A volume with less room than so many percent gives space back early.
    public var freePercent = 10

    public init() {}

    public func allows(_ action: Action) -> Bool { allowed.contains(action) }
}

/// So many times within so long, and no more: a sliding window. Pure: what time it is, is given.
package struct ActionWindow: Sendable {
    /// `nil` for no bound.
    private let limit: Int?
    private let microseconds: UInt64
    private var times: [Timestamp] = []

    package init(limit: Int?, seconds: UInt64) {
        self.limit = limit
        microseconds = seconds * 1_000_000
    }

    /// How many there were within the window, this one not among them.
    package mutating func count(at now: Timestamp) -> Int {
        times.removeAll { $0.microseconds + microseconds <= now.microseconds }
        return times.count
    }

    package mutating func isFull(at now: Timestamp) -> Bool {
        guard let limit else { return false }
        return count(at: now) >= limit
    }

    package mutating func note(_ now: Timestamp) {
        guard limit != nil else { return }
        _ = count(at: now)
        times.append(now)
    }

    /// When the next one fits; `nil` if it does now.
    package mutating func next(at now: Timestamp) -> Timestamp? {
        guard isFull(at: now) else { return nil }
        guard let first = times.first else { return .init(microseconds: now.microseconds + microseconds) }
        return Timestamp(microseconds: first.microseconds + microseconds)
    }
}

/// Which volumes may come back by themselves: one that keeps leaving stays aside until somebody has looked at it, for each
/// return costs reads of the others, and each leaving the requests that were under way. The first few returns are at once,
/// those after them less and less often: a volume that is full, or a cable that is loose, may be well again in a minute. So is
/// one tried that is there and cannot be filled, since each try reads of the others. While so few are in service that nothing
/// can be written, there is nobody whom a return could disturb, and none waits.
final class VolumeReturns: Sendable {
    /// Returns within an hour that wait for nothing.
    private static let promptCount = 3
    private static let longestWait: UInt64 = 300

    private struct Place {
        var returns: ActionWindow
        /// How often in a row it was there and could not be filled.
        var failures = 0
        /// It is not brought back before.
        var next = Timestamp(microseconds: 0)
        /// Why it stays aside.
        var held: String?
        /// Somebody wants it back, whatever the rules say.
        var isWanted = false
    }

    private let settings: HealingSettings
    private let clock: @Sendable () -> Timestamp
    private let places: Mutex<[Int: Place]>

    init(_ settings: HealingSettings, clock: @escaping @Sendable () -> Timestamp) {
        self.settings = settings
        self.clock = clock
        places = Mutex(
            Dictionary(
                uniqueKeysWithValues: (1...Limits.volumeCount).map {
                    ($0, Place(returns: ActionWindow(limit: settings.returnsPerHour, seconds: 3600)))
                }))
    }

    enum Verdict: Equatable {
        case go
        /// It stays aside, and this is the moment from which on it does: somebody is to be told.
        case hold(reason: String)
        case held
        /// It was back a moment ago, and not for the first time; or it could not be filled a moment ago.
        case later
    }

    /// Asked before a volume that is set aside is brought back.
    /// - Parameters:
    ///   - reason: why it is set aside.
    ///   - isNeeded: without it nothing can be written.
    func judge(_ index: Int, reason: String, isNeeded: Bool) -> Verdict {
        let now = clock()
        return places.withLock { places in
            guard var place = places[index] else { return .go }
            defer { places[index] = place }
            if isNeeded, place.isWanted || settings.allows(.volumes) { return .go }
            if place.isWanted { return now < place.next ? .later : .go }
            if place.held != nil { return .held }
            let why: String
            if !settings.allows(.volumes) {
                why = "the setting 'healing' does not bring volumes back"
            } else if place.returns.isFull(at: now) {
                why = "it came back \(place.returns.count(at: now)) times within an hour"
            } else {
                return now < place.next ? .later : .go
            }
            let held = "\(reason); \(why): it stays aside until 'holdfast volume return'"
            place.held = held
            return .hold(reason: held)
        }
    }

    func noteReturn(_ index: Int) {
        let now = clock()
        places.withLock { places in
            guard var place = places[index] else { return }
            place.returns.note(now)
            place.isWanted = false
            place.held = nil
            place.failures = 0
            let excess = place.returns.count(at: now) - Self.promptCount
            // It waits for no failure before this, either.
            place.next = excess > 0 ? Self.wait(excess, from: now) : Timestamp(microseconds: 0)
            places[index] = place
        }
    }

    /// It was there, and could not be filled.
    /// - Parameter isNeeded: without it nothing can be written: it is tried again at once, and that counts for nothing.
    func noteFailure(_ index: Int, isNeeded: Bool) {
        guard !isNeeded else { return }
        let now = clock()
        places.withLock { places in
            guard var place = places[index] else { return }
            place.failures += 1
            place.next = max(place.next, Self.wait(place.failures, from: now))
            places[index] = place
        }
    }

    /// 1 s at first, then twice as long each time.
    private static func wait(_ count: Int, from now: Timestamp) -> Timestamp {
        let seconds = min(longestWait, UInt64(1) << UInt64(min(count - 1, 10)))
        return Timestamp(microseconds: now.microseconds + seconds * 1_000_000)
    }

    func isHeld(_ index: Int) -> Bool { places.withLock { $0[index]?.held != nil } }

    /// Somebody wants it back: it counts as if it had never left.
    /// - Returns: whether it was held.
    @discardableResult
    func release(_ index: Int) -> Bool {
        places.withLock { places in
            let wasHeld = places[index]?.held != nil
            places[index] = Place(
                returns: ActionWindow(limit: settings.returnsPerHour, seconds: 3600), held: nil,
                isWanted: !settings.allows(.volumes))
            return wasHeld
        }
    }
}

/// Whether the server mends damage by itself, and how much of it in a minute.
package final class RepairAllowance: Sendable {
    private let isAllowed: Bool
    private let window: Mutex<ActionWindow>
    private let clock: @Sendable () -> Timestamp

    package init(_ settings: HealingSettings, clock: @escaping @Sendable () -> Timestamp) {
        isAllowed = settings.allows(.repairs)
        window = Mutex(ActionWindow(limit: settings.repairsPerMinute, seconds: 60))
        self.clock = clock
    }

    /// Without, what is found damaged is recorded and stays as it is.
    package var mends: Bool { isAllowed }

    /// Takes one repair out of the minute's.
    /// - Returns: when to ask again, if the minute's are used up.
    package func take() -> Timestamp? {
        let now = clock()
        return window.withLock { window in
            if let next = window.next(at: now) { return next }
            window.note(now)
            return nil
        }
    }

    /// Returns when another repair may be made.
    /// - Parameter waits: told again and again meanwhile.
    /// - Throws: `CancellationError`.
    package func wait(_ waits: () -> Void = {}) async throws {
        while let next = take() {
            waits()
            let now = clock()
            let left = Double(next.microseconds - min(next.microseconds, now.microseconds)) / 1_000_000
            try await Task.sleep(for: .seconds(min(max(left, 0.01), 1)))
        }
    }
}

extension Engine {
    /// Whether so few volumes are in service that nothing can be written.
    var isShortOfVolumes: Bool { volumes.inService.count < Limits.writeQuorum }

    /// An event says what the store did by itself. Where there is no quorum there is nowhere to say it.
    func announceHealing(_ action: String, _ subject: String, _ reason: String) {
        var change = EventHealingActed()
        change.action = action
        change.subject = subject
        change.reason = reason
        let event = change
        ledger.propose(
            Proposal(actor: .holdfast) { _ in .append(.healingActed(event)) { _, _ in } }
        ) { _ in }  // the standing of what it was done to says it too
    }
}

extension ObjectStore {
    /// Whether a volume that is set aside stays so until somebody wants it back.
    public func isHeld(volume index: Int) -> Bool { engine.returns.isHeld(index) }

    /// Brings a volume back that stays aside because it left too often, or because the settings say so.
    /// - Throws: ``StoreError/invalidState(_:)`` for one that is in service.
    public func returnVolume(_ index: Int) throws {
        guard engine.volumes.setAside.contains(where: { $0.index == index }) else {
            throw StoreError.invalidState(
                "volume \(index) is in good standing: only a volume that is set aside can return")
        }
        if engine.returns.release(index) {
            engine.announceHealing("release-volume", "volume \(index)", "an operator wants it back")
        }
    }
}

extension StoreInspection {
    package var repairAllowance: RepairAllowance { engine.repairAllowance }
    package var healing: HealingSettings { engine.settings.healing }

    /// See ``EventHealingActed``.
    package func announceHealing(_ action: String, _ subject: String, _ reason: String) {
        engine.announceHealing(action, subject, reason)
    }
}
