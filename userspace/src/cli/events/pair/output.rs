//! What a series of pairs comes to: a matrix per configuration, as a table, JSON, CSV and a heat map.

use std::path::Path;

use serde::Serialize;
use waytrace_analysis::pairing::{PairCell, cells};
use waytrace_model::pairing::{PairHeader, PairRun};
use waytrace_model::units::format_ns;
use waytrace_report::interference::{Cell, csv, svg};
use waytrace_store::{PairSeries, time};

use crate::cli::file::{Existing, NewFile};
use crate::cli::output::{print, print_json, say, terminal_columns};
use crate::cli::table::{Table, left, right};

/// As `--json` prints it; docs/events.md describes every field.
#[derive(Serialize)]
struct Report<'s> {
    schema_version: u32,
    started_at: String,
    #[serde(flatten)]
    header: &'s PairHeader,
    cells: Vec<PairCell>,
    runs: &'s [PairRun],
}

/// Where else the matrix goes.
#[derive(Debug, clap::Args)]
pub struct Files {
    /// Write the matrix as CSV, a row per pair.
    #[arg(long, value_name = "FILE")]
    csv: Option<std::path::PathBuf>,
    /// Draw the matrix as a heat map.
    #[arg(long, value_name = "FILE")]
    svg: Option<std::path::PathBuf>,
}

/// Prints the matrix, and writes it to the files asked for.
///
/// # Errors
/// stdout or a file cannot be written.
pub fn show(series: &PairSeries, files: &Files, json: bool) -> anyhow::Result<()> {
    let cells = cells(&series.header, &series.runs);
    let drawn: Vec<Cell> = cells.iter().map(drawn).collect();
    if let Some(path) = &files.csv {
        write(path, |out| csv(&drawn, out))?;
    }
    if let Some(path) = &files.svg {
        write(path, |out| svg(&series.header.name, &drawn, out))?;
    }
    if json {
        return print_json(&Report {
            schema_version: 1,
            started_at: time::rfc3339(series.header.started_at_unix_ns),
            header: &series.header,
            cells,
            runs: &series.runs,
        });
    }
    print(&table(&cells).render(terminal_columns().unwrap_or(usize::MAX)))
}

fn write(
    path: &Path,
    render: impl FnOnce(&mut NewFile) -> Result<(), waytrace_report::Error>,
) -> anyhow::Result<()> {
    let mut file = NewFile::create(path, Existing::Replace)?;
    render(&mut file)?;
    file.finish()?;
    say(&format!("wrote {}", path.display()));
    Ok(())
}

fn drawn(cell: &PairCell) -> Cell {
    let ratio = cell.slowdown;
    Cell {
        configuration: cell.configuration.clone(),
        program: cell.program.clone(),
        antagonist: cell.antagonist.clone(),
        runs: [cell.n, cell.failed],
        wall_ns: cell.wall_ns.map(|spread| spread.median),
        slowdown: ratio.map(|ratio| ratio.ratio),
        ci95: ratio.and_then(|ratio| Some([ratio.ci95_low?, ratio.ci95_high?])),
        restarts: cell.restarts,
    }
}

/// One line per pair; what is not known is `-`.
fn table(cells: &[PairCell]) -> Table {
    let mut columns = ["CONFIGURATION", "PROGRAM", "BESIDE"].map(left).to_vec();
    columns.extend(["SLOWDOWN", "CI95", "MEDIAN", "STD", "N", "FAILED", "RESTARTS"].map(right));
    let mut table = Table::new(columns);
    let none = || "-".to_owned();
    for cell in cells {
        let interval = cell.slowdown.and_then(|ratio| Some((ratio.ci95_low?, ratio.ci95_high?)));
        table.row(&[
            cell.configuration.clone(),
            cell.program.clone(),
            cell.antagonist.clone().unwrap_or_else(|| "(alone)".to_owned()),
            cell.slowdown.map_or_else(none, |ratio| format!("{:.3}x", ratio.ratio)),
            interval.map_or_else(none, |(low, high)| format!("{low:.3}-{high:.3}")),
            cell.wall_ns.map_or_else(none, |spread| format_ns(spread.median)),
            cell.wall_ns.and_then(|spread| spread.std).map_or_else(none, format_ns),
            cell.n.to_string(),
            cell.failed.to_string(),
            cell.restarts.to_string(),
        ]);
    }
    table
}
