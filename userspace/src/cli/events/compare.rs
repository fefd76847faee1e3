//! `waytrace events compare`: two measurements of the same events, and which changes are no chance.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;
use waytrace_analysis::compare::{Change, Sides, changes};
use waytrace_analysis::spread::{Ratio, Spread};
use waytrace_model::units::format_count;
use waytrace_report::matrix::SIGNIFICANT;

use super::super::output::{plain, print, print_json, say, width};
use super::super::table::{Table, left, right};
use super::super::{Outcome, StoreArgs};
use super::aggregate::measurement::Measurement;
use super::aggregate::output::put;
use super::aggregate::selection::SelectionArgs;
use super::aggregate::totals::Totals;
use super::correlate::small;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A and B are measurements' ids, their names or the beginnings of such, `last`, `last~1` for the one before, or files ending in
.csv: results of `aggregate` or of gz/autoperf.
Executions of a command are compared by their totals, what else was measured by rates. It takes four repetitions on
either side (`events measure --repeat 4`) for any change to be told from chance, among many events more.

Examples:
  waytrace events compare last~1 last
  waytrace events compare before after --csv changes.csv --json")]
pub struct Args {
    /// The base.
    #[arg(value_name = "A")]
    a: String,
    /// What is compared to it.
    #[arg(value_name = "B")]
    b: String,
    /// Events to show in the table.
    #[arg(long, value_name = "N", default_value_t = 30)]
    top: usize,
    /// Write all events as CSV; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// Print the whole comparison as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

const SCHEMA_VERSION: u32 = 1;
/// What intervals are drawn from: the same measurements give the same ones.
const SEED: u64 = 1;

#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    a: Side,
    b: Side,
    /// `per execution` or `per second`.
    unit: &'static str,
    /// Whether values are those of each side's usual pace.
    normalised: bool,
    /// The surest first.
    events: Vec<Row>,
    /// Events that occurred in neither.
    zero: Vec<String>,
    /// Events that occurred in fewer than half of the repetitions of either; they are among `events` all the same.
    sparse: Vec<String>,
    only_a: Vec<String>,
    only_b: Vec<String>,
    /// Repetitions of events left out because the event was multiplexed in them.
    multiplexed: u64,
}

#[derive(Debug, Serialize)]
struct Side {
    run: String,
    repetitions: usize,
}

#[derive(Debug, Serialize)]
struct Row {
    event: String,
    a: Option<Spread>,
    b: Option<Spread>,
    /// B to A.
    ratio: Option<Ratio>,
    /// Cliff's delta.
    delta: Option<f64>,
    p: Option<f64>,
    q: Option<f64>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let a = Measurement::load(&args.a, &args.store)?;
    let b = Measurement::load(&args.b, &args.store)?;
    if a.is_repeatable != b.is_repeatable {
        bail!(
            "{} and {} cannot be compared: one is of executions of a command, the other of what was running anyway",
            a.name,
            b.name
        );
    }
    let report = compare(&a, &b, &args.selection)?;
    if let Some(path) = &args.csv {
        put(path, args.force, &csv(&report)?)?;
    }
    if args.json {
        print_json(&report)?;
    } else if args.csv.as_deref() != Some(Path::new("-")) {
        print(&render(&report, args.top))?;
    }
    if report.a.repetitions < 4 || report.b.repetitions < 4 {
        say(
            "with fewer than four repetitions on a side no change can be told from chance; measure with --repeat 4 or more",
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn compare(a: &Measurement, b: &Measurement, selection: &SelectionArgs) -> anyhow::Result<Report> {
    let before = Totals::of(a, selection)?;
    let after = Totals::of(b, selection)?;
    let both: Vec<&String> = before.values.keys().filter(|name| after.values.contains_key(*name)).collect();
    if both.is_empty() {
        bail!(
            "{} and {} have no event in common; `waytrace events aggregate` lists those of each",
            a.name,
            b.name
        );
    }
    let values = |side: &Totals, name: &String| -> Vec<f64> {
        side.values.get(name).into_iter().flat_map(|values| values.values().copied()).collect()
    };
    let (mut zero, mut sparse, mut compared) = (Vec::new(), Vec::new(), Vec::new());
    for name in both {
        let sides = (values(&before, name), values(&after, name));
        let occurs = |values: &[f64]| values.iter().filter(|value| **value != 0.0).count();
        let (own, other) = (occurs(&sides.0), occurs(&sides.1));
        if own + other == 0 {
            zero.push(name.clone());
            continue;
        }
        if own * 2 < sides.0.len() && other * 2 < sides.1.len() {
            sparse.push(name.clone());
        }
        compared.push((name.clone(), sides));
    }
    let sides: Vec<Sides<'_>> = compared.iter().map(|(_, (before, after))| Sides { before, after }).collect();
    let mut events: Vec<Row> =
        compared.iter().zip(changes(&sides, SEED)).map(|((name, _), change)| row(name, &change)).collect();
    sort(&mut events);
    let only = |own: &Totals, other: &Totals| -> Vec<String> {
        own.values.keys().filter(|name| !other.values.contains_key(*name)).cloned().collect()
    };
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        only_a: only(&before, &after),
        only_b: only(&after, &before),
        a: Side { run: a.name.clone(), repetitions: before.repetitions.len() },
        b: Side { run: b.name.clone(), repetitions: after.repetitions.len() },
        unit: if a.is_repeatable { "per execution" } else { "per second" },
        normalised: selection.normalised,
        events,
        zero,
        sparse,
        multiplexed: before.flagged + after.flagged,
    })
}

fn row(name: &str, change: &Change) -> Row {
    let Change { before, after, ratio, delta, p, q } = *change;
    Row { event: name.to_owned(), a: before, b: after, ratio, delta, p, q }
}

/// The surest first, of those as sure the larger change.
fn sort(events: &mut [Row]) {
    let q = |row: &Row| row.q.unwrap_or(f64::INFINITY);
    let size = |row: &Row| row.ratio.map_or(f64::INFINITY, |ratio| ratio.ratio.ln().abs());
    events.sort_by(|one, other| {
        q(one)
            .total_cmp(&q(other))
            .then(size(other).total_cmp(&size(one)))
            .then_with(|| one.event.cmp(&other.event))
    });
}

fn csv(report: &Report) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "event",
        "a_median",
        "b_median",
        "ratio",
        "ci95_low",
        "ci95_high",
        "delta",
        "p",
        "q",
    ])?;
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for row in &report.events {
        let values = [
            row.a.map(|side| side.median),
            row.b.map(|side| side.median),
            row.ratio.map(|ratio| ratio.ratio),
            row.ratio.and_then(|ratio| ratio.ci95_low),
            row.ratio.and_then(|ratio| ratio.ci95_high),
            row.delta,
            row.p,
            row.q,
        ];
        table.write_record(std::iter::once(row.event.clone()).chain(values.map(number)))?;
    }
    Ok(table.into_inner()?)
}

fn render(report: &Report, top: usize) -> String {
    let side = |side: &Side| format!("{}, {} repetitions", plain(&side.run), side.repetitions);
    let changed = report.events.iter().filter(|row| row.q.is_some_and(|q| q < SIGNIFICANT)).count();
    let mut text = format!("A  {}\nB  {}\n", side(&report.a), side(&report.b));
    text += &format!(
        "{changed} of {} events changed (q < {SIGNIFICANT}); values are {}\n",
        report.events.len(),
        report.unit
    );
    for (what, events) in [
        ("occurred in neither", &report.zero),
        ("occurred in fewer than half of the repetitions", &report.sparse),
        ("measured in A only", &report.only_a),
        ("measured in B only", &report.only_b),
    ] {
        if !events.is_empty() {
            text += &format!("{what}: {}\n", events.len());
        }
    }
    if report.multiplexed > 0 {
        text += &format!("left out because multiplexed: {} repetitions of events\n", report.multiplexed);
    }
    let numbers = ["A", "B", "B/A", "95 %", "DELTA", "Q"].map(right);
    let mut table = Table::new([vec![left("EVENT")], numbers.to_vec()].concat());
    for row in report.events.iter().take(top) {
        let median = |side: Option<Spread>| side.map_or_else(|| "-".to_owned(), |side| quantity(side.median));
        let interval = row.ratio.and_then(|ratio| ratio.ci95_low.zip(ratio.ci95_high));
        table.row(&[
            row.event.clone(),
            median(row.a),
            median(row.b),
            row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.3}", ratio.ratio)),
            interval.map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.3}–{high:.3}")),
            row.delta.map_or_else(|| "-".to_owned(), |delta| format!("{delta:+.2}")),
            row.q.map_or_else(|| "-".to_owned(), small),
        ]);
    }
    text + "\n" + &table.render(width().max(100))
}

fn quantity(value: f64) -> String {
    if value.abs() < 9.995 { format!("{value:.2}") } else { format_count(value) }
}
