//! Reading runs back. Totals are summed here, on read; a run without an end is summed from its windows.

pub(crate) mod accesses;
mod allocations;
pub(crate) mod counters;
mod epilogue;
pub(crate) mod list;
pub(crate) mod measured;
pub(crate) mod pages;
mod phases;
mod series;
mod sites;
mod stacks;
mod target;
pub(crate) mod traced;

use rusqlite::{Connection, OptionalExtension};
use waytrace_analysis::access::Windows;
use waytrace_model::access::{Access, AccessTotals};
use waytrace_model::allocation::Site;
use waytrace_model::detail::RunDetail;
use waytrace_model::report::{RunReport, RunSummary, SCHEMA_VERSION, TargetReport};
use waytrace_model::run::{Host, Window};

use crate::codec::json;
use crate::store::RunId;

/// Totals of a run; `None` if there is no such run.
pub(crate) fn report(connection: &Connection, run: RunId) -> rusqlite::Result<Option<RunReport>> {
    let Some(row) = list::run(connection, run)? else { return Ok(None) };
    let named = Named::load(connection, run)?;
    report_of(connection, &row, &named, |_| {}).map(Some)
}

/// A run complete but for its traced allocations and accesses; `None` if there is no such run.
pub(crate) fn detail(connection: &Connection, run: RunId) -> rusqlite::Result<Option<RunDetail>> {
    let Some(row) = list::run(connection, run)? else { return Ok(None) };
    let named = Named::load(connection, run)?;
    let mut windows = series::windows(connection, run)?;
    let regions = named.accesses.as_ref().map(|totals| totals.regions.as_slice()).unwrap_or_default();
    let intervals: Vec<Window> = windows.iter().map(|detail| detail.window).collect();
    let mut sets = Windows::new(&intervals, regions);
    let report = report_of(connection, &row, &named, |access| sets.add(access))?;
    // A run's windows begin a little later than those that are counted.
    accesses::heat::each_cell(connection, run, |start_ns, cell| {
        sets.add_cell(&cell, start_ns.saturating_add(row.interval_ns / 2));
    })?;
    if report.accesses.is_some() {
        for (window, set) in windows.iter_mut().zip(sets.finish()) {
            window.working_set = Some(set);
        }
    }
    let (regions, code) = named.accesses.map(|totals| (totals.regions, totals.code)).unwrap_or_default();
    Ok(Some(RunDetail {
        report,
        events: counters::events(connection, run)?,
        windows,
        sites: named.sites,
        map_events: series::map_events(connection, run)?,
        phases: phases::all(connection, run)?,
        regions,
        code,
    }))
}

/// What has a stack: read once, needed in many places.
struct Named {
    sites: Vec<Site>,
    accesses: Option<AccessTotals>,
}

impl Named {
    fn load(connection: &Connection, run: RunId) -> rusqlite::Result<Self> {
        let stacks = stacks::load(connection, run)?;
        Ok(Self {
            sites: sites::per_thread(connection, run, &stacks)?,
            accesses: accesses::totals::load(connection, run, &stacks)?,
        })
    }
}

/// Totals; every access sample is shown to `also` on the way.
fn report_of(
    connection: &Connection,
    row: &list::RunRow,
    named: &Named,
    also: impl FnMut(&Access),
) -> rusqlite::Result<RunReport> {
    let run = row.id;
    let events = counters::events(connection, run)?;
    let sums = counters::sums(connection, run)?;
    let end = epilogue::end(connection, run)?;
    let allocations = allocations::report(connection, row, &named.sites, end.as_ref())?;
    let by_thread = allocations::by_thread(allocations.as_ref(), &named.sites);
    let host = host(connection, run)?;
    let known = (named.sites.as_slice(), host.numa_nodes.as_slice());
    let accesses = accesses::report::report(connection, row, named.accesses.as_ref(), known, also)?;
    let left_data = [
        ("counters", !events.is_empty()),
        ("allocations", allocations.is_some()),
        ("accesses", accesses.is_some()),
    ];
    Ok(RunReport {
        schema_version: SCHEMA_VERSION,
        run: summary(connection, row, end.as_ref())?,
        host,
        target: TargetReport {
            threads: target::threads(connection, row, &events, &sums, by_thread.as_ref())?,
            ..target::target(connection, run)?
        },
        collectors: epilogue::collectors(connection, row, left_data)?,
        counters: counters::totals(&events, &sums),
        phases: phases::totals(connection, run)?,
        allocations,
        accesses,
        loss: epilogue::loss(connection, run)?,
        overhead: epilogue::overhead(connection, run, end)?,
    })
}

fn summary(
    connection: &Connection,
    row: &list::RunRow,
    end: Option<&epilogue::End>,
) -> rusqlite::Result<RunSummary> {
    let command = connection.query_row("SELECT command FROM run WHERE id = ?1", [row.id.0], |r| r.get(0))?;
    Ok(RunSummary {
        id: row.id.0,
        name: row.name.clone(),
        started_at: row.started_at.clone(),
        duration_ns: row.duration_ns,
        ended_by: row.ended_by,
        interval_ns: row.interval_ns,
        windows: row.windows,
        exit_code: end.and_then(|end| end.exit_code),
        command,
    })
}

fn host(connection: &Connection, run: RunId) -> rusqlite::Result<Host> {
    connection.query_row("SELECT host FROM run WHERE id = ?1", [run.0], |row| json(row, "host"))
}

/// Rows of a query on one run, each made into a `T`.
fn rows<T>(
    connection: &Connection,
    run: RunId,
    sql: &str,
    make: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map([run.0], make)?.collect()
}

/// The only row of a query on one run, if there is one.
fn row<T>(
    connection: &Connection,
    run: RunId,
    sql: &str,
    make: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection.query_row(sql, [run.0], make).optional()
}
