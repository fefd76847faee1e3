//! Sampled memory accesses of programs whose accesses are known, and of programs that make them hard to know.

mod aggregate;
mod beside;
mod blocks;
mod hardware;
mod shares;
mod trouble;

use std::io::Write;
use std::process::{Child, Command, Stdio};

use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;
use waytrace_model::access_report::AccessReport;
use waytrace_model::report::RunReport;

use crate::harness::live::{self, Measured, Profile};
use crate::harness::pipes::Lines;
use crate::harness::truth::Truth;
use crate::harness::waytrace::Store;
use crate::harness::workload::Start;

/// One sample, from the store.
#[derive(Debug, Clone, Copy)]
struct Sample {
    tid: u32,
    address: u64,
    is_store: bool,
    weight: f64,
}

/// One range of the program's truth.
#[derive(Debug, Clone, Deserialize)]
struct Range {
    name: String,
    start: u64,
    end: u64,
    loads: f64,
    stores: f64,
}

impl Range {
    fn has(&self, sample: &Sample) -> bool {
        (self.start..self.end).contains(&sample.address)
    }
}

fn samples(store: &Store) -> Vec<Sample> {
    let database = Connection::open_with_flags(store.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement =
        database.prepare("SELECT tid, address, is_store, weight FROM access ORDER BY position").unwrap();
    let sample = |row: &rusqlite::Row<'_>| {
        Ok(Sample {
            tid: row.get(0)?,
            address: row.get::<_, i64>(1)?.cast_unsigned(),
            is_store: row.get(2)?,
            weight: row.get(3)?,
        })
    };
    statement.query_map([], sample).unwrap().map(Result::unwrap).collect()
}

fn ranges(truth: &Truth) -> Vec<Range> {
    serde_json::from_value(truth.rest["regions"].clone()).unwrap()
}

fn accesses(report: &RunReport) -> &AccessReport {
    report.accesses.as_ref().unwrap_or_else(|| panic!("no accesses: {:#?}", report.collectors))
}

/// Samples a pattern of a workload for two seconds, often enough for shares to show.
fn sampled(start: Start, pattern: &str, args: &[&str]) -> Measured {
    let workload = start.args(&[pattern, "2"]).spawn();
    live::measure(workload, &[&["--collect", "accesses", "--freq", "1000"], args].concat())
}

/// The weight of those samples.
fn weight<'s>(samples: impl Iterator<Item = &'s Sample>) -> f64 {
    samples.map(|sample| sample.weight).sum()
}

/// A process that is killed and waited for when dropped.
struct Target(Child);

impl Drop for Target {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Runs a program that tells addresses in a line beginning with `told`, and measures its accesses. The arguments have these
/// addresses, as they come, in place of `{names}`.
fn watched(
    start: &Start,
    program: &[&str],
    told: &str,
    names: &[&str],
    args: &[&str],
) -> (Measured, Vec<u64>) {
    let mut child = Command::new(start.path())
        .args(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Lines::of(child.stdout.take().unwrap());
    let mut stdin = child.stdin.take().unwrap();
    let target = Target(child);
    let addresses = lines.wait_for(|line| line.starts_with(told)).unwrap();
    let addresses: Vec<&str> = addresses.split_whitespace().skip(1).collect();
    lines.wait_for(|line| line.starts_with("ready")).unwrap();
    let pid = target.0.id().to_string();
    let placed = |arg: &&str| {
        let named = names.iter().zip(&addresses);
        named.fold((*arg).to_owned(), |arg, (name, address)| arg.replace(&format!("{{{name}}}"), address))
    };
    let args: Vec<String> = args.iter().map(placed).collect();
    let mut all = vec!["--pid", &pid, "--collect", "accesses"];
    all.extend(args.iter().map(String::as_str));
    let mut profile = Profile::start(&all);
    profile.running.await_attached();
    stdin.write_all(b"go\n").unwrap();
    let truth = lines.wait_for(|line| line.starts_with("truth ")).unwrap();
    let measured = live::conclude(profile, Truth::parse(&truth["truth ".len()..]));
    let number = |address: &&str| u64::from_str_radix(address.strip_prefix("0x").unwrap(), 16).unwrap();
    (measured, addresses.iter().map(number).collect())
}
