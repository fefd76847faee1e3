//! `waytrace bench`: workloads in several modes, repeated, shuffled and compared.
//!
//! [`file`] reads the matrix, [`placement`] and [`frequency`] check it against the machine, [`order`] says what runs when,
//! [`runner`] runs it: each [`command`] is measured alike in every mode, and in a profiled one a [`profiler`] is attached.

pub mod command;
pub mod file;
mod floor;
mod frequency;
mod order;
pub mod placement;
mod profiler;
mod runner;
pub mod signals;
pub mod stat;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use waytrace_hw::{Machine, Root};
use waytrace_model::bench::{Matrix, SeriesHeader};
use waytrace_store::{Series, Store};

use super::exit::INCOMPLETE;
use super::output::{now_unix_ns, print, say, terminal_columns};
use super::table::{Table, left, right};
use super::{Outcome, StoreArgs};
use placement::Placed;

/// Seeds stay exact as JSON numbers everywhere.
const SEEDS: u64 = 1 << 53;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code: 0 if every repetition was measured and its command succeeded, 1 if not.

Examples:
  waytrace bench npb.toml --dry-run      what would run, in which order
  waytrace bench npb.toml --repeat 10    run it, and print what it comes to
  waytrace bench npb.toml --resume       go on with a series that was interrupted
  waytrace list --stat npb               the same figures again")]
pub struct Args {
    /// TOML file with [[workload]] and [[mode]] tables; docs/bench.md describes every key.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the series [default: the file's, without its extension].
    #[arg(long, value_name = "SERIES")]
    name: Option<String>,
    /// Repetitions of each workload in each mode, instead of the file's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,
    /// Go on with the series of this name where it was interrupted.
    #[arg(long)]
    resume: bool,
    /// Check the file against this machine and print the order; run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let mut matrix = file::read(&args.file)?;
    matrix.repeat = args.repeat.unwrap_or(matrix.repeat);
    let root = Machine::live().root().clone();
    let (placed, skipped) = places(&root, &matrix)?;
    for reason in skipped.values() {
        say(&format!("skipped: {reason}"));
    }
    let name = name(args)?;
    if args.dry_run {
        return dry_run(args, &name, &matrix, &skipped);
    }
    frequency::recover(&root)?;
    let mut store = Store::open(args.store.db.as_deref())?;
    let series = if args.resume {
        resumed(&store, &name, &matrix)?
    } else {
        let seed = matrix.seed.unwrap_or_else(|| now_unix_ns() % SEEDS);
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        let started_at_unix_ns = now_unix_ns();
        let header = SeriesHeader { name: name.clone(), started_at_unix_ns, command, seed, matrix, skipped };
        begun(&store, header, &placed)?
    };
    let complete = runner::run(&mut store, &root, &series, &placed)?;
    let series = store.series(&name).context("reading the series back")?;
    stat::show(&series, args.json)?;
    let succeeded = series.repetitions.iter().all(|one| one.succeeded() && one.problem.is_none());
    Ok(if complete && succeeded { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

/// Where each mode runs, and the optional modes that cannot, with their reasons.
fn places(
    root: &Root,
    matrix: &Matrix,
) -> anyhow::Result<(BTreeMap<String, Placed>, BTreeMap<String, String>)> {
    let (mut placed, mut skipped) = (BTreeMap::new(), BTreeMap::new());
    for mode in &matrix.modes {
        match Placed::resolve(root, mode) {
            Ok(place) => drop(placed.insert(mode.name.clone(), place)),
            Err(error) if mode.optional => drop(skipped.insert(mode.name.clone(), format!("{error:#}"))),
            Err(error) => {
                return Err(
                    error.context("nothing was run; make the mode `optional = true` to go on without it")
                );
            }
        }
    }
    let reasons: Vec<&str> = skipped.values().map(String::as_str).collect();
    ensure!(!placed.is_empty(), "this machine can do none of the modes: {}", reasons.join("; "));
    Ok((placed, skipped))
}

fn name(args: &Args) -> anyhow::Result<String> {
    let stem = || args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    args.name.clone().or_else(stem).context("the file has no name to call the series by; use --name")
}

/// A new series, after every profiled mode was tried.
fn begun(store: &Store, header: SeriesHeader, placed: &BTreeMap<String, Placed>) -> anyhow::Result<Series> {
    // Said before the trials, which take a second each; the store has the last word.
    if let Ok(taken) = store.series(&header.name)
        && taken.header.name == header.name
    {
        return Err(waytrace_store::StoreError::SeriesTaken {
            path: store.path().to_owned(),
            name: header.name,
        }
        .into());
    }
    for mode in header.matrix.modes.iter().filter(|mode| mode.profile && placed.contains_key(&mode.name)) {
        profiler::trial(mode)?;
    }
    let id = store.begin_series(&header)?;
    Ok(Series { id, header, repetitions: Vec::new() })
}

/// The series of this name, which must be of the same matrix.
fn resumed(store: &Store, name: &str, matrix: &Matrix) -> anyhow::Result<Series> {
    let series = store.series(name)?;
    let before = &series.header.matrix;
    ensure!(
        before.repeat == matrix.repeat,
        "series `{name}` was begun with {} repetitions; go on with --repeat {}",
        before.repeat,
        before.repeat
    );
    ensure!(
        before == matrix,
        "series `{name}` was begun with another matrix; begin a new one with --name, or restore the file"
    );
    Ok(series)
}

fn dry_run(args: &Args, name: &str, matrix: &Matrix, skipped: &BTreeMap<String, String>) -> Outcome {
    let (seed, done) = if args.resume {
        let series = resumed(&Store::open_existing(args.store.db.as_deref())?, name, matrix)?;
        (Some(series.header.seed), series.repetitions)
    } else {
        (matrix.seed, Vec::new())
    };
    let mut table =
        Table::new(vec![right("#"), left("MODE"), left("WORKLOAD"), right("REPETITION"), left("COMMAND")]);
    for step in order::of(matrix, seed.unwrap_or(0)) {
        let (Some(mode), Some(workload)) = (matrix.modes.get(step.mode), matrix.workloads.get(step.workload))
        else {
            continue;
        };
        if skipped.contains_key(&mode.name) || done.iter().any(|one| one.position == step.position) {
            continue;
        }
        table.row(&[
            step.position.to_string(),
            mode.name.clone(),
            workload.name.clone(),
            step.repetition.to_string(),
            workload.command.join(" "),
        ]);
    }
    print(&table.render(terminal_columns().unwrap_or(usize::MAX)))?;
    say(&match seed {
        Some(seed) => format!("series `{name}`, seed {seed}; nothing was run"),
        None => format!(
            "series `{name}`; nothing was run, and without a `seed` in the file this is one order of many"
        ),
    });
    Ok(ExitCode::SUCCESS)
}
