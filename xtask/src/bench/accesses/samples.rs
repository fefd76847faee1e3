//! The single samples of a run, read from the database with the `sqlite3` program.

use super::super::context::Context;
use super::super::peers;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::process::Command;

/// One sampled access.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub address: u64,
    pub is_store: bool,
    pub weight: f64,
}

/// Those of a run, by its id.
pub fn of_run(context: &Context, run: u64) -> Result<Vec<Sample>> {
    if let Some(why) = peers::missing("sqlite3") {
        bail!(why);
    }
    let query =
        format!("SELECT address, is_store, weight FROM access WHERE run_id = {run} ORDER BY position");
    let mut command = Command::new("sqlite3");
    command.args(["-readonly", "-list", "-separator", ","]).arg(context.folder.join("runs.db")).arg(query);
    let output = command.output().context("cannot start sqlite3")?;
    ensure!(output.status.success(), "sqlite3: {}", String::from_utf8_lossy(&output.stderr).trim());
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(rows: &str) -> Result<Vec<Sample>> {
    let row = |line: &str| row(line).with_context(|| format!("not a sample: {line}"));
    rows.lines().map(row).collect()
}

/// SQLite has signed numbers only; the bits of an address are kept.
fn row(line: &str) -> Option<Sample> {
    let mut cells = line.split(',');
    let address = cells.next()?.parse::<i64>().ok()?.cast_unsigned();
    let is_store = cells.next()? == "1";
    Some(Sample { address, is_store, weight: cells.next()?.parse().ok()? })
}

/// The complete report of a run, as `waytrace show` prints it.
pub fn report(context: &Context, run: u64) -> Result<Value> {
    let mut command = Command::new(&context.waytrace);
    command.args(["show", &run.to_string(), "--json", "--db"]).arg(context.folder.join("runs.db"));
    let output = command.output().context("cannot start waytrace")?;
    ensure!(output.status.success(), "waytrace show: {}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("waytrace show printed no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_samples_and_anything_else_is_an_error() {
        let samples = parse("4096,0,1\n-4096,1,1000\n").unwrap();
        let sample = |address, is_store, weight| Sample { address, is_store, weight };
        assert_eq!(samples, [sample(4096, false, 1.0), sample(u64::MAX - 4095, true, 1000.0)]);
        assert!(parse("").unwrap().is_empty());
        assert!(parse("4096,0\n").is_err());
    }
}
