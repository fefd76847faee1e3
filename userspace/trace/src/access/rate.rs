//! How often to sample, and what a sample costs here.

use std::hint::black_box;

use waytrace_abi::settings::Settings;

use super::clock_event;
use crate::collect::thread_events::{ThreadEvents, Wanted};
use crate::kernel::Kernel;
use crate::{Error, clock};

/// Sampling rates that make sense, per second of a thread's CPU time.
pub const RATES_HZ: std::ops::RangeInclusive<f64> = 1.0..=20_000.0;
/// Rate while a tick's cost is measured.
const CALIBRATION_HZ: f64 = 10_000.0;
/// Rounds of it; the fastest counts, for whatever disturbs a round only adds.
const ROUNDS: u32 = 5;
/// Steps of a round, about a nanosecond each.
const STEPS: u64 = 3_000_000;

/// How often to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So that ticks take at most this share of the targets' CPU time, in percent.
    Budget(f64),
    /// So many times a second of a thread's CPU time.
    Hz(f64),
}

impl Rate {
    /// Samples a second, where one costs `tick_ns`.
    pub fn hz(self, tick_ns: f64) -> f64 {
        let hz = match self {
            Self::Budget(percent) => percent / 100.0 * 1e9 / tick_ns.max(1.0),
            Self::Hz(hz) => hz,
        };
        hz.clamp(*RATES_HZ.start(), *RATES_HZ.end())
    }
}

/// Time between two samples.
pub fn period_ns(rate_hz: f64) -> u64 {
    (1e9 / rate_hz) as u64
}

/// What a tick takes from the thread it interrupts, in nanoseconds, measured on this one.
///
/// # Errors
/// When the timer cannot be opened.
pub fn calibrate(kernel: &mut Kernel) -> Result<f64, Error> {
    let tgid = std::process::id();
    kernel.configure(Settings { single_tgid: tgid, ..Settings::default() })?;
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
    let (mut bare_ns, mut ticking_ns) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        bare_ns = bare_ns.min(round_ns());
        let events = ThreadEvents::start(kernel, wanted)?;
        ticking_ns = ticking_ns.min(round_ns());
        drop(events);
    }
    kernel.configure(Settings::default())?;
    let ticks = ticking_ns * CALIBRATION_HZ / 1e9;
    Ok((ticking_ns - bare_ns).max(0.0) / ticks.max(1.0))
}

fn round_ns() -> f64 {
    let before = clock::monotonic_ns();
    let mut word = 1_u64;
    for step in 0..STEPS {
        word = black_box(word.rotate_left(7) ^ step);
    }
    (clock::monotonic_ns() - before) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_sets_the_rate() {
        assert!((Rate::Budget(1.0).hz(33_000.0) - 303.0).abs() < 1.0);
        assert_eq!(Rate::Budget(100.0).hz(0.0), 20_000.0);
        assert_eq!(Rate::Hz(0.1).hz(33_000.0), 1.0);
        assert_eq!(period_ns(4_000.0), 250_000);
    }
}
