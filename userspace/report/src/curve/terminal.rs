//! Curves in a terminal: a table with bands as numbers and as bars, what is read off, and what to be careful about.

use waytrace_model::sweep_curve::{CurvePoint, Estimate, SweepReport};
use waytrace_model::units::format_bytes;

use super::{Drawn, ipc, misses, number, readings, subtitle, title};
use crate::text::{cells, cut, plain, wrap};

/// Columns of a bar at most, and at least; in less it says nothing.
const BAR: (usize, usize) = (40, 10);

/// The sweep as lines of at most `width` columns where that leaves the table whole.
pub fn text(report: &SweepReport, width: usize) -> String {
    let mut lines = vec![plain(&title(report)), plain(&subtitle(report))];
    if !report.curves.ways.is_empty() {
        lines.push(String::new());
        lines.extend(table(report, width));
    }
    lines.push(String::new());
    lines.extend(readings(report).iter().flat_map(|line| wrapped(line, width)));
    lines.extend(report.curves.notes.iter().flat_map(|note| wrapped(&format!("note: {note}"), width)));
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn wrapped(line: &str, width: usize) -> Vec<String> {
    wrap(&plain(line), width.max(40))
}

fn table(report: &SweepReport, width: usize) -> Vec<String> {
    let (misses, ipc) = (misses(report), ipc(report));
    let mut columns: Vec<Vec<String>> = Vec::new();
    let mut column = |title: &str, cell: &dyn Fn(&CurvePoint) -> String| {
        columns.push(std::iter::once(title.to_owned()).chain(report.curves.ways.iter().map(cell)).collect());
    };
    column("WAYS", &|point| format!("{}{}", point.ways, if point.unsettled { "*" } else { "" }));
    column("BYTES", &|point| point.bytes.map_or_else(dash, |bytes| format_bytes(bytes as f64)));
    for drawn in [misses, ipc].into_iter().flatten() {
        column(&drawn.short.to_uppercase(), &|point| {
            (drawn.estimate)(point).map_or_else(dash, |own| number(own.value))
        });
        column("95 % BAND", &|point| band((drawn.estimate)(point)));
    }
    if misses.is_some_and(|drawn| drawn.short != "MPKI") {
        column("MPKI", &|point| point.mpki.map_or_else(dash, |own| number(own.value)));
    }
    if report.curves.ways.iter().any(|point| point.ipc_normalised.is_some()) {
        column("IPC NORM.", &|point| point.ipc_normalised.map_or_else(dash, |own| number(own.value)));
    }
    column("HELD", &|point| point.occupancy_bytes.map_or_else(dash, |own| format_bytes(own.value)));
    column("MEMORY/S", &|point| point.bandwidth_bytes_per_s.map_or_else(dash, |own| format_bytes(own.value)));
    column("N", &|point| point.windows.len().to_string());
    let widths: Vec<usize> =
        columns.iter().map(|column| column.iter().map(|cell| cells(cell)).max().unwrap_or(0)).collect();
    let used = widths.iter().map(|width| width + 2).sum::<usize>();
    let bars =
        misses.or(ipc).map(|drawn| bars(report, &drawn, width.saturating_sub(used))).unwrap_or_default();
    let line = |at: usize| {
        let cell = |(column, width): (&Vec<String>, &usize)| {
            let text = column.get(at).map_or("", String::as_str);
            format!("{}{text}  ", " ".repeat(width.saturating_sub(cells(text))))
        };
        let row: String = columns.iter().zip(&widths).map(cell).collect();
        row + bars.get(at).map_or("", String::as_str)
    };
    (0..=report.curves.ways.len()).map(line).collect()
}

fn dash() -> String {
    "-".to_owned()
}

fn band(estimate: Option<Estimate>) -> String {
    let band = estimate.and_then(|own| own.band());
    band.map_or_else(dash, |(low, high)| format!("{}–{}", number(low), number(high)))
}

/// A title, then for each number of ways a bar as long as its value, with `·` from there to where its band ends.
fn bars(report: &SweepReport, drawn: &Drawn, room: usize) -> Vec<String> {
    let room = room.min(BAR.0);
    let values = || report.curves.ways.iter().filter_map(drawn.estimate);
    let most = values().map(|own| own.value).fold(0.0, f64::max);
    if room < BAR.1 || most <= 0.0 {
        return Vec::new();
    }
    let at = |value: f64| ((value / most).clamp(0.0, 1.0) * room as f64).round() as usize;
    let bar = |point: &CurvePoint| {
        let Some(own) = (drawn.estimate)(point) else { return String::new() };
        let (full, to) = (at(own.value), own.band().map_or(0, |(_, high)| at(high)));
        format!("{}{}", "█".repeat(full), "·".repeat(to.saturating_sub(full)))
    };
    let title = cut(&format!("{} (to {})", drawn.short, number(most)), room);
    std::iter::once(title).chain(report.curves.ways.iter().map(bar)).collect()
}
