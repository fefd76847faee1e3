-- Series of programs run in pairs. Meaning and unit of every column: docs/store.md.

CREATE TABLE pair_series (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    name               TEXT    NOT NULL UNIQUE,
    started_at_unix_ns INTEGER NOT NULL,
    command            TEXT    NOT NULL,
    seed               INTEGER NOT NULL,
    plan               TEXT    NOT NULL,
    skipped            TEXT    NOT NULL
) STRICT;

CREATE TABLE pair_run (
    series_id          INTEGER NOT NULL REFERENCES pair_series (id) ON DELETE CASCADE,
    position           INTEGER NOT NULL,
    configuration      TEXT    NOT NULL,
    program            TEXT    NOT NULL,
    antagonist         TEXT,
    repetition         INTEGER NOT NULL,
    cpus               TEXT    NOT NULL,
    antagonist_cpus    TEXT,
    started_at_unix_ns INTEGER NOT NULL,
    wall_ns            INTEGER,
    user_ns            INTEGER,
    system_ns          INTEGER,
    ended_by           TEXT,
    exit_code          INTEGER,
    restarts           INTEGER NOT NULL,
    problem            TEXT,
    PRIMARY KEY (series_id, position)
) STRICT, WITHOUT ROWID;
