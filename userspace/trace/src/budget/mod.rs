//! Allocations within a budget: probes are in place for short windows only.
//!
//! [`control`] runs on a thread of its own, decides when to probe and for how long, and leaves one sample per window;
//! this side turns samples into estimates through [`waytrace_analysis::duty`].

mod control;
mod past;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use waytrace_analysis::duty::{self, Factors, Run, Sample, Unusable};
use waytrace_hw::clock;
use waytrace_image::allocators::AllocatorMap;
use waytrace_model::allocation::{AllocationTotals, AllocationWindow, Mode};

use crate::Error;
use crate::calibrate::Costs;
use crate::collect::allocations::{Baseline, Scale, histogram};
use crate::kernel::{Kernel, TotalsReader};
use crate::probes::{Detail, Plan, Prober};
use control::CostRate;
use past::Observed;
pub use past::Past;

/// How far calibration may be off: the target's code is not ours, and its caches suffer from the traps too.
const CALIBRATION_SD_RATIO: f64 = 0.20;

/// One probing window, with when it was.
#[derive(Debug, Clone, Copy)]
struct Timed {
    start_ns: u64,
    end_ns: u64,
    sample: Sample,
}

/// What the windows have shown.
struct Seen {
    parts: Vec<Timed>,
    /// What traps cost in the target over what they cost in calibration, learnt from all parts.
    factors: Factors,
}

impl Default for Seen {
    fn default() -> Self {
        Self { parts: Vec::new(), factors: Factors::new(&[], CALIBRATION_SD_RATIO) }
    }
}

/// What both sides share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Seen>,
    plans: Mutex<HashMap<u32, Plan>>,
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_samples(&self) -> Vec<Sample> {
        samples_of(&self.seen().parts)
    }

    fn factors(&self) -> Factors {
        self.seen().factors
    }

    /// Adds a window's parts and learns from them.
    fn add(&self, parts: [Timed; 3]) -> Factors {
        let mut seen = self.seen();
        seen.parts.extend(parts);
        seen.factors = Factors::new(&samples_of(&seen.parts), CALIBRATION_SD_RATIO);
        seen.factors
    }

    fn plans(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Plan>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The budgeted side of a session.
pub struct Budgeted {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<CostRate, Error>>>,
    past: Past,
    totals: TotalsReader,
    names: Vec<String>,
    start: Moment,
    now: Moment,
    window: Moment,
}

/// A point in time, and the targets' CPU time up to it.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at_ns: u64,
    cpu_ns: u64,
}

/// What the budgeted side knows at the end.
pub struct Concluded {
    /// Totals.
    pub totals: AllocationTotals,
    /// What counted calls of a site are to be multiplied by.
    pub scale: Scale,
    /// Why there are no totals, as windows lost.
    pub unusable_windows: u64,
    /// What traps cost in the target over what they cost in calibration.
    pub factors: Factors,
    /// There were windows, and the target ran in none of them: as far as they tell, it called nothing.
    pub saw_it_never_run: bool,
    /// What is known now, for when this target is probed again.
    pub past: Past,
}

impl Budgeted {
    /// Starts the controller; `past` is what earlier ones have seen of the same target.
    ///
    /// # Errors
    /// When the totals cannot be read or no thread can be started.
    pub fn start(
        kernel: &mut Kernel,
        prober: Prober,
        maps: Vec<(u32, AllocatorMap)>,
        budget_pct: f64,
        costs: Costs,
        past: Past,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let mut names = Vec::new();
        for (tgid, map) in maps {
            let plan = Plan::new(&map, Detail::Counts);
            names.extend(plan.names.iter().cloned());
            shared.plans().insert(tgid, plan);
        }
        names.sort();
        names.dedup();
        let controller =
            control::Controller::new(kernel.totals_reader()?, prober, budget_pct, costs, past.rate);
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("budget".to_owned())
            .spawn(move || controller.run(&theirs))
            .map_err(Error::syscall("starting the budget controller"))?;
        let totals = kernel.totals_reader()?;
        let start = Moment { at_ns: clock::monotonic_ns(), cpu_ns: totals.target_cpu_ns()? };
        Ok(Self { shared, thread: Some(thread), past, names, totals, start, now: start, window: start })
    }

    /// Probes that are placed in the windows.
    pub fn probe_names(&self) -> &[String] {
        &self.names
    }

    /// The target has mapped something new, or is new.
    pub fn add(&mut self, tgid: u32, map: &AllocatorMap) {
        let plan = Plan::new(map, Detail::Counts);
        for name in &plan.names {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        self.shared.plans().insert(tgid, plan);
    }

    /// Estimated allocations and bytes so far.
    pub fn so_far(&self) -> (f64, f64) {
        match estimate(&self.shared.all_samples(), self.start, self.now, self.shared.factors()) {
            Ok(estimate) => (estimate.alloc_count.value, estimate.alloc_bytes.value),
            Err(_) => (0.0, 0.0),
        }
    }

    fn read_cpu(&mut self) {
        match self.totals.target_cpu_ns() {
            Ok(cpu_ns) => self.now = Moment { at_ns: clock::monotonic_ns(), cpu_ns },
            Err(error) => tracing::warn!("the target's CPU time cannot be read: {error}"),
        }
    }

    /// Estimates one window of the run; what no probe saw is null.
    pub fn close_window(&mut self, start_ns: u64, end_ns: u64) -> AllocationWindow {
        self.read_cpu();
        let from = std::mem::replace(&mut self.window, self.now);
        let within: Vec<Timed> = {
            let seen = self.shared.seen();
            let recent = seen.parts.iter().rev().take_while(|timed| timed.end_ns > start_ns);
            recent.filter(|timed| timed.start_ns < end_ns).copied().collect()
        };
        let samples = samples_of(&within);
        let probed_ns: u64 =
            within.iter().map(|timed| timed.end_ns.min(end_ns) - timed.start_ns.max(start_ns)).sum();
        let mut window = AllocationWindow {
            probed_ratio: probed_ns as f64 / (end_ns - start_ns).max(1) as f64,
            ..AllocationWindow::default()
        };
        if let Ok(estimate) = estimate(&samples, from, self.now, self.shared.factors()) {
            window.alloc_count = Some(estimate.alloc_count.value);
            window.alloc_bytes = Some(estimate.alloc_bytes.value);
            window.free_count = estimate.free_count.map(|total| total.value);
            window.freed_bytes = estimate.freed_bytes.map(|total| total.value);
        }
        window
    }

    /// Stops probing and estimates the run.
    pub fn finish(mut self, before: &Baseline, after: &Baseline) -> Concluded {
        self.stop();
        let turn = Observed {
            end_ns: self.now.at_ns,
            samples: self.shared.all_samples(),
            run: between(self.start, self.now),
        };
        for sample in &turn.samples {
            tracing::debug!(?sample, "window");
        }
        let estimated = self.past.estimate(&turn);
        let factors = estimated.map_or_else(|_| self.shared.factors(), |(_, factors)| factors);
        tracing::debug!(?factors, "traps in the target over calibration");
        let (from, to) = (&before.sums, &after.sums);
        let counted_count = (to.totals.alloc_count - from.totals.alloc_count) as f64;
        let counted_bytes = (to.totals.alloc_bytes - from.totals.alloc_bytes) as f64;
        let sized = to.totals.unsized_free_count == from.totals.unsized_free_count;
        let mut totals = AllocationTotals {
            mode: Some(Mode::Budgeted),
            mmap_bytes: to.maps.added_bytes - from.maps.added_bytes,
            munmap_bytes: to.maps.removed_bytes - from.maps.removed_bytes,
            probes: std::mem::take(&mut self.names),
            ..AllocationTotals::default()
        };
        let mut reasons =
            vec!["live, peak, temporaries and lifetimes need every call: use --exact".to_owned()];
        let mut scale = Scale::ONE;
        let (mut unusable_windows, mut saw_it_never_run) = (0, false);
        match estimated {
            Ok((estimate, _)) => {
                totals.alloc_count = Some(estimate.alloc_count.value);
                totals.alloc_bytes = Some(estimate.alloc_bytes.value);
                totals.free_count = estimate.free_count.map(|total| total.value);
                totals.freed_bytes = estimate.freed_bytes.filter(|_| sized).map(|total| total.value);
                totals.alloc_count_ci95_pct = finite(estimate.alloc_count.ci95_pct);
                totals.ci95_pct = finite(estimate.alloc_bytes.ci95_pct);
                scale.count = estimate.alloc_count.value / counted_count.max(1.0);
                scale.bytes = estimate.alloc_bytes.value / counted_bytes.max(1.0);
                if !sized {
                    reasons.push(
                        "freed_bytes: this allocator does not tell the size of a freed block".to_owned(),
                    );
                }
                if totals.ci95_pct.is_none() {
                    reasons.push("the 95 % interval needs more windows: run longer".to_owned());
                }
            }
            Err(unusable) => {
                unusable_windows = turn.samples.len() as u64;
                saw_it_never_run = unusable == Unusable::NoWindows && !turn.samples.is_empty();
                reasons.push(reason(unusable));
            }
        }
        totals.null_reason = Some(reasons.join("; "));
        totals.sizes = histogram(&before.sizes, &after.sizes);
        for bucket in &mut totals.sizes {
            bucket.count *= scale.count;
            bucket.bytes *= scale.bytes;
        }
        self.past.add(turn);
        Concluded {
            totals,
            scale,
            unusable_windows,
            factors,
            saw_it_never_run,
            past: std::mem::take(&mut self.past),
        }
    }

    /// Stops probing; no probe is left when it returns. The estimate is for the time up to the call.
    pub fn stop(&mut self) {
        if self.thread.is_some() {
            self.read_cpu();
        }
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            match thread.join() {
                Ok(Ok(rate)) => self.past.rate = rate,
                Ok(Err(error)) => tracing::warn!("probing ended early: {error}"),
                Err(_) => tracing::warn!("probing ended early: the controller panicked"),
            }
        }
    }
}

impl Drop for Budgeted {
    fn drop(&mut self) {
        self.stop();
    }
}

fn samples_of(parts: &[Timed]) -> Vec<Sample> {
    parts.iter().map(|timed| timed.sample).collect()
}

/// Estimates the time between two moments.
fn estimate(
    samples: &[Sample],
    from: Moment,
    to: Moment,
    factors: Factors,
) -> Result<duty::Estimate, Unusable> {
    duty::estimate(samples, between(from, to), factors)
}

fn between(from: Moment, to: Moment) -> Run {
    Run {
        cpu_ns: to.cpu_ns.saturating_sub(from.cpu_ns) as f64,
        elapsed_ns: to.at_ns.saturating_sub(from.at_ns) as f64,
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn reason(unusable: Unusable) -> String {
    match unusable {
        Unusable::NoWindows => {
            "totals: no probing window saw the target run; run longer, or raise --budget".to_owned()
        }
        Unusable::Swamped => {
            "totals: while probed, the target did little else than pay for the probes, so its own \
                              rate cannot be told; use --exact for a short time"
                .to_owned()
        }
    }
}
