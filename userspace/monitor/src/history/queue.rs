//! What waits to be written: bounded by number and by bytes, the oldest windows go first.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use waytrace_model::monitor::{Alert, HostWindow, ProcessWindow, Region, SiteRate, TargetWindow};
use waytrace_store::Retention;

/// Windows beyond these wait without their processes, which take most of the room.
const WHOLE: usize = 6;
/// Alerts that may wait.
const ALERTS: usize = 1000;

/// One thing to write.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A window.
    Window(Arc<HostWindow>),
    /// An alert.
    Alert(Box<Alert>),
}

impl Item {
    fn is_window(&self) -> bool {
        matches!(self, Self::Window(_))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Window(window) => bytes(window),
            Self::Alert(alert) => size_of::<Alert>() + alert.detail.len() + alert.when.len(),
        }
    }
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub windows: usize,
    pub bytes: usize,
}

/// What waits, and what could not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub items: u64,
    pub dropped: u64,
}

/// What the thread is woken for.
#[derive(Debug)]
pub(super) enum Wake {
    /// Something to write.
    Item(Item),
    /// The time is over that was waited for.
    Time,
    /// The monitor ends; what is not written at that moment is lost.
    Stop,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    bytes: usize,
    /// The thread has taken one that is not written yet.
    in_hand: bool,
    dropped: u64,
    retention: Option<Retention>,
    stop: Option<Instant>,
    is_over: bool,
}

/// The queue between the monitor and the thread that writes.
#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    inner: Mutex<Inner>,
    wake: Condvar,
    over: Condvar,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, inner: Mutex::default(), wake: Condvar::new(), over: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push_window(&self, window: Arc<HostWindow>) {
        let mut inner = self.lock();
        let window = if inner.items.len() >= WHOLE { Arc::new(without_processes(&window)) } else { window };
        inner.push(Item::Window(window));
        let windows = |inner: &Inner| inner.items.iter().filter(|item| item.is_window()).count();
        // The newest stays, however large it is.
        while windows(&inner) > 1
            && (windows(&inner) > self.bounds.windows || inner.bytes > self.bounds.bytes)
        {
            inner.drop_oldest(true);
        }
        drop(inner);
        self.wake.notify_one();
    }

    pub(super) fn push_alert(&self, alert: Alert) {
        let mut inner = self.lock();
        if inner.items.iter().filter(|item| !item.is_window()).count() >= ALERTS {
            inner.drop_oldest(false);
        }
        inner.push(Item::Alert(Box::new(alert)));
        drop(inner);
        self.wake.notify_one();
    }

    pub(super) fn waiting(&self) -> Waiting {
        let inner = self.lock();
        Waiting { items: inner.items.len() as u64 + u64::from(inner.in_hand), dropped: inner.dropped }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    /// Takes the oldest, which counts as waiting until [`Self::done`].
    pub(super) fn next(&self, timeout: Duration) -> Wake {
        let (mut inner, _) = self
            .wake
            .wait_timeout_while(self.lock(), timeout, |inner| inner.items.is_empty() && inner.stop.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match inner.items.pop_front() {
            Some(item) => {
                inner.bytes = inner.bytes.saturating_sub(item.bytes());
                inner.in_hand = true;
                Wake::Item(item)
            }
            None if inner.stop.is_some() => Wake::Stop,
            None => Wake::Time,
        }
    }

    /// What was taken is written, or given up.
    pub(super) fn done(&self) {
        self.lock().in_hand = false;
    }

    /// Waits, unless the monitor ends.
    pub(super) fn pause(&self, time: Duration) {
        let waited = self.wake.wait_timeout_while(self.lock(), time, |inner| inner.stop.is_none());
        drop(waited);
    }

    pub(super) fn set_retention(&self, retention: Retention) {
        self.lock().retention = Some(retention);
    }

    pub(super) fn new_retention(&self) -> Option<Retention> {
        self.lock().retention.take()
    }

    /// When the monitor ends, if it does.
    pub(super) fn stops_at(&self) -> Option<Instant> {
        self.lock().stop
    }

    pub(super) fn stop(&self, deadline: Instant) {
        self.lock().stop.get_or_insert(deadline);
        self.wake.notify_all();
    }

    /// Stops, and waits until the thread has ended or the time is over. Gives back what remains.
    pub(super) fn finish(&self, deadline: Instant) -> u64 {
        self.stop(deadline);
        let left = deadline.saturating_duration_since(Instant::now());
        let (inner, _) = self
            .over
            .wait_timeout_while(self.lock(), left, |inner| !inner.is_over)
            .unwrap_or_else(PoisonError::into_inner);
        inner.items.len() as u64 + u64::from(inner.in_hand)
    }

    /// The thread has ended.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.over.notify_all();
    }
}

impl Inner {
    fn push(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.bytes());
        self.items.push_back(item);
    }

    fn drop_oldest(&mut self, window: bool) {
        let Some(at) = self.items.iter().position(|item| item.is_window() == window) else { return };
        if let Some(item) = self.items.remove(at) {
            self.bytes = self.bytes.saturating_sub(item.bytes());
            self.dropped += u64::from(window);
        }
    }
}

/// About what a window takes in memory.
fn bytes(window: &HostWindow) -> usize {
    let of_target = |target: &TargetWindow| {
        size_of::<TargetWindow>()
            + target
                .processes
                .iter()
                .map(|one| size_of::<ProcessWindow>() + 48 * one.threads.len())
                .sum::<usize>()
            + target.sites.iter().map(|site| size_of::<SiteRate>() + site.name.len()).sum::<usize>()
            + target.regions.iter().map(|region| size_of::<Region>() + region.name.len()).sum::<usize>()
            + target.absent.iter().map(|(name, why)| 64 + name.len() + why.len()).sum::<usize>()
            + 8 * target.sizes.len()
    };
    size_of::<HostWindow>()
        + 200 * window.collectors.len()
        + window.targets.iter().map(of_target).sum::<usize>()
}

fn without_processes(window: &HostWindow) -> HostWindow {
    let slim = |target: &TargetWindow| TargetWindow {
        target: target.target.clone(),
        values: target.values,
        absent: target.absent.clone(),
        processes: Vec::new(),
        alloc_mode: target.alloc_mode,
        sites: target.sites.clone(),
        sizes: target.sizes.clone(),
        regions: target.regions.clone(),
    };
    HostWindow {
        targets: window.targets.iter().map(slim).collect(),
        missing: window.missing.clone(),
        collectors: window.collectors.clone(),
        loss: window.loss.clone(),
        own: window.own.clone(),
        ..*window
    }
}
