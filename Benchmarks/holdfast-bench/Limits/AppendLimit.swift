import Foundation

/// What bounds small PUTs: appending groups of 64 frames to three log files that are allocated and written ahead,
/// each group one write and one sync a file, the files in parallel. A group ends when its slowest file is synced,
/// since that is when its PUTs could be answered.
enum AppendLimit {
    static let groupCount = 64
    /// A payload of 4 KiB, its event and the frame's header.
    static let frameByteCount = 4608
    private static let fileByteCount = 64 << 20

    /// - Returns: objects a second.
    static func measure(in directory: String, seconds: Double) throws -> Double {
        let files = try (1...3).map { try RawFile("\(directory)/append-\($0).log", .cached) }
        defer { for file in files { unlink(file.path) } }
        for file in files { try writeAhead(file) }
        let barrier = Barrier(count: files.count)
        let rates = try onThreads(files.count) { try append(to: files[$0], barrier, seconds: seconds) }
        return rates.min() ?? 0
    }

    private static func writeAhead(_ file: RawFile) throws {
        try file.allocate(fileByteCount)
        try withPieceBuffer { zeros in
            zeros.initializeMemory(as: UInt8.self, repeating: 0)
            for offset in stride(from: 0, to: fileByteCount, by: zeros.count) {
                try file.write(UnsafeRawBufferPointer(zeros), at: offset)
            }
        }
        try file.sync()
    }

    private static func append(to file: RawFile, _ barrier: Barrier, seconds: Double) throws -> Double {
        let group = RandomBody(byteCount: groupCount * frameByteCount)
        var offset = 0
        var groups = 0
        barrier.wait()
        let start = Clock.now
        // Each group begins when all files have the one before, and all threads leave after the same group.
        while barrier.goesOn(Clock.seconds(since: start) < seconds) {
            if offset + group.bytes.count > fileByteCount { offset = 0 }
            try file.write(group.bytes, at: offset)
            try file.sync()
            offset += group.bytes.count
            groups += 1
        }
        return Double(groups * groupCount) / Clock.seconds(since: start)
    }
}
