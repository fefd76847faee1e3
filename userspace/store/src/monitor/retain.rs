//! What keeps the history within its bounds: rows that are too old or too many go, a few at a time.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use waytrace_model::monitor::{HostWindow, Step};

use super::Retention;
use crate::codec::{Quantity, quantity};

/// How long one deletion should take, so that a window never waits for it.
const CHUNK: Duration = Duration::from_millis(20);
/// Rows of processes and names looked at in one go.
const ROWS: i64 = 500;
/// Names outlive what can refer to them by this.
const SLACK_NS: u64 = 2 * 3_600_000_000_000;
/// How far the wall clock may stray from `CLOCK_BOOTTIME` before it counts as set.
const SET_NS: u64 = 60_000_000_000;
/// How long a clock that was set is waited for: it may be set back.
const SETTLE_NS: u64 = 3_600_000_000_000;
/// How often it is looked for rows that hang on no window.
const LOOK_NS: u64 = 60_000_000_000;
/// Free pages are given back in such portions, once they are more than a quarter of the file.
const PAGES: i64 = 256;

/// The time by which rows age. A wall clock that was set, which may be wrong, deletes nothing for an hour.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clock {
    /// Ends of the newest window: wall clock, boot time.
    newest: Option<(u64, u64)>,
    /// Boot time until which nothing ages.
    settles_at: u64,
}

impl Clock {
    /// A window was stored.
    pub(super) fn saw(&mut self, window: &HostWindow) {
        let end = |start: u64| start.saturating_add(window.length_ns);
        let (unix_ns, boot_ns) = (end(window.start_unix_ns), end(window.start_boot_ns));
        if let Some((before_unix, before_boot)) = self.newest {
            let expected = before_unix.saturating_add(boot_ns.saturating_sub(before_boot));
            if expected.abs_diff(unix_ns) > SET_NS {
                self.settles_at = boot_ns.saturating_add(SETTLE_NS);
            }
        }
        self.newest = Some((unix_ns, boot_ns));
    }

    /// Now; `None`: not known.
    pub(super) fn now_unix_ns(&self) -> Option<u64> {
        self.newest.filter(|(_, boot_ns)| *boot_ns >= self.settles_at).map(|(unix_ns, _)| unix_ns)
    }
}

/// What goes next, and how much of it at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retain {
    /// Windows: as many as took no longer than they should.
    chunk: i64,
    /// When it was last looked for what hangs on no window.
    looked_unix_ns: u64,
}

impl Default for Retain {
    fn default() -> Self {
        Self { chunk: 2, looked_unix_ns: 0 }
    }
}

impl Retain {
    fn took(&mut self, time: Duration) {
        self.chunk = if time > CHUNK { (self.chunk / 2).max(1) } else { (self.chunk * 2).min(512) };
    }

    /// Deletes a chunk of what is over age, or of the oldest of the finest step while there is too much. Whether there was any.
    pub(super) fn delete(
        &mut self,
        connection: &mut Connection,
        retention: &Retention,
        now_unix_ns: u64,
        page_bytes: u64,
    ) -> rusqlite::Result<bool> {
        for step in Step::ALL {
            let before = now_unix_ns.saturating_sub(retention.keep_ns(step));
            if self.windows(connection, step, before)? {
                return Ok(true);
            }
        }
        if page_bytes > retention.max_bytes {
            for step in Step::ALL {
                if self.windows(connection, step, u64::MAX)? {
                    return Ok(true);
                }
            }
        }
        if now_unix_ns.abs_diff(self.looked_unix_ns) < LOOK_NS {
            return Ok(false);
        }
        let deleted = leftovers(connection, retention, now_unix_ns)?;
        if !deleted {
            self.looked_unix_ns = now_unix_ns;
        }
        Ok(deleted)
    }

    /// Deletes a chunk of windows of a step that began before, the oldest first. Windows not yet in a step stay.
    fn windows(&mut self, connection: &mut Connection, step: Step, before: u64) -> rusqlite::Result<bool> {
        let began = Instant::now();
        let deleted = delete_windows(connection, step, before, self.chunk)?;
        if deleted {
            self.took(began.elapsed());
        }
        Ok(deleted)
    }
}

fn delete_windows(
    connection: &mut Connection,
    step: Step,
    before: u64,
    at_most: i64,
) -> rusqlite::Result<bool> {
    let first: Option<u64> = connection
        .prepare_cached(
            "SELECT start_unix_ns FROM monitor_window WHERE step_ns = ?1 AND folded = 1 ORDER BY start_unix_ns LIMIT 1",
        )?
        .query_row([Quantity(step.ns())], |row| quantity(row, 0))
        .optional()?;
    if first.is_none_or(|first| first >= before) {
        return Ok(false);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let deleted = transaction
        .prepare_cached(
            "DELETE FROM monitor_window WHERE id IN (SELECT id FROM monitor_window
                 WHERE step_ns = ?1 AND folded = 1 AND start_unix_ns < ?2 ORDER BY start_unix_ns LIMIT ?3)",
        )?
        .execute(params![Quantity(step.ns()), Quantity(before), at_most])?;
    transaction.commit()?;
    Ok(deleted > 0)
}

/// Deletes what hangs on no window. A process is kept as long as a step that is no longer than it lived.
fn leftovers(connection: &Connection, retention: &Retention, now_unix_ns: u64) -> rusqlite::Result<bool> {
    let before = |step: Step| Quantity(now_unix_ns.saturating_sub(retention.keep_ns(step)));
    let processes = connection
        .prepare_cached(
            "DELETE FROM monitor_process WHERE (target_id, pid, start_boot_ns) IN (
                 SELECT target_id, pid, start_boot_ns FROM monitor_process
                 WHERE last_seen_unix_ns < ?1 AND last_seen_unix_ns < CASE
                     WHEN last_seen_unix_ns - first_seen_unix_ns < ?4 THEN ?1
                     WHEN last_seen_unix_ns - first_seen_unix_ns < ?5 THEN ?2 ELSE ?3 END
                 LIMIT ?6)",
        )?
        .execute(params![
            before(Step::Window),
            before(Step::Minute),
            before(Step::Hour),
            Quantity(Step::Minute.ns()),
            Quantity(Step::Hour.ns()),
            ROWS
        ])?;
    if processes > 0 {
        return Ok(true);
    }
    let oldest = Quantity(now_unix_ns.saturating_sub(retention.longest_ns()).saturating_sub(SLACK_NS));
    for sql in [
        "DELETE FROM monitor_alert WHERE id IN (SELECT id FROM monitor_alert
             WHERE began_unix_ns < ?1 AND ended_unix_ns < ?1 LIMIT ?2)",
        "DELETE FROM monitor_name WHERE id IN (SELECT id FROM monitor_name WHERE last_used_unix_ns < ?1 LIMIT ?2)",
        "DELETE FROM monitor_target WHERE id IN (SELECT id FROM monitor_target WHERE last_used_unix_ns < ?1 LIMIT ?2)",
        "DELETE FROM monitor_session WHERE id IN (SELECT id FROM monitor_session
             WHERE started_at_unix_ns < ?1 AND ended_at_unix_ns < ?1 LIMIT ?2)",
    ] {
        if connection.prepare_cached(sql)?.execute(params![oldest, ROWS])? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives a portion of free pages back to the file system where they are many. Fewer are filled again by what comes.
pub(super) fn shrink(connection: &Connection) -> rusqlite::Result<bool> {
    let (pages, free) = (pragma(connection, "page_count")?, pragma(connection, "freelist_count")?);
    if free < 4 * PAGES || free < pages / 4 {
        return Ok(false);
    }
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    drop(steps);
    // A file of another make may not be able to shrink: then there is no end to it.
    Ok(pragma(connection, "freelist_count")? < free)
}

/// Bytes of the database's pages in use.
pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")?.saturating_sub(pragma(connection, "freelist_count")?);
    Ok(u64::try_from(pages.saturating_mul(pragma(connection, "page_size")?)).unwrap_or(0))
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))
}

/// Bytes of pages booked on all windows.
pub(super) fn page_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(sum(page_bytes), 0) FROM monitor_window")?
        .query_row([], |row| quantity(row, 0))
}

/// Books pages on a window.
pub(super) fn book(connection: &Connection, window: i64, bytes: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE monitor_window SET page_bytes = page_bytes + ?2 WHERE id = ?1")?
        .execute(params![window, Quantity(bytes)])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(unix_s: u64, boot_s: u64) -> HostWindow {
        HostWindow {
            start_unix_ns: unix_s * 1_000_000_000,
            start_boot_ns: boot_s * 1_000_000_000,
            length_ns: 10_000_000_000,
            ..HostWindow::default()
        }
    }

    #[test]
    fn a_clock_that_was_set_ages_nothing_for_an_hour() {
        let mut clock = Clock::default();
        assert_eq!(clock.now_unix_ns(), None);
        clock.saw(&window(1_000_000, 100));
        assert_eq!(clock.now_unix_ns(), Some(1_000_010_000_000_000));
        // Suspended for a day: both clocks went on.
        clock.saw(&window(1_086_400, 86_500));
        assert!(clock.now_unix_ns().is_some());
        // Ten years ahead, then back.
        clock.saw(&window(316_000_000, 86_510));
        assert_eq!(clock.now_unix_ns(), None);
        clock.saw(&window(1_086_420, 86_520));
        assert_eq!(clock.now_unix_ns(), None);
        clock.saw(&window(1_090_090, 90_190));
        assert_eq!(clock.now_unix_ns(), Some(1_090_100_000_000_000));
    }

    #[test]
    fn chunks_keep_within_their_time() {
        let mut retain = Retain::default();
        for _ in 0..20 {
            retain.took(Duration::from_millis(1));
        }
        assert_eq!(retain.chunk, 512);
        for _ in 0..20 {
            retain.took(Duration::from_millis(60));
        }
        assert_eq!(retain.chunk, 1);
    }
}
