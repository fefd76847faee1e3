//! Watching: the probes of samples in their places, and what comes of them.

use waytrace_image::process::{self, Mapping};
use waytrace_image::usdt::{self, Samples};
use waytrace_model::allocation::{AllocationTotals, AllocationWindow};

use super::Offer;
use super::pace::{Pace, Watched};
use super::totals::totals;
use crate::Error;
use crate::calibrate::Costs;
use crate::kernel::{Kernel, SampleSums, Sums};
use crate::probes::{ArgumentTable, Placed, Plan, Prober, Reaper, Scope};

/// What a watch is allowed to cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Percent of the targets' CPU time.
    pub pct: f64,
    /// What a hit costs.
    pub costs: Costs,
}

/// The probes of samples in their places.
pub struct Watch {
    prober: Prober,
    known: Plan,
    /// What is placed for whom.
    plans: Vec<(Scope, Plan)>,
    table: ArgumentTable,
    /// `None` while the budget does not allow it.
    placed: Option<Placed>,
    reaper: Reaper,
    pace: Pace,
    tell_frees: bool,
    begin: SampleSums,
    last: SampleSums,
}

impl Watch {
    /// Places them. The switch program must run, for the budget is in CPU time of the targets.
    ///
    /// # Errors
    /// When the kernel part cannot be told of them, or one cannot be placed.
    pub fn start(
        kernel: &mut Kernel,
        prober: Prober,
        budget: Budget,
        offers: &[Offer],
        scope: impl Fn(u32) -> Scope,
    ) -> Result<Self, Error> {
        let begin = kernel.sample_sums()?;
        let mut watch = Self {
            prober,
            known: Plan::default(),
            plans: Vec::new(),
            table: ArgumentTable::default(),
            placed: Some(Placed::default()),
            reaper: Reaper::default(),
            pace: Pace::start(kernel.totals_reader()?, budget.pct, budget.costs)?,
            tell_frees: offers.iter().all(|(_, samples)| samples.tell_frees()),
            last: begin.clone(),
            begin,
        };
        for (tgid, samples) in offers {
            let own = watch.plan_of(kernel, samples)?;
            let fresh = match scope(*tgid) {
                Scope::Everyone => watch.known.add_missing(own),
                Scope::Process(_) => watch.known.merge(own),
            };
            watch.place(fresh, scope(*tgid))?;
        }
        Ok(watch)
    }

    fn plan_of(&mut self, kernel: &mut Kernel, samples: &Samples) -> Result<Plan, Error> {
        let known = self.table.entries().len();
        let plan = Plan::of_samples(samples, &mut self.table);
        if self.table.entries().len() > known {
            kernel.set_arguments(&self.table)?;
        }
        Ok(plan)
    }

    fn place(&mut self, plan: Plan, scope: Scope) -> Result<(), Error> {
        if let Some(placed) = &mut self.placed {
            placed.extend(self.prober.place(&plan, scope)?);
        }
        self.plans.push((scope, plan));
        Ok(())
    }

    /// Looks again at a process that may have mapped more.
    ///
    /// # Errors
    /// When a probe cannot be placed in a process that runs.
    pub fn add(
        &mut self,
        kernel: &mut Kernel,
        tgid: u32,
        mappings: &[Mapping],
        scope: Scope,
    ) -> Result<(), Error> {
        let samples = usdt::find(tgid, mappings);
        self.tell_frees &= !samples.are_offered() || samples.tell_frees();
        let plan = self.plan_of(kernel, &samples)?;
        let fresh = self.known.add_missing(plan);
        if fresh.files.is_empty() {
            return Ok(());
        }
        match self.place(fresh.clone(), scope) {
            Err(error) if process::is_running(tgid) => return Err(error),
            // It has gone meanwhile, and with it the path to its files.
            Err(_) => self.known.forget(&fresh),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Probes in place, by name.
    pub fn probe_names(&self) -> &[String] {
        &self.known.names
    }

    /// Takes them out. When it returns no hit is under way any more.
    pub fn stop(&mut self) {
        if let Some(placed) = self.placed.take() {
            placed.remove();
        }
    }

    /// All samples so far.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn so_far(&self, kernel: &mut Kernel) -> Result<SampleSums, Error> {
        Ok(kernel.sample_sums()?.since(&self.begin))
    }

    /// Takes the probes out when they have cost more than the budget allows, and places them again when it does. To be
    /// called every 100 ms or so.
    ///
    /// # Errors
    /// When the kernel part cannot be read, or a probe not placed in a process that runs.
    pub fn keep_pace(&mut self, kernel: &mut Kernel) -> Result<(), Error> {
        let so_far = self.so_far(kernel)?;
        let may_watch = self.pace.book(&so_far, self.placed.is_some())?;
        if !may_watch && let Some(placed) = self.placed.take() {
            self.reaper.take(placed);
        } else if may_watch && self.placed.is_none() {
            let mut placed = Placed::default();
            for (scope, plan) in &self.plans {
                match (self.prober.place(plan, *scope), scope) {
                    (Ok(more), _) => placed.extend(more),
                    (Err(_), Scope::Process(tgid)) if !process::is_running(*tgid) => {}
                    (Err(error), _) => return Err(error),
                }
            }
            self.placed = Some(placed);
        }
        Ok(())
    }

    /// How much room the budget has for stacks, 0.01 to 1.
    pub fn spare_ratio(&self) -> f64 {
        self.pace.spare_ratio()
    }

    /// What came since the last time; null where the budget did not allow to watch all of it.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn window(
        &mut self,
        kernel: &mut Kernel,
        before: &Sums,
        after: &Sums,
    ) -> Result<AllocationWindow, Error> {
        let was_watched = self.placed.is_some();
        self.keep_pace(kernel)?;
        let now = kernel.sample_sums()?;
        let sums = now.since(&self.last);
        self.last = now;
        let knows_frees = was_watched && self.tell_frees && sums.unseen_free_samples == 0;
        let knows_live = self.tell_frees && self.pace.watched() == Watched::All;
        Ok(AllocationWindow {
            alloc_count: was_watched.then_some(sums.alloc_count),
            alloc_bytes: was_watched.then_some(sums.alloc_bytes),
            free_count: knows_frees.then_some(sums.free_count),
            freed_bytes: knows_frees.then_some(sums.freed_bytes),
            live_bytes: knows_live.then_some(after.peak.live_bytes),
            mmap_bytes: after.maps.added_bytes - before.maps.added_bytes,
            munmap_bytes: after.maps.removed_bytes - before.maps.removed_bytes,
            probed_ratio: if was_watched { 1.0 } else { 0.0 },
        })
    }

    /// What all of it came to.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn finish(self, kernel: &mut Kernel, before: &Sums, after: &Sums) -> Result<Concluded, Error> {
        let sums = self.so_far(kernel)?;
        let watched = self.pace.watched();
        let knows_live = self.tell_frees && watched == Watched::All;
        let places = if knows_live { kernel.live_places()? } else { Vec::new() };
        let mut totals = totals(&sums, self.tell_frees, watched, after);
        totals.mmap_bytes = after.maps.added_bytes - before.maps.added_bytes;
        totals.munmap_bytes = after.maps.removed_bytes - before.maps.removed_bytes;
        totals.probes = self.known.names;
        Ok(Concluded { totals, cost_ns: self.pace.cost_ns(&sums), sums, places })
    }
}

/// What samples came to.
pub struct Concluded {
    /// Totals.
    pub totals: AllocationTotals,
    /// What they are made of.
    pub sums: SampleSums,
    /// CPU time they took from the targets, in nanoseconds.
    pub cost_ns: f64,
    /// Places of the blocks that are live.
    pub places: Vec<u32>,
}

impl Concluded {
    /// Hits of probes.
    pub fn hits(&self) -> u64 {
        let SampleSums { alloc_samples, free_samples, unseen_free_samples, unread_samples, .. } = self.sums;
        alloc_samples + free_samples + unseen_free_samples + unread_samples
    }
}
