import GRDB
import Model

/// The tables. Keys are blobs of UTF-8, so that SQLite orders them by their bytes; every table is clustered
/// by what is listed.
enum CatalogSchema {
    /// What takes the schema from each version to the next: the first makes it of nothing.
    private static let steps: [@Sendable (Database) throws -> Void] = [
        create, indexVersions, followIntegrity, followIncidents, followAborts, indexDead,
    ]

    static var version: Int { steps.count }

    /// Brings the schema up from `version`, within the caller's transaction.
    static func migrate(_ database: Database, from version: Int) throws {
        for step in steps[version...] { try step(database) }
        try database.execute(sql: "PRAGMA user_version = \(Self.version)")
    }

    /// An older version is found by its id, or as the null version, without a look at all others of its key.
    @Sendable private static func indexVersions(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE INDEX archive_versions ON archive (version, bucket, key);
                CREATE INDEX archive_nulls ON archive (bucket, key) WHERE is_null = 1;
                """)
    }

    /// How each affected version stands, incidents, repairs that were undone, and how far each scrub has come.
    @Sendable private static func followIntegrity(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE incidents (
                    id INTEGER PRIMARY KEY,
                    opened INTEGER NOT NULL,
                    cause INTEGER NOT NULL,
                    volume INTEGER NOT NULL,
                    reason TEXT NOT NULL,
                    closed INTEGER,
                    closed_time INTEGER,
                    outcome TEXT NOT NULL
                ) STRICT;
                CREATE INDEX open_incidents ON incidents (id) WHERE closed IS NULL;
                -- `changed` is the event that stated it last; `acknowledged` the one by which somebody has seen it.
                CREATE TABLE affected (
                    incident INTEGER NOT NULL,
                    version INTEGER NOT NULL,
                    bucket BLOB NOT NULL,
                    key BLOB NOT NULL,
                    owner TEXT NOT NULL,
                    size INTEGER NOT NULL,
                    state INTEGER NOT NULL,
                    detected INTEGER NOT NULL,
                    changed INTEGER NOT NULL,
                    changed_time INTEGER NOT NULL,
                    acknowledged INTEGER,
                    record BLOB NOT NULL,
                    PRIMARY KEY (incident, version)
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX affected_versions ON affected (version, changed);
                CREATE INDEX affected_owners ON affected (incident, owner, state);
                CREATE TABLE undone (
                    repair INTEGER PRIMARY KEY,
                    sequence INTEGER NOT NULL
                ) STRICT;
                CREATE TABLE scrubs (
                    volume INTEGER PRIMARY KEY,
                    sequence INTEGER NOT NULL,
                    time INTEGER NOT NULL,
                    completed INTEGER,
                    record BLOB NOT NULL
                ) STRICT;
                """)
    }

    /// Where each incident begins, who has acknowledged what, when volumes were away, and up to where findings are
    /// followed.
    @Sendable private static func followIncidents(_ database: Database) throws {
        try database.execute(
            sql: """
                ALTER TABLE incidents ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
                -- What is empty is not asked for: all empty is the whole incident.
                CREATE TABLE acknowledgements (
                    sequence INTEGER PRIMARY KEY,
                    time INTEGER NOT NULL,
                    incident INTEGER NOT NULL,
                    owner TEXT NOT NULL,
                    bucket BLOB NOT NULL,
                    key BLOB NOT NULL,
                    note TEXT NOT NULL
                ) STRICT;
                CREATE TABLE outages (
                    sequence INTEGER NOT NULL,
                    volume INTEGER NOT NULL,
                    time INTEGER NOT NULL,
                    state TEXT NOT NULL,
                    reason TEXT NOT NULL,
                    PRIMARY KEY (sequence, volume)
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX volume_outages ON outages (volume, sequence);
                CREATE TABLE followed (
                    one INTEGER PRIMARY KEY CHECK (one = 1),
                    through INTEGER NOT NULL
                ) STRICT;
                """)
    }

    /// Uploads that are no more and whose parts still have their bytes.
    @Sendable private static func followAborts(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE aborted (
                    upload BLOB PRIMARY KEY,
                    sequence INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                """)
    }

    /// Payloads that nothing refers to are found in the order in which they died, and what a plan to reclaim names without a
    /// look at all that is dead.
    @Sendable private static func indexDead(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE INDEX dead_payloads ON payloads (died) WHERE reclaiming = 0;
                CREATE INDEX reclaiming_payloads ON payloads (sequence) WHERE reclaiming = 1;
                CREATE INDEX reclaiming_blobs ON blobs (died) WHERE reclaiming = 1;
                """)
    }

    @Sendable private static func create(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE meta (
                    one INTEGER PRIMARY KEY CHECK (one = 1),
                    store BLOB NOT NULL,
                    sequence INTEGER NOT NULL,
                    chain BLOB NOT NULL,
                    confirmed INTEGER NOT NULL
                ) STRICT;
                CREATE TABLE buckets (
                    name BLOB PRIMARY KEY,
                    sequence INTEGER NOT NULL,
                    created INTEGER NOT NULL,
                    owner TEXT NOT NULL,
                    region TEXT NOT NULL,
                    versioning TEXT NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE settings (
                    bucket BLOB NOT NULL,
                    name TEXT NOT NULL,
                    value BLOB NOT NULL,
                    PRIMARY KEY (bucket, name)
                ) STRICT, WITHOUT ROWID;
                -- The newest version of each key, unless it is a delete marker.
                CREATE TABLE current (
                    bucket BLOB NOT NULL,
                    key BLOB NOT NULL,
                    sequence INTEGER NOT NULL,
                    time INTEGER NOT NULL,
                    version BLOB NOT NULL,
                    is_null INTEGER NOT NULL,
                    record BLOB NOT NULL,
                    PRIMARY KEY (bucket, key)
                ) STRICT, WITHOUT ROWID;
                -- Every other version, and every delete marker. `newest` is 1 for a delete marker that hides its key.
                CREATE TABLE archive (
                    bucket BLOB NOT NULL,
                    key BLOB NOT NULL,
                    sequence INTEGER NOT NULL,
                    time INTEGER NOT NULL,
                    version BLOB NOT NULL,
                    is_null INTEGER NOT NULL,
                    record BLOB NOT NULL,
                    newest INTEGER NOT NULL,
                    PRIMARY KEY (bucket, key, sequence DESC)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE uploads (
                    bucket BLOB NOT NULL,
                    key BLOB NOT NULL,
                    id BLOB NOT NULL,
                    sequence INTEGER NOT NULL,
                    time INTEGER NOT NULL,
                    record BLOB NOT NULL,
                    PRIMARY KEY (bucket, key, id)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE parts (
                    upload BLOB NOT NULL,
                    number INTEGER NOT NULL,
                    sequence INTEGER NOT NULL,
                    time INTEGER NOT NULL,
                    etag TEXT NOT NULL,
                    piece BLOB NOT NULL,
                    PRIMARY KEY (upload, number)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE blobs (
                    id BLOB PRIMARY KEY,
                    length INTEGER NOT NULL,
                    sha256 BLOB NOT NULL,
                    uses INTEGER NOT NULL,
                    born INTEGER NOT NULL,
                    bucket BLOB NOT NULL,
                    key BLOB NOT NULL,
                    died INTEGER,
                    died_time INTEGER,
                    reclaiming INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX dead_blobs ON blobs (died) WHERE died IS NOT NULL;
                -- Bytes in the log that no version needs any more.
                CREATE TABLE payloads (
                    sequence INTEGER PRIMARY KEY,
                    length INTEGER NOT NULL,
                    died INTEGER NOT NULL,
                    died_time INTEGER NOT NULL,
                    reclaiming INTEGER NOT NULL
                ) STRICT;
                CREATE TABLE findings (
                    sequence INTEGER PRIMARY KEY,
                    repaired INTEGER NOT NULL,
                    record BLOB NOT NULL
                ) STRICT;
                CREATE TABLE volumes (
                    number INTEGER PRIMARY KEY,
                    state TEXT NOT NULL,
                    sequence INTEGER NOT NULL,
                    reason TEXT NOT NULL
                ) STRICT;
                """)
    }
}
