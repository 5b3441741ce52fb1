import Model

/// Finds events in a mirror's files, to damage them.
package struct LogDamage {
    package let disk: SimulatedFileSystem
    package let volume: Int

    package init(disk: SimulatedFileSystem, volume: Int) {
        self.disk = disk
        self.volume = volume
    }

    /// The file, and the bytes of it that the frame takes up to the next frame or the end of the file's frames.
    package func frame(_ sequence: SequenceNumber) throws -> (path: String, range: Range<Int>) {
        for path in try disk.files(below: "/volume-\(volume)/log").filter({ $0.hasSuffix(".log") }) {
            let bytes = try disk.contents(of: path)
            guard let start = find(sequence, in: bytes) else { continue }
            let body = word(bytes, start + 32, 4)
            let payload = word(bytes, start + 36, 4)
            let end = start + (88 + Int(body) + Int(payload) + 7) & ~7
            return (path, start..<end)
        }
        throw NotFound(sequence: sequence)
    }

    private struct NotFound: Error { let sequence: SequenceNumber }

    private func find(_ sequence: SequenceNumber, in bytes: [UInt8]) -> Int? {
        stride(from: 0, to: bytes.count - 88, by: 8).first { offset in
            bytes[offset..<offset + 4].elementsEqual("HFEV".utf8)
                && word(bytes, offset + 8, 8) == sequence.rawValue
        }
    }

    private func word(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
