//! `waytrace show`: one run as the summary `profile` prints, or as JSON.

use std::process::ExitCode;

use waytrace_store::Store;

use super::output::{print, print_json, width};
use super::{Outcome, StoreArgs};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "RUN is an id, a name, the beginning of one name, `last`, or `last~1` for the one before."
)]
pub struct Args {
    /// Which run.
    #[arg(value_name = "RUN")]
    run: String,
    /// Print the run as JSON; docs/store.md describes every field.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let store = Store::open_existing(args.store.db.as_deref())?;
    let report = store.report(store.find(&args.run)?)?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&waytrace_report::terminal::summary(&report, width()))?;
    }
    Ok(ExitCode::SUCCESS)
}
