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
            guard change.incident != 0 else { continue }
            // What belonged to no incident belongs to this one.
            try run(
                "DELETE FROM affected WHERE incident = 0 AND version = ?", [Int64(version.publishedSequence)])
        }
        try follow(through: change.throughSequence)
    }

    private func follow(through sequence: UInt64) throws {
        guard sequence > 0 else { return }
        try run(
            """
            INSERT INTO followed VALUES (1, ?)
            ON CONFLICT (one) DO UPDATE SET through = max(through, excluded.through)
            """, [Int64(sequence)])
    }

    func apply(_ change: EventIncidentOpened, _ event: LoggedEvent) throws {
        let since = change.fromSequence == 0 ? event.number : Int64(change.fromSequence)
        try run(
            "INSERT INTO incidents VALUES (?, ?, ?, ?, ?, NULL, NULL, '', ?)",
            [event.number, event.moment, change.cause.rawValue, Int64(change.volume), change.reason, since])
        try follow(through: change.throughSequence)
    }

    /// A volume that an epoch began without is away; one that it began with, and that was away, is back.
    func apply(_ change: EventEpochOpened, _ event: LoggedEvent) throws {
        for volume in 1...UInt32(Limits.volumeCount) {
            let last =
                try reader.row(
                    "SELECT state FROM outages WHERE volume = ? ORDER BY sequence DESC LIMIT 1",
                    [Int64(volume)]
                )?[0] as String?
            let isAway = last == "set aside" || last == "replaced"
            let isPresent = change.volumes.contains(volume)
            if isAway, isPresent {
                try noteOutage(volume, "returned", "", event)
            } else if !isAway, !isPresent {
                try noteOutage(
                    volume, "set aside", "it was not there when epoch \(change.epoch) was opened", event)
            }
        }
    }

    func noteOutage(_ volume: UInt32, _ state: String, _ reason: String, _ event: LoggedEvent) throws {
        try run(
            "INSERT INTO outages VALUES (?, ?, ?, ?, ?)",
            [event.number, Int64(volume), event.moment, state, reason])
    }

    func apply(_ change: EventIncidentAcknowledged, _ event: LoggedEvent) throws {
        let incident = Int64(change.incident)
        for version in change.publishedSequences {
            try run(
                "UPDATE affected SET acknowledged = ? WHERE incident = ? AND version = ?",
                [event.number, incident, Int64(version)])
        }
        guard change.publishedSequences.isEmpty else { return }
        let scope: [(any DatabaseValueConvertible)?] = [
            incident, change.owner, Data(change.bucket.utf8), Data(change.key.utf8),
        ]
        // Versions that a volume's incident computes have no row: this says it of them.
        try run(
            "INSERT INTO acknowledgements VALUES (?, ?, ?, ?, ?, ?, ?)",
            StatementArguments([event.number, event.moment] + scope + [change.note]))
        try run(
            """
            UPDATE affected SET acknowledged = ?1
            WHERE incident = ?2 AND ?3 IN ('', owner) AND ?4 IN (x'', bucket) AND ?5 IN (x'', key)
            """, StatementArguments([event.number] + scope))
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
            try run(
                "INSERT OR REPLACE INTO volumes VALUES (?, 'healed', ?, '')",
                [Int64(change.volume), event.number])
            return try noteOutage(change.volume, "healed", "", event)
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
