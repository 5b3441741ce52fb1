import Dispatch
import FuzzEntries

enum EntryRunner {
    /// Waits for an entry, and ends the process with what it found.
    static func run(_ entry: FuzzEntry, _ input: [UInt8]) {
        let done = DispatchSemaphore(value: 0)
        Task.detached {
            do { try await entry.run(input) } catch { fatalError("\(entry.name): \(error)") }
            done.signal()
        }
        done.wait()
    }
}
