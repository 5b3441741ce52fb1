import Catalog
import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// The scrub of a store that is open: reads back what was brought to volumes that were away, tries findings again
/// that are open, and reads every volume within the period. One thing at a time, on the thread of the task that
/// runs it, which waits for disks.
public final class ScrubService: Sendable {
    /// What the service takes from the world; replaced in tests.
    public struct Surroundings: Sendable {
        /// Shared with whatever else has time.
        public var pace: LoadPace
        /// Minutes since midnight, where the machine is.
        public var minute: @Sendable () -> Int
        /// A clock that nobody sets, in seconds.
        public var uptime: @Sendable () -> Double
        public var sleep: @Sendable (Double) -> Void

        public init(
            pace: LoadPace,
            minute: @escaping @Sendable () -> Int = Self.localMinute,
            uptime: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime },
            sleep: @escaping @Sendable (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }
        ) {
            self.pace = pace
            self.minute = minute
            self.uptime = uptime
            self.sleep = sleep
        }

        public static func localMinute() -> Int {
            let parts = Calendar.current.dateComponents([.hour, .minute], from: Date())
            return (parts.hour ?? 0) * 60 + (parts.minute ?? 0)
        }
    }

    /// What it is doing with a volume.
    public struct Activity: Sendable, Equatable {
        public enum Kind: String, Sendable { case scrubbing, verifying }
        public let kind: Kind
        public let volume: Int
        /// From 0 to 1.
        public let part: Double
    }

    struct State {
        var isPaused = false
        /// Volumes that somebody asked to read now.
        var asked: Set<Int> = []
        var activity: Activity?
        var pacer = ScrubPacer()
        var bytesRead: UInt64 = 0
        var retry = Retry()
        /// What was brought to a volume and found bad is read again less and less often, too.
        var verifications: [Int: Retry] = [:]
    }

    /// Findings that could not be mended are tried again less and less often.
    struct Retry: Sendable {
        static let shortest = 2.0
        static let longest = 600.0
        var due = 0.0
        var interval = Retry.shortest
        var count = 0

        /// Whether it is time to try; the next time is later then.
        mutating func take(at now: Double) -> Bool {
            guard now >= due else { return false }
            due = now + interval
            interval = min(interval * 2, Self.longest)
            return true
        }
    }

    private static let longestNap = 0.25

    let inspection: StoreInspection
    let store: ObjectStore
    public let schedule: ScrubSchedule
    public let openFindings: OpenFindings
    let surroundings: Surroundings
    let state = Mutex(State())
    private let pausePath: String

    public var pace: LoadPace { surroundings.pace }

    /// - Throws: if the catalog cannot be read.
    public init(_ store: ObjectStore, _ schedule: ScrubSchedule, _ surroundings: Surroundings) throws {
        self.store = store
        inspection = store.inspection
        self.schedule = schedule
        self.surroundings = surroundings
        openFindings = OpenFindings(store)
        pausePath = store.inspection.stateDirectory + "/scrub-paused"
        let isPaused = FileManager.default.fileExists(atPath: pausePath)
        state.withLock { $0.isPaused = isPaused }
        // What another process brought and did not read back, this one cannot tell from the rest.
        for (index, volume, _, _) in try inspection.catalog.read({ try $0.volumeStates() })
        where volume != "healed" {
            inspection.refills.noteBrought(index, from: SequenceNumber(1))
        }
    }

    // MARK: Control

    /// Reads the volumes from their first byte to their last now, whatever the window says; `nil` for all.
    public func start(volume: Int?) throws {
        if FileManager.default.fileExists(atPath: pausePath) {
            try FileManager.default.removeItem(atPath: pausePath)
        }
        let asked = volume.map { [$0] } ?? Array(1...Limits.volumeCount)
        state.withLock {
            $0.isPaused = false
            $0.asked.formUnion(asked)
        }
    }

    /// Reads nothing until it is started again, by this process or the next.
    public func pause() throws {
        try Data().write(to: URL(fileURLWithPath: pausePath))
        state.withLock {
            $0.isPaused = true
            $0.asked = []
        }
    }

    /// Goes on after a pause, as the schedule says.
    public func resume() throws {
        if FileManager.default.fileExists(atPath: pausePath) {
            try FileManager.default.removeItem(atPath: pausePath)
        }
        state.withLock { $0.isPaused = false }
    }

    public var isPaused: Bool { state.withLock { $0.isPaused } }
    public var activity: Activity? { state.withLock { $0.activity } }
    public var bytesRead: UInt64 { state.withLock { $0.bytesRead } }

    // MARK: Running

    /// Runs until the task is cancelled.
    public func run(failed: @escaping @Sendable (any Error) -> Void) async {
        while !Task.isCancelled {
            do {
                if try await round() { continue }
            } catch is CancellationError {
                return
            } catch {
                if !Task.isCancelled { failed(error) }
            }
            nap(1)
        }
    }

    /// Does the most urgent thing that there is, to its end.
    /// - Returns: whether there was one.
    @discardableResult
    public func round() async throws -> Bool {
        defer { state.withLock { $0.activity = nil } }
        try await retryFindings()
        try await announceBrought()
        for index in try unhealed() {
            guard let token = inspection.token(index), isDue(index) else { continue }
            if try await verify(token) { return true }
        }
        guard !isPaused else { return false }
        let volumes = try volumes()
        let asked = state.withLock { $0.asked }
        let next =
            volumes.first { asked.contains($0.index) && $0.isInService }?.index
            ?? schedule.next(volumes, at: inspection.now)
        guard let next, let token = inspection.token(next) else { return false }
        return try await scrub(token, isAsked: asked.contains(next))
    }

    private func scrub(_ token: ServiceToken, isAsked: Bool) async throws -> Bool {
        let index = token.volume.index
        guard isAllowed(isAsked: isAsked) else { return false }
        var pass = try VolumePass(
            inspection, token, last: try inspection.catalog.read { try $0.scrubs()[index] })
        note(.scrubbing, index, pass.part)
        while true {
            guard isAllowed(isAsked: isAsked) else {
                // Interrupted: what was read is not read again.
                try await pass.save()
                return false
            }
            let rate =
                isAsked
                ? nil : schedule.rate(bytesLeft: pass.bytesLeft, started: pass.started, at: inspection.now)
            let known = Set(try openFindings.all().keys)
            let watch = Watch(surroundings.uptime())
            let goesOn: Bool
            do {
                goesOn = try await pass.step(known: known, pace: pace(rate, watch))
            } catch is CancellationError {
                try await pass.save()
                return false
            }
            // A stretch of the log is told of by nobody.
            if !watch.isTold { rest(pass.lastByteCount, since: watch.began, rate) }
            note(.scrubbing, index, pass.part)
            if pass.record.complete {
                state.withLock { _ = $0.asked.remove(index) }
                return true
            }
            guard goesOn, !Task.isCancelled else {
                if Task.isCancelled { try await pass.save() }
                return false
            }
        }
    }

    /// Reads back what was brought to a volume. Waits for nothing but requests and repairs.
    private func verify(_ token: ServiceToken) async throws -> Bool {
        let index = token.volume.index
        var verification = try RefillVerification(
            inspection, token, from: inspection.refills.brought(index) ?? SequenceNumber(1))
        while !Task.isCancelled {
            note(.verifying, index, verification.part)
            waitForRepairs()
            let known = Set(try openFindings.all().keys)
            let watch = Watch(surroundings.uptime())
            let outcome = try await verification.step(known: known, pace: pace(nil, watch))
            if !watch.isTold { rest(0, since: watch.began, nil) }
            switch outcome {
            case .more: continue
            case .healed:
                state.withLock { $0.verifications[index] = nil }
                return true
            case .notHealed: return false
            }
        }
        return false
    }

    private func isDue(_ index: Int) -> Bool {
        let now = surroundings.uptime()
        return state.withLock { $0.verifications[index, default: Retry()].take(at: now) }
    }

    private func waitForRepairs() {
        while isRepairing, !Task.isCancelled { nap(0.05) }
    }

    private func note(_ kind: Activity.Kind, _ volume: Int, _ part: Double) {
        state.withLock { $0.activity = Activity(kind: kind, volume: volume, part: part) }
    }

    // MARK: Pace

    private var isRepairing: Bool { inspection.pendingRepairs > 0 || inspection.refills.isRunning }

    private func isAllowed(isAsked: Bool) -> Bool {
        while isRepairing, !Task.isCancelled { nap(0.05) }
        return ScrubPacer.isAllowed(
            isPaused: isPaused, isAsked: isAsked, window: schedule.window, minute: surroundings.minute(),
            isRepairing: false)
    }

    /// What a step tells of the pieces that it reads: large replicas rest between them.
    private func pace(_ rate: Double?, _ watch: Watch) -> @Sendable (Int) -> Void {
        { [self] count in
            rest(count, since: watch.began, rate)
            watch.begin(surroundings.uptime())
        }
    }

    /// When the reading began that nobody has rested for yet.
    private final class Watch: Sendable {
        private let reading: Mutex<(began: Double, isTold: Bool)>
        init(_ now: Double) { reading = Mutex((now, false)) }
        var began: Double { reading.withLock { $0.began } }
        /// Whether some piece was told of.
        var isTold: Bool { reading.withLock { $0.isTold } }
        func begin(_ now: Double) { reading.withLock { $0 = (now, true) } }
    }

    private func rest(_ count: Int, since began: Double, _ rate: Double?) {
        let now = surroundings.uptime()
        let worked = max(0, now - began)
        let until = state.withLock { state in
            state.bytesRead += UInt64(count)
            return state.pacer.spend(count, seconds: worked, rate: rate, at: now)
        }
        pace.pass(worked: worked) { [self] in Task.isCancelled || isPaused }
        wait(until: until)
    }

    private func wait(until end: Double) {
        while !Task.isCancelled, !isPaused {
            let left = end - surroundings.uptime()
            guard left > 0 else { return }
            surroundings.sleep(min(left, Self.longestNap))
        }
    }

    private func nap(_ seconds: Double) {
        let end = surroundings.uptime() + seconds
        while !Task.isCancelled {
            let left = end - surroundings.uptime()
            guard left > 0 else { return }
            surroundings.sleep(min(left, Self.longestNap))
            if !state.withLock({ $0.asked.isEmpty }), seconds >= 1 { return }
        }
    }
}
