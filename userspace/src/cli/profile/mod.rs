//! `waytrace profile`: attaches to a process, measures it window by window, and keeps the run.
//!
//! Typed arguments become a resolved [`plan::Plan`]; [`target`] finds or starts the process; [`drive`] runs the session
//! and hands its batches to [`writer`], which alone touches the disk.

mod child;
mod drive;
mod phases;
mod plan;
mod progress;
mod target;
mod writer;

use std::process::ExitCode;

use anyhow::Context as _;
use waytrace_model::run::EndedBy;
use waytrace_store::Store;

use super::exit::INCOMPLETE;
use super::output::{print, print_json, width};
use super::{Outcome, StoreArgs};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waytrace profile --pid 4242                        until Ctrl-C, within a budget of 1% of the target's CPU time
  waytrace profile --pid 4242 --exact --duration 10s every call, with live bytes, peak and lifetimes
  waytrace profile --comm redis-server --events task-clock,minor-faults --collect counters
  waytrace profile --exact -- ./server --port 1      a command from its first instruction; its exit code is kept")]
pub struct Args {
    #[command(flatten)]
    target: target::TargetArgs,
    #[command(flatten)]
    measure: plan::MeasureArgs,
    /// Stop after this long, for instance 30s; otherwise at Ctrl-C or when the target exits.
    #[arg(long, value_name = "TIME", value_parser = waytrace_model::units::parse_duration_ns)]
    duration: Option<u64>,
    /// Name of the run [default: the target's name and a number].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print the run as JSON; docs/store.md describes every field.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    // Everything that can be wrong with the request is found before the target is touched or started.
    let plan = plan::Plan::new(&args.measure)?;
    let store = Store::open(args.store.db.as_deref())?;
    let target = target::Target::find(&args.target)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let finished = runtime.block_on(drive::run(args, plan, &store, target))?;
    let report = store.report(finished.run).context("reading the run back")?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&waytrace_report::terminal::summary(&report, width()))?;
    }
    if let Some(code) = finished.exit_code {
        return Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)));
    }
    let complete = finished.ended_by != EndedBy::StoreFailure;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}
