//! `waytrace cache corun`, hidden: the co-runner of a sweep, which starts it.

use std::process::ExitCode;

use waytrace_sweep::corunner::serve;

use super::super::super::Outcome;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it may run.
    #[arg(long)]
    cpus: Option<String>,
    /// Bytes it walks.
    #[arg(long)]
    bytes: u64,
    /// Bytes it walks page by page before others.
    #[arg(long)]
    window: u64,
    /// Bytes it keeps busy.
    #[arg(long)]
    hold: u64,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    serve(args.cpus.as_deref(), args.bytes, args.window, args.hold)?;
    Ok(ExitCode::SUCCESS)
}
