//! What a sweep came to, as a table or as JSON.

use waytrace_analysis::curve::curves;
use waytrace_model::sweep::{EndReason, MissSource, SweepHeader};
use waytrace_model::sweep_curve::{CurvePoint, Curves, Estimate, Least, SCHEMA_VERSION, SweepReport};
use waytrace_model::units::{format_bytes, format_ns};
use waytrace_store::StoredSweep;

use super::super::super::output::{plain, print as print_text, print_json, width};
use super::super::super::table::{Table, left, right};

/// Prints it.
///
/// # Errors
/// stdout cannot be written.
pub fn print(stored: &StoredSweep, is_json: bool) -> anyhow::Result<()> {
    let curves = curves(&stored.header, &stored.points);
    if is_json {
        return print_json(&SweepReport {
            schema_version: SCHEMA_VERSION,
            id: stored.id.0,
            sweep: stored.header.clone(),
            end: stored.end.clone(),
            curves,
            points: stored.points.clone(),
        });
    }
    print_text(&text(stored, &curves))
}

fn text(stored: &StoredSweep, curves: &Curves) -> String {
    let header = &stored.header;
    let simulated = if header.simulated { "SIMULATED host: no figures of any machine\n" } else { "" };
    let mut text = format!(
        "sweep {} of {} ({}), {} of {} ways\n{simulated}{}\n{}",
        plain(&header.name),
        plain(&header.target.comm),
        header.target.pid,
        header.cache.resource,
        header.cache.ways,
        source(header),
        table(curves).render(width())
    );
    for line in readings(curves) {
        text.push_str(&line);
        text.push('\n');
    }
    for note in &curves.notes {
        text.push_str(&format!("note: {}\n", plain(note)));
    }
    if let Some(end) = &stored.end {
        let whole = if end.reason == EndReason::Completed { "complete" } else { "ended early" };
        let restored = if end.restored { "all is as before" } else { "NOT all is as before" };
        text.push_str(&format!(
            "{whole} after {}; {restored}; its own work took {} of CPU time\n",
            format_ns(end.elapsed_ns as f64),
            format_ns(end.own_cpu_ns as f64)
        ));
    }
    text
}

fn source(header: &SweepHeader) -> &'static str {
    match header.misses {
        Some(MissSource::LlcEvents) => "misses: the PMU's events of the last-level cache",
        Some(MissSource::MemoryTraffic) => "misses: lines from and to memory (MBM), prefetches among them",
        None => "misses: not known",
    }
}

fn table(curves: &Curves) -> Table {
    let mut table = Table::new(vec![
        right("ways"),
        right("size"),
        right("miss ratio"),
        right("95 %"),
        right("MPKI"),
        right("IPC"),
        right("95 %"),
        right("std"),
        right("occupancy"),
        left(""),
    ]);
    curves.ways.iter().for_each(|point| table.row(&row(point)));
    table
}

fn row(point: &CurvePoint) -> Vec<String> {
    let value = |estimate: Option<Estimate>, shown: fn(f64) -> String| {
        estimate.map_or_else(|| "-".to_owned(), |estimate| shown(estimate.value))
    };
    let band = |estimate: Option<Estimate>, shown: fn(f64) -> String| {
        let band = estimate.and_then(|estimate| estimate.band());
        band.map_or_else(|| "-".to_owned(), |(low, high)| format!("{}-{}", shown(low), shown(high)))
    };
    let share = |ratio: f64| format!("{:.1}%", ratio * 100.0);
    let plain_number = |number: f64| format!("{number:.3}");
    let std = point.ipc.and_then(|estimate| estimate.std);
    vec![
        point.ways.to_string(),
        point.bytes.map_or_else(|| "-".to_owned(), |bytes| format_bytes(bytes as f64)),
        value(point.miss_ratio, share),
        band(point.miss_ratio, share),
        value(point.mpki, |mpki| format!("{mpki:.2}")),
        value(point.ipc, plain_number),
        band(point.ipc, plain_number),
        std.map_or_else(|| "-".to_owned(), plain_number),
        value(point.occupancy_bytes, format_bytes),
        if point.unsettled { "not settled".to_owned() } else { String::new() },
    ]
}

fn readings(curves: &Curves) -> Vec<String> {
    let size = |bytes: Option<u64>| {
        bytes.map_or_else(String::new, |bytes| format!(" ({})", format_bytes(bytes as f64)))
    };
    let least = |what: &str, least: &Option<Least>| {
        let least = least.as_ref()?;
        let more = if least.at_least { ", or more than there is" } else { "" };
        Some(format!("{what}: {} ways{}{more}", least.ways, size(least.bytes)))
    };
    [
        curves.knee.as_ref().map(|knee| format!("knee: {} ways{}", knee.ways, size(knee.bytes))),
        least("working set", &curves.working_set),
        least("95 % of the best IPC", &curves.near_peak_ipc),
    ]
    .into_iter()
    .flatten()
    .collect()
}
