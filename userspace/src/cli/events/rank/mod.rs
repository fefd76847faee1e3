//! `waytrace events rank`: the events worth watching that one run can count without multiplexing: the best of a list, or those
//! that tell most about all others in a measurement, or tell labelled measurements apart.

mod labelled;
mod labels;
mod list;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use waytrace_analysis::correlate::{Matrix, Method};
use waytrace_analysis::packing::{Counter, Problem, Run};
use waytrace_analysis::rank::{Chosen, by_information, by_preference};
use waytrace_hw::catalogue::Event;

use super::super::output::{plain, print, print_json};
use super::super::table::{Table, left, right};
use super::super::{Outcome, StoreArgs};
use super::aggregate::measurement::Measurement;
use super::aggregate::selection::SelectionArgs;
use super::aggregate::series::{Over, Silent, line_up};
use super::correlate::{small, told_silent};
use super::gather::{From, Gathered, gather};
use super::plan::problem::pose;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
RUN is a measurement's id, its name or the beginning of one, `last`, `last~1` for the one before, or a file ending in .csv:
results of `aggregate` or of gz/autoperf.
Without --list the events are chosen one by one: each time the one that explains most of what those chosen leave unexplained
in all events, so that neither noise nor the same once more comes first. With --labels they are chosen for how well they tell the
classes of measurements apart, an observation being a repetition; FILE is a CSV table of the columns run and class.

Examples:
  waytrace events rank last                              which events tell most about all
  waytrace events rank --labels labels.csv               which events tell classes of measurements apart
  waytrace events rank --list features.csv --cpu GenuineIntel-6-55   the best of a list that fit one run")]
pub struct Args {
    /// Which measurement [default: last].
    #[arg(value_name = "RUN", conflicts_with = "list")]
    run: Option<String>,
    /// CSV of events, the best first or with a column `score`.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// CSV of measurements and their classes, with the columns `run` and `class`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "run"])]
    labels: Option<PathBuf>,
    /// Choose at most so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// End where no event has more than this share of its own variation (with --labels, of that within the classes) unexplained, 0
    /// to 1.
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = share)]
    least: f64,
    /// Leave out events that occur in fewer intervals.
    #[arg(long, value_name = "N", default_value_t = 4)]
    min_nonzero: usize,
    /// What is made of the values of all CPUs and instances of a PMU in an interval.
    #[arg(long, value_name = "WHAT", default_value = "sum")]
    over: Over,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    catalogue: From,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is no share; write a number from 0 to 1"))
}

const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    cpu: String,
    /// The list or the measurement.
    source: String,
    /// In the order of choice.
    events: Vec<Row>,
    /// Events that did not fit beside those before, or said nothing new.
    passed_over: Vec<String>,
    /// Events the catalogue does not know.
    unknown: Vec<String>,
    /// Events whose series say nothing.
    left_out: Vec<Silent>,
    /// Classes of the labels; empty without.
    classes: Vec<labelled::Class>,
    /// Events that do not tell the classes apart, or not so well that it is no chance.
    alike: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    pmu: String,
    /// `3`, `fixed 1`; null where none is needed.
    counter: Option<String>,
    /// Of the list.
    score: Option<f64>,
    /// Share of the variation of all events it adds to what is explained, 0–1.
    gain_ratio: Option<f64>,
    /// Share explained with it and those before, 0–1.
    explained_ratio: Option<f64>,
    /// How well it tells labelled classes apart.
    #[serde(flatten)]
    labelled: Option<labelled::Figures>,
    description: String,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let mut report = match (&args.list, &args.labels) {
        (Some(path), _) => of_list(args, path)?,
        (None, Some(path)) => labelled::rank(args, path)?,
        (None, None) => of_run(args, args.run.as_deref().unwrap_or("last"))?,
    };
    if let Some(limit) = args.limit
        && report.events.len() > limit
    {
        report.passed_over.extend(report.events.drain(limit..).map(|row| row.name));
    }
    if args.json {
        print_json(&report)?;
    } else {
        print(&render(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The best of a list.
fn of_list(args: &Args, path: &std::path::Path) -> anyhow::Result<Report> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let list = list::read(file).with_context(|| path.display().to_string())?;
    let gathered = known(args, None)?;
    let scores: BTreeMap<&str, Option<f64>> = list.iter().map(|one| (one.name.as_str(), one.score)).collect();
    let (events, unknown) = find(&gathered, list.iter().map(|one| one.name.as_str()));
    check(&events, &unknown, &gathered)?;
    let problem = pose(&events, Vec::new(), gathered.setup());
    let order: Vec<usize> = (0..events.len()).collect();
    let run = by_preference(&problem, &order).map_err(|error| anyhow!("ranking: {error}"))?;
    let counters = counters(&run);
    let row = |(at, event): (usize, &Event)| {
        let score = scores.get(event.name.to_lowercase().as_str()).copied().flatten();
        Some(row(event, *counters.get(&at)?, score, None))
    };
    let rows: Vec<Row> = events.iter().enumerate().filter_map(row).collect();
    let passed = events.iter().enumerate().filter(|(at, _)| !counters.contains_key(at));
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        cpu: gathered.cpu_name(),
        source: path.display().to_string(),
        events: rows,
        passed_over: passed.map(|(_, event)| event.name.clone()).collect(),
        unknown,
        left_out: Vec::new(),
        classes: Vec::new(),
        alike: Vec::new(),
    })
}

/// Those that tell most about all in a measurement.
fn of_run(args: &Args, selector: &str) -> anyhow::Result<Report> {
    let measurement = Measurement::load(selector, &args.store)?;
    let (mut lined, left_out) = line_up(&measurement, &args.selection, args.over)?;
    left_out.complain(&measurement.name);
    let silent = lined.take_silent(args.min_nonzero);
    let gathered = known(args, measurement.cpu.as_deref())?;
    let (events, unknown) = find(&gathered, lined.names.iter().map(String::as_str));
    if lined.names.is_empty() {
        bail!(
            "{}: none of {} events occurs in enough intervals and changes; measure for longer, at a shorter --interval, or lower \
             --min-nonzero",
            measurement.name,
            silent.len()
        );
    }
    check(&events, &unknown, &gathered)?;
    let by_name: BTreeMap<String, usize> =
        lined.names.iter().map(|name| name.to_lowercase()).zip(0..).collect();
    let series: Vec<_> = events
        .iter()
        .filter_map(|event| lined.series.get(*by_name.get(&event.name.to_lowercase())?).cloned())
        .collect();
    let problem: Problem = pose(&events, Vec::new(), gathered.setup());
    let matrix = Matrix::of(&series, Method::Pearson);
    let selection =
        by_information(&problem, &matrix, args.least).map_err(|error| anyhow!("ranking: {error}"))?;
    let counters = counters(&selection.run);
    let row = |chosen: &Chosen| {
        Some(row(events.get(chosen.item)?, *counters.get(&chosen.item)?, None, Some(*chosen)))
    };
    let rows: Vec<Row> = selection.chosen.iter().filter_map(row).collect();
    let passed = events.iter().enumerate().filter(|(at, _)| !counters.contains_key(at));
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        cpu: gathered.cpu_name(),
        source: measurement.name,
        events: rows,
        passed_over: passed.map(|(_, event)| event.name.clone()).collect(),
        unknown,
        left_out: silent,
        classes: Vec::new(),
        alike: Vec::new(),
    })
}

/// The events of the CPU named, else of the one measured if it is not this one.
fn known(args: &Args, measured: Option<&str>) -> anyhow::Result<Gathered> {
    let own = gather(&args.catalogue)?;
    let is_other = |cpu: &&str| own.cpu.as_ref().is_some_and(|here| here.to_string() != **cpu);
    let other = measured.filter(is_other).and_then(|cpu| cpu.parse().ok());
    let gathered = match other.filter(|_| args.catalogue.cpu.is_none()) {
        Some(cpu) => gather(&From { cpu: Some(cpu), ..args.catalogue.clone() })?,
        None => own,
    };
    Ok(gathered)
}

/// The events of these names, in their order, and the names of none. A name that several PMUs have is the first's.
fn find<'n>(gathered: &Gathered, names: impl Iterator<Item = &'n str>) -> (Vec<Event>, Vec<String>) {
    let mut by_name: BTreeMap<String, &Event> = BTreeMap::new();
    for event in &gathered.events {
        by_name.entry(event.name.to_lowercase()).or_insert(event);
    }
    let (mut events, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        match by_name.get(&name.to_lowercase()) {
            Some(event) => events.push((*event).clone()),
            None => unknown.push(name.to_owned()),
        }
    }
    (events, unknown)
}

fn check(events: &[Event], unknown: &[String], gathered: &Gathered) -> anyhow::Result<()> {
    if events.is_empty() {
        let first = unknown.first().map_or("", String::as_str);
        bail!(
            "none of {} events is known of {} (the first is `{first}`); name their CPU by --cpu, and a directory of its events by \
             --catalogue",
            unknown.len(),
            gathered.cpu_name()
        );
    }
    Ok(())
}

fn counters(run: &Run) -> BTreeMap<usize, Counter> {
    run.groups.iter().flat_map(|group| &group.placed).map(|placed| (placed.item, placed.counter)).collect()
}

fn row(event: &Event, counter: Counter, score: Option<f64>, chosen: Option<Chosen>) -> Row {
    Row {
        name: event.name.clone(),
        pmu: event.pmu.clone(),
        counter: match counter {
            Counter::General(number) => Some(number.to_string()),
            Counter::Fixed(number) => Some(format!("fixed {number}")),
            Counter::Own => None,
        },
        score,
        gain_ratio: chosen.map(|chosen| chosen.gain_ratio),
        explained_ratio: chosen.map(|chosen| chosen.explained_ratio),
        labelled: None,
        description: event.description.clone(),
    }
}

fn render(report: &Report) -> String {
    let mut text = format!(
        "{}: {} events fit one run on {}",
        plain(&report.source),
        report.events.len(),
        plain(&report.cpu)
    );
    if !report.passed_over.is_empty() {
        text += &format!("; {} passed over", report.passed_over.len());
    }
    text.push('\n');
    if !report.unknown.is_empty() {
        let examples: Vec<String> = report.unknown.iter().take(3).map(|name| plain(name)).collect();
        text += &format!("not in the catalogue: {} ({})\n", report.unknown.len(), examples.join(", "));
    }
    text += &told_silent(&report.left_out);
    for class in &report.classes {
        text += &format!(
            "class {}: {} repetitions of {}\n",
            plain(&class.name),
            class.repetitions,
            plain(&class.runs.join(", "))
        );
    }
    if !report.alike.is_empty() {
        text +=
            &format!("{} do not tell the classes apart (q >= {})\n", report.alike.len(), labelled::MOST_Q);
    }
    let is_scored = report.events.iter().any(|row| row.score.is_some());
    let is_chosen = report.events.iter().any(|row| row.gain_ratio.is_some());
    let mut columns = vec![right("#"), left("EVENT"), left("PMU"), left("COUNTER")];
    columns.extend(is_scored.then(|| right("SCORE")));
    columns.extend(is_chosen.then(|| [right("ADDS"), right("EXPLAINED")]).into_iter().flatten());
    let is_labelled = !report.classes.is_empty();
    columns.extend(is_labelled.then(|| ["ETA2", "AUC", "NOVELTY", "Q"].map(right)).into_iter().flatten());
    let mut table = Table::new(columns);
    for (number, row) in (1..).zip(&report.events) {
        let counter = row.counter.clone().unwrap_or_else(|| "own".to_owned());
        let mut cells = vec![format!("{number}"), row.name.clone(), row.pmu.clone(), counter];
        cells.extend(is_scored.then(|| row.score.map_or_else(String::new, |score| score.to_string())));
        cells.extend([row.gain_ratio, row.explained_ratio].into_iter().flatten().map(percent));
        cells.extend(row.labelled.iter().flat_map(|own| {
            let q = own.q.map_or_else(|| "-".to_owned(), small);
            [format!("{:.3}", own.eta_squared), format!("{:.3}", own.auc), percent(own.novelty_ratio), q]
        }));
        table.row(&cells);
    }
    text + "\n" + &table.render(usize::MAX)
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}
