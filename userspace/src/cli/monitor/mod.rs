//! `monitor`: watches a host for as long as it runs.
//!
//! ```text
//! measuring (a thread): Engine ──► channel ──► service (this thread, asynchronous) ─┬─► history, web, JSON lines
//!        ▲                                        signals, watchdog, recordings ────┼─► rules ─► hooks, recorder
//!        └── commands: reload, stop ◄─────────────────────────────────────────────┘
//! ```

mod args;
pub mod measuring;
mod profiles;
mod recordings;
mod service;
pub mod settings;

use std::process::ExitCode;

use anyhow::Context as _;
use waytrace_monitor::config::Config;
use waytrace_monitor::life;

use super::Outcome;
use super::output::say;
pub use args::Args;

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let config = args.config()?;
    if args.check {
        say(&format!("{} is in order: {}", args.named(), summary(&config)));
        return Ok(ExitCode::SUCCESS);
    }
    drop_rights()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    runtime.block_on(async { service::Service::start(args, config)?.run().await })
}

/// Gives up every capability that watching does not need, for good. Without the right to do so nothing is given up, and that is said.
fn drop_rights() -> anyhow::Result<()> {
    let machine = waytrace_hw::Machine::live();
    let release = waytrace_hw::topology::host(machine.root()).kernel;
    let paranoid = waytrace_hw::paranoid::level(machine.root());
    let held = life::keep_only(&life::needed(&release, paranoid))
        .context("giving up capabilities that are not needed")?;
    life::no_new_privileges().context("giving up new privileges")?;
    if !held.lacking.is_empty() {
        let lacking: Vec<String> = held.lacking.iter().map(ToString::to_string).collect();
        say(&format!("without {}: what needs it will say so", lacking.join(", ")));
    }
    Ok(())
}

fn summary(config: &Config) -> String {
    let machine = if config.machine { " and every other process" } else { "" };
    format!(
        "{} targets{machine}, {} rules, {} hooks",
        config.targets.len(),
        config.rules.len(),
        config.hooks.len()
    )
}
