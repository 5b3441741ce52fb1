import Model
import Volumes

/// A torn write and damage look alike at the end of a log: some frame is bad, on every mirror that can be asked. What
/// stands behind it tells them apart. All events of a batch have one time, and the next batch a later one; a batch is
/// appended only when a quorum has the one before. So where a frame behind the bad one has a later time than the bad
/// one's batch, events that were acknowledged are damaged, and cutting them off would lose them.
///
/// In the last batch the two cannot be told apart by the mirrors alone. The catalog may: its transaction is committed only
/// when a quorum has the batch stable, and opening applies to it only what the chosen mirrors were synced with, so an event
/// that it has applied was part of the log, whatever a power cut leaves of its own file. Where no mirror has such an event
/// good, or no trace of it at all, that is loss, and no torn write. (One event may be meant that was never acknowledged: one
/// mirror alone had it, the store was opened on it, and that very mirror is gone. To ask is right there, too.)
extension Recovery.Walk {
    /// What says that the log went on behind the walk, though nothing on the mirrors does; `nil` if nothing says so.
    var proof: String? {
        guard proven > position.sequence else { return nil }
        return
            "the log ends with event \(position.sequence), and the catalog has applied event \(proven), which it does only when a quorum has it. Nothing was changed. A volume that is absent, or a copy of one, may have it; 'holdfast log cut' gives up what came after event \(position.sequence)"
    }
}

extension Recovery {
    /// - Returns: the evidence, in words; `nil` if nothing says that the log went on behind `walk`.
    static func laterBatch(in tails: [Tail], behind walk: Walk) throws(LogError) -> String? {
        for tail in tails {
            let rest: [UInt8]?
            // A mirror that cannot be read is met again when it is settled.
            do { rest = try tail.rest(from: walk.end) } catch { continue }
            guard let rest, let found = laterBatch(in: rest, behind: walk) else { continue }
            return
                "volume \(tail.mirror.index): log/\(Segment.name(tail.header.first)) at byte \(walk.end): no mirror has the event good, and event \(found) was appended after it was acknowledged. Nothing was changed. A volume that is absent, or a copy of one, may have it; 'holdfast log cut' gives up what stands behind it"
        }
        return nil
    }

    /// The first event of a batch behind the one that the bad frame at the beginning belongs to.
    private static func laterBatch(in rest: [UInt8], behind walk: Walk) -> SequenceNumber? {
        // The last frame may end in zeros, which are no part of the rest.
        let zeros = Frame.byteCount(body: Limits.eventByteCount, payload: Limits.inlineByteCount)
        return (rest + [UInt8](repeating: 0, count: zeros)).withUnsafeBytes { bytes in
            var offset = 0
            var time: Timestamp?
            // What the next frame must follow from: a frame that lies in some payload follows from none.
            var position: LogPosition?
            if let bad = try? Frame(header: bytes), bad.sequence == walk.position.sequence.next {
                time = bad.time
                position = LogPosition(sequence: bad.sequence, chain: bad.chain)
                offset = bad.byteCount
            }
            while offset < rest.count {
                guard let frame = frame(at: offset, of: bytes, after: position, walk) else {
                    position = nil
                    offset += 8
                    continue
                }
                if let time, position != nil, frame.time > time { return frame.sequence }
                time = time ?? frame.time
                position = LogPosition(sequence: frame.sequence, chain: frame.chain)
                offset += frame.byteCount
            }
            return nil
        }
    }

    private static func frame(
        at offset: Int, of bytes: UnsafeRawBufferPointer, after position: LogPosition?, _ walk: Walk
    ) -> Frame? {
        guard load(bytes, offset) as UInt32 == Frame.magic,
            let frame = try? Frame.decodeEvent(slice(bytes, offset..<bytes.count), after: position),
            frame.sequence > walk.position.sequence, frame.time >= walk.time
        else { return nil }
        return frame
    }
}
