//! `kills`: processes that change caches are ended at random moments, a thousand with `kill -9`, and what they changed must be as
//! before. On simulated hosts: no figure of any machine.
//!
//! The suite's own test of it (`tests/suite/kills`) is run at length.

use super::context::Context;
use super::figure::{Asked, Figure};
use crate::workspace;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fs;

const RESULT: &str = "kills-tests.json";

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let path = context.folder.join(RESULT);
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let count = context.kills.unwrap_or_else(|| context.pick(1000, 20));
    let mut test = workspace::cargo()?;
    test.args(["test", "--quiet", "--package", "waytrace-tests", "--test", "suite", "kills::"]);
    test.args(["--", "--test-threads=1"]).env("WAYTRACE_BIN", &context.waytrace);
    test.env("WAYTRACE_KILLS", count.to_string()).env("WAYTRACE_KILLS_JSON", &path);
    let passed = test.status().context("cannot run the suite")?.success();
    let Ok(text) = fs::read(&path) else {
        bail!(
            "the suite wrote no {}: it could not run here (SKIP), or failed before it ended",
            path.display()
        );
    };
    let tallies: Vec<Value> = serde_json::from_slice(&text).context("reading what the suite wrote")?;
    let figures: Vec<Figure> = tallies.iter().flat_map(of_tally).collect();
    if !passed {
        eprintln!("xtask: not all was as before; {} names each", path.display());
    }
    Ok(figures)
}

/// How many were left changed, and how long the others took until all was as before.
fn of_tally(tally: &Value) -> Vec<Figure> {
    let text = |name: &str| tally.get(name).and_then(Value::as_str).unwrap_or_default();
    let what = format!("{}, {} × {} (simulated)", text("what"), count(tally), text("end"));
    let failures = tally.get("failures").and_then(Value::as_array).map_or(0, Vec::len);
    let times = tally.get("restored_ms").and_then(Value::as_array).into_iter().flatten();
    vec![
        Figure::new(format!("{what}: not as before"), "", [failures as f64]).asked(Asked::Exactly(0.0)),
        Figure::new(format!("{what}: until restored"), "ms", times.filter_map(Value::as_f64)),
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
        let verdicts =
            |failures: &[&str]| of_tally(&tally(failures)).iter().map(Figure::verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(&[]), [Verdict::Met, Verdict::Reference]);
        assert_eq!(verdicts(&["L3 is 3f"]), [Verdict::Missed, Verdict::Reference]);
    }
}
