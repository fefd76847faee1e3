//! `list --since`: targets with anything in a range, their alerts, and what watching cost.

use std::path::Path;

use waytrace_model::monitor::{HistoryOverview, Metric, TargetOverview};
use waytrace_model::units::{format_bytes, format_ns};
use waytrace_report::history::{alerts, quantity, span, time};
use waytrace_store::Store;

use super::super::output::{plain, print, print_json, terminal_columns};
use super::super::table::{Table, left, right};
use super::range::Range;

/// Columns of a target.
const METRICS: [(&str, Metric); 7] = [
    ("CPU", Metric::Cpu),
    ("RSS", Metric::Rss),
    ("RUN QUEUE", Metric::RunQueue),
    ("ALLOCATED", Metric::AllocBytes),
    ("FAULTS", Metric::MinorFaults),
    ("THREADS", Metric::Threads),
    ("OVERHEAD", Metric::Overhead),
];
/// Processes told one by one.
const PROCESSES: usize = 20;

/// Prints the overview.
///
/// # Errors
/// The store's, or stdout cannot be written.
pub fn list(db: Option<&Path>, range: Range, json: bool) -> anyhow::Result<()> {
    let store = Store::open_existing(db)?;
    let overview = store.history_overview(range.from_unix_ns, range.to_unix_ns)?;
    if json {
        return print_json(&overview);
    }
    print(&text(&overview, terminal_columns().unwrap_or(usize::MAX)))
}

fn text(overview: &HistoryOverview, columns: usize) -> String {
    let range = &overview.range;
    let mut text = format!("{}\n", span(range, range.windows));
    let gaps: Vec<String> = range
        .gaps
        .iter()
        .take(6)
        .map(|gap| {
            let length = format_ns(gap.to_unix_ns.saturating_sub(gap.from_unix_ns) as f64);
            format!("{} for {length}", time(gap.from_unix_ns))
        })
        .collect();
    if !gaps.is_empty() {
        let more = range.gaps.len().saturating_sub(gaps.len());
        let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
        text.push_str(&format!("not watched: {}{rest}\n", gaps.join(", ")));
    }
    text.push('\n');
    text.push_str(&targets(&overview.targets).render(columns));
    if !overview.processes.is_empty() {
        text.push('\n');
        text.push_str(&processes(overview).render(columns));
        let more = overview.processes.len().saturating_sub(PROCESSES);
        if more > 0 {
            text.push_str(&format!("and {more} more; --json tells all\n"));
        }
    }
    text.push('\n');
    for line in alerts(&overview.alerts) {
        text.push_str(&format!("{line}\n"));
    }
    for (kind, count) in &overview.loss {
        text.push_str(&format!("lost: {count} {}\n", plain(kind)));
    }
    for one in &overview.collectors {
        let total: u64 = one.state_ns.values().sum();
        let full = one.state_ns.get("full").copied().unwrap_or(0);
        if full < total {
            let states: Vec<String> =
                one.state_ns.iter().map(|(state, ns)| format!("{state} {}", format_ns(*ns as f64))).collect();
            let why = one.reason.as_deref().map_or_else(String::new, |why| format!(": {}", plain(why)));
            text.push_str(&format!("{}: {}{why}\n", plain(&one.name), states.join(", ")));
        }
    }
    let own = format_bytes(overview.own_rss_bytes);
    text.push_str(&format!("waytrace itself: {:.2} % of a CPU, {own}\n", overview.own_cpu_pct));
    text
}

fn targets(targets: &[TargetOverview]) -> Table {
    let mut columns =
        vec![left("TARGET"), right("MEASURED"), right("MISSING"), right("PROCESSES"), right("ALERTS")];
    columns.extend(METRICS.map(|(name, _)| right(name)));
    let mut table = Table::new(columns);
    for one in targets {
        let missing = if one.missing_ns > 0 { format_ns(one.missing_ns as f64) } else { "-".to_owned() };
        let mut cells = vec![
            one.target.clone(),
            format_ns(one.covered_ns as f64),
            missing,
            one.processes.to_string(),
            one.alerts.to_string(),
        ];
        cells.extend(METRICS.map(|(_, metric)| {
            one.means.get(metric).map_or_else(|| "-".to_owned(), |mean| quantity(metric, mean))
        }));
        table.row(&cells);
    }
    table
}

fn processes(overview: &HistoryOverview) -> Table {
    let columns = ["PID", "COMMAND", "TARGET", "FIRST SEEN (UTC)", "LAST SEEN"];
    let mut table = Table::new(columns.map(left).to_vec());
    for one in overview.processes.iter().take(PROCESSES) {
        let (first, last) = (time(one.first_seen_unix_ns), time(one.last_seen_unix_ns));
        table.row(&[one.pid.to_string(), one.comm.clone(), one.target.clone(), first, last]);
    }
    table
}
