//! Counters of the summary: total, rate over the run, and the threads that made most of it.

use waytrace_model::counter::Unit;
use waytrace_model::report::{CounterTotal, RunReport, ThreadReport};
use waytrace_model::units::{format_bytes, format_count, format_ns};

use super::{Page, padded};
use crate::text::{cells, cut_middle, percent, plain};

const EVENT_WIDTH_MAX: usize = 28;
const NUMBER_WIDTH: usize = 9;
const THREADS_MAX: usize = 4;

/// A counter's value in its unit.
pub fn format_value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns => format_ns(value),
        Unit::Bytes => format_bytes(value),
        Unit::Count | Unit::Cycles => format_count(value),
    }
}

pub fn section(page: &mut Page, report: &RunReport) {
    page.blank();
    if report.counters.is_empty() {
        page.labelled("counters", "not collected");
        phases(page, report);
        return;
    }
    let widest = report.counters.iter().map(|counter| cells(&plain(&counter.event))).max().unwrap_or(0);
    let event_width = (widest + 3).clamp(10, EVENT_WIDTH_MAX);
    page.line(&format!(
        "{}{:>NUMBER_WIDTH$}{:>NUMBER_WIDTH$}  busiest threads",
        padded("counters", event_width),
        "total",
        "rate/s"
    ));
    for counter in &report.counters {
        row(page, report, counter, event_width);
    }
    multiplexed(page, &report.counters);
    phases(page, report);
}

fn row(page: &mut Page, report: &RunReport, counter: &CounterTotal, event_width: usize) {
    let mark = if counter.multiplexed { "*" } else { "" };
    let event = format!("  {}{mark}", cut_middle(&plain(&counter.event), event_width - 3));
    let Some(value) = counter.value else {
        page.line(&format!(
            "{}  not counted: left out (see collectors) or never scheduled",
            padded(&event, event_width)
        ));
        return;
    };
    let seconds = report.run.duration_ns as f64 / 1e9;
    let rate =
        if seconds > 0.0 { format_value(value as f64 / seconds, counter.unit) } else { "-".to_owned() };
    let total = format_value(value as f64, counter.unit);
    let start = format!("{}{total:>NUMBER_WIDTH$}{rate:>NUMBER_WIDTH$}  ", padded(&event, event_width));
    let room = page.width.saturating_sub(cells(&start));
    page.line(&format!("{start}{}", busiest(report, counter, value, room)));
}

/// As many of the busiest threads, with their share of the total, as fit into `room` columns.
fn busiest(report: &RunReport, counter: &CounterTotal, total: u64, room: usize) -> String {
    let of_event = |counters: &[CounterTotal]| {
        counters.iter().find(|own| own.event == counter.event).and_then(|own| own.value).unwrap_or(0)
    };
    let mut threads: Vec<_> = report.target.threads.iter().map(|t| (of_event(&t.counters), t)).collect();
    threads.retain(|(value, _)| *value > 0);
    threads.sort_by_key(|(value, thread)| (std::cmp::Reverse(*value), thread.tid));
    let mut text = String::new();
    for (value, thread) in threads.into_iter().take(THREADS_MAX) {
        let share = 100.0 * value as f64 / total.max(1) as f64;
        let item = format!("{} {share:.0}%", thread_name(report, thread));
        let separator = if text.is_empty() { "" } else { ", " };
        if cells(&text) + separator.len() + cells(&item) > room {
            break;
        }
        text.push_str(separator);
        text.push_str(&item);
    }
    text
}

/// The thread's name, with its id where the name alone does not tell it apart.
fn thread_name(report: &RunReport, thread: &ThreadReport) -> String {
    let name = cut_middle(&plain(&thread.comm), 15);
    let is_shared = report.target.threads.iter().filter(|other| other.comm == thread.comm).count() > 1;
    if is_shared { format!("{name}/{}", thread.tid) } else { name }
}

fn multiplexed(page: &mut Page, counters: &[CounterTotal]) {
    let share = |counter: &CounterTotal| {
        100.0 * counter.time_running_ns as f64 / counter.time_enabled_ns.max(1) as f64
    };
    let events: Vec<String> = counters
        .iter()
        .filter(|counter| counter.multiplexed)
        .map(|counter| format!("{} {}", plain(&counter.event), percent(share(counter))))
        .collect();
    if !events.is_empty() {
        let text = format!("counted only part of the time, not scaled up: {}", events.join(", "));
        page.labelled("  *", &text);
    }
}

fn phases(page: &mut Page, report: &RunReport) {
    let Some(phases) = &report.phases else { return };
    let period = format_value(phases.period as f64, phases.unit);
    let mean = phases.cpu_ns.checked_div(phases.count).map_or_else(
        || "no thread lasted as long".to_owned(),
        |mean_ns| format!("{} of CPU time on average", format_ns(mean_ns as f64)),
    );
    let text = format!("{} of {period} {} each ({mean})", phases.count, plain(&phases.event));
    page.labelled("phases", &text);
}
