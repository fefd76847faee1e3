//! Names stored once: of targets, and of sites, regions, collectors and reasons.
//!
//! A name's row says when it was last used, to the hour, and goes when everything is gone that can refer to it.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::codec::Quantity;

/// How long a name counts as used just now.
const STAMP_NS: u64 = 3_600_000_000_000;
/// Names held in memory; beyond that they are looked up again.
const HELD: usize = 20_000;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// `monitor_target`.
    Target,
    /// `monitor_name`.
    Name,
}

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Self::Target => {
                "INSERT INTO monitor_target (name, last_used_unix_ns) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET last_used_unix_ns = excluded.last_used_unix_ns RETURNING id"
            }
            Self::Name => {
                "INSERT INTO monitor_name (name, last_used_unix_ns) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET last_used_unix_ns = excluded.last_used_unix_ns RETURNING id"
            }
        }
    }
}

/// Numbers of names, as far as this connection has seen them.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<(Kind, String), (i64, u64)>,
}

impl Names {
    /// A name's number; stored where it is new.
    pub(super) fn id(
        &mut self,
        connection: &Connection,
        kind: Kind,
        name: &str,
        now_unix_ns: u64,
    ) -> rusqlite::Result<i64> {
        let key = (kind, name.to_owned());
        if let Some((id, stamped)) = self.known.get(&key)
            && now_unix_ns.abs_diff(*stamped) < STAMP_NS
        {
            return Ok(*id);
        }
        let id = connection
            .prepare_cached(kind.sql())?
            .query_row(params![name, Quantity(now_unix_ns)], |row| row.get(0))?;
        if self.known.len() >= HELD {
            self.known.clear();
        }
        self.known.insert(key, (id, now_unix_ns));
        Ok(id)
    }

    /// Forgets all: a transaction that stored some was rolled back.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}
