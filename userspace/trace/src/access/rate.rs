//! How often to sample, and what a sample costs here.

use waytrace_abi::access::{Hot, LINE_BYTES};
use waytrace_abi::settings::Settings;
use waytrace_hw::clock;

use super::draw::SAMPLES_PER_WALK;
use super::walk::clock_event;
use crate::Error;
use crate::collect::thread_events::{ThreadEvents, Wanted};
use crate::kernel::Kernel;

/// Sampling rates that make sense, per second of a thread's CPU time.
pub const RATES_HZ: std::ops::RangeInclusive<f64> = 1.0..=20_000.0;
/// Rate while a tick's cost is measured.
const CALIBRATION_HZ: f64 = 10_000.0;
/// Hot lines of a target, as a rule.
const USUAL_HOT: usize = 32;
/// Ticks a calibration waits for.
const TICKS: usize = 30;
/// Looks at the clock it gives up after.
const MOST_LOOKS: usize = 2_000_000;
/// A gap between two looks that is longer than this is a tick or something like it.
const LEAST_GAP_NS: u64 = 1_000;
/// No tick is cheaper: taking an interrupt and returning from it costs as much.
const LEAST_TICK_NS: f64 = 2_000.0;
/// What a walk takes of waytrace's own CPU time where the target leaves it no cache. It may take as much as the budget takes
/// from the targets: no budget pays for more walks, however cheap ticks are.
const OWN_NS: f64 = 200_000.0;
/// Nor for more than this: they would tell nothing more.
const MOST_PAID_HZ: f64 = 1_000.0;

/// What walks may take of a CPU's time at rates that a budget sets.
const CPU_SHARE: f64 = 0.0075;
/// What a walk may take on the average at any such rate: half of it goes into caches that are cold after each sleep.
const CHEAP_NS: f64 = 100_000.0;
/// The same at a rate that was asked for, which is paid for beside the budget: twice the reach for half as much again.
const PAID_NS: f64 = 200_000.0;

/// How often to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So that ticks take at most this share of the targets' CPU time, in percent.
    Budget(f64),
    /// So many times a second of a thread's CPU time.
    Hz(f64),
}

impl Rate {
    /// Walks, and so ticks, a second, where one costs `tick_ns`.
    pub fn walks_hz(self, tick_ns: f64) -> f64 {
        let per_walk = f64::from(SAMPLES_PER_WALK);
        let hz = match self {
            Self::Budget(percent) => (percent / 100.0 * 1e9 / tick_ns.max(OWN_NS)).min(MOST_PAID_HZ),
            Self::Hz(hz) => hz / per_walk,
        };
        hz.clamp(*RATES_HZ.start() / per_walk, *RATES_HZ.end() / per_walk)
    }
}

impl Rate {
    /// What a walk may take of waytrace's own time on the average, where so many are made a second.
    pub fn walk_ns(self, walks_hz: f64) -> f64 {
        let cheap = match self {
            Self::Budget(_) => CHEAP_NS,
            Self::Hz(_) => PAID_NS,
        };
        (CPU_SHARE * 1e9 / walks_hz.max(1.0)).max(cheap)
    }

    /// How many times rarer than at first to sample, given what a tick has turned out to cost. A rate that was asked for
    /// stays.
    pub fn thinning(self, first_hz: f64, tick_ns: f64) -> u32 {
        let Self::Budget(percent) = self else { return 1 };
        let percent_at_first = first_hz * tick_ns / 1e7;
        // Up to an eighth over the budget is within what is known of it.
        (percent_at_first / percent.max(f64::MIN_POSITIVE) - 0.125).ceil().clamp(1.0, MOST_THINNING) as u32
    }
}

/// Samples are thinned no further than this.
const MOST_THINNING: f64 = 64.0;

/// Time between two samples.
pub fn period_ns(rate_hz: f64) -> u64 {
    (1e9 / rate_hz) as u64
}

/// What ticks take from the thread they interrupt.
#[derive(Debug, Clone, Copy)]
pub struct TickCost {
    /// All of it, with as much captured as is usual, in nanoseconds.
    pub full_ns: f64,
    /// That without the capture: the interrupt, and perf's part in it.
    pub bare_ns: f64,
}

/// Measures what a tick costs, on this thread.
///
/// # Errors
/// When the timer cannot be opened.
pub fn calibrate(kernel: &mut Kernel) -> Result<TickCost, Error> {
    let tgid = std::process::id();
    kernel.configure(Settings { single_tgid: tgid, ..Settings::default() })?;
    // Targets have hot lines, so this thread is given some.
    let memory = [[0_u64; LINE_BYTES / 8]; USUAL_HOT + 1];
    let first = (memory.as_ptr() as u64).next_multiple_of(LINE_BYTES as u64);
    kernel.set_hot(
        tgid,
        Hot {
            lines: std::array::from_fn(|n| if n < USUAL_HOT { first + (n * LINE_BYTES) as u64 } else { 0 }),
        },
    )?;
    // SAFETY: gettid has no preconditions.
    let tid = unsafe { libc::gettid() } as u32;
    let attr = clock_event();
    let wanted = Wanted {
        program: "access_tick",
        attr: &attr,
        period: period_ns(CALIBRATION_HZ),
        tgids: &[tgid],
        only_tid: Some(tid),
        follow_forks: false,
    };
    let before = kernel.access_ticks()?;
    let events = ThreadEvents::start(kernel, wanted)?;
    let mut gaps = gaps_ns();
    drop(events);
    let after = kernel.access_ticks()?;
    kernel.configure(Settings::default())?;
    gaps.sort_unstable();
    // What else interrupts this thread – the scheduler's tick, the host – is rare beside ours.
    let middle = gaps.get(gaps.len() / 2).map_or(UNKNOWN_TICK_NS, |&gap| gap as f64);
    let full_ns = middle.max(LEAST_TICK_NS);
    let captures = (after.user - before.user).max(1);
    let capture_ns = (after.capture_ns - before.capture_ns) as f64 / captures as f64;
    Ok(TickCost { full_ns, bare_ns: (full_ns - capture_ns).max(LEAST_TICK_NS / 2.0) })
}

/// What a tick is taken to cost where it could not be measured: more than on any machine seen.
const UNKNOWN_TICK_NS: f64 = 40_000.0;

/// Gaps in this thread's time.
fn gaps_ns() -> Vec<u64> {
    let mut gaps = Vec::with_capacity(TICKS);
    let mut before = clock::monotonic_ns();
    for _ in 0..MOST_LOOKS {
        let now = clock::monotonic_ns();
        if now - before >= LEAST_GAP_NS {
            gaps.push(now - before);
            if gaps.len() == TICKS {
                break;
            }
        }
        before = now;
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_sets_the_rate() {
        assert!((Rate::Budget(0.2).walks_hz(33_000.0) - 10.0).abs() < 1.0);
        assert!((Rate::Budget(1.0).walks_hz(250_000.0) - 40.0).abs() < 1.0);
        assert!((Rate::Budget(1.0).walks_hz(5_000.0) - 50.0).abs() < 1.0, "our own cost bounds it");
        assert_eq!(Rate::Budget(100.0).walks_hz(0.0), MOST_PAID_HZ);
        assert_eq!(Rate::Hz(0.1).walks_hz(33_000.0), 0.25);
        assert_eq!(Rate::Hz(1_000.0).walks_hz(33_000.0), 250.0);
        assert_eq!(period_ns(4_000.0), 250_000);
        assert_eq!(Rate::Budget(1.0).walk_ns(50.0), 150_000.0);
        assert_eq!(
            [Rate::Budget(1.0), Rate::Hz(4_000.0)].map(|rate| rate.walk_ns(1_000.0)),
            [CHEAP_NS, PAID_NS]
        );
        // At 500 Hz a tick of 20 us is 1 %.
        let thinning = |tick_ns| Rate::Budget(1.0).thinning(500.0, tick_ns);
        assert_eq!([5_000.0, 22_000.0, 23_000.0, 40_000.0, 60_000.0].map(thinning), [1, 1, 2, 2, 3]);
        assert_eq!(Rate::Hz(500.0).thinning(500.0, 1e9), 1);
    }
}
