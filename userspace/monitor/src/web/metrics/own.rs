//! Metrics of waytrace itself: what it cost, lost, left out and could not deliver.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use waytrace_model::monitor::{HostWindow, ShareState};

use super::text::{Exposition, Kind};
use crate::web::state::{Http, Live, Push, WebState};

const STATES: [ShareState; 4] =
    [ShareState::Full, ShareState::Reduced, ShareState::Paused, ShareState::Unavailable];

pub(super) fn write(page: &mut Exposition, state: &WebState) {
    let about = state.about();
    page.family("waytrace_build", Kind::Info, "Version of waytrace.")
        .sample(&[("version", &about.version)], 1.0);
    let started = state.started_unix_ns() as f64 / 1e9;
    page.gauge("waytrace_start_time_seconds", started, "When it was started, seconds since the Unix epoch.");
    if let Some(budget) = about.budget_cpu_pct {
        page.gauge("waytrace_budget_cpu_ratio", budget / 100.0, "Ceiling of its own CPU time, in CPUs.");
    }
    if let Some(budget) = about.budget_rss_bytes {
        page.gauge("waytrace_budget_rss_bytes", budget as f64, "Ceiling of its own resident memory.");
    }
    let live = state.live();
    page.counter("waytrace_windows", live.totals.windows, "Windows since the start.");
    let clocks = &live.totals.clocks;
    page.counter(
        "waytrace_clock_steps",
        clocks.steps,
        "How often the wall clock was set by a second or more.",
    );
    let help = "Time for which the machine slept; no window has it.";
    let suspended = clocks.suspended_ns as f64 / 1e9;
    page.family("waytrace_suspended_seconds", Kind::Counter, help).sample(&[], suspended);
    if let Some(window) = live.last() {
        of_window(page, &window);
    }
    sums(page, &live);
    drop(live);
    http(page, state.http());
    push(page, state.push());
}

fn of_window(page: &mut Exposition, window: &HostWindow) {
    let end = window.start_unix_ns.saturating_add(window.length_ns) as f64 / 1e9;
    page.gauge("waytrace_window_end_seconds", end, "End of the last window, seconds since the Unix epoch.");
    page.gauge("waytrace_window_length_seconds", window.length_ns as f64 / 1e9, "Length of the last window.");
    page.gauge("waytrace_targets", window.targets.len() as f64, "Targets with a process in the last window.");
    let missing = window.missing.len() as f64;
    page.gauge(
        "waytrace_targets_missing",
        missing,
        "Configured targets without a process in the last window.",
    );
    let own = &window.own;
    page.gauge(
        "waytrace_own_cpu_ratio",
        own.cpu_pct / 100.0,
        "CPU time it took, recordings included, in CPUs.",
    );
    let recording = own.recording_cpu_pct / 100.0;
    page.gauge("waytrace_own_recording_cpu_ratio", recording, "Of that, recordings.");
    page.gauge("waytrace_own_rss_bytes", own.rss_bytes as f64, "Its resident memory.");
    page.gauge("waytrace_own_open_files", own.open_files as f64, "Its open files.");
    page.gauge("waytrace_own_probes", own.probes as f64, "Probes it has in place in targets.");
    let help = "Which state a collector is in: 1 for that one, 0 for the others.";
    let mut family = page.family("waytrace_collector_state", Kind::Gauge, help);
    for collector in &window.collectors {
        for state in STATES {
            let labels = [("collector", collector.name.as_str()), ("state", state.as_str())];
            family.sample(&labels, f64::from(u8::from(collector.state == state)));
        }
    }
    let help = "CPU time of waytrace that a collector took, in CPUs.";
    let mut family = page.family("waytrace_collector_cpu_ratio", Kind::Gauge, help);
    for collector in &window.collectors {
        family.sample(&[("collector", &collector.name)], collector.tool_cpu_pct / 100.0);
    }
}

fn sums(page: &mut Exposition, live: &Live) {
    let help = "Targets of the last window that have no series of their own and are summed up as _other.";
    page.gauge("waytrace_targets_other", live.totals.others as f64, help);
    let mut family =
        page.family("waytrace_lost", Kind::Counter, "What was seen to happen and not recorded, by kind.");
    for (kind, count) in &live.totals.loss {
        family.sample(&[("kind", kind)], *count as f64);
    }
    let mut active: BTreeMap<&str, u64> = live.alerts_begun.keys().map(|rule| (rule.as_str(), 0)).collect();
    for alert in live.alerts().filter(|alert| alert.ended.is_none()) {
        *active.entry(&alert.rule).or_default() += 1;
    }
    let all = active.values().sum::<u64>() as f64;
    page.gauge("waytrace_alerts_active", all, "Alerts that hold.");
    let mut family = page.family("waytrace_rule_alerts_active", Kind::Gauge, "Alerts that hold, by rule.");
    for (rule, count) in active {
        family.sample(&[("rule", rule)], count as f64);
    }
    let mut family = page.family("waytrace_alerts", Kind::Counter, "Alerts since the start, by rule.");
    for (rule, count) in &live.alerts_begun {
        family.sample(&[("rule", rule)], *count as f64);
    }
    if let Some(history) = &live.history {
        page.counter("waytrace_history_written_windows", history.written, "Windows written to the history.");
        page.gauge(
            "waytrace_history_waiting_windows",
            history.waiting as f64,
            "Windows that wait to be written.",
        );
        page.counter(
            "waytrace_history_dropped_windows",
            history.dropped,
            "Windows the history had to give up.",
        );
        page.counter("waytrace_history_errors", history.errors, "Writes to the history that failed.");
        page.gauge("waytrace_history_bytes", history.bytes as f64, "Size of the history.");
        let is_well = f64::from(u8::from(history.trouble.is_none()));
        page.gauge("waytrace_history_up", is_well, "Whether the last write to the history succeeded.");
    }
    hooks(page, live);
    if let Some(lines) = live.lines {
        page.counter("waytrace_lines_written", lines.written, "Windows written as lines of JSON.");
        page.counter(
            "waytrace_lines_dropped",
            lines.dropped,
            "Windows the reader of lines was too slow for.",
        );
        let is_open = f64::from(u8::from(!lines.is_closed));
        page.gauge("waytrace_lines_up", is_open, "Whether lines of JSON are still read.");
    }
}

fn hooks(page: &mut Exposition, live: &Live) {
    let mut family = page.family("waytrace_hook_sent", Kind::Counter, "Alerts a hook was told.");
    live.hooks.iter().for_each(|hook| family.sample(&[("hook", &hook.name)], hook.sent as f64));
    let mut family =
        page.family("waytrace_hook_failed", Kind::Counter, "Attempts to tell a hook that failed.");
    live.hooks.iter().for_each(|hook| family.sample(&[("hook", &hook.name)], hook.failed as f64));
    let mut family =
        page.family("waytrace_hook_dropped", Kind::Counter, "Alerts a hook was not told in the end.");
    live.hooks.iter().for_each(|hook| family.sample(&[("hook", &hook.name)], hook.dropped as f64));
    let mut family = page.family("waytrace_hook_waiting", Kind::Gauge, "Alerts that wait for a hook.");
    live.hooks.iter().for_each(|hook| family.sample(&[("hook", &hook.name)], hook.waiting as f64));
}

fn http(page: &mut Exposition, http: &Http) {
    let connections = http.connections.load(Relaxed) as f64;
    page.gauge("waytrace_http_connections", connections, "Open connections.");
    let refused = http.refused.load(Relaxed);
    page.counter("waytrace_http_refused", refused, "Connections refused because too many were open.");
    let broken = http.broken.load(Relaxed);
    page.counter("waytrace_http_broken", broken, "Connections that ended in malformed or too slow requests.");
    let mut family =
        page.family("waytrace_http_requests", Kind::Counter, "Requests answered, by status code.");
    for (code, count) in http.codes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        family.sample(&[("code", &code.to_string())], *count as f64);
    }
    let help = "Profiles asked for, over HTTP or to be sent, by kind and result.";
    let mut family = page.family("waytrace_profiles", Kind::Counter, help);
    for ((kind, result), count) in http.profiles.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        family.sample(&[("kind", kind), ("result", result)], *count as f64);
    }
}

fn push(page: &mut Exposition, push: &Push) {
    if !push.is_configured.load(Relaxed) {
        return;
    }
    page.counter("waytrace_push_sent", push.sent.load(Relaxed), "Profiles sent to the collector.");
    page.counter(
        "waytrace_push_failed",
        push.failed.load(Relaxed),
        "Attempts to send a profile that failed.",
    );
    page.counter(
        "waytrace_push_dropped",
        push.dropped.load(Relaxed),
        "Profiles that were not sent in the end.",
    );
    page.gauge("waytrace_push_waiting", push.waiting.load(Relaxed) as f64, "Profiles that wait to be sent.");
    let is_well = f64::from(u8::from(!push.is_failing.load(Relaxed)));
    page.gauge("waytrace_push_up", is_well, "Whether the last attempt to send a profile succeeded.");
}
