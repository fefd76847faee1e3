//! Where the walker runs: off the CPU of the thread it walks for, or, while memory changes under its walks, on it.
//!
//! A thread that goes before others holds up whom it is woken beside until its walk is done. As a rule that is to be avoided,
//! and the scheduler does not: such a thread stays on the CPU it last ran on. So it steps aside where most samples come from
//! its own CPU and there are others. But walks go astray for the age of what they read, and memory does not age while the
//! target waits. So where checks fail it goes beside the target, and back for good if that does not help. Either way a walk
//! that holds up the target is part of what its sample costs. CPUs waytrace was kept off from (`taskset`, a cpuset) stay so.

use std::io;

use waytrace_hw::affinity::{self, Cpus};
use waytrace_hw::clock;

/// Weight of the newest check in the share that fails.
const NEWEST: f64 = 1.0 / 48.0;
/// Share of checks that may fail: three among few are too many.
const MAY_FAIL: f64 = 0.045;
/// Checks made beside the target before it is judged whether they go better there.
const TRIAL: u32 = 96;
/// Samples after which it is looked at where they come from.
const SAMPLES: u32 = 64;
/// What two changes of thread take, into the walk and out of it.
const SWITCHES_NS: u64 = 4_000;

/// Puts the calling thread, the walker, where it is to run. If not told where it may, it leaves it where it is.
#[derive(Default)]
pub struct Beside {
    policy: Policy,
    /// CPUs it may run on.
    cpus: Option<Cpus>,
}

/// A walk about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    /// The walker's CPU time so far, where the target has to wait for the walk.
    used_ns: Option<u64>,
}

impl Begun {
    /// Whether the target has to wait for it.
    pub fn holds_up(self) -> bool {
        self.used_ns.is_some()
    }
}

impl Beside {
    /// For a thread that goes before others or not: of one that does not, the target would not wait for the end of a walk.
    ///
    /// # Errors
    /// When it is not known where the thread may run.
    pub fn new(goes_first: bool) -> io::Result<Self> {
        let policy = Policy { stays_off: !goes_first, ..Policy::default() };
        Ok(Self { policy, cpus: Some(Cpus::of_this_thread()?) })
    }

    /// Before a walk for a thread that was on that CPU.
    pub fn begin(&self, on: u32) -> Begun {
        let holds_up = affinity::current_cpu() == Some(on);
        Begun { used_ns: holds_up.then(clock::thread_cpu_ns) }
    }

    /// How long the target has waited for it: nanoseconds.
    pub fn held_up_ns(&self, begun: Begun) -> u64 {
        begun.used_ns.map_or(0, |before| clock::thread_cpu_ns().saturating_sub(before) + SWITCHES_NS)
    }

    /// A check was compared.
    pub fn checked(&mut self, agreed: bool) {
        if let Some(to) = self.policy.checked(agreed) {
            self.go(to);
        }
    }

    /// A sample was taken on that CPU, and walked from.
    pub fn sampled(&mut self, on: u32, begun: Begun) {
        if let Some(to) = self.policy.sampled(on, begun.holds_up()) {
            self.go(to);
        }
    }

    fn go(&mut self, to: Move) {
        let Some(all) = self.cpus else { return };
        let cpus = match to {
            Move::Beside(cpu) => all.only(cpu),
            Move::Aside(cpu) => all.without(cpu),
            Move::Anywhere => Some(all),
        };
        let gone = cpus.map(|cpus| cpus.apply());
        tracing::debug!(?to, ?gone, "the walker moves");
        if let (Move::Beside(_), None | Some(Err(_))) = (to, gone) {
            // One it was kept off from.
            self.policy.stay_off();
            self.go(Move::Anywhere);
        }
    }
}

/// Where to go.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Move {
    Beside(u32),
    Aside(u32),
    Anywhere,
}

/// Decides it.
#[derive(Debug, Clone, Copy, Default)]
struct Policy {
    /// While it is beside the target, or about to go there.
    stay: Option<Stay>,
    /// It does not go there any more.
    stays_off: bool,
    /// Share of checks that fail, of the last few dozen.
    failing: f64,
    /// Where the last sample was.
    last: Option<u32>,
    /// Samples since they were last looked at, and those that met the walker on their CPU.
    samples: u32,
    met: u32,
}

/// Beside the target: where, once that is known, and how many checks were made there.
#[derive(Debug, Clone, Copy, Default)]
struct Stay {
    cpu: Option<u32>,
    checks: u32,
}

impl Policy {
    fn checked(&mut self, agreed: bool) -> Option<Move> {
        self.failing += (f64::from(u8::from(!agreed)) - self.failing) * NEWEST;
        let fails = self.failing > MAY_FAIL;
        match &mut self.stay {
            None if fails && !self.stays_off => self.stay = Some(Stay::default()),
            Some(Stay { cpu: Some(_), checks }) => {
                *checks += 1;
                if *checks >= TRIAL && fails {
                    self.stay_off();
                    return Some(Move::Anywhere);
                }
            }
            _ => {}
        }
        None
    }

    /// Two samples in a row have to come from a CPU for the walker to go beside them, lest threads on several have it run to
    /// and fro, and most of many for it to step aside.
    fn sampled(&mut self, on: u32, met: bool) -> Option<Move> {
        let again = self.last.replace(on) == Some(on);
        if let Some(stay) = &mut self.stay {
            let follows = again && stay.cpu != Some(on);
            return follows.then(|| {
                stay.cpu = Some(on);
                Move::Beside(on)
            });
        }
        self.samples += 1;
        self.met += u32::from(met);
        if self.samples < SAMPLES {
            return None;
        }
        let mostly = self.met * 4 > self.samples * 3;
        (self.samples, self.met) = (0, 0);
        (mostly && met).then_some(Move::Aside(on))
    }

    fn stay_off(&mut self) {
        (self.stay, self.stays_off) = (None, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many checks of which one in `every` fails, two samples on CPU 3.
    fn after(checks: u32, every: u32) -> (Policy, Option<Move>) {
        let mut policy = Policy::default();
        for check in 1..=checks {
            assert_eq!(policy.checked(!check.is_multiple_of(every)), None);
        }
        assert_eq!(policy.sampled(3, false), None);
        let to = policy.sampled(3, false);
        (policy, to)
    }

    #[test]
    fn it_goes_where_checks_fail_and_follows() {
        assert_eq!(after(1000, 40).1, None, "one in forty may");
        let (mut policy, to) = after(60, 15);
        assert_eq!(to, Some(Move::Beside(3)));
        assert_eq!([3, 1, 3, 1].map(|cpu| policy.sampled(cpu, true)), [None; 4], "to and fro");
        assert_eq!(policy.sampled(1, false), Some(Move::Beside(1)));
        assert!((0..1000).all(|_| policy.sampled(1, true).is_none()), "it does not step aside from there");
    }

    #[test]
    fn it_goes_back_for_good_if_that_does_not_help() {
        let (mut helped, _) = after(60, 15);
        assert!((0..1000).all(|_| helped.checked(true).is_none()));
        let (mut policy, _) = after(60, 15);
        let back = (1..1000).position(|check| policy.checked(check % 15 != 0) == Some(Move::Anywhere));
        assert!(back.is_some_and(|checks| checks >= TRIAL as usize - 1), "{back:?}");
        assert!((0..50).all(|_| policy.checked(false).is_none() && policy.sampled(3, false).is_none()));
    }

    #[test]
    fn it_steps_aside_where_most_samples_meet_it() {
        let mut policy = Policy::default();
        let moves = |policy: &mut Policy, every: u32| {
            (0..640).filter(|sample| policy.sampled(2, sample % every != 0) == Some(Move::Aside(2))).count()
        };
        assert_eq!(moves(&mut policy, 2), 0, "two threads on two CPUs");
        assert_eq!(moves(&mut policy, 1000), 10);
    }

    #[test]
    fn a_thread_that_does_not_go_first_never_goes_beside() {
        let mut policy = Policy { stays_off: true, ..Policy::default() };
        assert!((0..50).all(|_| policy.checked(false).is_none() && policy.sampled(0, false).is_none()));
    }
}
