import Foundation
import Model
import Synchronization
import Volumes

/// A copy that goes on otherwise than the log: the log was cut, or its store was made anew as it was at an event before
/// the one that the copy ends with.
extension LogCopy {
    /// Whether the log has the event that the copy ends with, and so all before it.
    public func isFollowed(by log: EventLog) throws -> Bool {
        let head = head
        return try head.sequence <= log.head.sequence && log.chainHash(at: head.sequence) == head.chain
    }

    /// The last event that both have, where one is known that they have.
    ///
    /// A chain hash is that of everything before, so halving finds it. An event that is damaged in the copy counts as one
    /// in which they differ.
    public func lastCommon(with log: EventLog, from known: SequenceNumber) throws -> SequenceNumber {
        var same = known.rawValue
        var other = min(head.sequence, log.head.sequence).rawValue + 1
        while same + 1 < other {
            let middle = same + (other - same) / 2
            if try isCommon(SequenceNumber(middle), with: log) { same = middle } else { other = middle }
        }
        return SequenceNumber(same)
    }

    private func isCommon(_ sequence: SequenceNumber, with log: EventLog) throws -> Bool {
        let logged = try log.chainHash(at: sequence)
        do {
            return try chainHash(at: sequence) == logged
        } catch is FrameFlaw {
            return false
        } catch let error as LogError {
            guard case .damaged = error else { throw error }
            return false
        }
    }

    /// Ends the copy with an event, so that it can go on otherwise. Each segment that has events behind it goes to
    /// quarantine first, whole; the last ones first, so that what is left is a copy wherever this is cut off.
    /// - Parameter mirror: the copy, as a mirror that knows its quarantine.
    /// - Throws: an error that is ``FileSystemError/isRetained``, before the copy is changed, if the last segment is locked;
    ///   what was put in quarantine stays there, and is found again when this is called again.
    package func cut(after last: SequenceNumber, reason: String, as mirror: LogMirror) throws {
        for first in state.withLock({ $0.firsts }).reversed() where first > last {
            let before = LogPosition(
                sequence: SequenceNumber(first.rawValue - 1),
                chain: try Self.open(path(first), first, fileSystem).header.chain)
            try setAside(try fileSystem.contents(of: path(first)), of: first, reason, mirror)
            try fileSystem.remove(path(first))
            try fileSystem.syncDirectory(directory)
            state.withLock { state in
                state.firsts.removeLast()
                state.sealed[first] = nil
                if state.tail?.header.first == first { state.tail = nil }
                state.head = before
            }
        }
        guard let first = state.withLock({ $0.firsts.last }), last < head.sequence else { return }
        let position = LogPosition(sequence: last, chain: try chainHash(at: last))
        var tail = try end(of: first)
        let count = Int(last.rawValue - first.rawValue) + 1
        tail.end = tail.offsets[count]
        tail.offsets.removeLast(tail.offsets.count - count)
        try setAside(try fileSystem.contents(of: path(first)), of: first, reason, mirror)
        let file = try fileSystem.open(path(first), .write, permissions: 0)
        defer { file.close() }
        try file.truncate(to: tail.end)
        try file.sync()
        let left = tail
        state.withLock { state in
            state.sealed[first] = nil
            state.tail = left
            state.head = position
        }
    }

    /// Cuts off what stands behind the last event of the last segment, so that the copy can go on there. A torn write is
    /// nothing; events that were good when a snapshot was taken, and look like one since they were damaged, go to
    /// quarantine first, with the whole segment.
    func cutBehind(_ tail: Tail, _ file: any File) throws {
        let size = try file.size()
        guard size > tail.end else { return }
        let head = head.sequence
        if let proof, try proof.last() > head {
            let mirror = LogMirror(
                fileSystem: fileSystem, directory: directory, quarantine: proof.quarantine, index: 0,
                lane: InlineLane())
            try setAside(
                try readable(file, size), of: tail.header.first,
                "damaged behind event \(head), which is copied from the store's log again", mirror)
        }
        try file.truncate(to: tail.end)
    }

    /// The bytes of a file; zeros where the disk does not give them, which cannot be kept and keep nobody from going on.
    func readable(_ file: any File, _ size: UInt64) throws -> [UInt8] {
        do throws(FileSystemError) { return try file.bytes(Int(size), at: 0) } catch {
            guard error.code == EIO else { throw error }
        }
        let step: UInt64 = 4096
        var bytes: [UInt8] = []
        for offset in stride(from: 0, to: size, by: UInt64.Stride(step)) {
            let count = Int(min(step, size - offset))
            do throws(FileSystemError) { bytes += try file.bytes(count, at: offset) } catch {
                guard error.code == EIO else { throw error }
                bytes += [UInt8](repeating: 0, count: count)
            }
        }
        return bytes
    }

    /// Copies a segment to quarantine, unless it stands there already: what failed behind that, and is tried again, has
    /// nothing more to keep. Where files are locked, each copy would take its room for as long as that lasts.
    private func setAside(
        _ bytes: [UInt8], of first: SequenceNumber, _ reason: String, _ mirror: LogMirror
    ) throws {
        var place = "\(mirror.quarantineDirectory)/log-\(first)"
        while try fileSystem.status(of: place) != nil {
            if isKept(bytes, of: first, at: place) {
                // Its name may not be durable: who put it there may have ended before it was.
                return try fileSystem.syncDirectory(mirror.quarantineDirectory)
            }
            place += "+"
        }
        try mirror.quarantine(
            bytes, as: "log-\(first)", of: first, reason: "log/\(Segment.name(first)): \(reason)")
    }

    private func isKept(_ bytes: [UInt8], of first: SequenceNumber, at place: String) -> Bool {
        do {
            let note = try JSONDecoder().decode(
                QuarantineNote.self, from: Data(try fileSystem.contents(of: place + ".json")))
            return try note.path == "log/\(Segment.name(first))" && fileSystem.contents(of: place) == bytes
        } catch {
            return false  // What cannot be read keeps nothing: the bytes go beside it.
        }
    }

    /// Where the last segment ends, as if it were not sealed.
    func end(of first: SequenceNumber) throws -> Tail {
        if let tail = state.withLock({ $0.tail }), tail.header.first == first { return tail }
        let segment = try sealed(first)
        guard let seal = segment.seal else {
            preconditionFailure("the last segment is sealed, or its frames are known")
        }
        return Tail(
            header: segment.header, offsets: segment.offsets.map { UInt64($0) * 8 }, end: seal.tableOffset)
    }
}
