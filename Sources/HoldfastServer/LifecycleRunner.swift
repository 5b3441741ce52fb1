import Foundation
import Logging
import Model
import ObjectStore
import S3

/// Carries the buckets' lifecycle rules out, once a day, at a bounded pace.
///
/// How far a pass has come stands in a file of the state directory, so that a server that is started again goes on
/// from there. The file may be lost: the pass then begins again, and finds gone what it had removed.
package struct LifecycleRunner: Sendable {
    /// Time as the runner has it; tests have their own.
    package struct Time: Sendable {
        let now: @Sendable () -> Timestamp
        /// - Throws: `CancellationError`, as `Task.sleep` does.
        let sleep: @Sendable (Duration) async throws -> Void

        package init(
            now: @escaping @Sendable () -> Timestamp,
            sleep: @escaping @Sendable (Duration) async throws -> Void
        ) {
            self.now = now
            self.sleep = sleep
        }

        package static let real = Time(now: { .now() }, sleep: { try await Task.sleep(for: $0) })
    }

    /// While more commits than this wait, the pass waits too.
    private static let busyDepth = 64
    private static let busyPause = Duration.milliseconds(20)
    private static let longestPause = 60.0

    private struct Progress: Codable {
        /// The day in which the pass was begun.
        var day: UInt64
        var isDone: Bool
        var place: LifecyclePass.Place?
    }

    let store: ObjectStore
    let daySeconds: UInt64
    let changesPerSecond: Int
    /// Where the progress is kept.
    let path: String
    let logger: Logger
    let time: Time

    package init(_ store: ObjectStore, _ settings: ServerSettings, _ logger: Logger, time: Time = .real) {
        self.store = store
        daySeconds = UInt64(settings.lifecycleDaySeconds)
        changesPerSecond = settings.lifecycleRate
        path = settings.store.stateDirectory + "/lifecycle.json"
        self.logger = logger
        self.time = time
    }

    /// Returns when the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            do {
                try await passIfDue()
                try await time.sleep(.seconds(untilNextDay))
            } catch is CancellationError {
                return
            } catch {
                logger.error("lifecycle: \(error)")
                // Cancelled while it sleeps, the loop ends above.
                try? await time.sleep(.seconds(min(1, untilNextDay)))
            }
        }
    }

    /// Never long: the clock may be set.
    var untilNextDay: Double {
        let length = Double(daySeconds)
        let now = Double(time.now().microseconds) / 1_000_000
        return min(Self.longestPause, length - now.truncatingRemainder(dividingBy: length) + 0.001)
    }

    func passIfDue() async throws {
        let last = progress()
        let today = time.now().seconds / daySeconds
        if let last, last.isDone, last.day == today { return }
        // A pass that was stopped is ended first, whatever day it is.
        let isResumed = last?.isDone == false
        let day = isResumed ? last?.day ?? today : today
        let pass = LifecyclePass(store, daySeconds: daySeconds, clock: time.now, pace: pace)
        let summary = try await pass.run(from: isResumed ? last?.place : nil) { place in
            try write(Progress(day: day, isDone: false, place: place))
        }
        try write(Progress(day: day, isDone: true, place: nil))
        report(summary)
    }

    private func pace() async throws {
        // Rounded up: the setting is a limit.
        let pause = (1_000_000 + changesPerSecond - 1) / changesPerSecond
        try await time.sleep(.microseconds(pause))
        while store.commitQueueDepth > Self.busyDepth { try await time.sleep(Self.busyPause) }
    }

    private func report(_ summary: LifecyclePass.Summary) {
        for failure in summary.failures { logger.error("lifecycle: \(failure)") }
        guard summary.removed + summary.hidden + summary.aborted + summary.locked > 0 else { return }
        logger.info(
            "lifecycle: \(summary.removed) versions removed, \(summary.hidden) hidden, \(summary.aborted) uploads aborted, \(summary.locked) locked"
        )
    }

    private func progress() -> Progress? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        do {
            return try JSONDecoder().decode(
                Progress.self, from: try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            logger.notice("lifecycle: \(path) cannot be read, the pass begins again: \(error)")
            return nil
        }
    }

    private func write(_ progress: Progress) throws {
        try JSONEncoder().encode(progress).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
