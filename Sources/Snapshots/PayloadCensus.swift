import Catalog
import EventLog
import Model

/// The events whose payloads snapshots of one repository need: some version has its bytes there, or some part of an upload.
///
/// What none of them needs and was appended before the newest of them, no later one will need: a version's bytes stand with
/// the event that published it, or with those of its parts, which were there until then; whatever publishes something anew, a
/// copy or a restore, has bytes of its own. So what is dead stays dead, unless the store goes back to a time before it
/// died, which ``Repository/join(_:)`` sees.
package final class PayloadCensus {
    /// Rows of a catalog between which whoever paces the work is heard.
    private static let stepCount = 4096

    private var needed = EventSet()
    /// Versions that were looked at, by the events that published them: most are in more than one snapshot.
    private var versions = EventSet()

    package init() {}

    package func contains(_ sequence: SequenceNumber) -> Bool { needed.contains(sequence) }

    /// Adds what a catalog's versions and parts need.
    /// - Parameters:
    ///   - last: the event that the catalog is as of.
    ///   - tell: told of each, once, if no catalog before needed it.
    /// - Throws: ``LogError/damaged(_:_:)`` if it names a later event: it is not what it is taken for, and what it needs is not
    ///   known.
    package func add(
        _ catalog: SnapshotCatalog, through last: SequenceNumber, pace: (Int) throws -> Void = { _ in },
        tell: (SequenceNumber) throws -> Void = { _ in }
    ) throws {
        var count = 0
        func check(_ sequence: SequenceNumber) throws {
            guard sequence <= last else {
                throw LogError.damaged(sequence, "a catalog as of event \(last) names it")
            }
        }
        func note(_ carrier: SequenceNumber) throws {
            try check(carrier)
            guard !needed.contains(carrier) else { return }
            needed.insert(carrier)
            try tell(carrier)
        }
        func isKnown(_ sequence: SequenceNumber) throws -> Bool {
            count += 1
            if count % Self.stepCount == 0 { try pace(0) }
            return versions.contains(sequence)
        }
        try catalog.catalog.read { reader in
            try reader.forEachVersion(unless: isKnown) { version in
                try check(version.sequence)
                versions.insert(version.sequence)
                for carrier in version.carriers { try note(carrier) }
            }
            try reader.forEachPart { piece in
                if piece.hasPayload { try note(SequenceNumber(piece.payloadSequence)) }
            }
        }
    }
}
