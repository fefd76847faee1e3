-- Measurements of many events, epoch by epoch. Meaning and unit of every column: docs/store.md.

CREATE TABLE measurement (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    name               TEXT    NOT NULL UNIQUE,
    started_at_unix_ns INTEGER NOT NULL,
    command            TEXT    NOT NULL,
    seed               INTEGER NOT NULL,
    plan               TEXT    NOT NULL,
    host               TEXT    NOT NULL,
    circumstances      TEXT    NOT NULL
) STRICT;

CREATE TABLE measured_event (
    measurement_id INTEGER NOT NULL REFERENCES measurement (id) ON DELETE CASCADE,
    event          INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    perf_name      TEXT    NOT NULL,
    pmu            TEXT    NOT NULL,
    unit           TEXT    NOT NULL,
    quarantined    TEXT,
    PRIMARY KEY (measurement_id, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE measured_epoch (
    id                 INTEGER PRIMARY KEY,
    measurement_id     INTEGER NOT NULL REFERENCES measurement (id) ON DELETE CASCADE,
    position           INTEGER NOT NULL,
    attempt            INTEGER NOT NULL,
    run                INTEGER NOT NULL,
    repetition         INTEGER NOT NULL,
    started_at_unix_ns INTEGER NOT NULL,
    duration_ns        INTEGER NOT NULL,
    ended_by           TEXT    NOT NULL,
    exit_code          INTEGER,
    UNIQUE (measurement_id, position, attempt)
) STRICT;

CREATE TABLE measured_slot (
    epoch_id INTEGER NOT NULL REFERENCES measured_epoch (id) ON DELETE CASCADE,
    slot     INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns   INTEGER NOT NULL,
    PRIMARY KEY (epoch_id, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE measured_count (
    epoch_id        INTEGER NOT NULL REFERENCES measured_epoch (id) ON DELETE CASCADE,
    event           INTEGER NOT NULL,
    place           INTEGER NOT NULL,
    value           INTEGER NOT NULL,
    time_enabled_ns INTEGER NOT NULL,
    time_running_ns INTEGER NOT NULL,
    PRIMARY KEY (epoch_id, event, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE measured_slot_count (
    epoch_id        INTEGER NOT NULL REFERENCES measured_epoch (id) ON DELETE CASCADE,
    event           INTEGER NOT NULL,
    place           INTEGER NOT NULL,
    slot            INTEGER NOT NULL,
    value           INTEGER NOT NULL,
    time_enabled_ns INTEGER NOT NULL,
    time_running_ns INTEGER NOT NULL,
    PRIMARY KEY (epoch_id, event, place, slot)
) STRICT, WITHOUT ROWID;
