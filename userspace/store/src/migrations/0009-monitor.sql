-- The history of `waytrace monitor`: windows of the host and its targets, and their steps of a minute and an hour. Meaning and
-- unit of every column: docs/store.md. Names and targets have no foreign keys: they go by when they were last used.

CREATE TABLE monitor_session (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at_unix_ns INTEGER NOT NULL,
    ended_at_unix_ns   INTEGER,
    window_ns          INTEGER NOT NULL,
    command            TEXT    NOT NULL,
    version            TEXT    NOT NULL,
    host               TEXT    NOT NULL
) STRICT;

CREATE TABLE monitor_target (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT    NOT NULL UNIQUE,
    last_used_unix_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE monitor_name (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT    NOT NULL UNIQUE,
    last_used_unix_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE monitor_window (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id        INTEGER NOT NULL,
    step_ns           INTEGER NOT NULL,
    start_unix_ns     INTEGER NOT NULL,
    first_unix_ns     INTEGER NOT NULL,
    last_unix_ns      INTEGER NOT NULL,
    start_boot_ns     INTEGER NOT NULL,
    position          INTEGER NOT NULL,
    length_ns         INTEGER NOT NULL,
    windows           INTEGER NOT NULL,
    folded            INTEGER NOT NULL,
    page_bytes        INTEGER NOT NULL,
    cpu_pct           REAL    NOT NULL,
    recording_cpu_pct REAL    NOT NULL,
    rss_bytes         REAL    NOT NULL,
    open_files        REAL    NOT NULL,
    probes            REAL    NOT NULL,
    store_bytes       REAL,
    store_waiting     REAL    NOT NULL
) STRICT;

CREATE INDEX monitor_window_by_time ON monitor_window (step_ns, start_unix_ns);
CREATE INDEX monitor_window_unfolded ON monitor_window (start_unix_ns) WHERE folded = 0;

CREATE TABLE monitor_target_window (
    window_id INTEGER NOT NULL REFERENCES monitor_window (id) ON DELETE CASCADE,
    target_id INTEGER NOT NULL,
    length_ns INTEGER NOT NULL,
    windows   INTEGER NOT NULL,
    partly    TEXT,
    absent_id INTEGER,
    sizes     TEXT,
    processes_count            REAL,
    threads_count              REAL,
    cpu_ns                     REAL,
    run_queue_ns               REAL,
    off_cpu_ns                 REAL,
    minor_faults_count         REAL,
    major_faults_count         REAL,
    voluntary_switches_count   REAL,
    involuntary_switches_count REAL,
    migrations_count           REAL,
    rss_bytes                  REAL,
    mapped_bytes               REAL,
    mmap_bytes                 REAL,
    munmap_bytes               REAL,
    alloc_count                REAL,
    alloc_bytes                REAL,
    free_count                 REAL,
    freed_bytes                REAL,
    probed_ratio               REAL,
    access_samples_count       REAL,
    store_ratio                REAL,
    working_set_bytes          REAL,
    cycles_count               REAL,
    instructions_count         REAL,
    cache_misses_count         REAL,
    llc_occupancy_bytes        REAL,
    mbm_total_bytes            REAL,
    overhead_ratio             REAL,
    PRIMARY KEY (window_id, target_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE monitor_site (
    window_id   INTEGER NOT NULL,
    target_id   INTEGER NOT NULL,
    name_id     INTEGER NOT NULL,
    alloc_count REAL    NOT NULL,
    alloc_bytes REAL    NOT NULL,
    PRIMARY KEY (window_id, target_id, name_id),
    FOREIGN KEY (window_id, target_id) REFERENCES monitor_target_window (window_id, target_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE monitor_region (
    window_id INTEGER NOT NULL,
    target_id INTEGER NOT NULL,
    name_id   INTEGER NOT NULL,
    samples   REAL    NOT NULL,
    stores    REAL    NOT NULL,
    PRIMARY KEY (window_id, target_id, name_id),
    FOREIGN KEY (window_id, target_id) REFERENCES monitor_target_window (window_id, target_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE monitor_missing (
    window_id INTEGER NOT NULL REFERENCES monitor_window (id) ON DELETE CASCADE,
    target_id INTEGER NOT NULL,
    length_ns INTEGER NOT NULL,
    PRIMARY KEY (window_id, target_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE monitor_collector (
    window_id   INTEGER NOT NULL REFERENCES monitor_window (id) ON DELETE CASCADE,
    name_id     INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    reason_id   INTEGER,
    length_ns   INTEGER NOT NULL,
    tool_cpu_ns REAL    NOT NULL,
    PRIMARY KEY (window_id, name_id, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE monitor_loss (
    window_id INTEGER NOT NULL REFERENCES monitor_window (id) ON DELETE CASCADE,
    kind      TEXT    NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (window_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE monitor_process (
    target_id          INTEGER NOT NULL,
    pid                INTEGER NOT NULL,
    start_boot_ns      INTEGER NOT NULL,
    comm               TEXT    NOT NULL,
    first_seen_unix_ns INTEGER NOT NULL,
    last_seen_unix_ns  INTEGER NOT NULL,
    PRIMARY KEY (target_id, pid, start_boot_ns)
) STRICT, WITHOUT ROWID;

CREATE INDEX monitor_process_by_time ON monitor_process (last_seen_unix_ns);

CREATE TABLE monitor_alert (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id    INTEGER NOT NULL,
    rule          TEXT    NOT NULL,
    target        TEXT    NOT NULL,
    condition     TEXT    NOT NULL,
    detail        TEXT    NOT NULL,
    began_unix_ns INTEGER NOT NULL,
    ended_unix_ns INTEGER,
    state         TEXT    NOT NULL,
    recording     TEXT    NOT NULL,
    run           TEXT,
    reason        TEXT,
    UNIQUE (rule, target, began_unix_ns)
) STRICT;

CREATE INDEX monitor_alert_by_time ON monitor_alert (began_unix_ns);
