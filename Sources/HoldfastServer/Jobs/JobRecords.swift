import Foundation
import Model
import Synchronization
import Volumes

/// What is remembered of a job when the server is started again.
package struct JobRecord: Codable, Sendable, Equatable {
    package var isPaused = false
    /// When the last run began that came to its end, in microseconds since 1970.
    package var begun: UInt64?
    package var seconds: Double?
    package var isGood: Bool?
    /// What it came to, in words.
    package var result: String?
    /// When the last run began that found everything as it should be.
    package var succeeded: UInt64?
    /// Since when it has a schedule; `nil` for what runs only when somebody asks.
    package var scheduled: UInt64?
    /// Runs in a row that did not come to their end, and why the last one did not.
    package var failures = 0
    package var error: String?

    package init() {}

    /// Since when nothing new was made: since the last run that made it began or, before there was one, since it was to be.
    package var lastMade: UInt64? { succeeded ?? scheduled }
}

/// The file `jobs.json` of the state directory (`Documentation/formats.md`). It may be lost: jobs are due sooner then,
/// and none is paused.
final class JobRecords: Sendable {
    private struct Document: Codable {
        var format = 1
        var jobs: [String: JobRecord]
    }

    private struct State {
        var jobs: [String: JobRecord] = [:]
        var saved: [String: JobRecord] = [:]
    }

    let path: String
    private let fileSystem: any FileSystem
    private let state = Mutex(State())
    /// Held while the file is written, so that a later state is not overwritten by an earlier one; nothing else waits
    /// for it.
    private let writing = Mutex(())

    /// - Parameter failed: told why a file that is there cannot be used.
    init(path: String, fileSystem: any FileSystem, failed: (String) -> Void) {
        self.path = path
        self.fileSystem = fileSystem
        do {
            guard try fileSystem.status(of: path) != nil else { return }
            let document = try JSONDecoder().decode(
                Document.self, from: Data(try fileSystem.contents(of: path)))
            guard document.format == 1 else {
                failed("\(path) has format \(document.format), which this Holdfast does not know")
                return
            }
            state.withLock {
                $0.jobs = document.jobs
                $0.saved = document.jobs
            }
        } catch {
            failed("\(path) cannot be read, what jobs did before is not known: \(error)")
        }
    }

    subscript(name: String) -> JobRecord { state.withLock { $0.jobs[name] } ?? JobRecord() }

    @discardableResult
    func change(_ name: String, _ body: (inout JobRecord) -> Void) -> JobRecord {
        state.withLock { state in
            var record = state.jobs[name] ?? JobRecord()
            body(&record)
            state.jobs[name] = record
            return record
        }
    }

    /// Of jobs that there are no more: one that comes again waits for its first run anew.
    func forgetSchedules(but names: Set<String>) {
        state.withLock { state in
            for name in state.jobs.keys where !names.contains(name) { state.jobs[name]?.scheduled = nil }
        }
    }

    /// Makes what was changed durable: written whole, synced, in the place of what was there.
    func save() throws {
        try writing.withLock { _ in
            let (jobs, saved) = state.withLock { ($0.jobs, $0.saved) }
            guard jobs != saved else { return }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let bytes = Array(try encoder.encode(Document(jobs: jobs))) + [UInt8(ascii: "\n")]
            try fileSystem.replaceFile(path, with: bytes, permissions: 0o600)
            state.withLock { $0.saved = jobs }
        }
    }
}
