//! The shipped binary itself, cross-compiled, on the loop as a program of its own.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{ITERATIONS, TRUTH};
use crate::system;

const WAYTRACE: &str = "/bin/waytrace";
/// This program, by its place in the image.
const GUEST: &str = "/init";
const EVENTS: [&str; 2] = ["cycles:u", "instructions:u"];

/// Runs it and returns its exit code and its JSON.
fn waytrace(args: &[&str]) -> Result<(Option<i32>, Value)> {
    let output =
        Command::new(WAYTRACE).args(args).output().with_context(|| format!("starting {WAYTRACE}"))?;
    let json = serde_json::from_slice(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code(), json.with_context(|| format!("no JSON, but {}: {said}", output.status))?))
}

/// `doctor` says that hardware counters work.
pub fn doctor() -> Result<String> {
    let (_, report) = waytrace(&["doctor", "--json"])?;
    let features = report["features"].as_array().context("no features")?;
    let row = features.iter().find(|row| row["name"] == "counters: hardware").context("no such feature")?;
    ensure!(row["state"] == "works", "{row}");
    Ok("hardware counters work".to_owned())
}

/// What two runs of the loop differ by is the loop alone: starting a program, and waytrace, is in both.
pub fn events_measure() -> Result<String> {
    let [short, long] = [ITERATIONS, 3 * ITERATIONS].map(counted);
    let (short, long) = (short?, long?);
    let mut said = Vec::new();
    for ((name, short), long) in EVENTS.iter().zip(short).zip(long) {
        let counted = long.saturating_sub(short);
        let truth = 2 * TRUTH;
        // waytrace itself is counted, too, and reads four times a second.
        let most = truth / 1_000;
        ensure!(counted.abs_diff(truth) <= most, "{name}: {counted}, and truth is {truth} ± {most}");
        said.push(format!("{name} {counted}"));
    }
    Ok(format!("{}; two loops are {}", said.join(", "), 2 * TRUTH))
}

/// Events beyond the counters take turns, and none of them is in a figure.
pub fn events_measure_turns() -> Result<String> {
    let counters = usize::try_from(system::counters()?)?;
    // The same event, spelled otherwise each time: 7 of them where there are 6 general counters.
    let names: Vec<String> = (1..=counters).map(|zeros| format!("r{:0>1$}:u", 8, zeros)).collect();
    let report = measured(&names.join(","), ITERATIONS)?;
    ensure!(report["measurement"]["complete"] == false, "said to be complete: {report}");
    let rows = report["events"].as_array().context("no events")?;
    ensure!(rows.len() == counters, "{} of {counters} events", rows.len());
    for row in rows {
        let is_flagged = row["epochs"] == 0 && row["multiplexed_epochs"] == 1 && row["mean"].is_null();
        ensure!(is_flagged, "{row}");
    }
    Ok(format!("{counters} events flagged, and in no figure"))
}

/// What `events measure` counted of the loop.
fn counted(iterations: u64) -> Result<[u64; EVENTS.len()]> {
    let report = measured(&EVENTS.join(","), iterations)?;
    ensure!(report["measurement"]["complete"] == true, "not complete: {report}");
    let rows = report["events"].as_array().context("no events")?;
    let mut counts = [0; EVENTS.len()];
    for (name, count) in EVENTS.iter().zip(&mut counts) {
        let row = rows.iter().find(|row| row["perf_name"] == *name).with_context(|| format!("no {name}"))?;
        ensure!(row["epochs"] == 1 && row["multiplexed_epochs"] == 0, "{row}");
        *count = row["max"].as_u64().with_context(|| format!("no count of {name}"))?;
    }
    Ok(counts)
}

/// What `events measure` says of the loop.
fn measured(events: &str, iterations: u64) -> Result<Value> {
    let iterations = iterations.to_string();
    let measure = ["events", "measure", "--json", "--db", "/tmp/runs.db", "-e", events];
    let (code, report) = waytrace(&[&measure[..], &["--", GUEST, "spin", &iterations]].concat())?;
    ensure!(code == Some(0), "exit code {code:?}: {report}");
    Ok(report)
}
