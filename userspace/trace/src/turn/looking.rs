//! Where a turn takes allocations from: the allocator's own samples where it hands them out, else probes in windows.

use waytrace_abi::settings::Settings;
use waytrace_hw::clock;
use waytrace_image::process;
use waytrace_image::usdt::Samples;

use super::result::{named, sampled};
use super::{Turn, TurnResult};
use crate::Error;
use crate::budget::Budgeted;
use crate::collect::allocations::Baseline;
use crate::known::Files;
use crate::probes::{Detail, Scope};
use crate::session::enter_wrappers;
use crate::session::sampling::Sampling;
use crate::stacks::Worker;
use crate::usdt::{self, Watch};

/// How often it is looked how many stacks come.
const ADAPT_NS: u64 = 100_000_000;

/// How allocations are looked at.
pub enum Looking {
    /// By probes in windows.
    Budgeted(Box<Budgeted>),
    /// By samples; how many stacks come is looked at now and then.
    Samples { watch: Box<Watch>, sampling: Sampling, seen_bytes: f64, next_ns: u64 },
}

impl Looking {
    /// Ends it; no probe is left when it returns.
    pub fn stop(&mut self) {
        match self {
            Self::Budgeted(budgeted) => budgeted.stop(),
            Self::Samples { watch, .. } => watch.stop(),
        }
    }
}

impl Turn<'_> {
    pub(super) fn probe(
        &mut self,
        budget_pct: f64,
        mappings: &[process::Mapping],
    ) -> Result<Looking, String> {
        let tgid = self.plan.tgid;
        let files = Files::of(tgid, mappings);
        let samples = self.turns.samples(tgid, &files, mappings);
        if samples.are_offered() {
            return self.watch(samples, budget_pct).map_err(|error| error.to_string());
        }
        let map = self.turns.allocators(tgid, &files, mappings)?;
        let kernel = &mut self.turns.kernel;
        let begin = || -> Result<(Budgeted, Worker), Error> {
            enter_wrappers(kernel, &map, mappings, Detail::Counts)?;
            let mut stacks = Worker::start().map_err(Error::syscall("starting the stack worker"))?;
            stacks.sync(tgid);
            let prober = self.turns.prober.clone();
            let past = self.turns.pasts.remove(&self.plan.key()).map(|(_, past)| past).unwrap_or_default();
            let maps = vec![(tgid, map)];
            let budgeted = Budgeted::start(kernel, prober, maps, budget_pct, self.turns.costs, past)?;
            Ok((budgeted, stacks))
        };
        let (budgeted, stacks) = begin().map_err(|error| error.to_string())?;
        self.stacks = Some(stacks);
        Ok(Looking::Budgeted(Box::new(budgeted)))
    }

    /// Takes the allocator's own samples.
    fn watch(&mut self, samples: Samples, pct: f64) -> Result<Looking, Error> {
        let tgid = self.plan.tgid;
        let mut stacks = Worker::start().map_err(Error::syscall("starting the stack worker"))?;
        stacks.sync(tgid);
        let kernel = &mut self.turns.kernel;
        let mut settings = Settings { single_tgid: tgid, ..Settings::default() };
        let sampling = Sampling::new(&mut settings, true);
        kernel.configure(settings)?;
        let prober = self.turns.prober.clone();
        let budget = usdt::Budget { pct, costs: self.turns.costs };
        let watch = Watch::start(kernel, prober, budget, &[(tgid, samples)], Scope::Process)?;
        self.stacks = Some(stacks);
        Ok(Looking::Samples {
            watch: Box::new(watch),
            sampling,
            seen_bytes: 0.0,
            next_ns: self.start_ns + ADAPT_NS,
        })
    }

    /// Holds the number of stacks where it is wanted.
    pub(super) fn adapt(&mut self) -> Result<(), Error> {
        let Some(Looking::Samples { watch, sampling, seen_bytes, next_ns }) = &mut self.looking else {
            return Ok(());
        };
        let now_ns = clock::monotonic_ns();
        if now_ns >= *next_ns {
            *next_ns = now_ns + ADAPT_NS;
            watch.keep_pace(&mut self.turns.kernel)?;
            let bytes = watch.so_far(&mut self.turns.kernel)?.alloc_bytes;
            let counted_bytes = (bytes - *seen_bytes) / watch.spare_ratio();
            sampling.adapt(&mut self.turns.kernel, counted_bytes as u64)?;
            *seen_bytes = bytes;
        }
        Ok(())
    }

    /// Enters what it came to. No probe may be in place.
    pub(super) fn conclude(
        &mut self,
        looking: Looking,
        after: &Baseline,
        result: &mut TurnResult,
    ) -> Result<(), Error> {
        let mut stacks = self.stacks.take().map(|worker| worker.finish().0).unwrap_or_default();
        match looking {
            Looking::Budgeted(budgeted) => {
                let paid = self.turns.costs.between(&self.baseline.sums.totals, &after.sums.totals);
                let concluded = budgeted.finish(&self.baseline, after);
                result.probes_cost_ns = concluded.factors.of(paid.alloc_ns, paid.free_ns);
                result.enter_allocations(&concluded.totals, concluded.saw_it_never_run);
                let sites = self.turns.kernel.sites()?;
                result.sites = named(&sites, &stacks, &mut self.turns.symbolizer);
                self.turns.remember(self.plan, concluded.past);
            }
            Looking::Samples { watch, .. } => {
                let concluded = watch.finish(&mut self.turns.kernel, &self.baseline.sums, &after.sums)?;
                result.probes_cost_ns = concluded.cost_ns;
                result.enter_allocations(&concluded.totals, false);
                result.from_samples = true;
                result.sites = sampled(&concluded, &mut stacks, &mut self.turns.symbolizer);
            }
        }
        Ok(())
    }
}
