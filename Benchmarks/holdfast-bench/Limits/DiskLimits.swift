import Foundation

/// What bounds large objects on disk: three files written with O_DIRECT, and read back.
enum DiskLimits {
    /// Writes `byteCount` to each of three new files in `directory`: 1 MiB at a time, direct, allocated ahead, one
    /// thread a file, and one sync each at the end.
    /// - Returns: seconds until the slowest was stable.
    static func write(_ byteCount: Int, in directory: String, name: String) throws -> Double {
        let start = Clock.now
        _ = try onThreads(3) { index in
            let file = try RawFile(path(directory, name, index), .direct)
            try file.allocate(byteCount)
            try withPieceBuffer { piece in
                for offset in stride(from: 0, to: byteCount, by: piece.count) {
                    try file.write(UnsafeRawBufferPointer(piece), at: offset)
                }
            }
            try file.sync()
        }
        return Clock.seconds(since: start)
    }

    /// Reads the three files from disk, each in order by its own thread.
    /// - Returns: bytes a second of all three.
    static func read(in directory: String, name: String, _ access: RawFile.Access) throws -> Double {
        let files = try (0..<3).map { try RawFile(path(directory, name, $0), access) }
        for file in files { try file.dropCache() }
        let start = Clock.now
        let counts = try onThreads(3) { index in try withPieceBuffer { try files[index].readAll($0) } }
        return Double(counts.reduce(0, +)) / Clock.seconds(since: start)
    }

    /// Reads one of the files again and again out of the page cache, on one thread.
    /// - Returns: bytes a second.
    static func readCached(in directory: String, name: String, seconds: Double) throws -> Double {
        let file = try RawFile(path(directory, name, 0), .cached)
        return try withPieceBuffer { buffer in
            _ = try file.readAll(buffer)
            var byteCount = 0
            let start = Clock.now
            repeat { byteCount += try file.readAll(buffer) } while Clock.seconds(since: start) < seconds
            return Double(byteCount) / Clock.seconds(since: start)
        }
    }

    static func remove(in directory: String, name: String) {
        for index in 0..<3 { unlink(path(directory, name, index)) }
    }

    private static func path(_ directory: String, _ name: String, _ index: Int) -> String {
        "\(directory)/\(name)-\(index + 1).raw"
    }
}
