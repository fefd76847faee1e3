//! `prune --history`: deletes the history older than an age, which a running monitor does by itself.

use std::path::Path;
use std::time::Duration;

use waytrace_model::units::format_bytes;
use waytrace_store::{HistoryPruned, Store, StoreError};

use super::super::output::{now_unix_ns, print, print_json};

/// Deletes what is older, or says what would go. Where there is no store there is nothing to delete.
///
/// # Errors
/// The store's, or stdout cannot be written.
pub fn prune(db: Option<&Path>, older_than: Duration, dry_run: bool, json: bool) -> anyhow::Result<()> {
    let before = now_unix_ns().saturating_sub(u64::try_from(older_than.as_nanos()).unwrap_or(u64::MAX));
    let pruned = match Store::open_existing_writable(db) {
        Ok(mut store) => store.prune_history(before, dry_run)?,
        Err(StoreError::Absent { .. }) => HistoryPruned { dry_run, ..HistoryPruned::default() },
        Err(error) => return Err(error.into()),
    };
    if json { print_json(&pruned) } else { print(&sentence(&pruned)) }
}

fn sentence(pruned: &HistoryPruned) -> String {
    if pruned.windows + pruned.minutes + pruned.hours == 0 {
        return "nothing to delete\n".to_owned();
    }
    let (deleted, freed) = if pruned.dry_run { ("would delete", "would free") } else { ("deleted", "freed") };
    format!(
        "{deleted} {} windows, {} minutes and {} hours of history, {freed} about {}\n",
        pruned.windows,
        pruned.minutes,
        pruned.hours,
        format_bytes(pruned.freed_bytes as f64)
    )
}
