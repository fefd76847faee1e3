//! `waytrace events correlate`: which events go together over time, as a table, a matrix and a picture.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;
use waytrace_analysis::correlate::{self, Correlation, Matrix, order};
use waytrace_report::matrix::{self, Cell, SIGNIFICANT};

use super::super::output::{plain, print, print_json, width};
use super::super::table::{Table, left, right};
use super::super::{Outcome, StoreArgs};
use super::aggregate::measurement::Measurement;
use super::aggregate::output::put;
use super::aggregate::selection::SelectionArgs;
use super::aggregate::series::{Lined, Over, Silent, line_up};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
RUN is a measurement's id, its name or the beginning of one, `last`, `last~1` for the one before, or a file ending in .csv:
results of `aggregate` or of gz/autoperf.
Events measured in different executions are compared interval by interval, as if these had been the same; of a
living process only those measured at once are.

Examples:
  waytrace events correlate last -o matrix.html            with the pair under the pointer
  waytrace events correlate last --method spearman -o matrix.svg -o matrix.csv
  waytrace events correlate last --pairs pairs.csv         every pair with its significance")]
pub struct Args {
    /// Which measurement.
    #[arg(value_name = "RUN", default_value = "last")]
    run: String,
    /// Coefficient: of values, which finds straight lines, or of ranks, which finds all that rises or falls together.
    #[arg(long, value_name = "METHOD", default_value = "pearson")]
    method: Method,
    /// What is made of the values of all CPUs and instances of a PMU in an interval.
    #[arg(long, value_name = "WHAT", default_value = "sum")]
    over: Over,
    /// Leave out events that occur in fewer intervals.
    #[arg(long, value_name = "N", default_value_t = 4)]
    min_nonzero: usize,
    /// Write the matrix, as the end of the name says: .svg, .html or .csv; may be repeated.
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// Write every pair with its significance as CSV.
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Pairs to show in the table.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Replace files that exist.
    #[arg(long)]
    force: bool,
    /// Print the whole result as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    Pearson,
    Spearman,
}

const SCHEMA_VERSION: u32 = 1;
/// Names shown of events left out.
const EXAMPLES: usize = 3;
/// Beyond this a matrix takes gigabytes.
const EVENTS_MAX: usize = 6_000;

#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    run: String,
    method: Method,
    /// Whether rates are those of the target's usual pace.
    normalised: bool,
    /// Intervals that any event was measured in.
    intervals: usize,
    /// In the order of the matrix, alike ones side by side.
    events: Vec<String>,
    /// Events that are not in the matrix, and why.
    left_out: Vec<Silent>,
    /// The most significant first, of those alike the stronger.
    pairs: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct Pair {
    a: String,
    b: String,
    coefficient: f64,
    effective_samples: f64,
    p: Option<f64>,
    q: Option<f64>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let formats: Vec<(&Path, Format)> =
        args.output.iter().map(|path| format(path)).collect::<anyhow::Result<_>>()?;
    let measurement = Measurement::load(&args.run, &args.store)?;
    let (mut lined, left_out) = line_up(&measurement, &args.selection, args.over)?;
    left_out.complain(&measurement.name);
    let silent = lined.take_silent(args.min_nonzero);
    check(&lined, &silent, &measurement.name)?;
    let method = match args.method {
        Method::Pearson => correlate::Method::Pearson,
        Method::Spearman => correlate::Method::Spearman,
    };
    let computed = Matrix::of(&lined.series, method);
    let order = order(&computed);
    for (path, format) in formats {
        let drawn = drawing(&measurement.name, args.method, &lined, &computed, &order, &silent);
        let mut bytes = Vec::new();
        match format {
            Format::Svg => matrix::svg(&drawn, &mut bytes)?,
            Format::Html => matrix::html(&drawn, &mut bytes)?,
            Format::Csv => matrix::csv(&drawn, &mut bytes)?,
        }
        put(path, args.force, &bytes)?;
    }
    let pairs = pairs(&lined, &computed);
    if let Some(path) = &args.pairs {
        put(path, args.force, &pairs_csv(&pairs)?)?;
    }
    let name = |at: &usize| lined.names.get(*at).cloned();
    let report = Report {
        schema_version: SCHEMA_VERSION,
        run: measurement.name,
        method: args.method,
        normalised: args.selection.normalised,
        intervals: lined.times.len(),
        events: order.iter().filter_map(name).collect(),
        left_out: silent,
        pairs,
    };
    if args.json {
        print_json(&report)?;
    } else if !args.output.iter().chain(&args.pairs).any(|path| path == Path::new("-")) {
        print(&render(&report, args.top))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Svg,
    Html,
    Csv,
}

fn format(path: &PathBuf) -> anyhow::Result<(&Path, Format)> {
    let format = match path.extension().and_then(|end| end.to_str()) {
        Some("svg") => Format::Svg,
        Some("html" | "htm") => Format::Html,
        Some("csv") => Format::Csv,
        None if path == Path::new("-") => Format::Csv,
        _ => bail!("{}: name a file that ends in .svg, .html or .csv", path.display()),
    };
    Ok((path, format))
}

fn check(lined: &Lined, silent: &[Silent], name: &str) -> anyhow::Result<()> {
    if lined.names.len() < 2 {
        bail!(
            "{name}: {} of {} events occur in enough intervals and change, and it takes two; measure for longer, at a shorter \
             --interval, or lower --min-nonzero",
            lined.names.len(),
            lined.names.len() + silent.len()
        );
    }
    if lined.names.len() > EVENTS_MAX {
        bail!(
            "{name}: {} events make a matrix of gigabytes; leave some out by --min-nonzero, --core or --uncore",
            lined.names.len()
        );
    }
    Ok(())
}

fn pairs(lined: &Lined, matrix: &Matrix) -> Vec<Pair> {
    let name = |at: usize| lined.names.get(at).cloned().unwrap_or_default();
    let pair = |(a, b): (usize, usize)| {
        let Correlation { coefficient, effective_samples, p, q } = matrix.get(a, b)?;
        Some(Pair { a: name(a), b: name(b), coefficient, effective_samples, p, q })
    };
    let all = (0..matrix.size()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let mut pairs: Vec<Pair> = all.filter_map(pair).collect();
    // A strong coefficient of few samples says less than a weaker one of many.
    let q = |pair: &Pair| pair.q.unwrap_or(f64::INFINITY);
    pairs.sort_by(|one, other| {
        let strength = other.coefficient.abs().total_cmp(&one.coefficient.abs());
        q(one).total_cmp(&q(other)).then(strength)
    });
    pairs
}

fn pairs_csv(pairs: &[Pair]) -> anyhow::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for pair in pairs {
        table.serialize(pair)?;
    }
    Ok(table.into_inner()?)
}

fn drawing(
    name: &str,
    method: Method,
    lined: &Lined,
    computed: &Matrix,
    order: &[usize],
    silent: &[Silent],
) -> matrix::Matrix {
    let cell = |pair: Correlation| Cell { coefficient: pair.coefficient, q: pair.q };
    let mut cells = Vec::new();
    for (row, one) in order.iter().enumerate() {
        cells.extend(order.iter().take(row).map(|other| computed.get(*one, *other).map(cell)));
    }
    let method = match method {
        Method::Pearson => "Pearson's r",
        Method::Spearman => "Spearman's rank correlation",
    };
    let told = |one: &Silent| {
        (one.event.clone(), format!("{}: {} of {} intervals not 0", one.reason, one.nonzero, one.samples))
    };
    matrix::Matrix {
        title: format!("Events of {name}"),
        note: format!("{method} over {} intervals, {} events", lined.times.len(), lined.names.len()),
        events: order.iter().filter_map(|at| lined.names.get(*at).cloned()).collect(),
        cells,
        left_out: silent.iter().map(told).collect(),
    }
}

fn render(report: &Report, top: usize) -> String {
    let significant = report.pairs.iter().filter(|pair| pair.q.is_some_and(|q| q < SIGNIFICANT)).count();
    let mut text = format!(
        "{}: {} events over {} intervals; {significant} of {} pairs go together (q < {SIGNIFICANT})\n",
        plain(&report.run),
        report.events.len(),
        report.intervals,
        report.pairs.len()
    );
    text += &told_silent(&report.left_out);
    let columns = vec![right("R"), right("SAMPLES"), right("Q"), left("EVENT"), left("EVENT")];
    let mut table = Table::new(columns);
    for pair in report.pairs.iter().take(top) {
        table.row(&[
            format!("{:+.3}", pair.coefficient),
            format!("{:.0}", pair.effective_samples),
            pair.q.map_or_else(|| "-".to_owned(), small),
            pair.a.clone(),
            pair.b.clone(),
        ]);
    }
    text + "\n" + &table.render(width().max(100))
}

/// A probability in few characters.
pub fn small(value: f64) -> String {
    if value >= 0.001 || value == 0.0 { format!("{value:.3}") } else { format!("{value:.0e}") }
}

/// A line on events that say nothing, by reason.
pub fn told_silent(silent: &[Silent]) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in silent {
        match reasons.iter_mut().find(|(reason, _)| *reason == one.reason) {
            Some((_, events)) => events.push(&one.event),
            None => reasons.push((one.reason, vec![&one.event])),
        }
    }
    let line = |(reason, events): &(&str, Vec<&str>)| {
        let examples: Vec<String> = events.iter().take(EXAMPLES).map(|name| plain(name)).collect();
        let more = if events.len() > EXAMPLES { ", …" } else { "" };
        format!("left out as {reason}: {} ({}{more})\n", events.len(), examples.join(", "))
    };
    reasons.iter().map(line).collect()
}
