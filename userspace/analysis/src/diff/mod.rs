//! Two runs compared: what counters and allocations do per second and per second of CPU time, which sites moved, and what
//! share of the memory accesses goes where.
//!
//! Runs differ in length and load, so totals are never compared, only rates. A difference of two estimates counts
//! as a change only if it is larger than the 95 % interval of that difference. What is not here: telling noise
//! between repetitions from an effect, which takes several runs of each kind.

mod accesses;
mod change;
pub mod history;
mod sites;
pub mod sweeps;

use serde::{Deserialize, Serialize};
use waytrace_model::allocation::Mode;
use waytrace_model::counter::Unit;
use waytrace_model::report::{AllocationReport, CounterTotal, RunReport};
use waytrace_model::run::EndedBy;

pub use accesses::{AccessDiff, ShareDiff};
pub use change::{Change, Estimate, SAME_PCT, Verdict};
pub use sites::{SiteDiff, SiteStatus};

/// Version of [`RunDiff`] as JSON; fields are only added within one.
pub const SCHEMA_VERSION: u32 = 1;

/// Run `b` measured against run `a`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDiff {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The base.
    pub a: Side,
    /// What is compared to it.
    pub b: Side,
    /// Events either run counted, in order.
    pub counters: Vec<Rates>,
    /// Allocations; `null` unless both runs have them.
    pub allocations: Option<AllocationDiff>,
    /// Sites of either run, largest change of bytes per second first; empty unless both runs have them.
    pub sites: Vec<SiteDiff>,
    /// Shares of memory accesses; `null` unless both runs sampled them.
    pub accesses: Option<AccessDiff>,
    /// What makes the comparison weaker than it looks, as sentences.
    pub notes: Vec<String>,
}

/// Which run a side is, and what its rates are relative to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Id in its database.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Start, RFC 3339 in UTC.
    pub started_at: String,
    /// Length.
    pub duration_ns: u64,
    /// CPU time of all threads, where a clock event counted it.
    pub cpu_ns: Option<u64>,
    /// How its allocations were obtained.
    pub mode: Option<Mode>,
}

/// One quantity as rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Event name, or the name of the total in the report.
    pub name: String,
    /// Unit of the quantity; the rates are in it per second.
    pub unit: Unit,
    /// Per second of the run.
    pub per_s: Change,
    /// Per second of CPU time; `null` where a run has no CPU clock, and for the clock itself.
    pub per_cpu_s: Option<Change>,
    /// The event counted only part of the time in one of the runs: its rate is scaled to the whole.
    pub multiplexed: bool,
}

/// Allocation totals compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllocationDiff {
    /// `alloc_count`, `alloc_bytes`, `free_count`, `freed_bytes`, `mmap_bytes`, `munmap_bytes`.
    pub rates: Vec<Rates>,
    /// Live at the end, in bytes.
    pub live_bytes: Change,
    /// Largest live bytes of the run.
    pub peak_live_bytes: Change,
}

/// Compares `b` with `a`.
pub fn compare(a: &RunReport, b: &RunReport) -> RunDiff {
    let (side_a, side_b) = (side(a), side(b));
    let both = a.allocations.as_ref().zip(b.allocations.as_ref());
    RunDiff {
        schema_version: SCHEMA_VERSION,
        counters: counters(a, b, &side_a, &side_b),
        allocations: both.map(|(of_a, of_b)| allocations((of_a, &side_a), (of_b, &side_b))),
        sites: both
            .filter(|(of_a, of_b)| has_sites(of_a) && has_sites(of_b))
            .map(|(of_a, of_b)| sites::compare((of_a, &side_a), (of_b, &side_b)))
            .unwrap_or_default(),
        accesses: a.accesses.as_ref().zip(b.accesses.as_ref()).map(|(a, b)| accesses::compare(a, b)),
        notes: notes(a, b),
        a: side_a,
        b: side_b,
    }
}

fn side(report: &RunReport) -> Side {
    let clock =
        report.counters.iter().find(|counter| is_cpu_clock(&counter.event) && counter.value.is_some());
    Side {
        id: report.run.id,
        name: report.run.name.clone(),
        started_at: report.run.started_at.clone(),
        duration_ns: report.run.duration_ns,
        cpu_ns: clock.and_then(|clock| clock.value),
        mode: report.allocations.as_ref().and_then(|allocations| allocations.mode),
    }
}

fn is_cpu_clock(event: &str) -> bool {
    event.starts_with("task-clock") || event.starts_with("cpu-clock")
}

fn counters(a: &RunReport, b: &RunReport, side_a: &Side, side_b: &Side) -> Vec<Rates> {
    let of_a = |event: &str| a.counters.iter().find(|counter| counter.event == event);
    let of_b = |event: &str| b.counters.iter().find(|counter| counter.event == event);
    let only_b = b.counters.iter().filter(|counter| of_a(&counter.event).is_none());
    let events = a.counters.iter().chain(only_b);
    events
        .map(|counter| {
            let (in_a, in_b) = (of_a(&counter.event), of_b(&counter.event));
            let whole = |total: Option<&CounterTotal>| total.and_then(scaled).map(Estimate::exact);
            let mut rates = rates(&counter.event, counter.unit, (whole(in_a), side_a), (whole(in_b), side_b));
            rates.multiplexed =
                [in_a, in_b].iter().flatten().any(|total| total.multiplexed && total.value.is_some());
            if is_cpu_clock(&counter.event) {
                rates.per_cpu_s = None;
            }
            rates
        })
        .collect()
}

/// The count the event would have reached had it counted all the time it was enabled.
fn scaled(total: &CounterTotal) -> Option<f64> {
    let value = total.value? as f64;
    let running = total.time_running_ns as f64;
    (running > 0.0).then(|| value * (total.time_enabled_ns as f64 / running).max(1.0))
}

fn rates(name: &str, unit: Unit, a: (Option<Estimate>, &Side), b: (Option<Estimate>, &Side)) -> Rates {
    let per = |(total, ns): (Option<Estimate>, u64)| total.and_then(|total| total.per_second_of(ns));
    let on_cpu = a.1.cpu_ns.zip(b.1.cpu_ns);
    Rates {
        name: name.to_owned(),
        unit,
        per_s: Change::between(per((a.0, a.1.duration_ns)), per((b.0, b.1.duration_ns))),
        per_cpu_s: on_cpu.map(|(cpu_a, cpu_b)| Change::between(per((a.0, cpu_a)), per((b.0, cpu_b)))),
        multiplexed: false,
    }
}

fn allocations(a: (&AllocationReport, &Side), b: (&AllocationReport, &Side)) -> AllocationDiff {
    let rate = |name: &str, unit: Unit, total: fn(&AllocationReport) -> Option<Estimate>| {
        rates(name, unit, (total(a.0), a.1), (total(b.0), b.1))
    };
    let known = |bytes: Option<u64>| bytes.map(|bytes| Estimate::exact(bytes as f64));
    AllocationDiff {
        rates: vec![
            rate("alloc_count", Unit::Count, |r| estimate(r, r.alloc_count, r.alloc_count_ci95_pct)),
            rate("alloc_bytes", Unit::Bytes, |r| estimate(r, r.alloc_bytes, r.ci95_pct)),
            rate("free_count", Unit::Count, |r| estimate(r, r.free_count, None)),
            rate("freed_bytes", Unit::Bytes, |r| estimate(r, r.freed_bytes, None)),
            rate("mmap_bytes", Unit::Bytes, |r| Some(Estimate::exact(r.mmap_bytes as f64))),
            rate("munmap_bytes", Unit::Bytes, |r| Some(Estimate::exact(r.munmap_bytes as f64))),
        ],
        live_bytes: Change::between(known(a.0.live_bytes), known(b.0.live_bytes)),
        peak_live_bytes: Change::between(known(a.0.peak_live_bytes), known(b.0.peak_live_bytes)),
    }
}

/// No sites although there were allocations: they were not recorded, rather than all gone.
fn has_sites(report: &AllocationReport) -> bool {
    !report.sites.is_empty() || report.alloc_count == Some(0.0)
}

/// Exact mode needs no interval; a budgeted value without one has an unknown one.
fn estimate(report: &AllocationReport, value: Option<f64>, ci95_pct: Option<f64>) -> Option<Estimate> {
    match report.mode {
        Some(Mode::Exact) => value.map(Estimate::exact),
        _ => value.map(|value| Estimate::with_interval_pct(value, ci95_pct)),
    }
}

fn notes(a: &RunReport, b: &RunReport) -> Vec<String> {
    let mut notes = Vec::new();
    let mut differ = |what: &str, in_a: &str, in_b: &str| {
        if in_a != in_b {
            notes.push(format!("{what} differs: {in_a} and {in_b}"));
        }
    };
    let mode = |report: &RunReport| {
        let mode = report.allocations.as_ref().and_then(|allocations| allocations.mode);
        mode.map_or("not measured", Mode::as_str)
    };
    differ("executable", &a.target.exe, &b.target.exe);
    differ("allocation mode", mode(a), mode(b));
    if let (Some(of_a), Some(of_b)) = (&a.accesses, &b.accesses) {
        differ("source of access samples", of_a.source.as_str(), of_b.source.as_str());
    }
    differ("CPU", &a.host.cpu_model, &b.host.cpu_model);
    differ("kernel", &a.host.kernel, &b.host.kernel);
    for report in [a, b] {
        let name = &report.run.name;
        if report.run.ended_by == EndedBy::Unfinished {
            notes.push(format!("{name} has no end record: its sites and peak are not known"));
        }
        if report.loss.total() > 0 {
            let kinds: Vec<String> =
                report.loss.0.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            notes.push(format!("{name} lost records: {}", kinds.join(", ")));
        }
    }
    notes
}

#[cfg(test)]
mod tests;
