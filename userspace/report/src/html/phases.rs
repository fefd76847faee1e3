//! Phases as a table: each thread's number of them, how long they lasted, what they counted. Needs no JavaScript.

use std::collections::BTreeMap;

use waytrace_model::counter::{EventInfo, Unit};
use waytrace_model::phase::{Phase, PhaseReading};
use waytrace_model::report::{PhaseTotals, ThreadReport};

use crate::markup::escape;
use crate::terminal::format_value;

/// Threads that have a row; those with most phases come first.
const THREADS_MAX: usize = 64;

/// The link to the section; nothing where no phases were asked for.
pub fn link(rule: Option<&PhaseTotals>) -> &'static str {
    if rule.is_some() { "<a href=\"#phases\">Phases</a>" } else { "" }
}

/// The section; nothing where no phases were asked for.
pub fn section(
    rule: Option<&PhaseTotals>,
    phases: &[Phase],
    events: &[EventInfo],
    threads: &[ThreadReport],
) -> String {
    let Some(rule) = rule else { return String::new() };
    let period = format_value(rule.period as f64, rule.unit);
    let intro = format!(
        "{} phases of {period} {} each. Lengths and events are medians over a thread's phases.",
        rule.count,
        escape(&rule.event)
    );
    let mut html = format!("<section id=\"phases\"><h2>Phases</h2>\n<p class=\"note\">{intro}</p>\n");
    let mut by_tid: BTreeMap<u32, Vec<&Phase>> = BTreeMap::new();
    for phase in phases {
        by_tid.entry(phase.tid).or_default().push(phase);
    }
    let mut rows: Vec<(u32, Vec<&Phase>)> = by_tid.into_iter().collect();
    rows.sort_by_key(|(_, own)| std::cmp::Reverse(own.len()));
    if !rows.is_empty() {
        html += &table(&rows, events, threads);
    }
    if rows.len() > THREADS_MAX {
        html += &format!(
            "<p class=\"note\">{} threads with fewer are not shown.</p>\n",
            rows.len() - THREADS_MAX
        );
    }
    html + "</section>"
}

fn table(rows: &[(u32, Vec<&Phase>)], events: &[EventInfo], threads: &[ThreadReport]) -> String {
    let counted: Vec<(u16, &EventInfo)> = (0..)
        .zip(events)
        .filter(|(event, _)| readings(rows.iter().flat_map(|(_, own)| own), *event).next().is_some())
        .collect();
    let heads = ["Thread", "Phases", "Lost", "Elapsed", "On a CPU"].map(str::to_owned).into_iter();
    let heads = heads.chain(counted.iter().map(|(_, info)| escape(&info.name)));
    let heads: String = heads.map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    let mut html =
        format!("<div class=\"scroll\"><table class=\"phases\">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n");
    for (tid, own) in rows.iter().take(THREADS_MAX) {
        let comm = threads.iter().find(|thread| thread.tid == *tid).map_or("", |thread| &thread.comm);
        let ns = |of: fn(&Phase) -> u64| value(own.iter().map(|phase| of(phase)), Unit::Ns);
        let cells = [
            escape(format!("{comm} {tid}").trim_start()),
            own.len().to_string(),
            lost(own).to_string(),
            ns(|phase| phase.end_ns.saturating_sub(phase.start_ns)),
            ns(|phase| phase.cpu_ns),
        ];
        let of_event = |(event, info): &(u16, &EventInfo)| event_cell(own, *event, info);
        let cells = cells.into_iter().chain(counted.iter().map(of_event));
        let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).collect();
        html += &format!("<tr>{cells}</tr>\n");
    }
    html + "</tbody></table></div>\n"
}

/// Phases missing between the thread's first and last.
fn lost(own: &[&Phase]) -> u64 {
    let indices = || own.iter().map(|phase| phase.index);
    let span = indices().max().unwrap_or(0).saturating_sub(indices().min().unwrap_or(0)).saturating_add(1);
    span.saturating_sub(own.len() as u64)
}

/// An event's readings in phases, as far as it counted there.
fn readings<'a>(
    phases: impl Iterator<Item = &'a &'a Phase>,
    event: u16,
) -> impl Iterator<Item = &'a PhaseReading> {
    let of_event = move |reading: &&PhaseReading| reading.event == event && reading.time_running_ns > 0;
    phases.flat_map(|phase| &phase.readings).filter(of_event)
}

fn event_cell(own: &[&Phase], event: u16, info: &EventInfo) -> String {
    let median = value(readings(own.iter(), event).map(|reading| reading.value), info.unit);
    let is_part = |reading: &PhaseReading| reading.time_running_ns < reading.time_enabled_ns;
    let multiplexed = readings(own.iter(), event).any(is_part);
    let mark = if multiplexed {
        " <abbr title=\"counted only part of the time, not scaled up\">*</abbr>"
    } else {
        ""
    };
    format!("{median}{mark}")
}

/// The middle value (the upper of two), or that there is none.
fn value(values: impl Iterator<Item = u64>, unit: Unit) -> String {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values
        .get(values.len() / 2)
        .map_or_else(|| "not counted".to_owned(), |&value| format_value(value as f64, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> PhaseTotals {
        PhaseTotals {
            event: "task-clock".to_owned(),
            unit: Unit::Ns,
            period: 20_000_000,
            count: 3,
            cpu_ns: 60_000_000,
        }
    }

    fn phase(tid: u32, index: u64, value: u64, time_running_ns: u64) -> Phase {
        let reading =
            |event, time_running_ns| PhaseReading { event, value, time_enabled_ns: 9, time_running_ns };
        let readings = vec![reading(0, time_running_ns), reading(1, 0)];
        Phase { tid, index, start_ns: index * 1_000, end_ns: index * 1_000 + 5_000, cpu_ns: 3_000, readings }
    }

    #[test]
    fn a_thread_has_a_row_with_the_middle_of_its_phases() {
        let events = ["<cycles>", "never"].map(|name| EventInfo { name: name.to_owned(), unit: Unit::Count });
        let thread = |tid, comm: &str| ThreadReport {
            tgid: 1,
            tid,
            comm: comm.to_owned(),
            counters: Vec::new(),
            alloc_count: None,
            alloc_bytes: None,
        };
        let phases = [phase(7, 0, 5, 3), phase(8, 2, 90, 9), phase(8, 3, 20, 9), phase(8, 6, 30, 9)];
        let html = section(Some(&rule()), &phases, &events, &[thread(8, "<b>"), thread(7, "aux")]);
        assert!(html.contains("3 phases of 20.0ms task-clock each"), "{html}");
        let rows: Vec<&str> = html.lines().filter(|line| line.starts_with("<tr><td>")).collect();
        assert_eq!(
            rows[0],
            "<tr><td>&lt;b&gt; 8</td><td>3</td><td>2</td><td>5.00us</td><td>3.00us</td><td>30</td></tr>"
        );
        assert!(rows[1].starts_with("<tr><td>aux 7</td><td>1</td><td>0</td>"), "{html}");
        assert!(rows[1].contains("<td>5 <abbr") && rows.len() == 2, "multiplexed is marked: {html}");
        assert!(html.contains("&lt;cycles&gt;</th>") && !html.contains("never"), "{html}");
    }

    #[test]
    fn without_phases_there_is_no_table_and_unasked_no_section() {
        assert!(!section(Some(&rule()), &[], &[], &[]).contains("<table"));
        assert_eq!((section(None, &[], &[], &[]), link(None)), (String::new(), ""));
    }

    #[test]
    fn many_threads_are_cut_and_said() {
        let phases: Vec<Phase> = (0..70).map(|tid| phase(tid, 0, 1, 9)).collect();
        let html = section(Some(&rule()), &phases, &[], &[]);
        assert_eq!(html.matches("<tr><td>").count(), THREADS_MAX);
        assert!(html.contains("6 threads with fewer are not shown"), "{html}");
    }
}
