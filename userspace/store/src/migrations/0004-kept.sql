-- The bound on stored accesses: how many were kept of how many. Meaning and unit of every column: docs/store.md.

CREATE TABLE access_kept (
    run_id  INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    samples INTEGER NOT NULL,
    offered INTEGER NOT NULL,
    factor  INTEGER NOT NULL,
    loads   INTEGER NOT NULL,
    stores  INTEGER NOT NULL
) STRICT;
