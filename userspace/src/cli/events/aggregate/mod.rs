//! `waytrace events aggregate`: measurements as one table of values, in the columns of gz/autoperf's `results.csv`.

pub mod measurement;
pub mod output;
pub mod selection;
pub mod series;
pub mod totals;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use waytrace_report::series::{Row, csv, parquet};

use super::super::output::print_json;
use super::super::{Outcome, StoreArgs};
use measurement::{Measurement, Value};
use output::Output;
use selection::SelectionArgs;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
RUN is a measurement's id, its name or the beginning of one, `last`, `last~1` for the one before, or a file ending in .csv:
results of this command or of gz/autoperf.

Examples:
  waytrace events aggregate last                          the newest measurement as results.csv
  waytrace events aggregate last --core exclusive --cpus 0-3 -o pinned.csv
  waytrace events aggregate one two -o both.parquet       the second's repetitions behind the first's
  waytrace events aggregate last --normalised             of a living process, what it would count at its usual pace
  waytrace events aggregate last --from syscalls:sys_enter_execve -o - | head")]
pub struct Args {
    /// Which measurements; those of several are further repetitions.
    #[arg(value_name = "RUN", default_value = "last")]
    runs: Vec<String>,
    /// The file; `-` is stdout.
    #[arg(short, long, value_name = "FILE", default_value = "results.csv")]
    output: PathBuf,
    /// Its format [default: by the end of its name, else csv].
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// Print what was written and left out as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Csv,
    Parquet,
}

const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    path: String,
    rows: u64,
    events: usize,
    repetitions: u32,
    /// Values that are not whole, by event.
    multiplexed: Vec<LeftOut>,
    /// Events that could not be counted.
    quarantined: Vec<Quarantined>,
    /// Executions in which the event of `--from` or `--to` did not occur.
    unmarked: usize,
    /// Whether values are those of the target's usual pace.
    normalised: bool,
    /// Epochs left out because their pace is not known.
    paceless: usize,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    event: String,
    values: u64,
}

#[derive(Debug, Serialize)]
struct Quarantined {
    event: String,
    reason: String,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let is_stdout = args.output.as_os_str() == "-";
    anyhow::ensure!(
        !(args.json && is_stdout),
        "--json and the table cannot both go to stdout; name a file by -o"
    );
    let load = |selector: &String| Measurement::load(selector, &args.store);
    let measurements: Vec<Measurement> = args.runs.iter().map(load).collect::<anyhow::Result<_>>()?;
    let output = Output::create(&args.output, args.force)?;
    let is_parquet = args.output.extension().is_some_and(|end| end == "parquet");
    let format = args.format.unwrap_or(if is_parquet { Format::Parquet } else { Format::Csv });
    let mut report = match format {
        Format::Csv => {
            let mut table = csv::Writer::new(output);
            let report = rows(args, measurements, |row| table.row(row))?;
            table.finish()?.finish()?;
            report
        }
        Format::Parquet => {
            let mut table = parquet::Writer::new(output)?;
            let report = rows(args, measurements, |row| table.row(row))?;
            table.finish()?.finish()?;
            report
        }
    };
    report.path = args.output.display().to_string();
    if args.json {
        print_json(&report)?;
    } else if !is_stdout {
        super::super::output::say(&format!(
            "wrote {}: {} values of {} events, {} repetitions",
            report.path, report.rows, report.events, report.repetitions
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives the rows of all measurements to `write`.
fn rows(
    args: &Args,
    measurements: Vec<Measurement>,
    mut write: impl FnMut(&Row) -> Result<(), waytrace_report::Error>,
) -> anyhow::Result<Report> {
    let mut report = Report {
        schema_version: SCHEMA_VERSION,
        path: String::new(),
        rows: 0,
        events: 0,
        repetitions: 0,
        multiplexed: Vec::new(),
        quarantined: Vec::new(),
        unmarked: 0,
        normalised: args.selection.normalised,
        paceless: 0,
    };
    let mut events = std::collections::BTreeSet::new();
    for measurement in measurements {
        let (before, mut failure) = (report.repetitions, None);
        let left_out = args.selection.visit(&measurement, |value| {
            if !value.is_whole || failure.is_some() {
                return;
            }
            let Some(row) = row(&measurement, value, before) else { return };
            report.rows += 1;
            report.repetitions = report.repetitions.max(row.repetition);
            if let Err(error) = write(&row) {
                failure = Some(error);
            }
            if !events.contains(&row.event) {
                events.insert(row.event);
            }
        })?;
        if let Some(error) = failure {
            return Err(error.into());
        }
        left_out.complain(&measurement.name);
        let name =
            |event: &usize| measurement.events.get(*event).map_or_else(String::new, |one| one.name.clone());
        let multiplexed = left_out.multiplexed.iter();
        report
            .multiplexed
            .extend(multiplexed.map(|(event, values)| LeftOut { event: name(event), values: *values }));
        report.unmarked += left_out.unmarked.len();
        report.paceless += left_out.paceless.len();
        let quarantined = measurement.quarantined.into_iter();
        report.quarantined.extend(quarantined.map(|(event, reason)| Quarantined { event, reason }));
    }
    report.events = events.len();
    anyhow::ensure!(report.rows > 0, "no value is left; ask for more by --core, --uncore, --from and --to");
    Ok(report)
}

/// A value as a row, after so many repetitions of measurements before.
fn row(measurement: &Measurement, value: &Value, before: u32) -> Option<Row> {
    let event = measurement.events.get(value.event)?;
    Some(Row {
        event: event.name.clone(),
        index: value.slot,
        time_s: value.end_ns as f64 / 1e9,
        socket: value.place.socket,
        core: value.place.core,
        cpu: value.place.cpu,
        node: value.place.node,
        unit: event.unit.clone(),
        value: value.value,
        repetition: before.saturating_add(value.repetition),
    })
}
