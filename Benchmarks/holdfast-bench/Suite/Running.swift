import Foundation
import Synchronization

/// What a run must not leave behind: processes, and the directory that they work in.
///
/// A child has a process group of its own, so that an interrupt at the terminal does not reach it.
enum Running {
    private struct State {
        var processes: Set<Int32> = []
        var directory: String?
    }

    private static let state = Mutex(State())

    static func insert(_ id: Int32) { state.withLock { _ = $0.processes.insert(id) } }
    static func remove(_ id: Int32) { state.withLock { _ = $0.processes.remove(id) } }
    static func removeAtEnd(_ directory: String) { state.withLock { $0.directory = directory } }

    static func removeDirectory() {
        guard let directory = state.withLock({ $0.directory }) else { return }
        do {
            try FileManager.default.removeItem(atPath: directory)
        } catch {
            FileHandle.standardError.write(Data("\(directory) is left behind: \(error)\n".utf8))
        }
    }

    /// From now on SIGINT and SIGTERM end the processes and this one, and remove the directory.
    static func endWithSignals() -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                for id in state.withLock({ $0.processes }) { kill(id, SIGKILL) }
                removeDirectory()
                exit(128 + number)
            }
            source.resume()
            return source
        }
    }
}
