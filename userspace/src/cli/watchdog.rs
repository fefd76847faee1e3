//! `waytrace undo-watchdog`, which waytrace starts itself: takes changes back when the process that made them is killed.

use std::path::PathBuf;
use std::process::ExitCode;

use waytrace_hw::undo;

use super::Outcome;
use super::output::say;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The journal of that process.
    journal: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let Some(undone) = undo::serve(&args.journal)? else { return Ok(ExitCode::SUCCESS) };
    for line in &undone.left {
        say(line);
    }
    say(match undone.restored {
        true => "it was killed, and what it had changed is as before",
        false => "it was killed, and some of what it had changed is still so: `waytrace doctor --restore`",
    });
    Ok(ExitCode::SUCCESS)
}
