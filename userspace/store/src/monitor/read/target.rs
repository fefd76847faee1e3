//! One target over a range.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use waytrace_model::monitor::{
    Fold, Gap, GapReason, HISTORY_SCHEMA_VERSION, Metric, MetricHistory, Point, RegionTotal, SiteTotal, Step,
    TargetHistory,
};

use super::super::fold::{Numbers, add_buckets};
use super::super::{alerts, columns};
use super::cover::{Cover, cover};
use super::lists::{self, Amounts, Named};

const SITES: &str =
    "SELECT name_id, alloc_count, alloc_bytes FROM monitor_site WHERE window_id = ?1 AND target_id = ?2";
const REGIONS: &str =
    "SELECT name_id, samples, stores FROM monitor_region WHERE window_id = ?1 AND target_id = ?2";

/// Sums while rows are read.
#[derive(Debug, Default)]
struct Sums {
    numbers: Numbers,
    points: Vec<Point>,
    absent: Option<i64>,
    sizes: Vec<f64>,
    sites: Amounts,
    regions: Amounts,
    /// Rows without the target: times it had no process.
    without: Vec<Gap>,
}

/// The target of that number and name; `None`: nothing was stored in the range.
pub(super) fn history(
    connection: &Connection,
    (id, name): (i64, &str),
    range: (u64, u64),
) -> rusqlite::Result<Option<TargetHistory>> {
    let Some(cover) = cover(connection, range, Step::Window)? else { return Ok(None) };
    let range = (cover.range.from_unix_ns, cover.range.to_unix_ns);
    let sums = sums(connection, id, &cover)?;
    let absent = match sums.absent.map(|id| lists::name(connection, id)).transpose()?.flatten() {
        Some(json) => serde_json::from_str(&json).unwrap_or_default(),
        None => BTreeMap::new(),
    };
    let metrics = metrics(&sums);
    let alloc_ns = sums.numbers.covered_ns[Metric::AllocBytes.index()];
    let samples = sums.numbers.values.get(Metric::Samples).unwrap_or(0.0);
    Ok(Some(TargetHistory {
        schema_version: HISTORY_SCHEMA_VERSION,
        target: name.to_owned(),
        covered_ns: sums.numbers.length_ns,
        windows: sums.numbers.windows,
        gaps: merged(&cover.range.gaps, sums.without),
        range: cover.range,
        metrics,
        absent,
        sites: sites(sums.sites.largest(connection, |(_, bytes)| bytes)?, alloc_ns),
        sizes: sums.sizes,
        regions: regions(sums.regions.largest(connection, |(samples, _)| samples)?, samples),
        processes: lists::processes(connection, range, Some(id))?,
        alerts: alerts::in_range(connection, range, Some(name))?,
        points: sums.points,
    }))
}

fn sums(connection: &Connection, id: i64, cover: &Cover) -> rusqlite::Result<Sums> {
    let mut sums = Sums::default();
    let mut select = connection
        .prepare_cached("SELECT * FROM monitor_target_window WHERE window_id = ?1 AND target_id = ?2")?;
    for (window, host) in &cover.rows {
        let row = select.query_row([*window, id], |row| {
            Ok((columns::numbers(row)?, columns::sizes(row)?, columns::target_and_absent(row)?.1))
        });
        let Some((numbers, sizes, absent)) = row.optional()? else {
            let why = GapReason::NoProcess;
            sums.without.push(Gap { from_unix_ns: host.first_unix_ns, to_unix_ns: host.last_unix_ns, why });
            continue;
        };
        let step = Step::of_ns(host.step_ns).unwrap_or_default();
        sums.points.push(numbers.point(host.start_unix_ns, step));
        sums.numbers.add(&numbers);
        sums.absent = absent.or(sums.absent);
        add_buckets(&mut sums.sizes, &sizes);
        sums.sites.add(connection, SITES, (*window, id))?;
        sums.regions.add(connection, REGIONS, (*window, id))?;
    }
    Ok(sums)
}

fn metrics(sums: &Sums) -> Vec<MetricHistory> {
    let whole = sums.numbers.point(0, Step::Window);
    let one = |(metric, value): (Metric, f64)| {
        let rates = || sums.points.iter().filter_map(|point| point.rate(metric));
        let (unit, fold) = MetricHistory::words(metric);
        Some(MetricHistory {
            metric,
            unit: unit.to_owned(),
            fold: fold.to_owned(),
            mean: whole.rate(metric)?,
            min: rates().fold(f64::INFINITY, f64::min),
            max: rates().fold(f64::NEG_INFINITY, f64::max),
            total: (metric.fold() == Fold::Sum).then_some(value),
            covered_ns: whole.covered_ns(metric),
        })
    };
    sums.numbers.values.iter().filter_map(one).collect()
}

fn sites(amounts: Vec<Named>, measured_ns: u64) -> Vec<SiteTotal> {
    let seconds = measured_ns.max(1) as f64 / 1e9;
    amounts
        .into_iter()
        .map(|(name, (alloc_count, alloc_bytes))| SiteTotal {
            name,
            alloc_count,
            alloc_bytes,
            bytes_per_s: alloc_bytes / seconds,
        })
        .collect()
}

fn regions(amounts: Vec<Named>, samples: f64) -> Vec<RegionTotal> {
    let all = amounts.iter().map(|(_, (samples, _))| samples).sum::<f64>().max(samples);
    let ratio = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
    amounts
        .into_iter()
        .map(|(name, (samples, stores))| RegionTotal {
            name,
            share_ratio: ratio(samples, all),
            store_ratio: ratio(stores, samples),
        })
        .collect()
}

/// Both kinds of gaps in order; those without a process that follow each other are one.
fn merged(not_watched: &[Gap], without: Vec<Gap>) -> Vec<Gap> {
    let mut all: Vec<Gap> = not_watched.iter().copied().chain(without).collect();
    all.sort_by_key(|gap| (gap.from_unix_ns, gap.to_unix_ns));
    let mut merged: Vec<Gap> = Vec::new();
    for gap in all {
        match merged.last_mut() {
            Some(last) if last.why == gap.why && near(last, &gap) => {
                last.to_unix_ns = last.to_unix_ns.max(gap.to_unix_ns);
            }
            _ => merged.push(gap),
        }
    }
    merged
}

fn near(one: &Gap, next: &Gap) -> bool {
    let length_ns = next.to_unix_ns.saturating_sub(next.from_unix_ns);
    next.from_unix_ns <= one.to_unix_ns.saturating_add((length_ns / 2).max(1_000_000_000))
}
