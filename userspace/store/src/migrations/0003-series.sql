-- Series of benchmark repetitions. Meaning and unit of every column: docs/store.md.
-- A repetition outlives its run: what it took is kept when the run is deleted.

CREATE TABLE series (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    name               TEXT    NOT NULL UNIQUE,
    started_at_unix_ns INTEGER NOT NULL,
    command            TEXT    NOT NULL,
    seed               INTEGER NOT NULL,
    matrix             TEXT    NOT NULL,
    skipped            TEXT    NOT NULL
) STRICT;

CREATE TABLE series_run (
    series_id          INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    position           INTEGER NOT NULL,
    workload           TEXT    NOT NULL,
    mode               TEXT    NOT NULL,
    repetition         INTEGER NOT NULL,
    run_id             INTEGER REFERENCES run (id) ON DELETE SET NULL,
    started_at_unix_ns INTEGER NOT NULL,
    wall_ns            INTEGER NOT NULL,
    user_ns            INTEGER NOT NULL,
    system_ns          INTEGER NOT NULL,
    max_rss_bytes      INTEGER,
    ended_by           TEXT    NOT NULL,
    exit_code          INTEGER NOT NULL,
    problem            TEXT,
    PRIMARY KEY (series_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX series_run_of_run ON series_run (run_id);
