import Foundation
import FuzzEntries

// `holdfast-fuzz NAME FILE…` gives the files to an entry, one after the other: to see a crash again. Built by
// `Scripts/fuzz` it is a libFuzzer, and takes that one's arguments behind the name.

let names = FuzzEntry.all.map(\.name).joined(separator: " ")
// A libFuzzer that merges starts itself again, without the name.
let inherited = ProcessInfo.processInfo.environment["HOLDFAST_FUZZ_ENTRY"].map { [$0] } ?? []
let words = inherited + CommandLine.arguments.dropFirst()
guard let name = words.first, let entry = FuzzEntry.named(name) else {
    FileHandle.standardError.write(Data("usage: holdfast-fuzz NAME …, NAME one of: \(names)\n".utf8))
    exit(2)
}
let arguments = Array(words.dropFirst())

#if HOLDFAST_LIBFUZZER
    exit(LibFuzzer.run(entry, program: CommandLine.arguments[0], arguments: arguments))
#else
    for path in arguments {
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        EntryRunner.run(entry, bytes)
        print("\(path): \(bytes.count) bytes, good")
    }
#endif
