//! The checks, and how they are told: `VM-TEST plan NAMES`, then `VM-TEST NAME ok|failed DETAIL` for each, then `VM-TEST end`.
//! Whoever reads the console so knows what is missing.

mod command;
mod counting;
mod sampling;

use anyhow::{Result, ensure};

use crate::spin::INSTRUCTIONS;

/// Iterations of the loop where nothing else is said.
const ITERATIONS: u64 = 50_000_000;
/// Instructions the loop executes, and cycles it takes.
const TRUTH: u64 = ITERATIONS * INSTRUCTIONS;
/// Instructions in user mode between starting a counter and the loop, and between the loop and stopping it, at most.
const MARGIN: u64 = 1_000;

/// Does it and says what it saw.
type Check = fn() -> Result<String>;

const CHECKS: [(&str, Check); 11] = [
    ("pmu-found", counting::pmu_found),
    ("thread-group", counting::thread_group),
    ("cpu-group", counting::cpu_group),
    ("stopped-group", counting::stopped_group),
    ("full-group", counting::full_group),
    ("too-many-events", counting::too_many_events),
    ("memory-sampler", sampling::memory_sampler),
    ("overflows", sampling::overflows),
    ("doctor", command::doctor),
    ("events-measure", command::events_measure),
    ("events-measure-turns", command::events_measure_turns),
];

/// Runs all.
pub fn run() {
    let names: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
    println!("VM-TEST plan {}", names.join(" "));
    for (name, check) in CHECKS {
        let (state, detail) = match check() {
            Ok(detail) => ("ok", detail),
            Err(error) => ("failed", format!("{error:#}")),
        };
        println!("VM-TEST {name} {state} {}", detail.replace(['\r', '\n'], " "));
    }
    println!("VM-TEST end");
}

/// An event of user mode that counted the loop.
fn ensure_true(name: &str, counted: u64) -> Result<()> {
    ensure!(
        (TRUTH..=TRUTH + MARGIN).contains(&counted),
        "{name} counted {counted}, and the loop is {TRUTH} to {}",
        TRUTH + MARGIN
    );
    Ok(())
}
