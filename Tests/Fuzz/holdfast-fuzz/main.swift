import Dispatch
import Foundation
import FuzzEntries

/// `holdfast-fuzz NAME FILE…` gives the files to an entry, one after the other: to see a crash again. Built by `Scripts/fuzz`
/// it is a libFuzzer, and takes that one's arguments behind the name.

func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Data((text + "\n").utf8))
    exit(2)
}

/// Waits for an entry, and ends the process with what it found.
func run(_ entry: FuzzEntry, _ input: [UInt8]) {
    let done = DispatchSemaphore(value: 0)
    Task.detached {
        do { try await entry.run(input) } catch { fatalError("\(entry.name): \(error)") }
        done.signal()
    }
    done.wait()
}

let names = FuzzEntry.all.map(\.name).joined(separator: " ")
guard CommandLine.arguments.count > 1, let chosen = FuzzEntry.named(CommandLine.arguments[1]) else {
    fail("usage: holdfast-fuzz NAME …, NAME one of: \(names)")
}

#if HOLDFAST_LIBFUZZER
    typealias FuzzerCallback = @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32

    @_silgen_name("LLVMFuzzerRunDriver")
    func runFuzzer(
        _ count: UnsafeMutablePointer<Int32>,
        _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
        _ callback: FuzzerCallback
    ) -> Int32

    var list = ([CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)).map { strdup($0) } + [nil]
    var count = Int32(list.count - 1)
    let status = list.withUnsafeMutableBufferPointer { buffer in
        guard var base = buffer.baseAddress else { fail("no arguments") }
        return runFuzzer(&count, &base) { data, size in
            run(chosen, Array(UnsafeBufferPointer(start: data, count: size)))
            return 0
        }
    }
    exit(status)
#else
    for path in CommandLine.arguments.dropFirst(2) {
        guard let bytes = FileManager.default.contents(atPath: path) else { fail("\(path) cannot be read") }
        run(chosen, Array(bytes))
        print("\(path): \(bytes.count) bytes, good")
    }
#endif
