import EventLog
import Model
import Volumes

/// When the last event of a mirror of the log was, by the frames of its last segment.
enum LastEventTime {
    /// - Returns: `nil` if there is no event, or no frame that can be read.
    static func find(_ directory: String, _ fileSystem: any FileSystem) -> Timestamp? {
        // What cannot be read is told of by whoever looks at the volume.
        guard let names = try? fileSystem.list(directory).filter({ Segment.first(of: $0) != nil }) else {
            return nil
        }
        // The last segment may have no event yet.
        for name in names.suffix(2).reversed() {
            if let time = try? last(in: "\(directory)/\(name)", fileSystem) { return time }
        }
        return nil
    }

    private static func last(in path: String, _ fileSystem: any FileSystem) throws -> Timestamp? {
        let file = try fileSystem.open(path, [], permissions: 0)
        defer { file.close() }
        let size = try file.size()
        var offset = UInt64(Segment.headerByteCount)
        var time: Timestamp?
        while offset + UInt64(Frame.headerByteCount) <= size {
            let header = try file.bytes(Frame.headerByteCount, at: offset)
            // Whatever is no frame ends the log, as far as its time matters.
            guard let frame = try? header.withUnsafeBytes({ try Frame(header: $0) }) else { break }
            time = frame.time
            offset += UInt64(frame.byteCount)
        }
        return time
    }
}
