-- Looks up rows of a table in memory by a skewed key: the cube of a uniform number, by a linear congruence.
-- ROUNDS is replaced by a number. Counts from a number that takes as many bytes as all that will be reached.
CREATE TABLE t (id INTEGER PRIMARY KEY, value INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 3999)
INSERT INTO t SELECT i, i * 7, hex(zeroblob(100)) FROM n;
.print ready
WITH RECURSIVE draw(i, state) AS (
    SELECT 100000000, 12345
    UNION ALL
    SELECT i + 1, (state * 1103515245 + 12345) % 2147483648 FROM draw WHERE i < 100000000 + ROUNDS
)
SELECT sum(t.value + length(t.note)) FROM draw
CROSS JOIN t ON t.id = (state >> 16) * (state >> 16) / 32768 * (state >> 16) / 32768 * 4000 / 32768;
.print truth
