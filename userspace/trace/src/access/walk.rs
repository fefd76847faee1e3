//! The running walk: timers of the targets' threads, the worker they wake, and the pace that keeps both within a budget.

use waytrace_abi::access::Ticks;
use waytrace_hw::events::PerfAttr;
use waytrace_model::access::{AccessTotals, Source};

use super::draw::SAMPLES_PER_WALK;
use super::rate::{self, Rate, TickCost};
use super::worker::{Sampled, Worker};
use super::{Targets, check};
use crate::Error;
use crate::collect::thread_events::{ThreadEvents, Wanted};
use crate::kernel::Kernel;

/// Captures after which it is looked at what they cost.
const LEAST_CAPTURES: u64 = 64;

/// The running walk.
pub struct Walk {
    events: ThreadEvents,
    pub(super) worker: Worker,
    pace: Pace,
    before: Ticks,
    /// Ticks when it was last looked at what they cost, and how long the targets had waited for walks by then.
    looked: (Ticks, u64),
    /// Ticks up to the last change of pace, in those of the first.
    weighted: u64,
    /// Ticks at that change.
    paced: Ticks,
}

/// What sampling costs on this machine, and how often it is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    rate: Rate,
    /// Ticks a second, before they are thinned.
    first_hz: f64,
    cost: TickCost,
}

impl Pace {
    /// The same machine, sampled so often.
    pub fn at(self, rate: Rate) -> Self {
        Self { rate, first_hz: rate.walks_hz(self.cost.full_ns), ..self }
    }

    /// Ticks that did not come although the targets used so much CPU time: the kernel held them back
    /// (`perf_event_max_sample_rate`), or threads ended before their first. Up to a tenth is within what threads begin
    /// and end with.
    fn held_back(&self, taken: u64, cpu_ns: u64) -> u64 {
        let expected = (cpu_ns as f64 / 1e9 * self.first_hz) as u64;
        let missing = expected.saturating_sub(taken);
        if missing * 10 > expected.max(LEAST_CAPTURES) { missing } else { 0 }
    }

    /// Measures what a tick costs. Captures it makes are those of this process.
    ///
    /// # Errors
    /// When the timer cannot be opened.
    pub fn calibrate(kernel: &mut Kernel, rate: Rate) -> Result<Self, Error> {
        let cost = rate::calibrate(kernel)?;
        Ok(Self { rate, first_hz: rate.walks_hz(cost.full_ns), cost })
    }
}

impl Walk {
    /// Starts the worker and the timers.
    ///
    /// # Errors
    /// When the timers cannot be opened, or no thread can be started.
    pub fn start(
        kernel: &mut Kernel,
        pace: Pace,
        targets: Targets<'_>,
        start_ns: u64,
    ) -> Result<Self, Error> {
        let walk_ns = pace.rate.walk_ns(pace.first_hz);
        let worker = Worker::start(kernel, targets.tgids, pace.first_hz, walk_ns, start_ns)?;
        let before = kernel.access_ticks()?;
        let events = start_events(kernel, pace.first_hz, targets)?;
        Ok(Self { events, worker, pace, before, looked: (before, 0), weighted: 0, paced: before })
    }

    /// Samples more rarely, or less, if ticks turn out to cost other than they did on our own thread: in the target they
    /// find colder caches, and it may have to wait for walks.
    ///
    /// # Errors
    /// When the timers cannot be opened anew.
    pub fn keep_pace(&mut self, kernel: &mut Kernel, targets: Targets<'_>) -> Result<(), Error> {
        let ticks = kernel.access_ticks()?;
        let held_up_ns = self.worker.held_up_ns();
        let (looked, held_up_then_ns) = self.looked;
        let captures = ticks.user - looked.user;
        if captures < LEAST_CAPTURES {
            return Ok(());
        }
        let counted = captures + ticks.kernel - looked.kernel;
        let taken_ns = ticks.capture_ns - looked.capture_ns + held_up_ns - held_up_then_ns;
        let tick_ns = self.pace.cost.bare_ns + taken_ns as f64 / counted as f64;
        self.looked = (ticks, held_up_ns);
        let thinning = self.pace.rate.thinning(self.pace.first_hz, tick_ns);
        if thinning != self.worker.weight() {
            tracing::debug!(tick_ns, thinning, "the pace changes");
            self.weighted +=
                u64::from(self.worker.weight()) * (counted_ticks(&ticks) - counted_ticks(&self.paced));
            self.paced = ticks;
            // The old timers go first: two at a time would be paid for twice.
            self.events = ThreadEvents::default();
            self.worker.set_weight(thinning);
            self.events = start_events(kernel, self.pace.first_hz / f64::from(thinning), targets)?;
        }
        Ok(())
    }

    /// Accesses not taken yet, totals, samples dropped, and CPU time taken from the targets in nanoseconds.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn finish(
        self,
        kernel_part: &mut Kernel,
        cpu_ns: u64,
    ) -> Result<(Vec<Sampled>, AccessTotals, u64, f64), Error> {
        drop(self.events);
        let (weight, held_up_ns) = (self.worker.weight(), self.worker.held_up_ns());
        let (rest, walked) = self.worker.finish();
        let walked_checks = walked.checks;
        let ticks = kernel_part.access_ticks()?;
        let taken = self.weighted + u64::from(weight) * (counted_ticks(&ticks) - counted_ticks(&self.paced));
        let [user, kernel, dropped, capture_ns] = [
            ticks.user - self.before.user,
            ticks.kernel - self.before.kernel,
            ticks.dropped - self.before.dropped,
            ticks.capture_ns - self.before.capture_ns,
        ];
        let cost_ns = self.pace.cost.bare_ns * (user + kernel + dropped) as f64
            + (capture_ns + held_up_ns + walked.checks_held_up_ns) as f64
            + f64::from(walked.checks.armed) * check::COST_NS;
        let (regions, code) = walked.places.conclude();
        let per_walk = u64::from(SAMPLES_PER_WALK);
        let totals = AccessTotals {
            source: Source::ForwardWalk,
            rate_hz: Some(self.pace.first_hz / f64::from(weight) * f64::from(SAMPLES_PER_WALK)),
            samples: walked.samples,
            kernel_samples: kernel * per_walk,
            resolved: walked.resolved,
            unresolved: walked.unresolved.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            checked: walked.checks.compared,
            confirmed: walked.checks.confirmed,
            throttled: self.pace.held_back(taken, cpu_ns) * per_walk,
            regions,
            code,
            footprints: Vec::new(),
            null_reason: None,
        };
        tracing::debug!(pace = ?self.pace, ?ticks, held_up_ns, cost_ns, checks = ?walked_checks, "sampled");
        tracing::debug!(totals.samples, totals.resolved, unresolved = ?totals.unresolved, totals.checked, totals.confirmed, "walks");
        Ok((rest, totals, dropped * per_walk + walked.dropped, cost_ns))
    }
}

fn counted_ticks(ticks: &Ticks) -> u64 {
    ticks.user + ticks.kernel + ticks.dropped
}

fn start_events(kernel: &mut Kernel, hz: f64, targets: Targets<'_>) -> Result<ThreadEvents, Error> {
    let attr = clock_event();
    let wanted = Wanted {
        program: "access_tick",
        attr: &attr,
        period: rate::period_ns(hz),
        tgids: targets.tgids,
        only_tid: targets.only_tid,
        follow_forks: targets.follow_forks,
    };
    ThreadEvents::start(kernel, wanted)
}

/// The timer: CPU time of a thread.
pub fn clock_event() -> PerfAttr {
    /// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_TASK_CLOCK` (include/uapi/linux/perf_event.h).
    const TASK_CLOCK: (u32, u64) = (1, 1);
    PerfAttr::new("task-clock", TASK_CLOCK.0, TASK_CLOCK.1)
}
