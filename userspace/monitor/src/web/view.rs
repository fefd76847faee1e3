//! What the live page and programs read as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use waytrace_model::monitor::{Alert, CollectorShare, HostWindow, Metric, OwnCost, TargetWindow};

use super::state::{HistoryState, HookState, Live, WebState};
use super::trails::{METRICS, Point};

/// Numbers of every row of the page, as they stand in the window.
const COLUMNS: [Metric; 12] = [
    Metric::Processes,
    Metric::Threads,
    Metric::Cpu,
    Metric::RunQueue,
    Metric::OffCpu,
    Metric::Rss,
    Metric::AllocCount,
    Metric::AllocBytes,
    Metric::MinorFaults,
    Metric::MajorFaults,
    Metric::LlcOccupancy,
    Metric::Overhead,
];

/// The last windows, whole, oldest first.
#[derive(Serialize)]
pub(super) struct Windows {
    windows: Vec<Shown>,
}

/// What serialises as the window it points to.
pub(super) struct Shown(Arc<HostWindow>);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

pub(super) fn windows(state: &WebState, count: usize) -> Windows {
    Windows { windows: state.live().windows(count).into_iter().map(Shown).collect() }
}

/// Alerts, newest first.
#[derive(Serialize)]
pub(super) struct Alerts {
    alerts: Vec<Alert>,
}

pub(super) fn alerts(state: &WebState) -> Alerts {
    Alerts { alerts: state.live().alerts().cloned().collect() }
}

/// The page's first screen. Absent numbers are `null`.
#[derive(Serialize)]
pub(super) struct Overview {
    version: String,
    started_unix_ns: u64,
    window_ns: u64,
    age_ns: u64,
    windows: u64,
    index: Option<u64>,
    start_unix_ns: u64,
    length_ns: u64,
    budget_cpu_pct: Option<f64>,
    budget_rss_bytes: Option<u64>,
    own: OwnCost,
    collectors: Vec<CollectorShare>,
    lost: BTreeMap<String, u64>,
    lost_since_start: BTreeMap<String, u64>,
    missing: Vec<String>,
    history: Option<HistoryState>,
    hooks: Vec<HookState>,
    alerts_active: usize,
    columns: [&'static str; COLUMNS.len()],
    trails: [&'static str; METRICS.len()],
    targets: Vec<Row>,
}

/// A target: its numbers by [`COLUMNS`], and the last windows of [`METRICS`], as rates, oldest first.
#[derive(Serialize)]
struct Row {
    target: String,
    values: [Option<f64>; COLUMNS.len()],
    trail: Vec<[Option<f32>; METRICS.len()]>,
}

pub(super) fn overview(state: &WebState, count: usize) -> Overview {
    let (silence, _) = state.silence();
    let about = state.about();
    let live = state.live();
    let last = live.last();
    let window = frame(last.as_deref());
    Overview {
        version: about.version.clone(),
        started_unix_ns: state.started_unix_ns(),
        window_ns: nanoseconds(about.window),
        age_ns: nanoseconds(silence),
        windows: live.totals.windows,
        index: last.as_ref().map(|window| window.index),
        start_unix_ns: window.start_unix_ns,
        length_ns: window.length_ns,
        budget_cpu_pct: about.budget_cpu_pct,
        budget_rss_bytes: about.budget_rss_bytes,
        own: window.own,
        collectors: window.collectors,
        lost: window.loss.0,
        lost_since_start: live.totals.loss.clone(),
        missing: window.missing,
        history: live.history.clone(),
        hooks: live.hooks.clone(),
        alerts_active: live.alerts().filter(|alert| alert.ended.is_none()).count(),
        columns: COLUMNS.map(Metric::name),
        trails: METRICS.map(Metric::name),
        targets: last
            .iter()
            .flat_map(|window| &window.targets)
            .map(|target| row(&live, target, count))
            .collect(),
    }
}

/// One target's last window, whole, with all that is remembered of its past.
#[derive(Serialize)]
pub(super) struct Detail {
    window: TargetWindow,
    index: u64,
    length_ns: u64,
    trails: [&'static str; METRICS.len()],
    trail: Vec<[Option<f32>; METRICS.len()]>,
    alerts: Vec<Alert>,
}

pub(super) fn target(state: &WebState, name: &str) -> Option<Detail> {
    let live = state.live();
    let last = live.last()?;
    let window = last.targets.iter().find(|target| target.target == name)?.clone();
    Some(Detail {
        window,
        index: last.index,
        length_ns: last.length_ns,
        trails: METRICS.map(Metric::name),
        trail: live.trails.of(name, usize::MAX).map(shown).collect(),
        alerts: live.alerts().filter(|alert| alert.target == name).cloned().collect(),
    })
}

fn row(live: &Live, target: &TargetWindow, count: usize) -> Row {
    Row {
        target: target.target.clone(),
        values: COLUMNS.map(|metric| target.values.get(metric)),
        trail: live.trails.of(&target.target, count).map(shown).collect(),
    }
}

fn shown(point: &Point) -> [Option<f32>; METRICS.len()] {
    point.map(|value| Some(value).filter(|value| value.is_finite()))
}

fn nanoseconds(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// The window without its targets, which may be thousands; an empty one where there is none.
fn frame(window: Option<&HostWindow>) -> HostWindow {
    let Some(window) = window else { return HostWindow::default() };
    HostWindow {
        targets: Vec::new(),
        missing: window.missing.clone(),
        collectors: window.collectors.clone(),
        loss: window.loss.clone(),
        own: window.own.clone(),
        ..*window
    }
}
