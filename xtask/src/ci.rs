//! `ci`: formatting, lints and the project's own rules, then the tests.

use crate::{FAILED, INCOMPLETE, setup, shell, test, tidy, workspace};
use anyhow::Result;
use std::process::ExitCode;

/// Check formatting, lints and the project's own rules, then test
#[derive(clap::Args)]
pub struct Args {
    /// Leave the tests out
    #[arg(long)]
    no_test: bool,
}

/// The task. Every check runs even if one before it fails.
pub fn run(args: &Args) -> Result<ExitCode> {
    if !setup::ensure()? {
        return Ok(ExitCode::from(INCOMPLETE));
    }
    let mut outcome = ExitCode::SUCCESS;
    for passed in [format()?, clippy()?, tidy::check()?] {
        if !passed {
            outcome = ExitCode::from(FAILED);
        }
    }
    if !args.no_test {
        let tested = test::run(&test::Args::default())?;
        if tested != ExitCode::SUCCESS {
            outcome = tested;
        }
    }
    Ok(outcome)
}

fn format() -> Result<bool> {
    shell::step(workspace::cargo()?.args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<bool> {
    shell::step(workspace::cargo()?.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}
