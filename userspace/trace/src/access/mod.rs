//! Memory accesses by forward walk: where a timer found a thread, what would it access next?
//!
//! ```text
//! timer of each thread ─► access_tick (kernel part): registers and the lines they point to ─► ACCESS_RING, which wakes
//!   worker (a thread): Space (what the process has mapped), LineCache (captured, then read from the process)
//!     └► waytrace_walk: emulate to the k-th next access, k drawn anew for each sample
//!          └► Access ─► session, which adds the block it lies in ─► Batch
//! ```
//!
//! A timer's interrupt is taken when the instruction that was being waited for is done, so what a sample finds is time,
//! and the access that took it is past. What comes *next* is computed from exact registers. With k uniform in 1..=K every
//! access of a loop of fewer than K has nearly the same chance, however long each of them takes: within a phase
//! samples are weighted by accesses. Between phases they stay weighted by time.
//!
//! The target is not stopped: by the time of the walk it is some tens of microseconds ahead, and memory that is not in
//! the capture is as it is then. [`check`] measures how often that, or a fault of the emulator, leads a walk astray.
//!
//! Reading memory may fault a page in. The walk reads what the target is about to read, so it has done so itself by then.

mod check;
mod code;
mod memory;
mod rate;
mod regions;
mod space;
mod worker;

use std::collections::{BTreeMap, HashMap};

use waytrace_hw::events::PerfAttr;
use waytrace_image::symbols::Symbolizer;
use waytrace_model::access::{Access, AccessTotals, Code, Source};
use waytrace_model::stack::Frame;

pub use rate::{RATES_HZ, Rate};

use crate::collect::thread_events::{ThreadEvents, Wanted};
use crate::kernel::Kernel;
use crate::{Error, clock};
use worker::{Walked, Worker};

/// The running sampler.
pub struct Accesses {
    events: ThreadEvents,
    worker: Worker,
    rate_hz: f64,
    tick_ns: f64,
}

/// Whom to sample.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// Processes.
    pub tgids: &'a [u32],
    /// Only this thread of theirs.
    pub only_tid: Option<u32>,
    /// Children of the processes too.
    pub follow_forks: bool,
}

/// What sampling costs on this machine, and how often it is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    rate_hz: f64,
    tick_ns: f64,
}

impl Pace {
    /// Measures what a tick costs. Captures it makes are those of this process.
    ///
    /// # Errors
    /// When the timer cannot be opened.
    pub fn calibrate(kernel: &mut Kernel, rate: Rate) -> Result<Self, Error> {
        let tick_ns = rate::calibrate(kernel)?;
        Ok(Self { rate_hz: rate.hz(tick_ns), tick_ns })
    }
}

impl Accesses {
    /// Starts sampling, in a kernel part that is aimed already.
    ///
    /// # Errors
    /// When the timers cannot be opened, or no thread can be started.
    pub fn start(
        kernel: &mut Kernel,
        pace: Pace,
        targets: Targets<'_>,
        start_ns: u64,
    ) -> Result<Self, Error> {
        let worker = Worker::start(kernel, start_ns)?;
        let attr = clock_event();
        let wanted = Wanted {
            program: "access_tick",
            attr: &attr,
            period: rate::period_ns(pace.rate_hz),
            tgids: targets.tgids,
            only_tid: targets.only_tid,
            follow_forks: targets.follow_forks,
        };
        let events = ThreadEvents::start(kernel, wanted)?;
        Ok(Self { events, worker, rate_hz: pace.rate_hz, tick_ns: pace.tick_ns })
    }

    /// What was resolved since the last time.
    pub fn take(&mut self) -> Vec<Access> {
        self.worker.take()
    }

    /// Tells that a process has mapped code anew, or runs another program.
    pub fn changed(&self, tgid: u32) {
        self.worker.changed(tgid);
    }

    /// Ends sampling, resolves what is left and names what was found.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn finish(self, kernel: &mut Kernel) -> Result<Finished, Error> {
        drop(self.events);
        let (rest, walked) = self.worker.finish();
        let ticks = kernel.access_ticks()?;
        let cost_ns = self.tick_ns * (ticks.user + ticks.kernel + ticks.dropped) as f64
            + f64::from(walked.checks.armed) * check::COST_NS;
        let code = names(&walked);
        let totals = AccessTotals {
            source: Source::ForwardWalk,
            rate_hz: Some(self.rate_hz),
            samples: walked.samples,
            kernel_samples: ticks.kernel,
            resolved: walked.resolved,
            unresolved: walked.unresolved.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            checked: walked.checks.compared,
            confirmed: walked.checks.confirmed,
            throttled: 0,
            regions: walked.regions,
            code,
            footprints: Vec::new(),
            null_reason: None,
        };
        tracing::debug!(
            rate_hz = self.rate_hz,
            tick_ns = self.tick_ns,
            ?ticks,
            armed = walked.checks.armed,
            "sampled"
        );
        tracing::debug!(samples = totals.samples, resolved = totals.resolved, unresolved = ?totals.unresolved, checked = totals.checked, confirmed = totals.confirmed, "walks");
        Ok(Finished { rest, totals, dropped: ticks.dropped, cost_ns })
    }
}

/// What a sampler leaves.
pub struct Finished {
    /// Accesses that were not taken yet.
    pub rest: Vec<Access>,
    /// Totals.
    pub totals: AccessTotals,
    /// Samples the ring had no room for.
    pub dropped: u64,
    /// CPU time it took from the targets, in nanoseconds.
    pub cost_ns: f64,
}

/// The timer: CPU time of a thread.
fn clock_event() -> PerfAttr {
    /// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_TASK_CLOCK` (include/uapi/linux/perf_event.h).
    const TASK_CLOCK: (u32, u64) = (1, 1);
    PerfAttr::new("task-clock", TASK_CLOCK.0, TASK_CLOCK.1)
}

/// Frames of all instructions that accessed memory.
fn names(walked: &Walked) -> Vec<Code> {
    let mut by_process: BTreeMap<u32, Vec<(u64, u32)>> = BTreeMap::new();
    for (&(tgid, ip), &id) in &walked.code {
        by_process.entry(tgid).or_default().push((ip, id));
    }
    let mut symbolizer = Symbolizer::default();
    let mut named = HashMap::new();
    for (tgid, mut places) in by_process {
        places.sort_unstable();
        let addresses: Vec<u64> = places.iter().map(|(ip, _)| *ip).collect();
        let Some(modules) = walked.modules.get(&tgid) else { continue };
        for ((ip, id), frames) in places.into_iter().zip(symbolizer.symbolise(modules, &addresses)) {
            let unknown = || vec![Frame { offset: ip, ..Frame::default() }];
            named.insert(id, if frames.is_empty() { unknown() } else { frames });
        }
    }
    let mut code: Vec<Code> = named.into_iter().map(|(id, frames)| Code { id, frames }).collect();
    code.sort_unstable_by_key(|code| code.id);
    code
}

/// Now, as captures tell the time.
fn now_ns() -> u64 {
    clock::monotonic_ns()
}
