//! One attach-to-detach: what the command asked for, the collectors that run, and the batches they make.
//!
//! Data walk: ring records are drained a few times a window into the collectors; at each window's end the kernel
//! side's totals are read and a [`Batch`] is made; at the end sites and stacks are named and an epilogue closes the
//! run. Nothing here writes to disk.

mod attach;
mod finish;
mod request;
mod samples;
pub(crate) mod sampling;
mod sliver;
mod wrappers;

use aya::maps::{MapData, RingBuf};
use waytrace_abi::lifecycle::{self, Lifecycle};
use waytrace_hw::clock;
use waytrace_image::allocators;
use waytrace_image::process;
use waytrace_model::allocation::{AllocationWindow, MapEvent, TracedAllocation};
use waytrace_model::batch::Batch;
use waytrace_model::collector::{CollectorReport, Loss};
use waytrace_model::phase::Phase;
use waytrace_model::run::Window;

pub use request::{AllocationMode, Request};
use sampling::Sampling;
pub(crate) use wrappers::enter_wrappers;

use crate::access::Accesses;
use crate::budget::Budgeted;
use crate::collect::allocations::{self, Baseline};
use crate::collect::mappings::{self, Mappings};
use crate::collect::perf::Perf;
use crate::collect::phases::Phases;
use crate::collect::tasks::{Brought, Tasks};
use crate::kernel::{Kernel, Sums};
use crate::probes::{Detail, Placed, Plan, Prober};
use crate::record::{self, Record};
use crate::stacks::Worker;
use crate::usdt::Watch;
use crate::{Error, calibrate};

/// Windows between two looks at whether the targets live.
const LOOK_WINDOWS: u64 = 16;

/// Traced blocks that wait for the next batch, at 64 bytes each; further ones are counted as lost.
const MAX_TRACED: usize = 1 << 20;

/// A running session.
pub struct Session {
    request: Request,
    kernel: Kernel,
    ring: RingBuf<MapData>,
    start_ns: u64,
    windows: u64,
    window_start_ns: u64,
    tasks: Tasks,
    perf: Option<Perf>,
    phases: Option<Phases>,
    sampling: Option<Sampling>,
    accesses: Option<Accesses>,
    mappings: Option<Mappings>,
    probes: Probes,
    stacks: Option<Worker>,
    baseline: Baseline,
    loss_baseline: [u64; waytrace_abi::loss::KINDS as usize],
    last: Sums,
    gathered: Gathered,
    pending: Option<Batch>,
    collectors: Vec<CollectorReport>,
    loss: Loss,
    costs: calibrate::Costs,
    own_cpu_start_ns: u64,
    attach_ns: u64,
}

/// The allocator probes of a session.
enum Probes {
    None,
    Exact { detail: Detail, prober: Prober, plan: Plan, placed: Placed },
    Budgeted(Box<Budgeted>),
    Samples(Box<Watch>),
}

impl Probes {
    /// Takes them out of the target. When it returns no hit is under way any more.
    fn removed(mut self) -> Self {
        match &mut self {
            Self::None => {}
            Self::Exact { placed, .. } => std::mem::take(placed).remove(),
            Self::Budgeted(budgeted) => budgeted.stop(),
            Self::Samples(watch) => watch.stop(),
        }
        self
    }
}

#[derive(Default)]
struct Gathered {
    brought: Brought,
    map_events: Vec<MapEvent>,
    phases: Vec<Phase>,
    traced: Vec<TracedAllocation>,
    rescan: Vec<u32>,
    /// Something of a target ended: it may have been the last.
    ended: bool,
}

impl Session {
    /// `CLOCK_MONOTONIC` at the start of the run.
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Window length.
    pub fn interval_ns(&self) -> u64 {
        self.request.interval_ns
    }

    /// Probes in place, for the user to read.
    pub fn probe_names(&self) -> &[String] {
        match &self.probes {
            Probes::None => &[],
            Probes::Exact { plan, .. } => &plan.names,
            Probes::Budgeted(budgeted) => budgeted.probe_names(),
            Probes::Samples(watch) => watch.probe_names(),
        }
    }

    /// What each collector that is not simply running says of itself.
    pub fn collectors(&self) -> &[CollectorReport] {
        &self.collectors
    }

    /// When the current window is to be closed.
    pub fn next_window_ns(&self) -> u64 {
        self.start_ns + (self.windows + 1) * self.request.interval_ns
    }

    /// Allocations and their bytes so far, for a progress line; `None` where no allocator is probed.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn progress(&mut self) -> Result<Option<(f64, f64)>, Error> {
        match &self.probes {
            Probes::None => Ok(None),
            Probes::Budgeted(budgeted) => Ok(Some(budgeted.so_far())),
            Probes::Samples(watch) => {
                let sums = watch.so_far(&mut self.kernel)?;
                Ok(Some((sums.alloc_count, sums.alloc_bytes)))
            }
            _ => {
                let totals = self.kernel.sums()?.totals;
                let from = self.baseline.sums.totals;
                let (count, bytes) =
                    (totals.alloc_count - from.alloc_count, totals.alloc_bytes - from.alloc_bytes);
                Ok(Some((count as f64, bytes as f64)))
            }
        }
    }

    /// Takes all records off the rings. To be called every few milliseconds.
    ///
    /// # Errors
    /// When probes cannot be placed on an allocator the target has just loaded.
    pub fn drain(&mut self) -> Result<(), Error> {
        while let Some(record) = self.ring.next().map(|item| record::decode(&item)) {
            if let Some(record) = record {
                self.take(record);
            }
        }
        if let Some(accesses) = &mut self.accesses {
            accesses.drain();
        }
        let rescan = std::mem::take(&mut self.gathered.rescan);
        for tgid in rescan {
            self.rescan(tgid)?;
        }
        Ok(())
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Traced(traced) => {
                if self.gathered.traced.len() < MAX_TRACED {
                    self.gathered.traced.push(allocations::traced(&traced, self.start_ns));
                } else {
                    self.loss.add("traced_dropped", 1);
                }
            }
            Record::Stack(sample) => {
                if let Some(worker) = &mut self.stacks {
                    worker.unwind(sample);
                }
            }
            Record::Map(change) => {
                if change.executable != 0 {
                    self.gathered.rescan.push(change.tgid);
                }
                self.gathered.map_events.extend(mappings::event(&change, self.start_ns));
            }
            Record::Lifecycle(event) => self.lifecycle(&event),
            Record::Phase(end) => {
                let phase = self.phases.as_ref().map(|phases| phases.phase(&end, self.start_ns));
                self.gathered.phases.extend(phase);
            }
        }
    }

    fn lifecycle(&mut self, event: &Lifecycle) {
        match event.kind {
            lifecycle::EXIT => {
                self.gathered.ended = true;
                self.tasks.exited(&event.task, event.at_ns, &mut self.gathered.brought);
            }
            lifecycle::EXEC => self.gathered.rescan.push(event.task.tgid),
            lifecycle::FORK if event.task.tgid == event.task.tid && self.request.follow_forks => {
                self.request.tgids.push(event.task.tgid);
                if let Some(worker) = &mut self.stacks {
                    worker.fork(event.parent_tgid, event.task.tgid);
                }
                self.gathered.rescan.push(event.task.tgid);
            }
            _ => {}
        }
    }

    /// Looks again at what the targets have mapped, now.
    ///
    /// # Errors
    /// When probes cannot be placed.
    pub fn look_again(&mut self) -> Result<(), Error> {
        self.drain()?;
        self.request.tgids.clone().into_iter().try_for_each(|tgid| self.rescan(tgid))
    }

    /// Looks again at what a process has mapped: a library with an allocator may have come, or a whole new program.
    fn rescan(&mut self, tgid: u32) -> Result<(), Error> {
        if let Some(worker) = &mut self.stacks {
            worker.sync(tgid);
        }
        if let Some(accesses) = &mut self.accesses {
            accesses.changed(tgid);
        }
        let Ok(mappings) = process::mappings(tgid) else { return Ok(()) };
        if let Some(end) = mappings::heap_end(tgid, &mappings) {
            self.kernel.set_heap_end(tgid, end)?;
        }
        if let Some(watched) = &mut self.mappings {
            watched.look_again(&mut self.kernel, tgid, &mappings)?;
        }
        if let Probes::Samples(watch) = &mut self.probes {
            return watch.add(&mut self.kernel, tgid, &mappings, self.request.scope(tgid));
        }
        let Ok(map) = allocators::find(tgid, &mappings) else { return Ok(()) };
        enter_wrappers(&mut self.kernel, &map, &mappings, self.request.detail())?;
        match &mut self.probes {
            Probes::None | Probes::Samples(_) => {}
            Probes::Exact { detail, prober, plan, placed } => {
                let fresh = plan.add_missing(Plan::new(&map, *detail));
                if !fresh.files.is_empty() {
                    match prober.place(&fresh, self.request.scope(tgid)) {
                        Ok(more) => placed.extend(more),
                        Err(error) if process::is_running(tgid) => return Err(error),
                        // It has gone meanwhile, and with it the path to its files.
                        Err(_) => plan.forget(&fresh),
                    }
                }
            }
            Probes::Budgeted(budgeted) => budgeted.add(tgid, &map),
        }
        Ok(())
    }

    /// Closes the window that ends now. Returns the batch of the window before, whose counters are complete by now.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn close_window(&mut self) -> Result<Option<Batch>, Error> {
        self.drain()?;
        let now_ns = clock::monotonic_ns();
        let index = self.windows;
        let mut gathered = std::mem::take(&mut self.gathered);
        // Now and then it is looked at anyway, should the ring have lost the record of an end.
        self.gathered.ended = gathered.ended || index.is_multiple_of(LOOK_WINDOWS);
        self.tasks.close(&mut self.kernel, now_ns, &mut gathered.brought)?;
        if let Some(accesses) = &mut self.accesses {
            accesses.keep_pace(&mut self.kernel, self.request.sampled())?;
        }
        let allocations = self.window_allocations(now_ns)?;
        let window =
            Window { index, start_ns: self.window_start_ns - self.start_ns, end_ns: now_ns - self.start_ns };
        let batch = Batch {
            window,
            threads: gathered.brought.threads,
            readings: gathered.brought.readings,
            allocations,
            map_events: gathered.map_events,
            phases: gathered.phases,
            traced: Vec::new(),
            accesses: self.accesses.as_mut().map(Accesses::take).unwrap_or_default(),
            heat: self.accesses.as_mut().map(Accesses::take_heat).unwrap_or_default(),
        };
        self.windows += 1;
        self.window_start_ns = now_ns;
        let mut finished = self.pending.replace(batch);
        // Ended blocks need not wait until counters are complete: they go with the first batch that leaves.
        match &mut finished {
            Some(batch) => batch.traced = gathered.traced,
            None => self.gathered.traced = gathered.traced,
        }
        self.add_perf_readings(self.windows.saturating_sub(1), finished.as_mut())?;
        Ok(finished)
    }

    /// Adds the readings of windows before `end` to the batch they belong to: the finished one or the one pending.
    fn add_perf_readings(&mut self, end: u64, mut finished: Option<&mut Batch>) -> Result<(), Error> {
        let Some(perf) = &self.perf else { return Ok(()) };
        for (window, readings) in perf.drain(&mut self.kernel, end)? {
            let home = match &mut finished {
                Some(batch) if batch.window.index >= window => Some(&mut **batch),
                _ => self.pending.as_mut(),
            };
            if let Some(batch) = home {
                batch.readings.extend(readings);
            }
        }
        Ok(())
    }

    fn window_allocations(&mut self, now_ns: u64) -> Result<Option<AllocationWindow>, Error> {
        let sums = self.kernel.sums()?;
        let before = std::mem::replace(&mut self.last, sums);
        let mut counted_bytes = sums.totals.alloc_bytes - before.totals.alloc_bytes;
        let window = match &mut self.probes {
            Probes::None if self.mappings.is_none() => None,
            Probes::None => Some(AllocationWindow {
                mmap_bytes: sums.maps.added_bytes - before.maps.added_bytes,
                munmap_bytes: sums.maps.removed_bytes - before.maps.removed_bytes,
                ..AllocationWindow::default()
            }),
            Probes::Exact { detail, .. } => Some(allocations::window(*detail, &before, &sums)),
            Probes::Budgeted(budgeted) => {
                let mut window = budgeted.close_window(self.window_start_ns, now_ns);
                window.mmap_bytes = sums.maps.added_bytes - before.maps.added_bytes;
                window.munmap_bytes = sums.maps.removed_bytes - before.maps.removed_bytes;
                Some(window)
            }
            Probes::Samples(watch) => {
                let window = watch.window(&mut self.kernel, &before, &sums)?;
                // Where the budget runs low, stacks are what can be spared.
                counted_bytes = (window.alloc_bytes.unwrap_or(0.0) / watch.spare_ratio()) as u64;
                Some(window)
            }
        };
        if let Some(sampling) = &mut self.sampling {
            sampling.adapt(&mut self.kernel, counted_bytes)?;
        }
        Ok(window)
    }

    /// Whether a target other than this one is measured and runs.
    pub fn has_other_targets(&self, tgid: u32) -> bool {
        self.request.tgids.iter().any(|&other| other != tgid && process::is_running(other))
    }

    /// Whether all targets have ended. Cheap: it looks only after something of theirs has.
    pub fn targets_gone(&mut self) -> bool {
        if !std::mem::take(&mut self.gathered.ended) {
            return false;
        }
        let (alive, gone): (Vec<u32>, Vec<u32>) =
            self.request.tgids.iter().partition(|&&tgid| process::is_running(tgid));
        if alive.is_empty() {
            return true;
        }
        for tgid in gone {
            if let Err(error) = self.kernel.forget_target(tgid) {
                tracing::debug!(tgid, %error, "its places in the kernel part stay taken");
            }
        }
        self.request.tgids = alive;
        false
    }
}
