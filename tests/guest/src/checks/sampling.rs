//! Overflows of a counter: the sampler of `profile` and the events that cut phases.

use anyhow::{Context as _, Result, ensure};
use waytrace_hw::Machine;
use waytrace_hw::counter::{Inherit, open_on_thread};
use waytrace_hw::sampling::{Event, Rate, Sampler, Sampling as _, SamplingSource, Scope};

use super::counting::attr;
use super::{ITERATIONS, TRUTH};
use crate::spin::spin;

/// Cycles from one sample to the next.
const PERIOD: u64 = 1_000_000;
/// Room for ten times the samples there are.
const RING_BYTES: usize = 1 << 18;

/// A sample each so many cycles of the loop: known to within the one that may fall to either side.
fn ensure_samples(samples: u64) -> Result<String> {
    let truth = TRUTH / PERIOD;
    ensure!(samples.abs_diff(truth) <= 1, "{samples} samples of {TRUTH} cycles, one each {PERIOD}");
    Ok(format!("{samples} samples of {TRUTH} cycles, one each {PERIOD}"))
}

/// Cycles sample no addresses: each sample is one without.
pub fn memory_sampler() -> Result<String> {
    let source = SamplingSource::find(&Machine::live(), Some("cycles:u"), None)?;
    let scope = Scope::Threads { tids: vec![0], inherit: Inherit::Nobody };
    let mut sampler = Sampler::open(source, &scope, Rate::Period(PERIOD), RING_BYTES)?;
    sampler.enable()?;
    spin(ITERATIONS);
    sampler.disable()?;
    let (mut samples, mut odd) = (0, Vec::new());
    sampler.drain(&mut |event| match event {
        Event::NoAddress => samples += 1,
        Event::Task(_) => {}
        other => odd.push(other),
    });
    ensure!(odd.is_empty(), "beside {samples} samples: {odd:?}");
    ensure_samples(samples)
}

/// As phases by cycles are cut.
pub fn overflows() -> Result<String> {
    let counter = open_on_thread(&attr("cycles:u")?, 0, PERIOD, Inherit::Nobody)?;
    let mut ring = counter.sampled(RING_BYTES).context("mapping the ring")?;
    ring.enable()?;
    spin(ITERATIONS);
    ring.disable()?;
    let mut samples = 0;
    while ring.next_record().is_some() {
        samples += 1;
    }
    ensure_samples(samples)
}
