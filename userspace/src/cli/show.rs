//! `waytrace show`: one run as the summary `profile` prints, one way sweep with its curves, or a range of a target's history; or either as JSON.

use std::process::ExitCode;

use waytrace_store::{Recorded, Store};

use super::output::{print, print_json, width};
use super::{Outcome, StoreArgs, history};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "RUN is an id, a name, the beginning of one name, `last`, or `last~1` for the one before. Way sweeps of `cache sweep` \
                  go by name; `last` counts them, too. With --since it is the name of a target, and what `waytrace monitor` kept of it is shown; \
                  `waytrace list --since 1d` names the targets."
)]
pub struct Args {
    /// Which run or sweep, or with --since which target.
    #[arg(value_name = "RUN")]
    run: String,
    /// Print it as JSON; docs/store.md describes every field, of sweeps docs/curves.md, of the history docs/history.md.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    history: history::RangeArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    if let Some(range) = args.history.range()? {
        history::show(args.store.db.as_deref(), &args.run, range, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = Store::open_existing(args.store.db.as_deref())?;
    let id = match store.find_recorded(&args.run)? {
        Recorded::Run(id) => id,
        Recorded::Sweep(id) => {
            super::curves::show(&super::curves::report(&store, id)?, args.json)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let report = store.report(id)?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&waytrace_report::terminal::summary(&report, width()))?;
    }
    Ok(ExitCode::SUCCESS)
}
