-- Sampled memory accesses and what is known of them at a run's end. Meaning and unit of every column: docs/store.md.

CREATE TABLE access (
    run_id           INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    position         INTEGER NOT NULL,
    at_ns            INTEGER NOT NULL,
    tid              INTEGER NOT NULL,
    cpu              INTEGER,
    address          INTEGER NOT NULL,
    width_bytes      INTEGER,
    is_store         INTEGER NOT NULL,
    code             INTEGER,
    region           INTEGER,
    weight           INTEGER NOT NULL,
    block_address    INTEGER,
    block_bytes      INTEGER,
    site             INTEGER,
    latency_cycles   INTEGER,
    served_by        TEXT,
    page_bytes       INTEGER,
    physical_address INTEGER,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_total (
    run_id         INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    source         TEXT    NOT NULL,
    rate_hz        REAL,
    samples        INTEGER NOT NULL,
    kernel_samples INTEGER NOT NULL,
    resolved       INTEGER NOT NULL,
    checked        INTEGER NOT NULL,
    confirmed      INTEGER NOT NULL,
    throttled      INTEGER NOT NULL,
    null_reason    TEXT
) STRICT;

CREATE TABLE access_unresolved (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    reason TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (run_id, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_region (
    run_id         INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    region         INTEGER NOT NULL,
    tgid           INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    start_address  INTEGER NOT NULL,
    end_address    INTEGER NOT NULL,
    resident_bytes INTEGER,
    huge_bytes     INTEGER,
    node           INTEGER,
    PRIMARY KEY (run_id, region)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_code (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    code   INTEGER NOT NULL,
    stack  INTEGER NOT NULL,
    PRIMARY KEY (run_id, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_footprint (
    run_id          INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    site            INTEGER NOT NULL,
    blocks          INTEGER NOT NULL,
    live_bytes      INTEGER NOT NULL,
    untouched_bytes INTEGER NOT NULL,
    PRIMARY KEY (run_id, site)
) STRICT, WITHOUT ROWID;
