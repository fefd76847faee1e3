//! The lines above every screen: when, whose, what it costs, and what is not as it should be.

use waytrace_model::monitor::{CollectorShare, HostWindow, Metric, ShareState};
use waytrace_model::units::{format_bytes, format_count, format_ns};

use super::super::source::Facts;
use super::super::state::{Frame, State};
use super::super::text::{percent, width as columns_of};
use super::paper::{Paper, Side};

/// Draws it and returns how many rows it took, at most a third of them.
pub fn draw(paper: &mut Paper<'_>, state: &State) -> usize {
    let Some(frame) = &state.shown else {
        let text = if state.ended {
            "waytrace top: no windows"
        } else {
            "waytrace top: waiting for the first window"
        };
        paper.put(0, 0, paper.width(), text, paper.theme.strong());
        return 1;
    };
    let most = (paper.height() / 3).max(1);
    let mut row = 0;
    first(paper, state, frame);
    row += 1;
    if row < most {
        cost(paper, row, &frame.window, frame.facts);
        row += 1;
    }
    let warning = paper.theme.warning();
    let mut told = collectors(&frame.window, true);
    if columns_of(&told) > paper.width() {
        // Who does less comes before why, which a target's screens tell.
        told = collectors(&frame.window, false);
    }
    let lines = [told, missing(&frame.window)];
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        if row < most {
            paper.put(0, row, paper.width(), &line, warning);
            row += 1;
        }
    }
    row
}

fn first(paper: &mut Paper<'_>, state: &State, frame: &Frame) {
    let window = &frame.window;
    let count = window.targets.len();
    let plural = if count == 1 { "" } else { "s" };
    let text = format!(
        "{}  {}  {count} target{plural}, {}",
        clock(window.start_unix_ns.saturating_add(window.length_ns)),
        format_ns(window.length_ns as f64),
        cpu(window, frame.facts)
    );
    let mut marks: Vec<String> = Vec::new();
    if state.active() > 0 {
        let plural = if state.active() == 1 { "" } else { "S" };
        marks.push(format!("{} ALERT{plural} (A)", state.active()));
    }
    if state.recording > 0 {
        marks.push("RECORDING".to_owned());
    }
    match (state.paused, state.ended) {
        (true, _) => marks.push(format!("PAUSED, {} behind", state.behind())),
        (_, true) => marks.push("END".to_owned()),
        _ => {}
    }
    let marks = marks.join("  ");
    let alarm = if state.active() > 0 { paper.theme.alarm() } else { paper.theme.warning() };
    let width = paper.width();
    // A narrow screen has room for one of the two: that one should look.
    let room = width.saturating_sub(if marks.is_empty() { 0 } else { marks.len() + 1 });
    paper.put(0, 0, room, &text, paper.theme.strong());
    paper.put_at(Side::Right, 0, 0, width, &marks, alarm);
}

/// CPU time of all targets and, where it is known, of the host; percent of one CPU.
pub fn cpu(window: &HostWindow, facts: Facts) -> String {
    let of_targets: Vec<f64> = window
        .targets
        .iter()
        .filter_map(|target| target.values.rate(Metric::Cpu, window.length_ns))
        .collect();
    let mut text = String::new();
    if !of_targets.is_empty() {
        text = format!("CPU {}%", percent(of_targets.iter().sum::<f64>() / 1e7));
    }
    if let Some(host) = facts.host_cpu_pct {
        let gap = if text.is_empty() { "" } else { ", " };
        text += &format!("{gap}host {}%", percent(host));
        if let Some(cpus) = facts.cpus {
            text += &format!(" of {cpus}00%");
        }
    }
    text
}

fn cost(paper: &mut Paper<'_>, row: usize, window: &HostWindow, facts: Facts) {
    let width = paper.width();
    let (text, over) = own(window, facts);
    let style = if over { paper.theme.warning() } else { paper.theme.quiet() };
    let end = paper.put(0, row, width, &text, style);
    let lost = lost(window);
    if !lost.is_empty() && end + 2 < width {
        let warning = paper.theme.warning();
        paper.put(end + 2, row, width - end - 2, &lost, warning);
    }
}

/// What watching costs, against the budget where that is known, and whether it is more.
pub fn own(window: &HostWindow, facts: Facts) -> (String, bool) {
    let own = &window.own;
    let mut text = format!("own CPU {}%", percent(own.cpu_pct));
    if let Some(budget) = facts.budget_cpu_pct {
        text += &format!(" of {}%", percent(budget));
    }
    if own.recording_cpu_pct > 0.0 {
        text += &format!(" (recording {}%)", percent(own.recording_cpu_pct));
    }
    text += &format!(", RSS {}", format_bytes(own.rss_bytes as f64));
    if let Some(budget) = facts.budget_rss_bytes {
        text += &format!(" of {}", format_bytes(budget as f64));
    }
    text += &format!(", {} probes", own.probes);
    if own.store_waiting > 0 {
        text += &format!(", {} windows unwritten", own.store_waiting);
    }
    let over = facts.budget_cpu_pct.is_some_and(|budget| own.cpu_pct > budget)
        || facts.budget_rss_bytes.is_some_and(|budget| own.rss_bytes > budget);
    (text, over)
}

/// Losses by kind, most first.
pub fn lost(window: &HostWindow) -> String {
    let mut kinds: Vec<_> = window.loss.0.iter().filter(|(_, count)| **count > 0).collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let kinds: Vec<String> =
        kinds.into_iter().map(|(kind, count)| format!("{kind} {}", format_count(*count as f64))).collect();
    if kinds.is_empty() { String::new() } else { format!("lost: {}", kinds.join(", ")) }
}

/// Collectors that do less than they could, by how they fare.
pub fn collectors(window: &HostWindow, with_reasons: bool) -> String {
    let name = |share: &CollectorShare| match &share.reason {
        Some(reason) if with_reasons => format!("{} ({reason})", share.name),
        _ => share.name.clone(),
    };
    let told = |state: ShareState| {
        let names: Vec<String> =
            window.collectors.iter().filter(|share| share.state == state).map(name).collect();
        if names.is_empty() { None } else { Some(format!("{}: {}", state.as_str(), names.join(", "))) }
    };
    let states = [ShareState::Reduced, ShareState::Paused, ShareState::Unavailable];
    states.into_iter().filter_map(told).collect::<Vec<_>>().join("; ")
}

/// Targets without a process.
pub fn missing(window: &HostWindow) -> String {
    if window.missing.is_empty() { String::new() } else { format!("missing: {}", window.missing.join(", ")) }
}

/// Time of day of a moment, in UTC.
pub fn clock(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000 % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_told_where_it_is_known() {
        let mut window = HostWindow::default();
        window.own.cpu_pct = 1.5;
        let unknown = own(&window, Facts::default());
        assert_eq!(unknown, ("own CPU 1.50%, RSS 0B, 0 probes".to_owned(), false));
        let known = Facts { budget_cpu_pct: Some(1.0), ..Facts::default() };
        assert_eq!(own(&window, known), ("own CPU 1.50% of 1.00%, RSS 0B, 0 probes".to_owned(), true));
    }

    #[test]
    fn times_of_day() {
        assert_eq!(clock(0), "00:00:00Z");
        assert_eq!(clock(1_767_225_599_999_999_999), "23:59:59Z");
    }
}
