//! What was watched over an interval, as JSON, as lines, and as a picture of the whole that is drawn anew.

use waytrace_hw::rdt::Monitored;
use waytrace_model::cache::CacheId;
use waytrace_model::cache_report::Interface;
use waytrace_model::cache_watch::{
    SCHEMA_VERSION, WatchCache, WatchMissing, WatchRow, WatchSample, WatchSource,
};
use waytrace_model::units::format_bytes;
use waytrace_occupancy::{LOCAL, OCCUPANCY, Row, TOTAL};

use super::super::super::output::{now_unix_ns, plain};
use super::super::super::table::{Table, left, right};

/// The interval as data.
pub fn sample(rows: &[Row], interval_ns: u64, interface: Interface, simulated: bool) -> WatchSample {
    WatchSample {
        schema_version: SCHEMA_VERSION,
        at_unix_ns: now_unix_ns(),
        interval_ns,
        interface,
        simulated,
        rows: rows.iter().map(row).collect(),
    }
}

fn row(row: &Row) -> WatchRow {
    WatchRow {
        kind: row.target.kind(),
        target: row.target.name(),
        ended: row.ended,
        sources: row
            .sources
            .iter()
            .map(|source| {
                let (class, group) = match &source.whom {
                    Monitored::Class(class) => (class.clone(), None),
                    Monitored::Group { class, name } => (class.clone(), Some(name.clone())),
                };
                WatchSource { class, group, own: source.own, others: source.others }
            })
            .collect(),
        caches: row.sources.caches().into_iter().map(|id| cache(row, id)).collect(),
    }
}

/// The sum over all sources, of which none may be missing.
fn cache(row: &Row, id: CacheId) -> WatchCache {
    let mut missing = Vec::new();
    let mut sum = |event: &str| match row.sources.value(event, id) {
        Ok(bytes) => Some(bytes),
        Err(reason) => {
            missing.push(WatchMissing { event: event.to_owned(), reason });
            None
        }
    };
    let (held, total, local) = (sum(OCCUPANCY), sum(TOTAL), sum(LOCAL));
    WatchCache {
        id,
        llc_occupancy_bytes: held,
        mbm_total_bytes: total,
        mbm_local_bytes: local,
        mbm_remote_bytes: total.zip(local).map(|(total, local)| total.saturating_sub(local)),
        missing,
    }
}

/// Occupancy and bandwidths of a cache, in words.
fn cells(cache: &WatchCache, interval_ns: u64) -> [String; 4] {
    let why = |event: &str| {
        let missing = cache.missing.iter().find(|missing| missing.event == event);
        missing.map_or("", |missing| missing.reason.word()).to_owned()
    };
    let rate = |bytes: Option<u64>, event: &str| match bytes {
        Some(bytes) => {
            format!("{}/s", format_bytes(bytes as f64 * 1e9 / interval_ns.max(1) as f64))
        }
        None => why(event),
    };
    // What remote lacks is either of the two.
    let remote = if cache.mbm_total_bytes.is_none() { TOTAL } else { LOCAL };
    [
        cache.llc_occupancy_bytes.map_or_else(|| why(OCCUPANCY), |bytes| format_bytes(bytes as f64)),
        rate(cache.mbm_total_bytes, TOTAL),
        rate(cache.mbm_local_bytes, LOCAL),
        rate(cache.mbm_remote_bytes, remote),
    ]
}

/// What one should know to read a row.
fn note(row: &WatchRow) -> String {
    let shared = row.sources.iter().filter(|source| !source.own && source.others > 0);
    let shared: Vec<String> = shared
        .filter_map(|source| {
            let group = source.group.as_ref()?;
            Some(format!("with {} others of {}/{group}", source.others, source.class))
        })
        .collect();
    let ended = row.ended.then(|| "ended".to_owned());
    shared.into_iter().chain(ended).collect::<Vec<_>>().join("; ")
}

fn name(row: &WatchRow) -> String {
    use waytrace_model::cache_watch::WatchKind::{Class, Cpus, Group, Pid};
    match row.kind {
        Class | Group => row.target.clone(),
        Pid => format!("pid {}", row.target),
        Cpus => format!("CPUs {}", row.target),
    }
}

/// The whole as a table.
pub fn table(sample: &WatchSample, width: usize) -> String {
    let columns = ["OCCUPANCY", "TOTAL", "LOCAL", "REMOTE"].map(right);
    let mut table = Table::new(
        [left("TARGET"), right("CACHE")].into_iter().chain(columns).chain([left("NOTE")]).collect(),
    );
    for row in &sample.rows {
        if row.caches.is_empty() {
            table.row(&[
                name(row),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                note(row),
            ]);
        }
        for (number, cache) in row.caches.iter().enumerate() {
            let is_first = number == 0;
            let mut cells_of = vec![if is_first { name(row) } else { String::new() }, cache.id.to_string()];
            cells_of.extend(cells(cache, sample.interval_ns));
            cells_of.push(if is_first { note(row) } else { String::new() });
            table.row(&cells_of);
        }
    }
    table.render(width)
}

/// Titles of [`lines`].
pub fn title(simulated: bool) -> String {
    let simulated = if simulated { "simulated host: figures of no machine\n" } else { "" };
    format!(
        "{simulated}{:>8}  {:<20}  {:>5}  {:>11}  {:>12}  {:>12}  {:>12}  NOTE\n",
        "TIME", "TARGET", "CACHE", "OCCUPANCY", "TOTAL", "LOCAL", "REMOTE"
    )
}

/// A line for each target and cache, that can be searched and cut.
pub fn lines(sample: &WatchSample, since_start_s: f64) -> String {
    let mut text = String::new();
    for row in &sample.rows {
        for cache in &row.caches {
            let [held, total, local, remote] = cells(cache, sample.interval_ns);
            let line = format!(
                "{since_start_s:>7.1}s  {:<20}  {:>5}  {held:>11}  {total:>12}  {local:>12}  {remote:>12}  {}",
                plain(&name(row)),
                cache.id,
                plain(&note(row))
            );
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}
