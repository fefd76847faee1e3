//! What the HTTP side knows: the last windows, sums since the start, alerts, and how the other parts fare.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use waytrace_model::monitor::{Alert, HostWindow};

use super::lines::LinesState;
use super::totals::Totals;
use super::trails::{LENGTH, Trails};

/// What whole windows may take, as estimated by [`size`]; the last one is kept in any case.
const KEPT_BYTES: usize = 8 << 20;
/// Alerts that have ended and are still told.
const ENDED_ALERTS: usize = 200;
/// Alerts that hold and are told.
const ACTIVE_ALERTS: usize = 1_000;

/// What does not change while it runs.
#[derive(Debug, Clone)]
pub struct About {
    /// Version of the program.
    pub version: String,
    /// Length of a window.
    pub window: Duration,
    /// Ceiling of waytrace's CPU time, percent of one CPU.
    pub budget_cpu_pct: Option<f64>,
    /// Ceiling of its resident memory.
    pub budget_rss_bytes: Option<u64>,
    /// Targets with metrics of their own ([`super::WebConfig::max_targets`]).
    pub max_targets: usize,
}

/// How the history fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HistoryState {
    /// Windows written since the start.
    pub written: u64,
    /// Windows that wait to be written.
    pub waiting: u64,
    /// Windows given up since the start.
    pub dropped: u64,
    /// Writes that failed since the start.
    pub errors: u64,
    /// Size of the store.
    pub bytes: u64,
    /// Why the last write failed; `None` once one has succeeded.
    pub trouble: Option<String>,
}

/// How a hook fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HookState {
    /// Its name.
    pub name: String,
    /// Alerts told since the start.
    pub sent: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Alerts given up since the start.
    pub dropped: u64,
    /// Alerts that wait.
    pub waiting: u64,
}

/// Shared by whoever publishes and whoever asks; clones are the same state.
#[derive(Clone)]
pub struct WebState(Arc<Inner>);

struct Inner {
    about: About,
    started: Instant,
    started_unix_ns: u64,
    live: Mutex<Live>,
    pub(super) http: Http,
    pub(super) push: Push,
}

/// What windows change.
pub(super) struct Live {
    kept: VecDeque<(Arc<HostWindow>, usize)>,
    kept_bytes: usize,
    published: Option<Instant>,
    pub(super) totals: Totals,
    pub(super) trails: Trails,
    alerts: VecDeque<Alert>,
    /// Alerts since the start, by rule.
    pub(super) alerts_begun: BTreeMap<String, u64>,
    pub(super) history: Option<HistoryState>,
    pub(super) hooks: Vec<HookState>,
    pub(super) lines: Option<LinesState>,
}

/// Requests and connections.
#[derive(Default)]
pub(super) struct Http {
    pub(super) connections: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) broken: AtomicU64,
    pub(super) codes: Mutex<BTreeMap<u16, u64>>,
    pub(super) profiles: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

/// What was sent to a collector of profiles.
#[derive(Default)]
pub(super) struct Push {
    pub(super) is_configured: std::sync::atomic::AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) is_failing: std::sync::atomic::AtomicBool,
}

impl WebState {
    /// The state before the first window.
    pub fn new(about: About) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let live = Live {
            kept: VecDeque::new(),
            kept_bytes: 0,
            published: None,
            totals: Totals::new(about.max_targets),
            trails: Trails::default(),
            alerts: VecDeque::new(),
            alerts_begun: BTreeMap::new(),
            history: None,
            hooks: Vec::new(),
            lines: None,
        };
        Self(Arc::new(Inner {
            about,
            started: Instant::now(),
            started_unix_ns: u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX),
            live: Mutex::new(live),
            http: Http::default(),
            push: Push::default(),
        }))
    }

    /// Takes the next window, once each.
    pub fn publish(&self, window: Arc<HostWindow>) {
        let mut live = self.live();
        live.published = Some(Instant::now());
        live.totals.add(&window);
        live.trails.add(&window);
        let bytes = size(&window);
        live.kept_bytes += bytes;
        live.kept.push_back((window, bytes));
        while live.kept.len() > LENGTH || (live.kept.len() > 1 && live.kept_bytes > KEPT_BYTES) {
            let Some((_, bytes)) = live.kept.pop_front() else { break };
            live.kept_bytes -= bytes;
        }
    }

    /// Takes an alert as it is now: again when it ends, or its recording is there. Known by rule, target and beginning.
    pub fn set_alert(&self, alert: Alert) {
        let mut live = self.live();
        let is_same = |other: &Alert| {
            (&other.rule, &other.target, other.began_unix_ns)
                == (&alert.rule, &alert.target, alert.began_unix_ns)
        };
        if let Some(known) = live.alerts.iter_mut().find(|known| is_same(known)) {
            *known = alert;
        } else {
            *live.alerts_begun.entry(alert.rule.clone()).or_default() += 1;
            live.alerts.push_front(alert);
        }
        let (mut active, mut ended) = (0, 0);
        live.alerts.retain(|alert| {
            let (count, most) = match alert.ended {
                None => (&mut active, ACTIVE_ALERTS),
                Some(_) => (&mut ended, ENDED_ALERTS),
            };
            *count += 1;
            *count <= most
        });
    }

    /// Takes how the history fares.
    pub fn set_history(&self, history: HistoryState) {
        self.live().history = Some(history);
    }

    /// Takes how hooks fare.
    pub fn set_hooks(&self, hooks: Vec<HookState>) {
        self.live().hooks = hooks;
    }

    /// Takes how windows as lines fare ([`super::JsonLines::state`]).
    pub fn set_lines(&self, lines: LinesState) {
        self.live().lines = Some(lines);
    }

    /// The last window.
    pub fn last(&self) -> Option<Arc<HostWindow>> {
        self.live().last()
    }

    pub(super) fn about(&self) -> &About {
        &self.0.about
    }

    pub(super) fn started_unix_ns(&self) -> u64 {
        self.0.started_unix_ns
    }

    /// Time since the last window, or since the start where there was none.
    pub(super) fn silence(&self) -> (Duration, bool) {
        let published = self.live().published;
        (published.unwrap_or(self.0.started).elapsed(), published.is_some())
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn http(&self) -> &Http {
        &self.0.http
    }

    pub(super) fn push(&self) -> &Push {
        &self.0.push
    }
}

impl Live {
    pub(super) fn last(&self) -> Option<Arc<HostWindow>> {
        self.kept.back().map(|(window, _)| Arc::clone(window))
    }

    /// The last `count` windows that are kept, oldest first.
    pub(super) fn windows(&self, count: usize) -> Vec<Arc<HostWindow>> {
        let skipped = self.kept.len().saturating_sub(count);
        self.kept.iter().skip(skipped).map(|(window, _)| Arc::clone(window)).collect()
    }

    /// Newest first.
    pub(super) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter()
    }
}

impl Http {
    pub(super) fn count_answer(&self, code: u16) {
        *self.codes.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    pub(super) fn count_profile(&self, kind: &'static str, result: &'static str) {
        *self.profiles.lock().unwrap_or_else(PoisonError::into_inner).entry((kind, result)).or_default() += 1;
    }
}

/// Adds one; nothing else is ordered by it.
pub(super) fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Roughly what a window takes of memory.
fn size(window: &HostWindow) -> usize {
    let targets = window.targets.iter().map(|target| {
        let threads: usize = target.processes.iter().map(|process| process.threads.len() * 56).sum();
        let sites: usize = target.sites.iter().map(|site| 40 + site.name.len()).sum();
        let absent: usize = target.absent.iter().map(|(key, reason)| 64 + key.len() + reason.len()).sum();
        size_of_val(target)
            + target.processes.len() * 560
            + threads
            + sites
            + absent
            + target.sizes.len() * 8
            + target.regions.len() * 64
    });
    size_of_val(window) + targets.sum::<usize>() + window.missing.len() * 48 + window.collectors.len() * 160
}

#[cfg(test)]
mod tests {
    use super::*;
    use waytrace_model::monitor::{AlertEnd, ProcessWindow, TargetWindow};

    fn state() -> WebState {
        let window = Duration::from_secs(10);
        let (budget_cpu_pct, budget_rss_bytes) = (None, None);
        WebState::new(About {
            version: "0".into(),
            window,
            budget_cpu_pct,
            budget_rss_bytes,
            max_targets: 10,
        })
    }

    #[test]
    fn windows_are_kept_by_number_and_by_size() {
        let state = state();
        for index in 0..500 {
            state.publish(Arc::new(HostWindow { index, ..HostWindow::default() }));
        }
        let kept = state.live().windows(usize::MAX);
        assert_eq!((kept.len(), kept[0].index), (LENGTH, 500 - LENGTH as u64));
        assert_eq!(state.live().windows(2).iter().map(|w| w.index).collect::<Vec<_>>(), [498, 499]);

        let target =
            TargetWindow { processes: vec![ProcessWindow::default(); 64], ..TargetWindow::default() };
        let large = Arc::new(HostWindow { targets: vec![target; 1_000], ..HostWindow::default() });
        state.publish(Arc::clone(&large));
        assert_eq!(state.live().windows(usize::MAX).len(), 1, "the last one stays, however large");
    }

    #[test]
    fn an_alert_is_told_once_as_it_is_now() {
        let state = state();
        let begun = |began_unix_ns| Alert { rule: "leak".into(), began_unix_ns, ..Alert::default() };
        state.set_alert(begun(1));
        state.set_alert(Alert { ended: Some(AlertEnd { at_unix_ns: 9 }), ..begun(1) });
        assert_eq!(state.live().alerts().count(), 1);
        assert_eq!(state.live().alerts_begun["leak"], 1);
        for began in 2..2_000 {
            state.set_alert(Alert { ended: Some(AlertEnd::default()), ..begun(began) });
        }
        assert_eq!(state.live().alerts().count(), ENDED_ALERTS);
        assert_eq!(state.live().alerts().next().unwrap().began_unix_ns, 1_999);
    }
}
