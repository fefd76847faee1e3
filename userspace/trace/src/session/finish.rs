//! The end of a session: probes go, sites and stacks get their names, and what it all cost is said.

use waytrace_abi::allocation::{NO_STACK, Site};
use waytrace_hw::{clock, process};
use waytrace_model::access::{AccessTotals, Source};
use waytrace_model::allocation::{AllocationTotals, TracedAllocation};
use waytrace_model::batch::{Batch, Epilogue};
use waytrace_model::collector::{Overhead, Status};
use waytrace_model::run::EndedBy;

use super::{AllocationMode, Probes, Session, sliver};
use crate::Error;
use crate::collect::allocations::{self, Baseline, Scale};
use crate::names::Names;
use crate::probes::Detail;
use crate::stacks::Stacks;
use crate::usdt;

/// Most of its CPU time a target can be said to have spent on probes.
const MOST_COST_RATIO: f64 = 0.999;

impl Session {
    /// Detaches, names what was found, and closes the run. The batches are those of the last windows.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn finish(mut self, ended_by: EndedBy) -> Result<(Vec<Batch>, Epilogue), Error> {
        let mut batches: Vec<Batch> = self.close_window()?.into_iter().collect();
        let end_ns = self.window_start_ns;
        // Segments that run now are closed by the timer within a window; what belongs to later ones is left out.
        let end_window = (end_ns - self.start_ns).div_ceil(self.request.interval_ns.max(1));
        // Totals and sites are read when no probe is left that could change them in between.
        let probes = std::mem::replace(&mut self.probes, Probes::None).removed();
        let after = Baseline::take(&mut self.kernel)?;
        let own = self.own_sites()?;
        let measured = Measured { after, end_ns };
        let Conclusion { totals: allocations, scale, detail, cost_ns, samples } =
            self.conclude(probes, &measured)?;
        let sampled = match self.accesses.take() {
            Some(accesses) => {
                Some(accesses.finish(&mut self.kernel, &self.request.tgids, self.tasks.cpu_ns())?)
            }
            None => None,
        };
        self.drain()?;
        self.add_perf_readings(end_window, None)?;
        if let Some(last) = &mut self.pending {
            last.phases.append(&mut self.gathered.phases);
            last.traced.append(&mut self.gathered.traced);
        }
        let mut access_cost_ns = Some(0.0);
        let accesses = sampled.map(|sampled| {
            if let Some(last) = &mut self.pending {
                last.accesses.extend(sampled.rest);
                last.heat.extend(sampled.heat);
            }
            self.loss.add("samples_dropped", sampled.dropped);
            self.loss.add("samples_missed", sampled.missed);
            access_cost_ns = sampled.cost_ns;
            if sampled.totals.throttled > 0
                && let Some(collector) =
                    self.collectors.iter_mut().find(|collector| collector.name == "accesses")
            {
                collector.status = Status::Degraded;
                let throttled = throttled(&sampled.totals);
                collector.reason = Some(match collector.reason.take() {
                    Some(reason) => format!("{reason}; {throttled}"),
                    None => throttled,
                });
            }
            sampled.totals
        });
        batches.extend(self.pending.take());
        sliver::join(&mut batches, self.request.interval_ns);
        let (mut stacks, dropped) = match self.stacks.take() {
            Some(worker) => worker.finish(),
            None => Default::default(),
        };
        self.loss.add("stack_missing", dropped);
        self.loss.add("walk_truncated", stacks.truncated_count);
        for ((name, now), before) in
            waytrace_abi::loss::NAMES.iter().zip(self.kernel.losses()?).zip(self.loss_baseline)
        {
            self.loss.add(name, now - before);
        }
        self.take_stacks(&own, &mut stacks)?;
        let callers = own.iter().filter(|site| site.alloc_count > 0);
        let callers = callers.map(|site| (site.tgid, allocations::call_address(site)));
        let names = Names::resolve(&stacks, callers.chain(stacks.callers.addresses()));
        let peak_epoch = measured.after.sums.peak.epoch;
        let sites = match &samples {
            Some(samples) => usdt::callers::sites(&mut stacks, &names, samples),
            None => allocations::sites(&own, peak_epoch, detail, &names, &stacks, scale),
        };
        let remaining = self.remaining()?;
        let totals = allocations.map(|mut totals| {
            totals.temporary_count =
                totals.temporary_count.map(|_| sites.iter().filter_map(|site| site.temporary_count).sum());
            totals
        });
        let calls = measured.after.sums.maps.call_count - self.baseline.sums.maps.call_count;
        let watched_ns =
            self.mappings.as_ref().map_or(0.0, |mappings| mappings.cost_ns(calls, self.costs.alloc_ns));
        let hits = samples.as_ref().map_or(0, usdt::Concluded::hits);
        let mut overhead =
            self.overhead(cost_ns + watched_ns, access_cost_ns.unwrap_or(0.0), hits, &measured);
        if access_cost_ns.is_none() {
            overhead.target_pct = None;
        }
        let epilogue = Epilogue {
            duration_ns: end_ns - self.start_ns,
            ended_by,
            exit_code: None,
            collectors: self.collectors,
            allocations: totals,
            sites,
            remaining,
            accesses,
            stacks: stacks.quality,
            loss: self.loss,
            overhead,
        };
        Ok((batches, epilogue))
    }

    /// Sites of the targets; the calibration's own is emptied.
    fn own_sites(&mut self) -> Result<Vec<Site>, Error> {
        let mut sites = self.kernel.sites()?;
        for site in sites.iter_mut().filter(|site| site.tgid == std::process::id()) {
            *site = Site::default();
        }
        Ok(sites)
    }

    /// With every call's stack at hand, those take the place of the samples.
    fn take_stacks(&mut self, sites: &[Site], stacks: &mut Stacks) -> Result<(), Error> {
        if self.request.detail() < Detail::Stacks {
            return Ok(());
        }
        stacks.counts.clear();
        for (index, site) in sites.iter().enumerate() {
            if site.stack == NO_STACK || site.alloc_count == 0 {
                continue;
            }
            // The first address is the probed function itself; its caller is known for certain from the call.
            let outer =
                self.kernel.stack(site.stack)?.into_iter().skip(1).map(|address| address.saturating_sub(1));
            let caller = allocations::call_address(site);
            let addresses =
                std::iter::once(caller).chain(outer.skip_while(|&address| address == caller)).collect();
            stacks.counts.insert((index as u32, addresses), site.alloc_count);
            stacks.tgids.insert(index as u32, site.tgid);
        }
        Ok(())
    }

    /// Traced blocks that were not freed, oldest first. There are at most `--max-live`.
    fn remaining(&self) -> Result<Vec<TracedAllocation>, Error> {
        let Some(AllocationMode::Exact { detail: Detail::Lifetimes | Detail::Stacks, min_traced_bytes }) =
            self.request.allocations
        else {
            return Ok(Vec::new());
        };
        let start_ns = self.start_ns;
        let table = self.kernel.live_table()?;
        let blocks = table.blocks(min_traced_bytes);
        let mut live: Vec<_> =
            blocks.map(|(key, block)| allocations::remaining(key, &block, start_ns)).collect();
        live.sort_unstable_by_key(|block| block.from_ns);
        Ok(live)
    }
}

fn throttled(totals: &AccessTotals) -> String {
    let limit = std::fs::read_to_string("/proc/sys/kernel/perf_event_max_sample_rate").unwrap_or_default();
    let (times, limit) = (totals.throttled, limit.trim());
    match totals.source {
        Source::ForwardWalk => format!(
            "{times} samples did not come: the kernel held them back (perf_event_max_sample_rate is {limit}), or threads ended before their first; lower --freq"
        ),
        _ => format!(
            "the kernel held samples back {times} times (perf_event_max_sample_rate is {limit}); lower --freq or raise --period"
        ),
    }
}

struct Measured {
    after: Baseline,
    end_ns: u64,
}

/// What the allocation side came to.
struct Conclusion {
    totals: Option<AllocationTotals>,
    /// What counted calls are to be multiplied by.
    scale: Scale,
    detail: Detail,
    /// CPU time it took from the target.
    cost_ns: f64,
    /// What the allocator's own samples came to, where they are the source.
    samples: Option<usdt::Concluded>,
}

impl Session {
    /// Ends the allocation side.
    fn conclude(&mut self, probes: Probes, measured: &Measured) -> Result<Conclusion, Error> {
        let (before, after) = (&self.baseline.sums, &measured.after.sums);
        let paid = self.costs.between(&before.totals, &after.totals);
        let (mut scale, mut cost_ns) = (Scale::ONE, paid.total_ns());
        let (mut samples, mut detail) = (None, Detail::Counts);
        let totals = match probes {
            Probes::None => self.mappings.is_some().then(|| AllocationTotals {
                mmap_bytes: after.maps.added_bytes - before.maps.added_bytes,
                munmap_bytes: after.maps.removed_bytes - before.maps.removed_bytes,
                null_reason: Some("no allocator was probed".to_owned()),
                ..Default::default()
            }),
            Probes::Exact { detail: asked, plan, .. } => {
                let counted = allocations::totals(asked, &self.baseline, &measured.after, 0);
                detail = asked;
                Some(AllocationTotals { probes: plan.names, ..counted })
            }
            Probes::Budgeted(budgeted) => {
                let concluded = budgeted.finish(&self.baseline, &measured.after);
                self.loss.add("windows_unusable", concluded.unusable_windows);
                cost_ns = concluded.factors.of(paid.alloc_ns, paid.free_ns);
                scale = concluded.scale;
                Some(concluded.totals)
            }
            Probes::Samples(watch) => {
                let concluded = watch.finish(&mut self.kernel, before, after)?;
                self.loss.add("samples_unread", concluded.sums.unread_samples);
                cost_ns = concluded.cost_ns;
                Some(samples.insert(concluded).totals.clone())
            }
        };
        Ok(Conclusion { totals, scale, detail, cost_ns, samples })
    }

    /// Of CPU time that probes and samples took from the targets.
    fn overhead(&self, probes_ns: f64, samples_ns: f64, sample_hits: u64, measured: &Measured) -> Overhead {
        let before = &self.baseline.sums.totals;
        let after = &measured.after.sums.totals;
        let run_ns = (measured.end_ns - self.start_ns).max(1) as f64;
        let target_ns = self.tasks.cpu_ns() as f64;
        // Calibration may exceed what the target really paid; it cannot have paid all its time.
        let most_ns = MOST_COST_RATIO * target_ns;
        let cost_ns = (probes_ns + samples_ns).min(most_ns);
        let undisturbed_ns = target_ns - cost_ns;
        let hits = after.hit_count - before.hit_count + sample_hits;
        Overhead {
            budget_pct: self.request.budget_pct,
            target_pct: (undisturbed_ns > 0.0).then(|| 100.0 * cost_ns / undisturbed_ns),
            tool_cpu_pct: Some(
                100.0 * clock::own_cpu_ns().saturating_sub(self.own_cpu_start_ns) as f64 / run_ns,
            ),
            tool_rss_bytes: process::own_peak_rss_bytes(),
            probe_hit_ns: Some(if hits > 0 {
                probes_ns.min(most_ns) / hits as f64
            } else {
                self.costs.alloc_ns
            }),
            probe_hits_count: hits,
            attach_ns: Some(self.attach_ns),
        }
    }
}
