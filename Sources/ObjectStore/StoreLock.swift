import Foundation
import Volumes

/// The lock by which one process has a store: the file `lock` of its state directory.
public enum StoreLock {
    /// How often a store that another process has is looked at again.
    private static let interval = Duration.milliseconds(20)

    /// Whether no process has the store, for the moment.
    /// - Throws: ``FileSystemError``.
    public static func isFree(
        _ settings: StoreSettings, _ environment: StoreEnvironment = .real
    ) throws -> Bool {
        guard try environment.fileSystem.status(of: settings.stateDirectory) != nil else { return true }
        guard let lock = try environment.fileSystem.lock(path(settings)) else { return false }
        lock.close()
        return true
    }

    /// Keeps every other process from having the store, until the file is closed.
    /// - Throws: ``StoreError/invalidState(_:)`` if one has it, ``FileSystemError``.
    public static func take(
        _ settings: StoreSettings, _ environment: StoreEnvironment = .real
    ) throws -> any File {
        guard let lock = try environment.fileSystem.lock(path(settings)) else { throw taken(settings) }
        return lock
    }

    /// Returns when no process has the store any more.
    /// - Throws: ``StoreError/invalidState(_:)`` if one still has it at the deadline, ``FileSystemError``.
    public static func waitUntilFree(
        _ settings: StoreSettings, deadline: Duration, _ environment: StoreEnvironment = .real
    ) async throws {
        let end = ContinuousClock.now + deadline
        while try !isFree(settings, environment) {
            guard ContinuousClock.now < end else { throw taken(settings) }
            try await Task.sleep(for: interval)
        }
    }

    static func path(_ settings: StoreSettings) -> String { settings.stateDirectory + "/lock" }

    static func taken(_ settings: StoreSettings) -> StoreError {
        .invalidState("another process has the store: \(path(settings)) is locked")
    }
}
