//! What was lost, what the measurement cost, and what did not run.

use waytrace_model::collector::{Overhead, Status};
use waytrace_model::report::RunReport;
use waytrace_model::units::{format_bytes, format_count, format_ns};

use super::Page;
use crate::text::percent;

pub fn section(page: &mut Page, report: &RunReport) {
    page.blank();
    losses(page, report);
    overhead(page, &report.overhead);
    collectors(page, report);
}

/// What a kind of loss means for the reader.
pub fn loss_meaning(kind: &str) -> &'static str {
    match kind {
        "ring_full" => "records that found no room in the ring; a larger --ring takes more",
        "sites_full" => "calls at sites beyond the kernel's table",
        "live_full" => "blocks beyond the kernel's table of live ones; a larger --max-live takes more",
        "threads_full" => "calls of threads beyond the kernel's table",
        "targets_full" => "children beyond the kernel's table, not followed",
        "readings_full" => "counter readings beyond the kernel's table",
        "heat_full" => "accesses of CPUs and windows beyond the kernel's table",
        "samples_missed" => "accesses to a watched address at a moment when the kernel runs no program",
        "stack_missing" => "stacks that could not be taken or unwound in time",
        "walk_truncated" => "stacks that ran out of captured bytes",
        "traced_dropped" => "large blocks whose trace was not kept",
        "samples_dropped" => "access samples that came while the walker was behind; a lower --freq helps",
        "accesses_dropped" => "accesses the disk had no time for",
        "windows_unusable" => "probing windows that carry no estimate",
        _ => "",
    }
}

fn losses(page: &mut Page, report: &RunReport) {
    if report.loss.total() == 0 {
        page.labelled("lost", "nothing");
        return;
    }
    for (index, (kind, count)) in report.loss.0.iter().filter(|(_, count)| **count > 0).enumerate() {
        let meaning = match loss_meaning(kind) {
            "" => kind.clone(),
            meaning => format!("{kind}: {meaning}"),
        };
        page.labelled(
            if index == 0 { "lost" } else { "" },
            &format!("{} {meaning}", format_count(*count as f64)),
        );
    }
}

fn overhead(page: &mut Page, overhead: &Overhead) {
    page.labelled("overhead", &format!("{}{}", target(overhead), hits(overhead)));
    let cpu = overhead.tool_cpu_pct.map(|pct| format!("{} of a core", percent(pct)));
    let rss = overhead.tool_rss_bytes.map(|bytes| format!("{} resident", format_bytes(bytes as f64)));
    let attach = overhead.attach_ns.map(|ns| format!("first data after {}", format_ns(ns as f64)));
    let own: Vec<String> = cpu.into_iter().chain(rss).chain(attach).collect();
    if !own.is_empty() {
        page.labelled("", &format!("waytrace: {}", own.join(", ")));
    }
}

fn target(overhead: &Overhead) -> String {
    let budget = match overhead.budget_pct {
        Some(pct) => format!(" (budget {pct}%)"),
        None => " (no budget)".to_owned(),
    };
    match overhead.target_pct {
        Some(pct) => format!("{} of the target's CPU time{budget}", percent(pct)),
        None => format!("not measured{budget}"),
    }
}

fn hits(overhead: &Overhead) -> String {
    match (overhead.probe_hits_count, overhead.probe_hit_ns) {
        (0, _) => ", no probe was hit".to_owned(),
        (hits, Some(ns)) => format!(": {} hits x {}", format_count(hits as f64), format_ns(ns)),
        (hits, None) => format!(": {} hits", format_count(hits as f64)),
    }
}

fn collectors(page: &mut Page, report: &RunReport) {
    let mut label = "collectors";
    let ran: Vec<&str> = report
        .collectors
        .iter()
        .filter(|own| own.status == Status::Ran)
        .map(|own| own.name.as_str())
        .collect();
    if !ran.is_empty() {
        page.labelled(label, &format!("{} ran", ran.join(", ")));
        label = "";
    }
    for collector in report.collectors.iter().filter(|own| own.status != Status::Ran) {
        let status = match collector.status {
            Status::Ran => continue,
            Status::Degraded => "degraded",
            Status::Skipped => "skipped",
            Status::Failed => "failed",
        };
        let reason = collector.reason.as_deref().unwrap_or("no reason recorded");
        page.labelled(label, &format!("{} {status}: {reason}", collector.name));
        label = "";
    }
}
