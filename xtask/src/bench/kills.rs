//! Processes that are ended at random moments, by the suite's own tests at length.
//!
//! `kills`: those that change caches, a thousand with `kill -9`; what they changed must be as before. On simulated hosts: no figure of any machine
//! (`tests/suite/kills`). `monitor-kills`: `monitor`, two hundred times; its history must be whole and nothing left in the kernel or the target
//! (`tests/suite/monitor/killed.rs`).

use super::context::Context;
use super::figure::{Asked, Figure};
use crate::workspace;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fs;

/// Tests of the suite, and how their outcome is told.
struct Kills {
    /// Which tests.
    filter: &'static str,
    /// Where they write what came of it.
    result: &'static str,
    /// How many kills, and how many with `--quick`.
    count: (u64, u64),
    /// What they were on, after the name.
    on: &'static str,
    failure: &'static str,
    time: &'static str,
}

const CHANGES: Kills = Kills {
    filter: "kills::",
    result: "kills-tests.json",
    count: (1000, 20),
    on: " (simulated)",
    failure: "not as before",
    time: "until restored",
};

const MONITOR: Kills = Kills {
    filter: "monitor::killed::",
    result: "monitor-kills-tests.json",
    count: (200, 20),
    on: "",
    failure: "windows lost, or something left",
    time: "until nothing was left",
};

/// The benchmark `kills`.
pub fn changes(context: &Context) -> Result<Vec<Figure>> {
    run(context, &CHANGES)
}

/// The benchmark `monitor-kills`.
pub fn monitor(context: &Context) -> Result<Vec<Figure>> {
    run(context, &MONITOR)
}

fn run(context: &Context, kills: &Kills) -> Result<Vec<Figure>> {
    let path = context.folder.join(kills.result);
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let count = context.kills.unwrap_or_else(|| context.pick(kills.count.0, kills.count.1));
    let mut test = workspace::cargo()?;
    test.args(["test", "--quiet", "--package", "waytrace-tests", "--test", "suite", kills.filter]);
    test.args(["--", "--test-threads=1"]).env("WAYTRACE_BIN", &context.waytrace);
    test.env("WAYTRACE_KILLS", count.to_string()).env("WAYTRACE_KILLS_JSON", &path);
    // A benchmark has the turn of live tests.
    test.env("WAYTRACE_TURN", "held");
    let passed = test.status().context("cannot run the suite")?.success();
    let Ok(text) = fs::read(&path) else {
        bail!(
            "the suite wrote no {}: it could not run here (SKIP), or failed before it ended",
            path.display()
        );
    };
    let tallies: Vec<Value> = serde_json::from_slice(&text).context("reading what the suite wrote")?;
    let figures: Vec<Figure> = tallies.iter().flat_map(|tally| of_tally(tally, kills)).collect();
    if !passed {
        eprintln!("xtask: not all was as it must be; {} names each", path.display());
    }
    Ok(figures)
}

/// How many failed, and how long the others took until all was well.
fn of_tally(tally: &Value, kills: &Kills) -> Vec<Figure> {
    let text = |name: &str| tally.get(name).and_then(Value::as_str).unwrap_or_default();
    let what = format!("{}, {} × {}{}", text("what"), count(tally), text("end"), kills.on);
    let failures = tally.get("failures").and_then(Value::as_array).map_or(0, Vec::len);
    let times = tally.get("restored_ms").and_then(Value::as_array).into_iter().flatten();
    vec![
        Figure::new(format!("{what}: {}", kills.failure), "", [failures as f64]).asked(Asked::Exactly(0.0)),
        Figure::new(format!("{what}: {}", kills.time), "ms", times.filter_map(Value::as_f64)),
    ]
}

fn count(tally: &Value) -> u64 {
    tally.get("count").and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::figure::Verdict;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_single_failure_is_a_missed_figure() {
        let tally = |failures: &[&str]| json!({"what": "changes", "end": "SIGKILL", "count": 3, "failures": failures, "restored_ms": [1.0, 2.5]});
        let verdicts = |failures: &[&str]| {
            of_tally(&tally(failures), &CHANGES).iter().map(Figure::verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&[]), [Verdict::Met, Verdict::Reference]);
        assert_eq!(verdicts(&["L3 is 3f"]), [Verdict::Missed, Verdict::Reference]);
    }
}
