//! What makes a comparison of two sweeps weaker than it looks.

use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::{EndReason, MissSource, SweepHeader};
use waytrace_model::sweep_curve::SweepReport;
use waytrace_model::units::format_bytes;

/// A sentence for each thing.
pub(super) fn of(a: &SweepReport, b: &SweepReport, nothing_in_common: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if a.sweep.simulated {
        notes.push(
            "simulated: the caches are those of simulated hosts, so no figure is of any machine".to_owned(),
        );
    }
    if a.curves.misses != b.curves.misses {
        let (in_a, in_b) = (source(a.curves.misses), source(b.curves.misses));
        notes.push(format!("misses are not compared: A has them {in_a}, B {in_b}; IPC is"));
    }
    notes.extend(pairing(&a.sweep, &b.sweep));
    if nothing_in_common {
        notes.push("no share of the cache was measured in both".to_owned());
    }
    notes.extend(circumstances(&a.sweep, &b.sweep));
    notes.extend(own("A", a));
    notes.extend(own("B", b));
    notes
}

fn source(misses: Option<MissSource>) -> &'static str {
    match misses {
        Some(MissSource::LlcEvents) => "from the PMU",
        Some(MissSource::MemoryTraffic) => "from memory traffic (MBM)",
        None => "not at all",
    }
}

fn pairing(a: &SweepHeader, b: &SweepHeader) -> Option<String> {
    let size = |bytes: u64| format_bytes(bytes as f64);
    match (a.cache.way_bytes, b.cache.way_bytes) {
        (Some(in_a), Some(in_b)) => (in_a != in_b).then(|| {
            format!("a way is {} in A and {} in B: shares pair by their bytes", size(in_a), size(in_b))
        }),
        (None, None) if a.cache.ways == b.cache.ways => None,
        _ => Some(
            "the bytes of a way are not known in both: shares pair by their number of ways, whatever those hold"
                .to_owned(),
        ),
    }
}

fn circumstances(a: &SweepHeader, b: &SweepHeader) -> Vec<String> {
    let mut notes = Vec::new();
    let mut differ = |what: &str, of: fn(&SweepHeader) -> String| {
        let (in_a, in_b) = (of(a), of(b));
        if in_a != in_b {
            notes.push(format!("{what} differs: {in_a} and {in_b}"));
        }
    };
    differ("target", |sweep| sweep.target.comm.clone());
    differ("interface", |sweep| {
        match sweep.interface {
            Interface::Resctrl => "resctrl",
            Interface::Msr => "msr",
        }
        .to_owned()
    });
    differ("number of caches", |sweep| sweep.cache.ids.len().to_string());
    differ("pressure of a co-runner", |sweep| {
        sweep.plan.pressure_bytes.map_or_else(|| "none".to_owned(), |bytes| format_bytes(bytes as f64))
    });
    differ("what all others might use", |sweep| {
        if sweep.plan.others_confined { "the ways left" } else { "all ways" }.to_owned()
    });
    notes
}

fn own(side: &str, report: &SweepReport) -> Vec<String> {
    let mut notes = Vec::new();
    if report.curves.reference.is_some_and(|reference| reference.drifts) {
        notes.push(format!("{side}: the target changed by itself meanwhile"));
    }
    if report.curves.ways.iter().any(|point| point.unsettled) {
        notes.push(format!(
            "{side}: some numbers of ways never settled (*): the target may have hit lines in ways it no longer had"
        ));
    }
    let reason = report.end.as_ref().map(|end| end.reason);
    if !matches!(reason, Some(EndReason::Completed | EndReason::Interrupted)) {
        notes.push(format!("{side} did not come to its end"));
    }
    notes
}
