//! Memory accesses as a PMU, or a debug register, samples them: addresses come with the samples, nothing is walked.
//!
//! The session's own thread takes the samples off the rings; there is nothing to hurry for, as they are complete.

use std::collections::{BTreeMap, HashMap};

use waytrace_hw::sampling::{self, Event, MemorySample, Sampler, SamplingSource, Scope};
use waytrace_model::access::{AccessTotals, Source};

use super::places::Places;
use super::worker::Sampled;
use super::{Rate, Targets};
use crate::Error;
use crate::collect::thread_events;

/// Room for records of each CPU, in bytes: some ten thousand, which a drain comes for 20 times a second.
const RING_BYTES: usize = 1 << 20;
/// Accesses that wait to be taken; further ones are dropped and counted.
const MOST_WAITING: usize = 1 << 18;
/// No interrupt of a PMU is timed as the walk's are.
const NO_COST: &str = "what the samples cost the target is not known";

/// A hardware source, and how often to sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Precise {
    /// What to open.
    pub source: SamplingSource,
    /// How often.
    pub rate: sampling::Rate,
    /// How to walk instead if the source cannot be opened; `None` makes that an error.
    pub fallback: Option<Rate>,
}

/// The open source and what it has brought.
pub struct Hardware {
    sampler: Sampler,
    rate: sampling::Rate,
    taken: Taken,
}

impl Hardware {
    /// Opens the source for the targets, stopped.
    ///
    /// # Errors
    /// When the kernel refuses the events.
    pub fn open(wanted: &Precise, targets: Targets<'_>) -> Result<Self, Error> {
        let sampler = match open_on_threads(wanted, targets) {
            // IBS of kernels before 6.2 samples CPUs only.
            Err(_) if wanted.source.source == Source::AmdIbs && targets.only_tid.is_none() => {
                let scope = Scope::Cpus { tgids: targets.tgids.to_vec() };
                Sampler::open(wanted.source.clone(), &scope, wanted.rate, RING_BYTES)?
            }
            opened => opened?,
        };
        // A CPU's samples follow forks whether they are wanted or not.
        let only = (!targets.follow_forks).then(|| targets.tgids.to_vec());
        let period = match wanted.rate {
            sampling::Rate::Period(period) => period,
            sampling::Rate::Frequency(_) => 1,
        };
        Ok(Self { sampler, rate: wanted.rate, taken: Taken { only, period, ..Taken::default() } })
    }

    /// What a user should know of the samples.
    pub fn notes(&self) -> String {
        let notes = &self.sampler.source().notes;
        notes.iter().map(String::as_str).chain([NO_COST]).collect::<Vec<_>>().join("; ")
    }

    /// Begins to sample. Times are counted from `start_ns`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn start(&mut self, tgids: &[u32], start_ns: u64) -> Result<(), Error> {
        self.taken.start_ns = start_ns;
        self.taken.places = Places::of(tgids);
        Ok(sampling::Sampling::enable(&mut self.sampler)?)
    }

    /// Takes what the rings hold.
    pub fn drain(&mut self) {
        let Self { sampler, taken, .. } = self;
        sampling::Sampling::drain(sampler, &mut |event| taken.take(event));
    }

    /// What was drained since the last time, in the order of time.
    pub fn take(&mut self) -> Vec<Sampled> {
        let mut accesses = std::mem::take(&mut self.taken.accesses);
        accesses.sort_by_key(|sampled| sampled.access.at_ns);
        accesses
    }

    /// Tells that a process has mapped code anew, or runs another program.
    pub fn changed(&mut self, tgid: u32) {
        self.taken.places.changed(tgid);
    }

    /// Ends sampling, and gives accesses not taken yet, totals without footprints, and the number of samples lost.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn finish(mut self) -> Result<(Vec<Sampled>, AccessTotals, u64), Error> {
        sampling::Sampling::disable(&mut self.sampler)?;
        self.drain();
        let rest = self.take();
        let taken = self.taken;
        let rate_hz = match self.rate {
            sampling::Rate::Frequency(hz) => Some(hz as f64),
            sampling::Rate::Period(_) => None,
        };
        let (regions, code) = taken.places.conclude();
        let unresolved = taken.unresolved.iter().map(|(name, count)| ((*name).to_owned(), *count));
        let totals = AccessTotals {
            source: self.sampler.source().source,
            rate_hz,
            samples: taken.resolved + taken.unresolved.values().sum::<u64>(),
            kernel_samples: taken.kernel_samples,
            resolved: taken.resolved,
            unresolved: unresolved.collect(),
            checked: 0,
            confirmed: 0,
            throttled: taken.throttled,
            regions,
            code,
            footprints: Vec::new(),
            null_reason: None,
        };
        Ok((rest, totals, taken.lost))
    }
}

fn open_on_threads(wanted: &Precise, targets: Targets<'_>) -> Result<Sampler, Error> {
    let inherit = thread_events::inherit(targets.only_tid, targets.follow_forks);
    thread_events::open_on_all(targets.tgids, targets.only_tid, |tids| {
        let scope = Scope::Threads { tids: tids.iter().copied().collect(), inherit };
        Ok(Sampler::open(wanted.source.clone(), &scope, wanted.rate, RING_BYTES)?)
    })
}

/// What samples have said.
#[derive(Default)]
struct Taken {
    start_ns: u64,
    /// The only processes that count; `None` is all that come.
    only: Option<Vec<u32>>,
    /// Events a sample stands for at least.
    period: u64,
    /// Events since the last sample that was kept, by thread.
    passed: HashMap<u32, u64>,
    accesses: Vec<Sampled>,
    places: Places,
    resolved: u64,
    unresolved: BTreeMap<&'static str, u64>,
    kernel_samples: u64,
    throttled: u64,
    lost: u64,
}

impl Taken {
    fn take(&mut self, event: Event) {
        match event {
            Event::Sample(sample) => self.sample(sample),
            Event::InKernel => self.kernel_samples += 1,
            Event::NoAddress => self.unresolve("no_address"),
            Event::Lost(count) => self.lost += count,
            // What was damaged may have been a sample.
            Event::Damaged(_) => self.lost += 1,
            Event::Throttled => self.throttled += 1,
            Event::Unthrottled
            | Event::Mapped(_)
            | Event::Named { .. }
            | Event::Forked { .. }
            | Event::Exited { .. } => {}
        }
    }

    fn unresolve(&mut self, reason: &'static str) {
        *self.unresolved.entry(reason).or_default() += 1;
    }

    fn sample(&mut self, mut sample: MemorySample) {
        let tgid = sample.tgid;
        if self.only.as_ref().is_some_and(|only| !only.contains(&tgid)) {
            return;
        }
        // Of a watched address the kernel hands over every event, whatever the period, where samples are to carry it
        // (perf_swevent_event in kernel/events/core.c).
        if sample.weight < self.period {
            let passed = self.passed.entry(sample.tid).or_default();
            *passed += sample.weight;
            if *passed < self.period {
                return;
            }
            sample.weight = std::mem::take(passed);
        }
        let Some(mut access) = sample.access(self.start_ns) else {
            return self.unresolve("unknown_direction");
        };
        self.resolved += 1;
        if self.accesses.len() >= MOST_WAITING {
            self.lost += 1;
            return;
        }
        access.region = self.places.region(tgid, sample.address);
        access.code = sample.ip.map(|ip| self.places.code(tgid, ip));
        self.accesses.push(Sampled { tgid, access });
    }
}

#[cfg(test)]
mod tests {
    use waytrace_model::access::AccessKind;
    use waytrace_model::collector::Status;

    use super::super::{Mode, Prepared};
    use super::*;

    fn sample(tid: u32, kind: Option<AccessKind>, weight: u64) -> Event {
        let (tgid, address) = (std::process::id(), &raw const NOT_MUCH as u64);
        let (ip, precise) = (Some(0x1000 + u64::from(tid)), None);
        Event::Sample(MemorySample {
            time_ns: 500,
            tgid,
            tid,
            cpu: Some(1),
            ip,
            address,
            kind,
            weight,
            precise,
        })
    }

    static NOT_MUCH: u64 = 7;

    #[test]
    fn every_event_is_an_access_or_has_its_reason() {
        let mut taken = Taken { start_ns: 100, period: 1, ..Taken::default() };
        let (load, store) = (Some(AccessKind::Load), Some(AccessKind::Store));
        for event in [
            sample(1, load, 8),
            sample(2, store, 8),
            sample(1, None, 8),
            Event::NoAddress,
            Event::InKernel,
            Event::Throttled,
            Event::Unthrottled,
            Event::Lost(3),
            Event::Damaged(40),
        ] {
            taken.take(event);
        }
        assert_eq!((taken.resolved, taken.kernel_samples, taken.throttled, taken.lost), (2, 1, 1, 4));
        assert_eq!(taken.unresolved, BTreeMap::from([("no_address", 1), ("unknown_direction", 1)]));
        let told: Vec<_> = taken.accesses.iter().map(|sampled| &sampled.access).collect();
        assert_eq!(
            told.iter().map(|access| access.kind).collect::<Vec<_>>(),
            [AccessKind::Load, AccessKind::Store]
        );
        assert!(told.iter().all(|access| access.at_ns == 400 && access.weight == 8));
        assert_eq!((told[0].code, told[1].code), (Some(0), Some(1)));
        assert_eq!((told[0].region, told[1].region), (Some(0), Some(0)));
        let regions = taken.places.conclude().0;
        let address = &raw const NOT_MUCH as u64;
        assert!((regions[0].start..regions[0].end).contains(&address), "{regions:?}");
    }

    #[test]
    fn a_source_that_ignores_the_period_is_thinned_by_thread_and_no_event_is_lost() {
        let mut taken = Taken { period: 4, ..Taken::default() };
        for _ in 0..10 {
            taken.take(sample(1, Some(AccessKind::Store), 1));
        }
        for _ in 0..3 {
            taken.take(sample(2, Some(AccessKind::Store), 1));
        }
        taken.take(sample(2, Some(AccessKind::Store), 4));
        let kept: Vec<_> = taken.accesses.iter().map(|s| (s.access.tid, s.access.weight)).collect();
        assert_eq!(kept, [(1, 4), (1, 4), (2, 4)]);
        assert_eq!((taken.passed[&1], taken.passed[&2]), (2, 3));
    }

    #[test]
    fn a_source_that_cannot_be_opened_is_replaced_by_a_walk_unless_it_was_named() {
        let tgids = [std::process::id()];
        let targets = Targets { tgids: &tgids, only_tid: None, follow_forks: false };
        // The kernel lets nobody watch an address of its own for a program.
        let source = SamplingSource::watch(u64::MAX << 32, 8, true);
        let of = |fallback| {
            let rate = sampling::Rate::Period(1);
            Prepared::new(&Mode::Hardware(Precise { source: source.clone(), rate, fallback }), targets)
        };
        assert!(of(None).is_err());
        let replaced = of(Some(Rate::Hz(50.0))).unwrap();
        assert!(matches!(&replaced, Prepared::Walk(Rate::Hz(hz), Some(_)) if *hz == 50.0));
        let (status, reason) = replaced.status();
        assert_eq!(status, Status::Degraded);
        assert!(
            reason
                .is_some_and(|reason| reason.starts_with("by forward walk, as pmu-event cannot be opened: "))
        );
        assert_eq!(Prepared::Walk(Rate::Hz(1.0), None).status(), (Status::Ran, None));
    }

    #[test]
    fn processes_not_asked_for_are_left_out() {
        let mut taken = Taken { only: Some(vec![std::process::id() + 1]), period: 1, ..Taken::default() };
        taken.take(sample(1, Some(AccessKind::Load), 1));
        assert_eq!((taken.resolved, taken.accesses.len()), (0, 0));
    }
}
