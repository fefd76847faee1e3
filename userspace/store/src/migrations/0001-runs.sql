-- Runs, their windows and what is known at their end. Meaning and unit of every column: docs/store.md.
-- Everything hangs on `run`: deleting a row there deletes the rest.

CREATE TABLE run (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    name               TEXT    NOT NULL UNIQUE,
    started_at_unix_ns INTEGER NOT NULL,
    started_at_ns      INTEGER NOT NULL,
    interval_ns        INTEGER NOT NULL,
    command            TEXT    NOT NULL,
    budget_pct         REAL,
    host               TEXT    NOT NULL,
    tgid               INTEGER NOT NULL,
    comm               TEXT    NOT NULL,
    cmdline            TEXT    NOT NULL,
    exe                TEXT    NOT NULL,
    build_id           TEXT,
    start_time_ticks   INTEGER NOT NULL,
    phase_event        TEXT,
    phase_unit         TEXT,
    phase_period       INTEGER
) STRICT;

CREATE TABLE run_end (
    run_id                INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    duration_ns           INTEGER NOT NULL,
    ended_by              TEXT    NOT NULL,
    exit_code             INTEGER,
    stacks_sampled_count  INTEGER NOT NULL,
    stacks_own_code_count INTEGER NOT NULL,
    stacks_complete_count INTEGER NOT NULL,
    budget_pct            REAL,
    target_pct            REAL,
    tool_cpu_pct          REAL,
    tool_rss_bytes        INTEGER,
    probe_hit_ns          REAL,
    probe_hits_count      INTEGER NOT NULL,
    attach_ns             INTEGER
) STRICT;

CREATE TABLE event (
    run_id      INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    event       INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    unit        TEXT    NOT NULL,
    total_value INTEGER,
    PRIMARY KEY (run_id, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE thread (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    tid    INTEGER NOT NULL,
    tgid   INTEGER NOT NULL,
    comm   TEXT    NOT NULL,
    PRIMARY KEY (run_id, tid)
) STRICT, WITHOUT ROWID;

CREATE TABLE window (
    run_id   INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    window   INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns   INTEGER NOT NULL,
    PRIMARY KEY (run_id, window)
) STRICT, WITHOUT ROWID;

CREATE TABLE reading (
    run_id          INTEGER NOT NULL,
    window          INTEGER NOT NULL,
    tid             INTEGER NOT NULL,
    event           INTEGER NOT NULL,
    value           INTEGER NOT NULL,
    time_enabled_ns INTEGER NOT NULL,
    time_running_ns INTEGER NOT NULL,
    PRIMARY KEY (run_id, window, tid, event),
    FOREIGN KEY (run_id, window) REFERENCES window (run_id, window) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE allocation_window (
    run_id       INTEGER NOT NULL,
    window       INTEGER NOT NULL,
    alloc_count  REAL,
    alloc_bytes  REAL,
    free_count   REAL,
    freed_bytes  REAL,
    live_bytes   INTEGER,
    mmap_bytes   INTEGER NOT NULL,
    munmap_bytes INTEGER NOT NULL,
    probed_ratio REAL    NOT NULL,
    PRIMARY KEY (run_id, window),
    FOREIGN KEY (run_id, window) REFERENCES window (run_id, window) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE map_event (
    run_id        INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL,
    at_ns         INTEGER NOT NULL,
    tid           INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    address       INTEGER NOT NULL,
    added_bytes   INTEGER NOT NULL,
    removed_bytes INTEGER NOT NULL,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE phase (
    run_id   INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    tid      INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    phase    INTEGER NOT NULL,
    end_ns   INTEGER NOT NULL,
    cpu_ns   INTEGER NOT NULL,
    PRIMARY KEY (run_id, tid, start_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE phase_reading (
    run_id          INTEGER NOT NULL,
    tid             INTEGER NOT NULL,
    start_ns        INTEGER NOT NULL,
    event           INTEGER NOT NULL,
    value           INTEGER NOT NULL,
    time_enabled_ns INTEGER NOT NULL,
    time_running_ns INTEGER NOT NULL,
    PRIMARY KEY (run_id, tid, start_ns, event),
    FOREIGN KEY (run_id, tid, start_ns) REFERENCES phase (run_id, tid, start_ns) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE collector (
    run_id   INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    status   TEXT    NOT NULL,
    reason   TEXT,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE loss (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    kind   TEXT    NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (run_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE allocation_total (
    run_id               INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    mode                 TEXT,
    alloc_count          REAL,
    alloc_bytes          REAL,
    free_count           REAL,
    freed_bytes          REAL,
    live_bytes           INTEGER,
    peak_live_bytes      INTEGER,
    temporary_count      INTEGER,
    mmap_bytes           INTEGER NOT NULL,
    munmap_bytes         INTEGER NOT NULL,
    alloc_count_ci95_pct REAL,
    ci95_pct             REAL,
    null_reason          TEXT,
    probes               TEXT NOT NULL
) STRICT;

CREATE TABLE histogram (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    kind   TEXT    NOT NULL,
    log2   INTEGER NOT NULL,
    count  REAL    NOT NULL,
    bytes  REAL    NOT NULL,
    PRIMARY KEY (run_id, kind, log2)
) STRICT, WITHOUT ROWID;

CREATE TABLE function (
    run_id   INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    function INTEGER NOT NULL,
    name     TEXT,
    module   TEXT,
    file     TEXT,
    PRIMARY KEY (run_id, function)
) STRICT, WITHOUT ROWID;

CREATE TABLE frame (
    run_id   INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    frame    INTEGER NOT NULL,
    function INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    line     INTEGER,
    inlined  INTEGER NOT NULL,
    PRIMARY KEY (run_id, frame)
) STRICT, WITHOUT ROWID;

CREATE TABLE stack (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    stack  INTEGER NOT NULL,
    depth  INTEGER NOT NULL,
    frame  INTEGER NOT NULL,
    PRIMARY KEY (run_id, stack, depth)
) STRICT, WITHOUT ROWID;

CREATE TABLE site (
    run_id          INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    site            INTEGER NOT NULL,
    tid             INTEGER NOT NULL,
    stack           INTEGER NOT NULL,
    alloc_count     REAL    NOT NULL,
    alloc_bytes     REAL    NOT NULL,
    free_count      INTEGER,
    freed_bytes     INTEGER,
    live_bytes      INTEGER,
    peak_live_bytes INTEGER,
    temporary_count INTEGER,
    PRIMARY KEY (run_id, site)
) STRICT, WITHOUT ROWID;

CREATE TABLE site_stack (
    run_id        INTEGER NOT NULL,
    site          INTEGER NOT NULL,
    stack         INTEGER NOT NULL,
    samples_count INTEGER NOT NULL,
    PRIMARY KEY (run_id, site, stack),
    FOREIGN KEY (run_id, site) REFERENCES site (run_id, site) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE traced_allocation (
    run_id     INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    from_ns    INTEGER,
    to_ns      INTEGER,
    address    INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    tid        INTEGER NOT NULL,
    site       INTEGER,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;
