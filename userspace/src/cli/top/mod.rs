//! `waytrace top`: a live view of targets, window by window.
//!
//! [`source`] gives windows ([`live`] those of this host, [`replay`] those of a file), [`state`] says what of them is seen and what keys do to it, [`view`] draws that; [`app`] joins them on a terminal, and
//! [`plain`] where there is none. Only `app`, `terminal` and `signals` know of a terminal, so that all else is tested without one.

mod app;
mod columns;
#[cfg(test)]
mod fixture;
mod host;
mod live;
mod plain;
mod replay;
mod signals;
mod source;
mod state;
mod terminal;
mod text;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use waytrace_model::units::parse_duration_ns;

use super::Outcome;
use super::output::terminal_columns;
use super::whom::WhomArgs;
use columns::By;
use state::State;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  waytrace top                                    every process of the machine, by name
  waytrace top --comm redis-server --sort rss     what grows first
  waytrace top --once --json                      one window for a script
  waytrace top --replay windows.jsonl             what was written, looked at again")]
pub struct Args {
    #[command(flatten)]
    whom: WhomArgs,
    /// Windows that were written as JSON, one on a line (`top --json`); `-` reads stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "WhomArgs")]
    replay: Option<PathBuf>,
    /// Length of a window; of a replay, the time between two [default: 2s, of a replay 1s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    interval: Option<u64>,
    /// Sort by a metric, most first; `name` by name. An unknown one is answered with all there are.
    #[arg(long, value_name = "METRIC", default_value = "cpu_ns", value_parser = By::parse)]
    sort: By,
    /// Sort the other way round.
    #[arg(long)]
    reverse: bool,
    /// Print one window and end.
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// End after so many windows.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print each window as JSON on a line; docs/top.md describes it.
    #[arg(long)]
    json: bool,
}

/// Shortest interval: below, what there is to see is how often one looks.
const SHORTEST: Duration = Duration::from_millis(100);
/// Between windows, unless told otherwise.
const INTERVAL: Duration = Duration::from_secs(2);
/// The same, of a replay.
const PACE: Duration = Duration::from_secs(1);

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let asked = args.interval.map(Duration::from_nanos);
    ensure!(asked.is_none_or(|interval| interval >= SHORTEST), "--interval is too short; 100ms is the least");
    let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let interactive = terminal_columns().is_some() && !is_dumb && !args.json && !args.once;
    let interval = asked.unwrap_or(if args.replay.is_some() { PACE } else { INTERVAL });
    // Before there are threads, a source's among them, which would take them otherwise.
    let signals = signals::Signals::block()?;
    let (mut source, record) = match &args.replay {
        Some(path) => replay::open(path, if interactive { interval } else { Duration::ZERO })?,
        None => live::open(&args.whom, interval)?,
    };
    let state = State::new(args.sort, args.reverse, interval);
    let count = if args.once { Some(1) } else { args.count };
    if interactive {
        app::run(source, &record, signals, state, count)?;
    } else {
        plain::run(source.as_mut(), signals, state, args.json, count)?;
    }
    Ok(ExitCode::SUCCESS)
}
