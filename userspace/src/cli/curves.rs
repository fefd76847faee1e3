//! Way sweeps of the store as `list`, `show`, `report` and `export` give them.

use std::path::Path;

use anyhow::{Context, bail};
use waytrace_model::sweep::EndReason;
use waytrace_model::sweep_curve::{SCHEMA_VERSION, SweepReport};
use waytrace_model::units::format_ns;
use waytrace_report::curve::datamime;
use waytrace_store::{SeriesId, Store, StoredSweep, SweepRow};

use super::file::{Existing, NewFile};
use super::output::{print, print_json, say, width};
use super::table::{Table, left, right};

/// A stored sweep with what follows from it.
///
/// # Errors
/// The store's.
pub fn report(store: &Store, id: SeriesId) -> anyhow::Result<SweepReport> {
    Ok(derived(store.sweep_by_id(id)?))
}

/// A sweep with what follows from it.
pub fn derived(sweep: StoredSweep) -> SweepReport {
    let curves = waytrace_analysis::curve::curves(&sweep.header, &sweep.points);
    let StoredSweep { id, header, points, end } = sweep;
    SweepReport { schema_version: SCHEMA_VERSION, id: id.0, sweep: header, end, curves, points }
}

/// Prints a sweep.
///
/// # Errors
/// stdout cannot be written.
pub fn show(report: &SweepReport, json: bool) -> anyhow::Result<()> {
    if json { print_json(report) } else { print(&waytrace_report::curve::text(report, width())) }
}

/// Sweeps as a table, in the order given.
pub fn table(rows: &[SweepRow]) -> Table {
    let mut columns = vec![left("SWEEP"), left("STARTED (UTC)"), right("LENGTH"), left("ENDED BY")];
    columns.extend([
        left("TARGET"),
        right("PID"),
        left("CACHE"),
        right("WAYS"),
        right("SWEEPS"),
        right("POINTS"),
    ]);
    let mut table = Table::new(columns);
    for row in rows {
        table.row(&[
            row.name.clone(),
            row.started_at.get(..19).unwrap_or(&row.started_at).replace('T', " "),
            format_ns(row.elapsed_ns as f64),
            ended(row),
            row.comm.clone(),
            row.pid.to_string(),
            format!("{}{}", row.resource, if row.simulated { " (simulated)" } else { "" }),
            row.ways.to_string(),
            row.sweeps.to_string(),
            row.points.to_string(),
        ]);
    }
    table
}

fn ended(row: &SweepRow) -> String {
    let word = match row.ended_by {
        None => "unfinished",
        Some(EndReason::Completed) => "completed",
        Some(EndReason::Guard) => "guard",
        Some(EndReason::Interrupted) => "interrupt",
        Some(EndReason::TargetExited) => "target-exit",
        Some(EndReason::Disturbed) => "disturbed",
        Some(EndReason::Failed) => "failed",
    };
    let left = if row.restored == Some(false) { ", not all restored" } else { "" };
    format!("{word}{left}")
}

/// Writes a sweep into a directory in the layout of Datamime's profiler, and says what that cannot hold.
///
/// # Errors
/// The layout cannot hold the sweep at all, or the directory cannot be written.
pub fn to_datamime(report: &SweepReport, directory: &Path) -> anyhow::Result<()> {
    let is_safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '+');
    let header: String = report.sweep.name.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    let header = header.trim_start_matches(['.', '-']);
    let written = match datamime::files(report, if header.is_empty() { "sweep" } else { header }) {
        Ok(written) => written,
        Err(why) => bail!("{why}"),
    };
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for (name, content) in &written.files {
        let path = directory.join(name);
        let mut file = NewFile::create(&path, Existing::Replace)?;
        std::io::Write::write_all(&mut file, content.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.finish()?;
    }
    say(&format!("wrote {} files into {}", written.files.len(), directory.display()));
    written.notes.iter().for_each(|note| say(note));
    Ok(())
}
