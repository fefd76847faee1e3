//! Processes seen: each a row with its first and last sight. Of one that lives the row is renewed once a minute, and when it is seen no more.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::codec::Quantity;

/// How often the row of a living process is renewed.
const RENEW_NS: u64 = 60_000_000_000;

/// Target, pid, start.
type Key = (i64, u32, u64);

#[derive(Debug, Clone)]
struct Sight {
    comm: String,
    first_ns: u64,
    last_ns: u64,
    stored_ns: u64,
    /// Seen in the window being written.
    is_here: bool,
}

/// Those seen in the windows before.
#[derive(Debug, Default)]
pub(super) struct Processes {
    seen: HashMap<Key, Sight>,
}

impl Processes {
    /// Notes a process in the window from `start_ns` to `end_ns`, both since the Unix epoch.
    pub(super) fn see(
        &mut self,
        connection: &Connection,
        key: Key,
        comm: &str,
        (start_ns, end_ns): (u64, u64),
    ) -> rusqlite::Result<()> {
        let is_new = !self.seen.contains_key(&key);
        let sight = self.seen.entry(key).or_insert_with(|| Sight {
            comm: comm.to_owned(),
            first_ns: start_ns,
            last_ns: end_ns,
            stored_ns: end_ns,
            is_here: true,
        });
        (sight.last_ns, sight.is_here) = (end_ns, true);
        let is_renamed = sight.comm != comm;
        if is_renamed {
            comm.clone_into(&mut sight.comm);
        }
        if is_new || is_renamed || end_ns.abs_diff(sight.stored_ns) >= RENEW_NS {
            sight.stored_ns = end_ns;
            store(connection, key, sight)?;
        }
        Ok(())
    }

    /// Ends a window: what was not in it is stored as it was last seen, and forgotten.
    pub(super) fn end_window(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (key, sight) in &self.seen {
            if !sight.is_here && sight.stored_ns != sight.last_ns {
                store(connection, *key, sight)?;
            }
        }
        self.seen.retain(|_, sight| std::mem::take(&mut sight.is_here));
        Ok(())
    }

    /// Stores all as they were last seen: the monitor ends.
    pub(super) fn store_all(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.seen
            .iter()
            .filter(|(_, sight)| sight.stored_ns != sight.last_ns)
            .try_for_each(|(key, sight)| store(connection, *key, sight))
    }

    /// Forgets all: a transaction was rolled back, and what is stored is stored again.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }
}

fn store(connection: &Connection, (target, pid, start_boot_ns): Key, sight: &Sight) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO monitor_process (target_id, pid, start_boot_ns, comm, first_seen_unix_ns, last_seen_unix_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET comm = excluded.comm,
             first_seen_unix_ns = min(first_seen_unix_ns, excluded.first_seen_unix_ns),
             last_seen_unix_ns = max(last_seen_unix_ns, excluded.last_seen_unix_ns)",
    )?;
    let row = params![
        target,
        pid,
        Quantity(start_boot_ns),
        sight.comm,
        Quantity(sight.first_ns),
        Quantity(sight.last_ns)
    ];
    put.execute(row).map(drop)
}
