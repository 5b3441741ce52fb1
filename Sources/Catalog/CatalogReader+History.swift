import GRDB
import Model

extension CatalogReader {
    /// The event that removed the last use of an event's payload; `nil` if it is in use, or gone.
    public func deathOfPayload(_ sequence: SequenceNumber) throws -> SequenceNumber? {
        try row("SELECT died FROM payloads WHERE sequence = ?", [Int64(sequence.rawValue)])?.sequence(0)
    }
}
