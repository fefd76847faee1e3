//! What a series comes to: its cells as a table or as JSON.

use serde::Serialize;
use waytrace_analysis::spread::series::{Cell, Quantity, cells};
use waytrace_model::bench::{Repetition, SeriesHeader};
use waytrace_model::units::{format_bytes, format_ns};
use waytrace_store::{Series, SeriesId, time};

use super::super::output::{print, print_json, terminal_columns};
use super::super::table::{Table, left, right};

/// As `--json` prints it; docs/bench.md describes every field.
#[derive(Serialize)]
struct Report<'s> {
    id: SeriesId,
    started_at: String,
    #[serde(flatten)]
    header: &'s SeriesHeader,
    cells: Vec<Cell>,
    repetitions: &'s [Repetition],
}

/// Prints a series.
///
/// # Errors
/// stdout cannot be written.
pub fn show(series: &Series, json: bool) -> anyhow::Result<()> {
    let cells = cells(&series.header, &series.repetitions);
    if json {
        return print_json(&Report {
            id: series.id,
            started_at: time::rfc3339(series.header.started_at_unix_ns),
            header: &series.header,
            cells,
            repetitions: &series.repetitions,
        });
    }
    print(&table(&cells).render(terminal_columns().unwrap_or(usize::MAX)))
}

/// One line per cell and quantity.
fn table(cells: &[Cell]) -> Table {
    let mut columns = vec![left("WORKLOAD"), left("MODE"), left("OF"), right("N"), right("FAILED")];
    columns.extend(["MEDIAN", "AGAINST", "CI95", "MIN", "MAX", "MEAN", "STD"].map(right));
    columns.push(left("BASELINE"));
    let mut table = Table::new(columns);
    for cell in cells {
        let quantities = [
            ("wall", cell.wall_ns),
            ("user", cell.user_ns),
            ("system", cell.system_ns),
            ("max rss", cell.max_rss_bytes),
        ];
        for (name, quantity) in quantities {
            let format = if name == "max rss" { format_bytes } else { format_ns };
            let mut row = vec![cell.workload.clone(), cell.mode.clone(), name.to_owned()];
            row.extend([cell.n.to_string(), cell.failed.to_string()]);
            row.extend(numbers(quantity, format));
            row.push(cell.baseline.clone().unwrap_or_else(|| "-".to_owned()));
            table.row(&row);
        }
    }
    table
}

/// What is not known is `-`.
fn numbers(quantity: Option<Quantity>, format: fn(f64) -> String) -> [String; 7] {
    let none = || "-".to_owned();
    let spread = quantity.map(|quantity| quantity.spread);
    let ratio = quantity.and_then(|quantity| quantity.against_baseline);
    let interval = ratio.and_then(|ratio| Some((ratio.ci95_low?, ratio.ci95_high?)));
    let shown = |value: Option<f64>| value.map_or_else(none, format);
    [
        shown(spread.map(|spread| spread.median)),
        ratio.map_or_else(none, |ratio| format!("{:.3}x", ratio.ratio)),
        interval.map_or_else(none, |(low, high)| format!("{low:.3}-{high:.3}")),
        shown(spread.map(|spread| spread.min)),
        shown(spread.map(|spread| spread.max)),
        shown(spread.map(|spread| spread.mean)),
        shown(spread.and_then(|spread| spread.std)),
    ]
}
