import Model

/// Events of a copy whose bytes are bad, or were dropped, where the event is good: whether a log can ever give them. They are
/// looked at in their order, so that each segment is opened once, and read from its beginning to its end.
extension LogCopy {
    /// Those of some events that are good here but for the bytes that they carry.
    package func withBadPayload(_ events: Set<SequenceNumber>) -> Set<SequenceNumber> {
        Set(events.sorted().filter { badPayloadChain($0) != nil })
    }

    /// Those of them whose bytes the log has dropped: no mirror of it will have them again.
    package func withBadPayload(
        _ events: Set<SequenceNumber>, droppedBy log: EventLog
    ) -> Set<SequenceNumber> {
        let dropped = events.sorted().filter { sequence in
            guard let chain = badPayloadChain(sequence) else { return false }
            var isDropped = false
            do {
                try log.forEachFrame(from: sequence, limit: 1) { frame, _ in
                    isDropped = frame.isPayloadDropped && frame.chain == chain
                }
            } catch {
                return false  // The log cannot say: it may have them again.
            }
            return isDropped
        }
        return Set(dropped)
    }

    /// The chain hash at an event; `nil` unless it is good but for its bytes. Of one that is looked for, bytes that were dropped
    /// are bad.
    private func badPayloadChain(_ sequence: SequenceNumber) -> ChainHash? {
        do {
            return try frameBytes(sequence).withUnsafeBytes { raw in
                let frame = try Frame.decodeEvent(raw, after: nil)
                guard frame.sequence == sequence, frame.lacksPayload || !frame.hasGoodPayload(raw) else {
                    return nil
                }
                return frame.chain
            }
        } catch {
            return nil  // More of it is bad than its bytes, or it is not here.
        }
    }
}
