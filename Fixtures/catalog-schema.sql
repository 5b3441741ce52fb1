PRAGMA user_version = 6;
CREATE TABLE aborted (
    upload BLOB PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE acknowledgements (
    sequence INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    incident INTEGER NOT NULL,
    owner TEXT NOT NULL,
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    note TEXT NOT NULL
) STRICT;
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
CREATE INDEX affected_owners ON affected (incident, owner, state);
CREATE INDEX affected_versions ON affected (version, changed);
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
CREATE INDEX archive_nulls ON archive (bucket, key) WHERE is_null = 1;
CREATE INDEX archive_versions ON archive (version, bucket, key);
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
CREATE TABLE buckets (
    name BLOB PRIMARY KEY,
    sequence INTEGER NOT NULL,
    created INTEGER NOT NULL,
    owner TEXT NOT NULL,
    region TEXT NOT NULL,
    versioning TEXT NOT NULL
) STRICT, WITHOUT ROWID;
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
CREATE INDEX dead_blobs ON blobs (died) WHERE died IS NOT NULL;
CREATE INDEX dead_payloads ON payloads (died) WHERE reclaiming = 0;
CREATE TABLE findings (
    sequence INTEGER PRIMARY KEY,
    repaired INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;
CREATE TABLE followed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    through INTEGER NOT NULL
) STRICT;
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY,
    opened INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    reason TEXT NOT NULL,
    closed INTEGER,
    closed_time INTEGER,
    outcome TEXT NOT NULL
, since INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    chain BLOB NOT NULL,
    confirmed INTEGER NOT NULL
) STRICT;
CREATE INDEX open_incidents ON incidents (id) WHERE closed IS NULL;
CREATE TABLE outages (
    sequence INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    time INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (sequence, volume)
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
CREATE TABLE payloads (
    sequence INTEGER PRIMARY KEY,
    length INTEGER NOT NULL,
    died INTEGER NOT NULL,
    died_time INTEGER NOT NULL,
    reclaiming INTEGER NOT NULL
) STRICT;
CREATE INDEX reclaiming_blobs ON blobs (died) WHERE reclaiming = 1;
CREATE INDEX reclaiming_payloads ON payloads (sequence) WHERE reclaiming = 1;
CREATE TABLE scrubs (
    volume INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL,
    time INTEGER NOT NULL,
    completed INTEGER,
    record BLOB NOT NULL
) STRICT;
CREATE TABLE settings (
    bucket BLOB NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (bucket, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE undone (
    repair INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT;
CREATE TABLE uploads (
    bucket BLOB NOT NULL,
    key BLOB NOT NULL,
    id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    time INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (bucket, key, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX volume_outages ON outages (volume, sequence);
CREATE TABLE volumes (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
