//! Curves of a way sweep: as text for a terminal, as a picture, as a page, and in Datamime's files.

pub mod datamime;
mod page;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;

use waytrace_model::sweep::{EndReason, MissSource};
use waytrace_model::sweep_curve::{CurveOf, CurvePoint, Estimate, SweepReport};
use waytrace_model::units::format_bytes;

pub use page::page;
pub use svg::svg;
pub use terminal::text;

/// A curve that can be drawn: its figures and how they are called.
#[derive(Clone, Copy)]
struct Drawn {
    title: &'static str,
    short: &'static str,
    estimate: fn(&CurvePoint) -> Option<Estimate>,
    isotonic: fn(&CurvePoint) -> Option<f64>,
    single: fn(&waytrace_model::sweep_curve::WindowFigures) -> Option<f64>,
    of: CurveOf,
}

/// The curve of misses, where they are known in any way.
fn misses(report: &SweepReport) -> Option<Drawn> {
    let has = |estimate: fn(&CurvePoint) -> Option<Estimate>| {
        report.curves.ways.iter().any(|point| estimate(point).is_some())
    };
    if has(|point| point.miss_ratio) {
        return Some(Drawn {
            title: "Miss ratio: misses per reference to the cache",
            short: "miss ratio",
            estimate: |point| point.miss_ratio,
            isotonic: |point| point.miss_ratio_isotonic,
            single: |window| window.miss_ratio,
            of: CurveOf::MissRatio,
        });
    }
    let title = match report.curves.misses {
        Some(MissSource::MemoryTraffic) => {
            "Memory traffic: lines of 64 bytes per 1000 instructions (MBM), not misses alone"
        }
        _ => "Misses per 1000 instructions",
    };
    has(|point| point.mpki).then_some(Drawn {
        title,
        short: "MPKI",
        estimate: |point| point.mpki,
        isotonic: |point| point.mpki_isotonic,
        single: |window| window.mpki,
        of: CurveOf::Mpki,
    })
}

/// The curve of instructions per cycle.
fn ipc(report: &SweepReport) -> Option<Drawn> {
    report.curves.ways.iter().any(|point| point.ipc.is_some()).then_some(Drawn {
        title: "Instructions per cycle",
        short: "IPC",
        estimate: |point| point.ipc,
        isotonic: |point| point.ipc_isotonic,
        single: |window| window.ipc,
        of: CurveOf::Ipc,
    })
}

/// What was swept, of whom.
fn title(report: &SweepReport) -> String {
    let (sweep, cache) = (&report.sweep, &report.sweep.cache);
    let simulated = if sweep.simulated { "SIMULATED: " } else { "" };
    format!(
        "{simulated}{} ways of {} [{}], sweep {}",
        cache.resource, sweep.target.comm, sweep.target.pid, sweep.name
    )
}

/// How it was measured, and how it ended.
fn subtitle(report: &SweepReport) -> String {
    let cache = &report.sweep.cache;
    let size =
        cache.way_bytes.map_or_else(String::new, |bytes| format!(" of {}", format_bytes(bytes as f64)));
    let sweeps = report.points.iter().filter(|point| !point.reference).map(|point| point.sweep);
    let count = sweeps.collect::<std::collections::BTreeSet<u32>>().len();
    let window = waytrace_model::units::format_ns(report.sweep.plan.window_ns as f64);
    let end = match &report.end {
        None => "not ended".to_owned(),
        Some(end) => end_word(end.reason).to_owned(),
    };
    format!("{} ways{size}; {count} sweeps, windows of {window}; {end}", cache.ways)
}

fn end_word(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Completed => "completed",
        EndReason::Guard => "ended by the guard",
        EndReason::Interrupted => "interrupted",
        EndReason::TargetExited => "the target exited",
        EndReason::Disturbed => "somebody else changed the masks",
        EndReason::Failed => "failed",
    }
}

/// What is read off the curves, a sentence each.
fn readings(report: &SweepReport) -> Vec<String> {
    let curves = &report.curves;
    let mut said = Vec::new();
    let size = |bytes: Option<u64>| {
        bytes.map_or_else(String::new, |bytes| format!(" ({})", format_bytes(bytes as f64)))
    };
    let ways = |count: u32| if count == 1 { "1 way".to_owned() } else { format!("{count} ways") };
    let range = |low: Option<u32>, high: Option<u32>| match low.zip(high) {
        Some((low, high)) if low == high => String::new(),
        Some((low, high)) => format!("; {low} to {high} by the bands"),
        None => String::new(),
    };
    if let Some(set) = curves.working_set {
        let more = match (set.at_least, set.above_ways) {
            (true, _) => "; only all of the cache is enough, so it may want more".to_owned(),
            (false, Some(above)) => format!(", more than {}", ways(above)),
            (false, None) => "; fewer were not tried, so it may want less".to_owned(),
        };
        let bands = range(set.ways_low, set.ways_high);
        said.push(format!("working set: {}{}{more}{bands}", ways(set.ways), size(set.bytes)));
    }
    if let Some(knee) = curves.knee {
        let moved = match knee.ways_low.zip(knee.ways_high) {
            Some((low, high)) if low != high => format!("; {low} to {high} without any one sweep"),
            _ => String::new(),
        };
        said.push(format!(
            "knee of the {} curve: {}{}{moved}",
            of_word(knee.of),
            ways(knee.ways),
            size(knee.bytes)
        ));
    } else if curves.ways.len() > 2 {
        said.push("no knee: the curve is flat, straight, or falls to its end".to_owned());
    }
    if let Some(peak) = curves.near_peak_ipc {
        let bands = range(peak.ways_low, peak.ways_high);
        said.push(format!("95 % of the best IPC: from {}{} on{bands}", ways(peak.ways), size(peak.bytes)));
    }
    if let Some(reference) = curves.reference {
        said.push(format!(
            "reference points (all ways): IPC {:.3}, {:.3} to {:.3} in {} windows{}",
            reference.ipc,
            reference.least_ipc,
            reference.most_ipc,
            reference.windows,
            if reference.drifts { ", changing over time" } else { "" }
        ));
    }
    let left_out = curves.left_out;
    if left_out.disturbed + left_out.unsettled + left_out.uncounted > 0 {
        said.push(format!(
            "left out: {} disturbed, {} unsettled, {} uncounted windows",
            left_out.disturbed, left_out.unsettled, left_out.uncounted
        ));
    }
    if let Some(end) = &report.end {
        said.extend(end.detail.clone());
        said.push(if end.restored {
            "all was restored".to_owned()
        } else {
            "NOT all was restored".to_owned()
        });
        said.extend(end.left.iter().map(|left| format!("left: {left}")));
    }
    said
}

fn of_word(of: CurveOf) -> &'static str {
    match of {
        CurveOf::MissRatio => "miss-ratio",
        CurveOf::Mpki => "MPKI",
        CurveOf::Ipc => "IPC",
    }
}

/// A number with three significant digits, or as many as its whole part has.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
