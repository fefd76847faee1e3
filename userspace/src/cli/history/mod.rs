//! Ranges of the history `monitor` keeps, as `list`, `show`, `diff`, `report`, `export` and `prune` take them.

mod diff;
mod list;
mod prune;
mod range;

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use waytrace_model::monitor::TargetHistory;
use waytrace_store::Store;

use super::file::{Existing, NewFile};
use super::output::{print, print_json, width};

pub use diff::diff;
pub use list::list;
pub use prune::prune;
pub use range::{HEADING, Range, RangeArgs};

/// Reads a target's range.
///
/// # Errors
/// The store's: no such target, nothing in the range.
pub fn read(db: Option<&Path>, target: &str, range: Range) -> anyhow::Result<TargetHistory> {
    Ok(Store::open_existing(db)?.target_history(target, range.from_unix_ns, range.to_unix_ns)?)
}

/// `show TARGET --since`.
///
/// # Errors
/// As [`read`], or stdout cannot be written.
pub fn show(db: Option<&Path>, target: &str, range: Range, json: bool) -> anyhow::Result<()> {
    let history = read(db, target, range)?;
    if json { print_json(&history) } else { print(&waytrace_report::history::text(&history, width())) }
}

/// Formats a range can be exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A row for each step and metric.
    Csv,
    /// What `show --json` prints.
    Json,
}

/// `export TARGET --since`.
///
/// # Errors
/// As [`read`], or the place cannot be written.
pub fn export(
    db: Option<&Path>,
    target: &str,
    range: Range,
    format: Format,
    path: Option<&Path>,
) -> anyhow::Result<()> {
    let history = read(db, target, range)?;
    let write = |out: &mut dyn Write| -> anyhow::Result<()> {
        match format {
            Format::Csv => waytrace_report::history::csv(&history, &mut &mut *out)?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, &history)?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    };
    match path {
        Some(path) => {
            let mut file = NewFile::create(path, Existing::Replace)?;
            write(&mut file).with_context(|| path.display().to_string())?;
            file.finish()
        }
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            write(&mut out)?;
            out.flush().context("cannot write to stdout")
        }
    }
}

/// The error for an option that is of runs, beside `--since`.
///
/// # Errors
/// Always, if `is_given`.
pub fn refuse(is_given: bool, option: &str) -> anyhow::Result<()> {
    if is_given {
        bail!("{option} is of runs and sweeps, --since of the history; leave one of them out");
    }
    Ok(())
}
