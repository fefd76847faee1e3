//! Sampled memory accesses of programs whose accesses are known, and of programs that make them hard to know.

mod aggregate;
mod blocks;
mod hardware;
mod shares;
mod trouble;

use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;
use waytrace_model::access_report::AccessReport;
use waytrace_model::report::RunReport;

use crate::harness::live::{self, Measured};
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
