//! The target of a run and its threads.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;
use waytrace_model::counter::EventInfo;
use waytrace_model::report::{TargetReport, ThreadReport};

use super::allocations::ThreadAllocations;
use super::counters::{Sums, thread_totals};
use super::list::RunRow;
use crate::store::RunId;

/// The target without its threads.
pub(super) fn target(connection: &Connection, run: RunId) -> rusqlite::Result<TargetReport> {
    let sql = "SELECT tgid, comm, cmdline, exe, build_id FROM run WHERE id = ?1";
    connection.query_row(sql, [run.0], |row| {
        Ok(TargetReport {
            tgid: row.get("tgid")?,
            comm: row.get("comm")?,
            cmdline: row.get("cmdline")?,
            exe: row.get("exe")?,
            build_id: row.get("build_id")?,
            threads: Vec::new(),
        })
    })
}

/// Every thread announced or counted, busiest first: by CPU time, else by the first event there is.
pub(super) fn threads(
    connection: &Connection,
    row: &RunRow,
    events: &[EventInfo],
    sums: &Sums,
    allocations: Option<&HashMap<u32, ThreadAllocations>>,
) -> rusqlite::Result<Vec<ThreadReport>> {
    let mut known: BTreeMap<u32, (u32, String)> =
        super::rows(connection, row.id, "SELECT tid, tgid, comm FROM thread WHERE run_id = ?1", |row| {
            Ok((row.get("tid")?, (row.get("tgid")?, row.get("comm")?)))
        })?
        .into_iter()
        .collect();
    for tid in sums.by_thread.keys() {
        known.entry(*tid).or_insert_with(|| (row.tgid, String::new()));
    }
    let mut threads: Vec<ThreadReport> = known
        .into_iter()
        .map(|(tid, (tgid, comm))| {
            let counters = sums.by_thread.get(&tid).map(|sums| thread_totals(events, sums));
            let made = allocations.map(|by_thread| by_thread.get(&tid).copied().unwrap_or_default());
            ThreadReport {
                tgid,
                tid,
                comm,
                counters: counters.unwrap_or_default(),
                alloc_count: made.map(|made| made.alloc_count),
                alloc_bytes: made.map(|made| made.alloc_bytes),
            }
        })
        .collect();
    let busy_by = busy_event(events);
    threads.sort_by_key(|thread| (std::cmp::Reverse(activity(thread, busy_by)), thread.tid));
    Ok(threads)
}

fn busy_event(events: &[EventInfo]) -> Option<&str> {
    let named = |name: &str| events.iter().find(|event| event.name.starts_with(name));
    named("task-clock").or_else(|| named("cpu-clock")).or(events.first()).map(|event| event.name.as_str())
}

fn activity(thread: &ThreadReport, event: Option<&str>) -> u64 {
    let counter = thread.counters.iter().find(|counter| Some(counter.event.as_str()) == event);
    counter.and_then(|counter| counter.value).unwrap_or(0)
}
