-- Accesses counted in the kernel by page and line. Meaning and unit of every column: docs/store.md.

CREATE TABLE access_heat_window (
    run_id   INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    start_ns INTEGER NOT NULL,
    samples  INTEGER NOT NULL,
    passed   INTEGER NOT NULL,
    loads    INTEGER NOT NULL,
    stores   INTEGER NOT NULL,
    unknown  INTEGER NOT NULL,
    PRIMARY KEY (run_id, start_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_heat (
    run_id   INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    start_ns INTEGER NOT NULL,
    is_line  INTEGER NOT NULL,
    tgid     INTEGER NOT NULL,
    address  INTEGER NOT NULL,
    region   INTEGER,
    loads    INTEGER NOT NULL,
    stores   INTEGER NOT NULL,
    unknown  INTEGER NOT NULL,
    PRIMARY KEY (run_id, start_ns, is_line, tgid, address)
) STRICT, WITHOUT ROWID;
