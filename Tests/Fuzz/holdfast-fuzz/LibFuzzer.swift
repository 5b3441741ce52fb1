#if HOLDFAST_LIBFUZZER
    import Foundation
    import FuzzEntries
    import Synchronization

    private typealias Callback = @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
    private typealias Arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    /// Source: LLVM, "libFuzzer – a library for coverage-guided fuzz testing", "Using libFuzzer as a library".
    @_silgen_name("LLVMFuzzerRunDriver")
    private func runDriver(
        _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutablePointer<Arguments>,
        _ callback: Callback
    ) -> Int32

    /// libFuzzer's callback has no context.
    private let chosen = Mutex<FuzzEntry?>(nil)

    private let callback: Callback = { data, size in
        if let entry = chosen.withLock({ $0 }) {
            EntryRunner.run(entry, Array(UnsafeBufferPointer(start: data, count: size)))
        }
        return 0
    }

    enum LibFuzzer {
        /// The status that the process ends with. The arguments are libFuzzer's until then.
        static func run(_ entry: FuzzEntry, program: String, arguments: [String]) -> Int32 {
            chosen.withLock { $0 = entry }
            setenv("HOLDFAST_FUZZ_ENTRY", entry.name, 1)
            let list = Arguments.allocate(capacity: arguments.count + 2)
            for (index, argument) in ([program] + arguments).enumerated() { list[index] = strdup(argument) }
            list[arguments.count + 1] = nil
            let lists = UnsafeMutablePointer<Arguments>.allocate(capacity: 1)
            lists.initialize(to: list)
            let count = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
            count.initialize(to: Int32(arguments.count + 1))
            return runDriver(count, lists, callback)
        }
    }
#endif
