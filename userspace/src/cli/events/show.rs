//! `waytrace events show`: one event over time, with what it counts in its vendor's words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use serde::Serialize;
use waytrace_analysis::spread::Spread;
use waytrace_model::units::format_count;
use waytrace_report::series::plot::{self, Line, Series};

use super::super::output::{plain, print, print_json, width};
use super::super::table::{Table, left, right};
use super::super::{Outcome, StoreArgs};
use super::aggregate::measurement::{Measurement, Place, Value};
use super::aggregate::output::put;
use super::aggregate::selection::SelectionArgs;
use super::gather::{From, gather};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
RUN is a measurement's id, its name or the beginning of one, `last`, `last~1` for the one before, or a file ending in .csv:
results of `aggregate` or of gz/autoperf.

Examples:
  waytrace events show page-faults                a line per repetition, in the terminal
  waytrace events show page-faults last --by cpu -o faults.svg")]
pub struct Args {
    /// Which event.
    #[arg(value_name = "EVENT")]
    event: String,
    /// Of which measurement.
    #[arg(value_name = "RUN", default_value = "last")]
    run: String,
    /// A line for each repetition, the sum of all places, or for each place.
    #[arg(long, value_name = "WHAT", default_value = "repetition")]
    by: By,
    /// Draw it as SVG; `-` is stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// Print every value as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from_catalogue: From,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Repetition,
    Cpu,
}

const SCHEMA_VERSION: u32 = 1;
/// Names suggested for one that is not there.
const SUGGESTED: usize = 5;
/// Characters of the row of blocks.
const SPARK_MIN: usize = 16;

#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    run: String,
    event: String,
    description: Option<String>,
    /// Of the values: per second.
    unit: &'static str,
    lines: Vec<Drawn>,
    /// Values left out because the event was multiplexed.
    multiplexed: u64,
}

#[derive(Debug, Serialize)]
struct Drawn {
    name: String,
    /// Of the rates.
    spread: Option<Spread>,
    points: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    time_s: f64,
    /// Null where it was not measured whole.
    value: Option<f64>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let measurement = Measurement::load(&args.run, &args.store)?;
    let is = |name: &str| name.eq_ignore_ascii_case(&args.event);
    if !measurement.events.iter().any(|event| is(&event.name)) {
        return Err(absent(&args.event, &measurement));
    }
    let mut lines: BTreeMap<(u32, Place), BTreeMap<u32, Point>> = BTreeMap::new();
    let left_out = args.selection.visit(&measurement, |value| {
        if measurement.events.get(value.event).is_some_and(|event| is(&event.name))
            && !measurement.is_stub(value)
        {
            add(&mut lines, args.by, value);
        }
    })?;
    let drawn: Vec<Drawn> = lines.into_iter().map(|(line, points)| draw(args.by, line, points)).collect();
    if drawn.is_empty() {
        bail!("no value of {} is left; ask for more by --core, --uncore, --from and --to", args.event);
    }
    let of_event = |place: &usize| measurement.events.get(*place).is_some_and(|event| is(&event.name));
    let multiplexed =
        left_out.multiplexed.iter().filter(|(place, _)| of_event(place)).map(|(_, values)| values);
    let report = Report {
        schema_version: SCHEMA_VERSION,
        multiplexed: multiplexed.sum(),
        run: measurement.name.clone(),
        event: args.event.clone(),
        description: description(args, &measurement),
        unit: "per second",
        lines: drawn,
    };
    if let Some(path) = &args.output {
        let mut bytes = Vec::new();
        plot::svg(&series(&report), &mut bytes)?;
        put(path, args.force, &bytes)?;
    }
    if args.json {
        print_json(&report)?;
    } else if args.output.as_deref() != Some(Path::new("-")) {
        print(&render(&report, width()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn absent(event: &str, measurement: &Measurement) -> anyhow::Error {
    if let Some((_, reason)) =
        measurement.quarantined.iter().find(|(name, _)| name.eq_ignore_ascii_case(event))
    {
        return anyhow::anyhow!("{}: `{event}` could not be counted: {reason}", measurement.name);
    }
    let needle = event.to_lowercase();
    let alike = measurement.events.iter().map(|event| event.name.as_str());
    let alike: std::collections::BTreeSet<&str> =
        alike.filter(|name| name.to_lowercase().contains(&needle)).collect();
    let alike: Vec<&str> = alike.into_iter().take(SUGGESTED).collect();
    let mend = match alike.as_slice() {
        [] => "`waytrace events aggregate` lists what was measured".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    };
    anyhow::anyhow!("{} did not measure `{event}`; {mend}", measurement.name)
}

fn add(lines: &mut BTreeMap<(u32, Place), BTreeMap<u32, Point>>, by: By, value: &Value) {
    let line = match by {
        By::Repetition => (value.repetition, Place::default()),
        By::Cpu => (
            0,
            Place {
                socket: value.place.socket,
                cpu: value.place.cpu,
                process: value.place.process,
                ..Place::default()
            },
        ),
    };
    let seconds = value.end_ns.saturating_sub(value.start_ns) as f64 / 1e9;
    let rate = (value.is_whole && seconds > 0.0).then(|| value.value / seconds);
    // With a line per CPU its repetitions stand behind one another.
    let number = match by {
        By::Repetition => value.slot,
        By::Cpu => value.slot.saturating_add(value.repetition.saturating_sub(1).saturating_mul(1 << 16)),
    };
    let point = Point { time_s: value.end_ns as f64 / 1e9, value: rate };
    let points = lines.entry(line).or_default();
    match points.get_mut(&number) {
        Some(there) => there.value = there.value.zip(point.value).map(|(one, other)| one + other),
        None => {
            points.insert(number, point);
        }
    }
}

fn draw(by: By, (repetition, place): (u32, Place), points: BTreeMap<u32, Point>) -> Drawn {
    let mut points: Vec<Point> = points.into_values().collect();
    points.sort_by(|one, other| one.time_s.total_cmp(&other.time_s));
    let values: Vec<f64> = points.iter().filter_map(|point| point.value).collect();
    let name = match (by, place.cpu, place.process) {
        (By::Repetition, ..) => format!("repetition {repetition}"),
        (By::Cpu, Some(cpu), _) => format!("cpu {cpu}"),
        (By::Cpu, None, Some(process)) => format!("process {process}"),
        (By::Cpu, None, None) => {
            place.socket.map_or_else(|| "all".to_owned(), |socket| format!("socket {socket}"))
        }
    };
    Drawn { name, spread: Spread::of(&values), points }
}

/// What the catalogue says of the event; nothing if it does not know it.
fn description(args: &Args, measurement: &Measurement) -> Option<String> {
    let mut from = args.from_catalogue.clone();
    from.cpu = from.cpu.or_else(|| measurement.cpu.as_deref().and_then(|cpu| cpu.parse().ok()));
    let find = |from: &From| {
        let events = gather(from).ok()?.events;
        let event = events.into_iter().find(|event| event.name.eq_ignore_ascii_case(&args.event))?;
        Some(event.details.unwrap_or(event.description)).filter(|text| !text.is_empty())
    };
    // What a kernel counts is in no vendor's file.
    find(&from).or_else(|| find(&From { cpu: None, ..from.clone() }))
}

fn series(report: &Report) -> Series {
    let line = |drawn: &Drawn| Line {
        name: drawn.name.clone(),
        points: drawn.points.iter().map(|point| (point.time_s, point.value)).collect(),
    };
    Series {
        title: format!("{} of {}", report.event, report.run),
        description: report.description.clone().unwrap_or_default(),
        unit: report.unit.to_owned(),
        lines: report.lines.iter().map(line).collect(),
    }
}

fn render(report: &Report, width: usize) -> String {
    let mut text = format!("{} of {}, {}\n", plain(&report.event), plain(&report.run), report.unit);
    if let Some(description) = &report.description {
        text += &format!("{}\n", plain(description));
    }
    if report.multiplexed > 0 {
        text += &format!("{} values left out: the event was multiplexed\n", report.multiplexed);
    }
    let numbers = ["MEDIAN", "MIN", "MAX", "INTERVALS"].map(right);
    let mut table = Table::new([vec![left("")], numbers.to_vec(), vec![left("OVER TIME")]].concat());
    let room = width.saturating_sub(64).max(SPARK_MIN);
    for line in &report.lines {
        let spread = line.spread.map_or_else(
            || vec!["-".to_owned(); 3],
            |spread| [spread.median, spread.min, spread.max].map(quantity).to_vec(),
        );
        let values: Vec<Option<f64>> = line.points.iter().map(|point| point.value).collect();
        let measured = values.iter().flatten().count().to_string();
        table.row(&[vec![line.name.clone()], spread, vec![measured, plot::spark(&values, room)]].concat());
    }
    text + "\n" + &table.render(usize::MAX)
}

fn quantity(value: f64) -> String {
    if value.abs() < 9.995 { format!("{value:.2}") } else { format_count(value) }
}
