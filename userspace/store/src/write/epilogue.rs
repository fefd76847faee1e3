//! The rows known only when a run ends.

use rusqlite::{Connection, params};
use waytrace_model::allocation::{AllocationTotals, Site};
use waytrace_model::batch::Epilogue;
use waytrace_model::histogram::Bucket;

use super::intern::Interner;
use crate::codec::{Quantity, finite, finite_or_null, to_json};
use crate::read::counters;
use crate::store::RunId;

/// Inserts everything of `epilogue`; its traced allocations are numbered from `first_traced`.
pub(super) fn insert(
    connection: &Connection,
    run: RunId,
    epilogue: &Epilogue,
    first_traced: u64,
) -> rusqlite::Result<()> {
    run_end(connection, run, epilogue)?;
    collectors_and_loss(connection, run, epilogue)?;
    event_totals(connection, run)?;
    if let Some(totals) = &epilogue.allocations {
        allocation_totals(connection, run, totals)?;
        histogram(connection, run, "size", &totals.sizes)?;
        histogram(connection, run, "lifetime", &totals.lifetimes)?;
    }
    let mut interner = Interner::new(connection, run);
    sites(connection, run, &epilogue.sites, &mut interner)?;
    if let Some(totals) = &epilogue.accesses {
        super::accesses::totals(connection, run, totals, &mut interner)?;
    }
    super::traced::insert(connection, run, first_traced, &epilogue.remaining)
}

fn run_end(connection: &Connection, run: RunId, epilogue: &Epilogue) -> rusqlite::Result<()> {
    let (stacks, overhead) = (&epilogue.stacks, &epilogue.overhead);
    connection.execute(
        "INSERT INTO run_end (run_id, duration_ns, ended_by, exit_code,
             stacks_sampled_count, stacks_own_code_count, stacks_complete_count, budget_pct, target_pct,
             tool_cpu_pct, tool_rss_bytes, probe_hit_ns, probe_hits_count, attach_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            run.0,
            Quantity(epilogue.duration_ns),
            epilogue.ended_by.as_str(),
            epilogue.exit_code,
            Quantity(stacks.sampled_count),
            Quantity(stacks.own_code_count),
            Quantity(stacks.complete_count),
            finite_or_null(overhead.budget_pct),
            finite_or_null(overhead.target_pct),
            finite_or_null(overhead.tool_cpu_pct),
            overhead.tool_rss_bytes.map(Quantity),
            finite_or_null(overhead.probe_hit_ns),
            Quantity(overhead.probe_hits_count),
            overhead.attach_ns.map(Quantity),
        ],
    )?;
    Ok(())
}

fn collectors_and_loss(connection: &Connection, run: RunId, epilogue: &Epilogue) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO collector (run_id, position, name, status, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (position, collector) in epilogue.collectors.iter().enumerate() {
        let status = collector.status.as_str();
        insert.execute(params![run.0, position as i64, collector.name, status, collector.reason])?;
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO loss (run_id, kind, count) VALUES (?1, ?2, ?3)")?;
    for (kind, count) in &epilogue.loss.0 {
        insert.execute(params![run.0, kind, Quantity(*count)])?;
    }
    Ok(())
}

/// Sums kept beside the events so that a list of runs need not visit every reading of every run.
fn event_totals(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    let mut update =
        connection.prepare_cached("UPDATE event SET total_value = ?3 WHERE run_id = ?1 AND event = ?2")?;
    for (event, total) in &counters::sums(connection, run)?.by_event {
        update.execute(params![run.0, event, total.value().map(Quantity)])?;
    }
    Ok(())
}

fn allocation_totals(connection: &Connection, run: RunId, totals: &AllocationTotals) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO allocation_total (run_id, mode, alloc_count, alloc_bytes, free_count, freed_bytes,
             live_bytes, peak_live_bytes, temporary_count, mmap_bytes, munmap_bytes,
             alloc_count_ci95_pct, ci95_pct, null_reason, probes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            run.0,
            totals.mode.map(|mode| mode.as_str()),
            finite_or_null(totals.alloc_count),
            finite_or_null(totals.alloc_bytes),
            finite_or_null(totals.free_count),
            finite_or_null(totals.freed_bytes),
            totals.live_bytes.map(Quantity),
            totals.peak_live_bytes.map(Quantity),
            totals.temporary_count.map(Quantity),
            Quantity(totals.mmap_bytes),
            Quantity(totals.munmap_bytes),
            finite_or_null(totals.alloc_count_ci95_pct),
            finite_or_null(totals.ci95_pct),
            totals.null_reason,
            to_json(&totals.probes)?,
        ],
    )?;
    Ok(())
}

fn histogram(connection: &Connection, run: RunId, kind: &str, buckets: &[Bucket]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO histogram (run_id, kind, log2, count, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes",
    )?;
    for bucket in buckets {
        insert.execute(params![run.0, kind, bucket.log2, finite(bucket.count), finite(bucket.bytes)])?;
    }
    Ok(())
}

fn sites<'s>(
    connection: &Connection,
    run: RunId,
    sites: &'s [Site],
    interner: &mut Interner<'_, 's>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO site (run_id, site, tid, stack, alloc_count, alloc_bytes, free_count, freed_bytes,
                           live_bytes, peak_live_bytes, temporary_count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let mut insert_stack = connection.prepare_cached(
        "INSERT INTO site_stack (run_id, site, stack, samples_count) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET samples_count = samples_count + excluded.samples_count",
    )?;
    for site in sites {
        insert.execute(params![
            run.0,
            site.id,
            site.tid,
            interner.stack(&site.frames)?,
            finite(site.alloc_count),
            finite(site.alloc_bytes),
            site.free_count.map(Quantity),
            site.freed_bytes.map(Quantity),
            site.live_bytes.map(Quantity),
            site.peak_live_bytes.map(Quantity),
            site.temporary_count.map(Quantity),
        ])?;
        for sampled in &site.stacks {
            let stack = interner.stack(&sampled.frames)?;
            insert_stack.execute(params![run.0, site.id, stack, Quantity(sampled.samples_count)])?;
        }
    }
    Ok(())
}
