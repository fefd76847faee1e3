//! Memory accesses as a PMU, or a debug register, samples them: addresses come with the samples, nothing is walked.
//!
//! The kernel part counts all samples ([`heat`](super::heat)) and hands some on. The session's own thread takes these off
//! the rings; there is nothing to hurry for, as they are complete. They wait for the counts of their window, which say what
//! each stands for. SPE writes its samples past the kernel: of those none are counted there, and all are handed on.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd;

use waytrace_hw::clock;
use waytrace_hw::sampling::{self, Event, MemorySample, Sampler, SamplingSource, Scope, Transport};
use waytrace_model::access::{AccessKind, AccessTotals, Source};
use waytrace_model::access_heat::HeatWindow;

use super::heat::Heat;
use super::places::Places;
use super::worker::Sampled;
use super::{Finished, Rate, Targets};
use crate::Error;
use crate::collect::thread_events;
use crate::kernel::Kernel;

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
    /// What is counted in the kernel; `None` before the start, and of a source that has nothing counted there.
    heat: Option<Heat>,
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
        Ok(Self { sampler, rate: wanted.rate, heat: None, taken: Taken { only, period, ..Taken::default() } })
    }

    /// What a user should know of the samples.
    pub fn notes(&self) -> String {
        let notes = &self.sampler.source().notes;
        notes.iter().map(String::as_str).chain([NO_COST]).collect::<Vec<_>>().join("; ")
    }

    /// Begins to sample. Times are counted from `start_ns`, windows are `interval_ns` long.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn start(
        &mut self,
        kernel: &mut Kernel,
        tgids: &[u32],
        start_ns: u64,
        interval_ns: u64,
    ) -> Result<(), Error> {
        self.taken.start_ns = start_ns;
        self.taken.places = Places::of(tgids);
        if self.sampler.source().events.iter().all(|event| event.transport == Transport::Ring) {
            let [load, store, unknown] = [
                kernel.perf_event_program("heat_load")?,
                kernel.perf_event_program("heat_store")?,
                kernel.perf_event_program("heat_unknown")?,
            ];
            self.sampler.run_at_samples(|kind| match kind {
                Some(AccessKind::Load) => load.as_fd(),
                Some(AccessKind::Store) => store.as_fd(),
                None => unknown.as_fd(),
            })?;
            self.heat = Some(Heat::new(start_ns, interval_ns));
        }
        Ok(sampling::Sampling::enable(&mut self.sampler)?)
    }

    /// Takes what the kernel part has counted of windows that are complete.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn count(&mut self, kernel: &mut Kernel) -> Result<(), Error> {
        match self.heat.as_ref().and_then(|heat| heat.complete(clock::monotonic_ns())) {
            Some(end) => self.count_until(kernel, end),
            None => Ok(()),
        }
    }

    fn count_until(&mut self, kernel: &mut Kernel, end: u64) -> Result<(), Error> {
        let Self { heat: Some(heat), taken, .. } = self else { return Ok(()) };
        heat.add(&kernel.take_heat(end)?, end, |tgid, address| taken.places.region(tgid, address));
        Ok(())
    }

    /// Windows that were counted since the last time.
    pub fn take_heat(&mut self) -> Vec<HeatWindow> {
        self.heat.as_mut().map(Heat::take).unwrap_or_default()
    }

    /// Takes what the rings hold.
    pub fn drain(&mut self) {
        let Self { sampler, taken, .. } = self;
        sampling::Sampling::drain(sampler, &mut |event| taken.take(event));
    }

    /// What was drained since the last time, in the order of time: of windows whose counts are known.
    pub fn take(&mut self) -> Vec<Sampled> {
        self.taken.take_weighed(self.heat.as_mut())
    }

    /// Tells that a process has mapped code anew, or runs another program.
    pub fn changed(&mut self, tgid: u32) {
        self.taken.places.changed(tgid);
    }

    /// Ends sampling, and gives accesses not taken yet, and totals without footprints.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn finish(mut self, kernel: &mut Kernel) -> Result<(Vec<Sampled>, Finished), Error> {
        sampling::Sampling::disable(&mut self.sampler)?;
        self.drain();
        self.count_until(kernel, u64::MAX)?;
        let rest = self.take();
        // At a frequency the last accesses of a thread make no sample.
        let all = match self.rate {
            sampling::Rate::Period(_) => self.sampler.watched()?,
            sampling::Rate::Frequency(_) => None,
        };
        let missed = match (&self.heat, all) {
            (Some(heat), Some(all)) => all.saturating_sub(heat.weight),
            _ => 0,
        };
        let heat = self.take_heat();
        let mut taken = self.taken;
        if let Some(counted) = &self.heat {
            taken.follow(counted);
        }
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
        Ok((rest, Finished { rest: Vec::new(), heat, totals, dropped: taken.lost, missed, cost_ns: None }))
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
            Event::Sample(sample) => self.sample(&sample),
            Event::InKernel => self.kernel_samples += 1,
            Event::NoAddress => self.unresolve("no_address"),
            Event::Lost(count) => self.lost += count,
            // What was damaged may have been a sample.
            Event::Damaged(_) => self.lost += 1,
            Event::Throttled => self.throttled += 1,
            Event::Unthrottled | Event::Task(_) => {}
        }
    }

    fn unresolve(&mut self, reason: &'static str) {
        *self.unresolved.entry(reason).or_default() += 1;
    }

    fn sample(&mut self, sample: &MemorySample) {
        let tgid = sample.tgid;
        if self.only.as_ref().is_some_and(|only| !only.contains(&tgid)) {
            return;
        }
        let Some(mut access) = sample.access(self.start_ns) else {
            return self.unresolve("unknown_direction");
        };
        self.resolved += 1;
        if self.accesses.len() >= MOST_WAITING {
            self.lost += 1;
            return;
        }
        if let Some(sp) = sample.stack_pointer {
            self.places.runs_on(tgid, sample.tid, sp);
        }
        access.region = self.places.region(tgid, sample.address);
        access.code = sample.ip.map(|ip| self.places.code(tgid, ip));
        self.accesses.push(Sampled { tgid, access });
    }

    /// Samples in the order of time, each with what it stands for; those of windows not counted yet stay.
    fn take_weighed(&mut self, mut heat: Option<&mut Heat>) -> Vec<Sampled> {
        let until_ns = heat.as_ref().map_or(u64::MAX, |heat| heat.taken_until_ns());
        let (mut ready, wait): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.accesses).into_iter().partition(|own| own.access.at_ns < until_ns);
        self.accesses = wait;
        ready.sort_by_key(|sampled| sampled.access.at_ns);
        ready.retain_mut(|Sampled { access, .. }| {
            if let Some(heat) = &mut heat {
                access.weight = heat.weigh(access.at_ns, access.cpu, access.weight);
            }
            match self.thinned(access.tid, access.weight) {
                Some(weight) => {
                    access.weight = weight;
                    true
                }
                None => false,
            }
        });
        ready
    }

    /// What a sample stands for that is kept. Of a watched address the kernel hands over every event, whatever the period,
    /// where samples are to carry it (perf_swevent_event in kernel/events/core.c).
    fn thinned(&mut self, tid: u32, weight: u64) -> Option<u64> {
        if weight >= self.period {
            return Some(weight);
        }
        let passed = self.passed.entry(tid).or_default();
        *passed += weight;
        (*passed >= self.period).then(|| std::mem::take(passed))
    }

    /// Takes the number of samples from the kernel's counts: what was handed on is a part of them.
    fn follow(&mut self, heat: &Heat) {
        self.resolved = heat.samples - self.unresolved.values().sum::<u64>().min(heat.samples);
        self.kernel_samples += heat.in_kernel;
        if heat.no_address > 0 {
            *self.unresolved.entry("no_address").or_default() += heat.no_address;
        }
    }
}

#[cfg(test)]
#[path = "hardware_tests.rs"]
mod tests;
