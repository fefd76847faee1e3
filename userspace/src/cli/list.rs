//! `waytrace list`: the runs and way sweeps of a store, newest first, the figures of a series, or the targets of a range of the history.

use std::process::ExitCode;

use waytrace_model::allocation::Mode;
use waytrace_model::counter::Unit;
use waytrace_model::units::{format_bytes, format_count, format_ns};
use waytrace_store::{RunRow, Store, StoreError};

use super::output::{now_unix_ns, print, print_json, terminal_columns};
use super::table::{Table, left, right};
use super::{Outcome, StoreArgs, history};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the newest N runs only.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show the figures of a series of `waytrace bench` instead [default: the newest].
    #[arg(long, value_name = "SERIES", num_args = 0..=1, default_missing_value = "last", conflicts_with = "limit")]
    stat: Option<String>,
    /// Show way sweeps only, which otherwise stand below the runs.
    #[arg(long, conflicts_with_all = ["stat", "limit"])]
    sweeps: bool,
    /// Print JSON: an array, one object per run, or with --sweeps per sweep; with --stat or --since, an object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    history: history::RangeArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command. A store that was never made has no runs, which is no error.
pub fn run(args: &Args) -> Outcome {
    if let Some(range) = args.history.range()? {
        history::refuse(
            args.stat.is_some() || args.sweeps || args.limit.is_some(),
            "--stat, --sweeps or --limit",
        )?;
        history::list(args.store.db.as_deref(), range, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &args.stat {
        let store = Store::open_existing(args.store.db.as_deref())?;
        super::bench::stat::show(&store.series(name)?, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (rows, sweeps) = match Store::open_existing(args.store.db.as_deref()) {
        Ok(store) => {
            let has_sweeps = args.sweeps || (!args.json && args.limit.is_none());
            let sweeps = if has_sweeps { store.sweeps()? } else { Vec::new() };
            (if args.sweeps { Vec::new() } else { store.runs(args.limit)? }, sweeps)
        }
        Err(absent @ StoreError::Absent { .. }) => {
            eprintln!("waytrace: no runs yet: {absent}");
            (Vec::new(), Vec::new())
        }
        Err(error) => return Err(error.into()),
    };
    let columns = terminal_columns().unwrap_or(usize::MAX);
    match (args.json, args.sweeps) {
        (true, true) => print_json(&sweeps)?,
        (true, false) => print_json(&rows)?,
        (false, true) => print(&super::curves::table(&sweeps).render(columns))?,
        (false, false) => {
            print(&table(&rows, now_unix_ns()).render(columns))?;
            if !sweeps.is_empty() {
                print("\n")?;
                print(&super::curves::table(&sweeps).render(columns))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Columns by falling importance: a narrow terminal shows the first of them.
fn table(rows: &[RunRow], now_unix_ns: u64) -> Table {
    let events = events(rows);
    let mut columns =
        vec![left("ID"), left("NAME"), left("STARTED (UTC)"), right("LENGTH"), left("ENDED BY")];
    columns.extend([left("TARGET"), right("PID"), right("ALLOCS/S"), right("BYTES/S")]);
    columns.extend(events.iter().map(|event| right(&format!("{event}/S").to_uppercase())));
    let mut table = Table::new(columns);
    for row in rows {
        let mut cells = vec![
            row.id.to_string(),
            row.name.clone(),
            row.started_at.get(..19).unwrap_or(&row.started_at).replace('T', " "),
            format_ns(row.duration_ns as f64),
            ended(row, now_unix_ns),
            row.comm.clone(),
            row.tgid.to_string(),
            estimated(row, row.alloc_count, format_count),
            estimated(row, row.alloc_bytes, format_bytes),
        ];
        cells.extend(events.iter().map(|event| counter(row, event)));
        table.row(&cells);
    }
    table
}

/// Every event of every run, in order of first appearance.
fn events(rows: &[RunRow]) -> Vec<&str> {
    let mut events: Vec<&str> = Vec::new();
    for counter in rows.iter().flat_map(|row| &row.counters) {
        if !events.contains(&counter.event.as_str()) {
            events.push(&counter.event);
        }
    }
    events
}

fn ended(row: &RunRow, now_unix_ns: u64) -> String {
    if row.is_recording(now_unix_ns) { "recording".to_owned() } else { row.ended_by.as_str().to_owned() }
}

/// The rate of an allocation total; `~` marks an estimate.
fn estimated(row: &RunRow, total: Option<f64>, format: fn(f64) -> String) -> String {
    let mark = if row.mode.is_some_and(Mode::is_estimate) { "~" } else { "" };
    per_second(row, total).map_or_else(|| "-".to_owned(), |rate| format!("{mark}{}", format(rate)))
}

fn counter(row: &RunRow, event: &str) -> String {
    let Some(counter) = row.counters.iter().find(|counter| counter.event == event) else {
        return "-".to_owned();
    };
    let format = match counter.unit {
        Unit::Ns => format_ns,
        Unit::Bytes => format_bytes,
        Unit::Count | Unit::Cycles => format_count,
    };
    per_second(row, counter.value.map(|value| value as f64)).map_or_else(|| "-".to_owned(), format)
}

fn per_second(row: &RunRow, total: Option<f64>) -> Option<f64> {
    total.filter(|_| row.duration_ns > 0).map(|total| total * 1e9 / row.duration_ns as f64)
}
