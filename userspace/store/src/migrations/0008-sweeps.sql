-- Way sweeps of a cache, point by point. Meaning and unit of every column: docs/store.md.

CREATE TABLE sweep (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    name               TEXT    NOT NULL UNIQUE,
    started_at_unix_ns INTEGER NOT NULL,
    command            TEXT    NOT NULL,
    simulated          INTEGER NOT NULL,
    interface          TEXT    NOT NULL,
    pid                INTEGER NOT NULL,
    comm               TEXT    NOT NULL,
    cpus               TEXT    NOT NULL,
    resource           TEXT    NOT NULL,
    cache_ids          TEXT    NOT NULL,
    ways               INTEGER NOT NULL,
    way_bytes          INTEGER,
    full_mask          TEXT    NOT NULL,
    plan               TEXT    NOT NULL,
    misses             TEXT
) STRICT;

CREATE TABLE sweep_point (
    sweep_id  INTEGER NOT NULL REFERENCES sweep (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    sweep     INTEGER NOT NULL,
    ways      INTEGER NOT NULL,
    mask      TEXT    NOT NULL,
    reference INTEGER NOT NULL,
    at_ns     INTEGER NOT NULL,
    settle_ns INTEGER NOT NULL,
    settled   TEXT    NOT NULL,
    window_ns INTEGER NOT NULL,
    disturbed INTEGER NOT NULL,
    PRIMARY KEY (sweep_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE sweep_thread (
    sweep_id       INTEGER NOT NULL REFERENCES sweep (id) ON DELETE CASCADE,
    position       INTEGER NOT NULL,
    nth            INTEGER NOT NULL,
    tid            INTEGER NOT NULL,
    cpu            INTEGER,
    instructions   INTEGER,
    cycles         INTEGER,
    llc_references INTEGER,
    llc_misses     INTEGER,
    enabled_ns     INTEGER NOT NULL,
    running_ns     INTEGER NOT NULL,
    PRIMARY KEY (sweep_id, position, nth)
) STRICT, WITHOUT ROWID;

CREATE TABLE sweep_monitor (
    sweep_id        INTEGER NOT NULL REFERENCES sweep (id) ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    nth             INTEGER NOT NULL,
    cache_id        INTEGER NOT NULL,
    occupancy_bytes INTEGER,
    total_bytes     INTEGER,
    local_bytes     INTEGER,
    missing         TEXT,
    PRIMARY KEY (sweep_id, position, nth)
) STRICT, WITHOUT ROWID;

CREATE TABLE sweep_end (
    sweep_id    INTEGER PRIMARY KEY REFERENCES sweep (id) ON DELETE CASCADE,
    reason      TEXT    NOT NULL,
    detail      TEXT,
    restored    INTEGER NOT NULL,
    left_alone  TEXT    NOT NULL,
    own_cpu_ns  INTEGER NOT NULL,
    elapsed_ns  INTEGER NOT NULL
) STRICT;
