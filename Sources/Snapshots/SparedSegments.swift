import EventLog
import Foundation
import Model
import Volumes

/// Segments of a repository's log that a prune has looked through in vain, in `snapshots/pruned`, a line each: first event,
/// bytes of the file, and which of its events were not needed.
///
/// To tell how much there is to drop, a prune reads a header for each event that is not needed: of a segment whose payloads
/// were dropped before, or that never had any, those of nearly all; at an endpoint that is the segment. None of them is to be
/// read again while nothing has changed. What stands here spares reading, and no more: it may be lost, or wrong.
enum SparedSegments {
    private static func path(_ repository: Repository) -> String {
        "\(repository.directory)/snapshots/pruned"
    }

    static func load(_ repository: Repository) throws -> Set<LogCopy.Spared> {
        guard try repository.fileSystem.status(of: path(repository)) != nil else { return [] }
        let text: String
        do throws(FileSystemError) {
            text = String(decoding: try repository.fileSystem.contents(of: path(repository)), as: UTF8.self)
        } catch {
            guard error.code == EIO else { throw error }
            return []  // Its disk does not give it: the headers are read.
        }
        let spared = text.split(separator: "\n").compactMap { line -> LogCopy.Spared? in
            let fields = line.split(separator: " ")
            guard fields.count == 3, let first = UInt64(fields[0]), let byteCount = UInt64(fields[1]),
                let unneeded = UInt64(fields[2], radix: 16)
            else { return nil }
            return LogCopy.Spared(first: SequenceNumber(first), byteCount: byteCount, unneeded: unneeded)
        }
        return Set(spared)
    }

    static func save(_ spared: Set<LogCopy.Spared>, _ repository: Repository) throws {
        let lines = spared.sorted { $0.first < $1.first }.map {
            "\($0.first.rawValue) \($0.byteCount) \(String($0.unneeded, radix: 16))\n"
        }
        do throws(FileSystemError) {
            try repository.fileSystem.replaceFile(path(repository), with: Array(lines.joined().utf8))
        } catch {
            // Where there is no room a prune is what helps: it is done, and the next one reads the headers again.
            guard error.code == ENOSPC else { throw error }
        }
    }
}
