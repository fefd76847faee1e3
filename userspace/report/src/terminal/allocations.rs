//! Allocation totals of the summary. Estimates carry `~` and their 95 % interval; what is unknown says why.

use waytrace_model::allocation::Mode;
use waytrace_model::histogram::Bucket;
use waytrace_model::report::{AllocationReport, RunReport};
use waytrace_model::units::{format_bytes, format_count, format_ns};

use super::Page;
use crate::text::percent;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub fn section(page: &mut Page, report: &RunReport) {
    page.blank();
    let Some(allocations) = &report.allocations else {
        page.labelled("memory", "not collected");
        return;
    };
    let seconds = report.run.duration_ns as f64 / 1e9;
    page.labelled("memory", heading(allocations));
    if allocations.mode.is_some() {
        calls(page, allocations, seconds);
        live(page, allocations, seconds);
    }
    let (mapped, unmapped) = (allocations.mmap_bytes, allocations.munmap_bytes);
    page.labelled(
        "  mapped",
        &format!(
            "{} added, {} removed by mmap and brk",
            format_bytes(mapped as f64),
            format_bytes(unmapped as f64)
        ),
    );
    if let Some(reason) = &allocations.null_reason {
        page.labelled("  not known", reason);
    }
    histogram(page, "  sizes", &allocations.sizes, format_bytes);
    histogram(page, "  lifetimes", &allocations.lifetimes, format_ns);
    stacks(page, allocations);
}

fn heading(allocations: &AllocationReport) -> &'static str {
    match allocations.mode {
        Some(Mode::Exact) => "exact: every call was seen",
        Some(Mode::Budgeted) => "estimated (~) from sampled windows; ± is the 95% interval",
        Some(Mode::Sampled) => {
            "source: otel_memory (the allocator's own samples), estimated (~); ± is the 95% interval"
        }
        None => "no allocator was probed; mappings only",
    }
}

fn calls(page: &mut Page, allocations: &AllocationReport, seconds: f64) {
    let estimated = allocations.mode.is_some_and(Mode::is_estimate);
    let mark = if estimated { "~" } else { "" };
    let interval = |pct: Option<f64>| match pct {
        Some(pct) if estimated => format!(" ±{}", percent(pct)),
        None if estimated => " ±?".to_owned(),
        _ => String::new(),
    };
    let rate = |value: f64, format: fn(f64) -> String| {
        if seconds > 0.0 { format!(" ({mark}{}/s)", format(value / seconds)) } else { String::new() }
    };
    let count = |value: f64, ci: &str| {
        format!("{mark}{}{ci} calls{}", format_count(value), rate(value, format_count))
    };
    let bytes =
        |value: f64, ci: &str| format!("{mark}{}{ci}{}", format_bytes(value), rate(value, format_bytes));
    let joined = |calls: Option<String>, size: Option<String>| {
        let parts: Vec<String> = calls.into_iter().chain(size).collect();
        if parts.is_empty() { "not available".to_owned() } else { parts.join(", ") }
    };
    let (count_ci, bytes_ci) = (interval(allocations.alloc_count_ci95_pct), interval(allocations.ci95_pct));
    let allocated = joined(
        allocations.alloc_count.map(|n| count(n, &count_ci)),
        allocations.alloc_bytes.map(|n| bytes(n, &bytes_ci)),
    );
    page.labelled("  allocated", &allocated);
    let freed =
        joined(allocations.free_count.map(|n| count(n, "")), allocations.freed_bytes.map(|n| bytes(n, "")));
    page.labelled("  freed", &freed);
}

fn live(page: &mut Page, allocations: &AllocationReport, seconds: f64) {
    let text = match allocations.live_bytes {
        None => "not available".to_owned(),
        Some(live) => {
            let growth = if seconds > 0.0 {
                format!(" (+{}/s since attaching)", format_bytes(live as f64 / seconds))
            } else {
                String::new()
            };
            let peak =
                allocations.peak_live_bytes.map(|peak| format!(", peak {}", format_bytes(peak as f64)));
            format!("{} at the end{growth}{}", format_bytes(live as f64), peak.unwrap_or_default())
        }
    };
    page.labelled("  live", &text);
    if let Some(temporary) = allocations.temporary_count {
        let share = 100.0 * temporary as f64 / allocations.alloc_count.unwrap_or(0.0).max(1.0);
        page.labelled(
            "  temporary",
            &format!(
                "{} ({}) freed before their thread allocated again",
                format_count(temporary as f64),
                percent(share)
            ),
        );
    }
}

/// One block per power of two, from the smallest to the largest seen, as high as its share of the calls.
fn histogram(page: &mut Page, label: &str, buckets: &[Bucket], format: fn(f64) -> String) {
    let seen: Vec<&Bucket> = buckets.iter().filter(|bucket| bucket.count > 0.0).collect();
    let Some(most) = seen.iter().max_by(|a, b| a.count.total_cmp(&b.count)) else { return };
    let low = seen.iter().map(|bucket| bucket.log2).min().unwrap_or(0);
    let high = seen.iter().map(|bucket| bucket.log2).max().unwrap_or(0).min(63);
    let total: f64 = seen.iter().map(|bucket| bucket.count).sum();
    let block = |log2: u8| {
        let count: f64 = seen.iter().filter(|bucket| bucket.log2 == log2).map(|bucket| bucket.count).sum();
        let level = (count / most.count * BLOCKS.len() as f64).ceil() as usize;
        if count > 0.0 { BLOCKS[level.clamp(1, BLOCKS.len()) - 1] } else { '·' }
    };
    let bar: String = (low..=high).map(block).collect();
    let edge = |log2: u8| format(f64::from(log2).exp2());
    page.labelled(
        label,
        &format!(
            "{} {bar} {}  {} of calls in {}..{}",
            edge(low),
            edge(high + 1),
            percent(100.0 * most.count / total),
            edge(most.log2),
            edge(most.log2 + 1)
        ),
    );
}

fn stacks(page: &mut Page, allocations: &AllocationReport) {
    let stacks = allocations.stacks;
    if stacks.sampled_count == 0 {
        return;
    }
    let share = |count: u64| percent(100.0 * count as f64 / stacks.sampled_count as f64);
    page.labelled(
        "  stacks",
        &format!(
            "{} sampled; {} reach the program's own code, {} its outermost frame",
            format_count(stacks.sampled_count as f64),
            share(stacks.own_code_count),
            share(stacks.complete_count)
        ),
    );
}
