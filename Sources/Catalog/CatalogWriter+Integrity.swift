import Foundation
import GRDB
import Model

/// What events of findings, repairs, incidents and scrubs do to the rows.
extension CatalogWriter {
    func apply(_ change: EventVersionsStated, _ event: LoggedEvent) throws {
        for version in change.versions {
            // What was acknowledged was so as it stood: a new state is news again.
            try run(
                """
                INSERT INTO affected VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)
                ON CONFLICT (incident, version) DO UPDATE SET
                    owner = excluded.owner, size = excluded.size, state = excluded.state,
                    changed = excluded.changed, changed_time = excluded.changed_time,
                    acknowledged = NULL, record = excluded.record
                """,
                [
                    Int64(change.incident), Int64(version.publishedSequence), Data(version.bucket.utf8),
                    Data(version.key.utf8), version.owner, Int64(version.size), version.state.rawValue,
                    event.number, event.number, event.moment, try encoded(version),
                ])
        }
    }

    func apply(_ change: EventIncidentOpened, _ event: LoggedEvent) throws {
        try run(
            "INSERT INTO incidents VALUES (?, ?, ?, ?, ?, NULL, NULL, '')",
            [event.number, event.moment, change.cause.rawValue, Int64(change.volume), change.reason])
    }

    func apply(_ change: EventIncidentAcknowledged, _ event: LoggedEvent) throws {
        let incident = Int64(change.incident)
        guard !change.publishedSequences.isEmpty else {
            return try run(
                "UPDATE affected SET acknowledged = ? WHERE incident = ? AND acknowledged IS NULL",
                [event.number, incident])
        }
        for version in change.publishedSequences {
            try run(
                "UPDATE affected SET acknowledged = ? WHERE incident = ? AND version = ?",
                [event.number, incident, Int64(version)])
        }
    }

    func apply(_ change: EventIncidentClosed, _ event: LoggedEvent) throws {
        try run(
            "UPDATE incidents SET closed = ?, closed_time = ?, outcome = ? WHERE id = ? AND closed IS NULL",
            [event.number, event.moment, change.outcome, Int64(change.incident)])
    }

    /// The row keeps when the volume was last read from end to end. Pass 0 is none of that: it has read what was
    /// brought to a volume that was away, and says that the volume is healed.
    func apply(_ change: EventScrubAdvanced, _ event: LoggedEvent) throws {
        guard change.pass > 0 else {
            guard change.complete else { return }
            return try run(
                "INSERT OR REPLACE INTO volumes VALUES (?, 'healed', ?, '')",
                [Int64(change.volume), event.number])
        }
        let completed: Int64? = change.complete ? Int64(change.startedMicroseconds) : nil
        try run(
            """
            INSERT INTO scrubs VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (volume) DO UPDATE SET
                sequence = excluded.sequence, time = excluded.time, record = excluded.record,
                completed = coalesce(excluded.completed, completed)
            """,
            [Int64(change.volume), event.number, event.moment, completed, try encoded(change)])
    }
}
