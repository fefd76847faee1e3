//! Sampled accesses, which come with the windows: all of them, or a random half, quarter, … of them under a bound.
//!
//! A run that reaches its bound is thinned: each stored sample stays with probability ½, independently of all others, and
//! so does each that comes later. All that are left have then survived the same number of coin tosses, so one factor for
//! the run, applied on read, makes up for what is gone, and no row is written twice. Sums of weights keep their
//! expectation through every thinning, for what decides when to thin is a number of samples and not what is in them.
//! Who goes does not depend on the order of samples, in which a periodic target could hide: the coins are SQLite's
//! `random()` (ChaCha20), one a row.

use rusqlite::{Connection, params};
use waytrace_model::access::{Access, AccessKind, Precise};

use crate::codec::{Address, Quantity};
use crate::store::RunId;

/// Coin tosses a sample may have survived: the factor is to be an SQLite integer.
const HALVINGS_MAX: u32 = 62;

/// What is stored of a run's samples, and what there was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reservoir {
    /// The most to be stored; `None`: all.
    pub bound: Option<u64>,
    kept: u64,
    offered: u64,
    /// Coin tosses each stored sample has survived.
    halvings: u32,
    loads: u64,
    stores: u64,
}

impl Reservoir {
    /// Stores of `accesses` what the bound leaves, numbered by the order in which all were offered. Their regions and code are
    /// keys whose rows follow when the run ends.
    pub(super) fn fill(
        &mut self,
        connection: &Connection,
        run: RunId,
        accesses: &[Access],
    ) -> rusqlite::Result<()> {
        if accesses.is_empty() {
            return Ok(());
        }
        let mut insert = connection.prepare_cached(INSERT)?;
        for access in accesses {
            if self.bound.is_some_and(|bound| self.kept >= bound) {
                self.halve(connection, run)?;
            }
            self.kept += store(&mut insert, run, self.offered, (1 << self.halvings) - 1, access)?;
            self.offered += 1;
            let sum = match access.kind {
                AccessKind::Load => &mut self.loads,
                AccessKind::Store => &mut self.stores,
            };
            *sum = sum.saturating_add(access.weight);
        }
        self.note(connection, run)
    }

    /// Tosses until there is room: once, but for the smallest bounds.
    fn halve(&mut self, connection: &Connection, run: RunId) -> rusqlite::Result<()> {
        let bound = self.bound.unwrap_or(u64::MAX);
        while self.kept >= bound && self.halvings < HALVINGS_MAX {
            let mut delete =
                connection.prepare_cached("DELETE FROM access WHERE run_id = ?1 AND random() & 1")?;
            self.kept = self.kept.saturating_sub(delete.execute([run.0])? as u64);
            self.halvings += 1;
        }
        Ok(())
    }

    fn note(&self, connection: &Connection, run: RunId) -> rusqlite::Result<()> {
        let mut note = connection.prepare_cached(
            "INSERT OR REPLACE INTO access_kept (run_id, samples, offered, factor, loads, stores)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        note.execute(params![
            run.0,
            Quantity(self.kept),
            Quantity(self.offered),
            Quantity(1 << self.halvings),
            Quantity(self.loads),
            Quantity(self.stores),
        ])?;
        Ok(())
    }
}

/// Of 2^n − 1 in `?19`, one in 2^n rows is stored.
const INSERT: &str = "
    INSERT INTO access (run_id, position, at_ns, tid, cpu, address, width_bytes, is_store, code, region, weight,
        block_address, block_bytes, site, latency_cycles, served_by, page_bytes, physical_address)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18 WHERE random() & ?19 = 0";

/// Rows that were stored: 1 or 0.
fn store(
    insert: &mut rusqlite::Statement<'_>,
    run: RunId,
    position: u64,
    mask: i64,
    access: &Access,
) -> rusqlite::Result<u64> {
    let nothing = Precise::default();
    let (block, precise) = (access.block.as_ref(), access.precise.as_ref().unwrap_or(&nothing));
    let stored = insert.execute(params![
        run.0,
        Quantity(position),
        Quantity(access.at_ns),
        access.tid,
        access.cpu,
        Address(access.address),
        access.width_bytes,
        access.kind == AccessKind::Store,
        access.code,
        access.region,
        Quantity(access.weight),
        block.map(|block| Address(block.address)),
        block.map(|block| Quantity(block.size_bytes)),
        block.map(|block| block.site),
        precise.latency_cycles,
        precise.served_by,
        precise.page_bytes.map(Quantity),
        precise.physical_address.map(Address),
        mask,
    ])?;
    Ok(stored as u64)
}
