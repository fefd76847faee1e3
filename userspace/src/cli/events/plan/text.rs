//! A plan for a reader: how many runs, how few there can be and why, and on demand what each counts.

use waytrace_model::units::format_ns;

use super::super::super::output::plain;
use super::super::super::table::{Table, left, right};
use super::{Group, Placed, Report, Run};

/// The plan as text.
pub fn render(report: &Report, with_runs: bool) -> String {
    let runs = report.runs.len();
    let mut text = format!("{}: {} events, from {}\n", report.cpu, report.events, report.source);
    let noun = if runs == 1 { "run" } else { "runs" };
    text += &format!("{runs} {noun}; lower bound {} ({})", report.lower_bound, gap(report));
    text += &format!("; planned in {:.0} ms\n", report.planning_time_ms);
    if let Some(once_ns) = report.run_time_ns {
        let all_ns = once_ns as f64 * runs as f64;
        text += &format!("{runs} {noun} of {} take {}\n", format_ns(once_ns as f64), format_ns(all_ns));
    }
    if report.counted_again > 0 {
        text += &format!("{} counted again beside what they are kept together with\n", report.counted_again);
    }
    for set in &report.together {
        text += &format!("run {} has {} together: {}\n", set.run, plain(&set.name), set.events.join(", "));
    }
    for set in &report.separated {
        let reason = report.not_together.iter().find(|one| one.name == *set).map(|one| one.reason.as_str());
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        text += &format!("cannot be counted in one run, so they are not: {}{}\n", plain(set), plain(&reason));
    }
    let columns = [right("EVENTS"), right("RUNS"), right("BOUND"), left("WHY NOT FEWER")];
    let mut table = Table::new(std::iter::once(left("PMU")).chain(columns).collect());
    for unit in &report.units {
        let figures = [unit.events, unit.runs, unit.lower_bound].map(|number| number.to_string());
        let cells: Vec<String> =
            std::iter::once(unit.pmu.clone()).chain(figures).chain([unit.certificate.clone()]).collect();
        table.row(&cells);
    }
    text += &format!("\n{}", table.render(usize::MAX));
    if !report.unplaceable.is_empty() {
        text += "\nIn no run:\n";
        for one in &report.unplaceable {
            text += &format!("  {}: {}\n", one.name, one.reason);
        }
    }
    if with_runs {
        for (number, run) in (1..).zip(&report.runs) {
            text += &format!("\nRun {number}\n{}", counted(run));
        }
    }
    text
}

/// How far the plan is from the bound.
fn gap(report: &Report) -> String {
    match report.runs.len().saturating_sub(report.lower_bound) {
        0 => "no fewer are possible".to_owned(),
        more => format!("{more} more, {:.1} %", more as f64 * 100.0 / report.lower_bound.max(1) as f64),
    }
}

fn counted(run: &Run) -> String {
    let place = |placed: &Placed| match &placed.counter {
        Some(counter) => format!("{} on {counter}", placed.name),
        None => placed.name.clone(),
    };
    let line = |group: &Group| {
        format!("  {}: {}\n", group.pmu, group.events.iter().map(place).collect::<Vec<_>>().join(", "))
    };
    run.groups.iter().map(line).collect()
}
