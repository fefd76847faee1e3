//! Access samples, a page at a time: a run may hold millions.

use std::path::Path;

use rusqlite::{Connection, Row};
use waytrace_model::access::{Access, AccessKind, Block, Precise};

use super::super::pages::{Pages, Table};
use crate::codec::{Address, Quantity, quantity};
use crate::store::RunId;

/// A run's access samples in the order they were handed over: that of their times but for a few. Ends with the first
/// failure.
pub type Accesses<'s> = Pages<'s, Access>;

/// A weight stands for the samples the bound left out, too; SQLite makes a product that is too large a real, hence the
/// minimum. Columns go by number below: looking up their names would take longer than all else.
macro_rules! select_samples {
    ($tail:literal) => {
        concat!(
            "SELECT position, at_ns, tid, cpu, address, width_bytes, is_store, code, region,
                 min(weight * (SELECT coalesce(max(factor), 1) FROM access_kept WHERE run_id = ?1), 9223372036854775807),
                 block_address, block_bytes, site, latency_cycles, served_by, page_bytes, physical_address
             FROM access WHERE run_id = ?1 ",
            $tail
        )
    };
}

static TABLE: Table<Access> =
    Table { sql: select_samples!("AND position >= ?2 ORDER BY position LIMIT ?3"), make: numbered };

/// Begins to read those of `run`.
pub(crate) fn all<'s>(connection: &'s Connection, path: &'s Path, run: RunId) -> Accesses<'s> {
    Pages::new(connection, path, run, &TABLE)
}

/// Shows all of them to `see`, without the cost of pages.
pub(super) fn each(connection: &Connection, run: RunId, mut see: impl FnMut(Access)) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(select_samples!("ORDER BY position"))?;
    let mut rows = statement.query([run.0])?;
    while let Some(row) = rows.next()? {
        see(access(row)?);
    }
    Ok(())
}

fn numbered(row: &Row<'_>) -> rusqlite::Result<(u64, Access)> {
    Ok((quantity(row, 0)?, access(row)?))
}

fn access(row: &Row<'_>) -> rusqlite::Result<Access> {
    let Address(address) = row.get(4)?;
    Ok(Access {
        at_ns: quantity(row, 1)?,
        tid: row.get(2)?,
        cpu: row.get(3)?,
        address,
        width_bytes: row.get(5)?,
        kind: if row.get(6)? { AccessKind::Store } else { AccessKind::Load },
        code: row.get(7)?,
        region: row.get(8)?,
        weight: quantity(row, 9)?,
        block: block(row)?,
        precise: precise(row)?,
    })
}

fn block(row: &Row<'_>) -> rusqlite::Result<Option<Block>> {
    let (address, size_bytes, site): (Option<Address>, Option<Quantity>, Option<u32>) =
        (row.get(10)?, row.get(11)?, row.get(12)?);
    Ok(address.zip(size_bytes).zip(site).map(|((Address(address), Quantity(size_bytes)), site)| Block {
        address,
        size_bytes,
        site,
    }))
}

/// A PMU that told nothing of an access is as good as none.
fn precise(row: &Row<'_>) -> rusqlite::Result<Option<Precise>> {
    let precise = Precise {
        latency_cycles: row.get(13)?,
        served_by: row.get(14)?,
        page_bytes: row.get::<_, Option<Quantity>>(15)?.map(|Quantity(bytes)| bytes),
        physical_address: row.get::<_, Option<Address>>(16)?.map(|Address(address)| address),
    };
    Ok((precise != Precise::default()).then_some(precise))
}
