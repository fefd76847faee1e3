//! Where the walker runs: anywhere, or, while memory changes under its walks, on the CPU of the thread it walks for.
//!
//! Woken there it goes before that thread, which is held up until the walk is done: memory then is as the sample found it,
//! and no walk goes astray for its age. That is paid by the target, walk by walk, so it is done only where checks fail
//! otherwise, what it takes is part of what samples cost, and it ends if checks go on failing. CPUs waytrace was kept off from
//! (`taskset`, a cpuset) stay so.

use std::io;

use crate::clock;
use crate::kernel::affinity::Cpus;

/// Weight of the newest check in the share that fails.
const NEWEST: f64 = 1.0 / 48.0;
/// Share of checks that may fail: three among few are too many.
const MAY_FAIL: f64 = 0.045;
/// What two changes of thread take, into the walk and out of it.
const SWITCHES_NS: u64 = 4_000;
/// Checks made beside the target before it is judged whether they go better there.
const TRIAL: u32 = 96;

/// Where the walker is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Place {
    /// Where the scheduler puts it.
    #[default]
    Anywhere,
    /// On the target's CPU, once that is known; so many checks were made there.
    Beside { cpu: Option<u32>, checks: u32 },
    /// Anywhere, for good.
    Back,
}

/// Puts the calling thread, the walker, where it is to run. If not told where it may, it leaves it where it is.
#[derive(Default)]
pub struct Beside {
    policy: Policy,
    /// CPUs it may run on.
    cpus: Option<Cpus>,
}

impl Beside {
    /// For a thread that goes before others: else the target would not wait for it.
    ///
    /// # Errors
    /// When it is not known where the thread may run.
    pub fn new() -> io::Result<Self> {
        Ok(Self { cpus: Some(Cpus::of_this_thread()?), ..Self::default() })
    }

    /// Whether the target waits for walks.
    pub fn is_beside(&self) -> bool {
        self.policy.is_beside()
    }

    /// A check was compared.
    pub fn checked(&mut self, agreed: bool) {
        if self.cpus.is_some() && self.policy.checked(agreed) {
            self.go_back();
        }
    }

    /// A sample was taken on that CPU, and walked from.
    pub fn sampled(&mut self, on: u32) {
        let Some(cpus) = self.cpus else { return };
        let Some(to) = self.policy.sampled(on) else { return };
        // One it was kept off from.
        let Some(only) = cpus.only(to) else { return self.go_back() };
        match only.apply() {
            Ok(()) => tracing::debug!(cpu = to, "the walker goes beside the target"),
            Err(error) => {
                tracing::debug!(%error, cpu = to, "the walker cannot go beside the target");
                self.go_back();
            }
        }
    }

    /// How long the target has waited for the thread since that had used so much CPU time: nanoseconds.
    pub fn held_up_ns(&self, since_used_ns: u64) -> u64 {
        if !self.is_beside() {
            return 0;
        }
        clock::thread_cpu_ns().saturating_sub(since_used_ns) + SWITCHES_NS
    }

    fn go_back(&mut self) {
        self.policy.go_back();
        if let Some(Err(error)) = self.cpus.take().map(|cpus| cpus.apply()) {
            tracing::debug!(%error, "the walker stays where it is");
        }
    }
}

/// Decides it.
#[derive(Debug, Clone, Copy, Default)]
struct Policy {
    place: Place,
    /// Share of checks that fail, of the last few dozen.
    failing: f64,
    /// Where the last sample was.
    last: Option<u32>,
}

impl Policy {
    /// Whether the target waits for walks.
    fn is_beside(&self) -> bool {
        matches!(self.place, Place::Beside { cpu: Some(_), .. })
    }

    /// A check was compared. Gives whether the walker is to go back.
    fn checked(&mut self, agreed: bool) -> bool {
        self.failing += (f64::from(u8::from(!agreed)) - self.failing) * NEWEST;
        let fails = self.failing > MAY_FAIL;
        match &mut self.place {
            Place::Anywhere if fails => self.place = Place::Beside { cpu: None, checks: 0 },
            Place::Beside { cpu: Some(_), checks } => {
                *checks += 1;
                return *checks >= TRIAL && fails;
            }
            _ => {}
        }
        false
    }

    /// A sample was taken on that CPU. Gives it where the walker is to go there: only when two in a row were, lest
    /// threads on several CPUs have it run to and fro.
    fn sampled(&mut self, on: u32) -> Option<u32> {
        let again = self.last.replace(on) == Some(on);
        match &mut self.place {
            Place::Beside { cpu, .. } if again && *cpu != Some(on) => {
                *cpu = Some(on);
                Some(on)
            }
            _ => None,
        }
    }

    /// It cannot stay where it should, or need not.
    fn go_back(&mut self) {
        self.place = Place::Back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many checks of which one in `every` fails, two samples on CPU 3.
    fn after(checks: u32, every: u32) -> (Policy, Option<u32>) {
        let mut policy = Policy::default();
        for check in 1..=checks {
            assert!(!policy.checked(!check.is_multiple_of(every)));
        }
        assert_eq!(policy.sampled(3), None);
        let to = policy.sampled(3);
        (policy, to)
    }

    #[test]
    fn it_goes_where_checks_fail_and_follows() {
        assert_eq!(after(1000, 40).1, None, "one in forty may");
        let (mut policy, to) = after(60, 15);
        assert_eq!((to, policy.is_beside()), (Some(3), true));
        assert_eq!([3, 1, 3, 1].map(|cpu| policy.sampled(cpu)), [None; 4], "to and fro");
        assert_eq!(policy.sampled(1), Some(1));
    }

    #[test]
    fn it_goes_back_for_good_if_that_does_not_help() {
        let (mut helped, _) = after(60, 15);
        assert!((0..1000).all(|_| !helped.checked(true)) && helped.is_beside());
        let (mut policy, _) = after(60, 15);
        let back = (1..1000).position(|check| policy.checked(check % 15 != 0));
        assert!(back.is_some_and(|checks| checks >= TRIAL as usize - 1), "{back:?}");
        policy.go_back();
        assert!(!policy.is_beside());
        assert!((0..100).all(|_| !policy.checked(false) && policy.sampled(3).is_none()), "for good");
    }

    #[test]
    fn a_thread_that_does_not_go_first_holds_nobody_up() {
        let mut beside = Beside::default();
        for _ in 0..100 {
            beside.checked(false);
            beside.sampled(0);
        }
        assert!(!beside.is_beside() && beside.held_up_ns(0) == 0);
    }
}
