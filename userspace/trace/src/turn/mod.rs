//! A closer look at one process for a while: allocator probes within a budget, and samples of memory accesses.
//!
//! [`Turns`] loads a kernel part once and calibrates once; each [`Turn`] aims it at a process, and [`Turn::finish`] gives back what was seen and leaves the kernel
//! part as it was before. One process at a time: so no kernel table has to tell processes apart, never more than one process has probes in it, and what all of it
//! costs does not depend on how many processes there are.
//!
//! ```text
//! Turns::begin(process) ─► aim, place probes in windows (`budget`), start timers (`access`) ─► Turn::drain … ─► Turn::finish ─► TurnResult
//! ```
//!
//! Names of functions are remembered from turn to turn by file and offset, allocators by the files that are mapped.

mod looking;
mod result;
mod room;

use std::collections::HashMap;

use aya::maps::{MapData, RingBuf};
use waytrace_abi::cookie::FreedSize;
use waytrace_abi::settings::Settings;
use waytrace_hw::Machine;
use waytrace_hw::clock;
use waytrace_image::allocators::{self, AllocatorMap};
use waytrace_image::process;
use waytrace_image::symbols::{self, Symbolizer};
use waytrace_image::usdt::{Samples, find as find_samples};
use waytrace_model::access::Access;

use looking::Looking;
pub use result::{Sampled, SiteShare, TurnResult};

use crate::Error;
use crate::access::{Accesses, Pace, Rate, Ready, Targets};
use crate::budget::Past;
use crate::calibrate::{self, Costs};
use crate::collect::allocations::Baseline;
use crate::collect::perf::{Events, Perf};
use crate::kernel::{Constants, HeatRoom, Kernel, TotalsReader};
use crate::known::{Files, Known};
use crate::probes::{Detail, Prober};
use crate::record::{self, Record};
use crate::stacks::Worker;

/// Nobody has this id: nobody is measured between turns.
const NOBODY: u32 = u32::MAX;
/// Room for the stacks of some tens of milliseconds.
const RING_BYTES: u32 = 1 << 20;
/// Mean bytes between two stacks of a thread: a few a second of a busy one.
const STACK_PERIOD_BYTES: u64 = 4 << 20;
/// A service's debug information is read, a compiler's is not: hundreds of megabytes take seconds.
const NAMING: symbols::Settings = symbols::Settings { debug_max_bytes: 16 << 20 };
/// Sampled blocks kept until their free: at half a megabyte each, those of 8 GiB.
const MOST_LIVE: u32 = 1 << 14;
/// Windows of the switch program, which only a timer closes on a CPU that never switches.
const INTERVAL_NS: u64 = 1_000_000_000;
/// Processes of which it is remembered what earlier turns saw.
const MAX_PASTS: usize = 256;

/// What a turn is to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TurnPlan {
    /// The process.
    pub tgid: u32,
    /// When it began, nanoseconds of `CLOCK_BOOTTIME`: tells it from another that had its id.
    pub start_boot_ns: u64,
    /// What allocator probes may take of its CPU time, percent; `None` leaves them out.
    pub allocations_pct: Option<f64>,
    /// Samples of accesses a second of its CPU time; `None` leaves them out.
    pub accesses_hz: Option<f64>,
}

impl TurnPlan {
    fn key(&self) -> (u32, u64) {
        (self.tgid, self.start_boot_ns)
    }
}

/// The kernel part that turns use.
pub struct Turns {
    kernel: Kernel,
    prober: Prober,
    costs: Costs,
    pace: Pace,
    _switches: Perf,
    ring: RingBuf<MapData>,
    symbolizer: Symbolizer,
    known: Known<Result<AllocatorMap, String>>,
    /// By process, and in which turn it was last added to.
    pasts: HashMap<(u32, u64), (u64, Past)>,
    turns_count: u64,
    known_samples: Known<Samples>,
}

impl Turns {
    /// Loads and calibrates.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn start() -> Result<Self, Error> {
        let mut kernel = Kernel::load(&CONSTANTS)?;
        let prober = Prober::new(&mut kernel)?;
        // How the freed size is told differs by allocator; the dearer way is assumed of all.
        let costs = calibrate::run(&mut kernel, &prober, Detail::Counts, FreedSize::GlibcChunk)?;
        let cpus = waytrace_hw::topology::cpus_online(Machine::live().root())?;
        let ring = kernel.ring()?;
        let pace = Pace::calibrate(&mut kernel, Rate::Hz(1.0))?;
        kernel.configure(Settings { single_tgid: NOBODY, ..Settings::default() })?;
        let none = Events::open(&[], &cpus, false)?;
        let switches = Perf::start(&mut kernel, none, &cpus, INTERVAL_NS, None)?;
        Ok(Self {
            kernel,
            prober,
            costs,
            pace,
            _switches: switches,
            ring,
            symbolizer: Symbolizer::new(NAMING),
            known: Known::default(),
            pasts: HashMap::new(),
            turns_count: 0,
            known_samples: Known::default(),
        })
    }

    /// Forgets what it remembers of programs and processes, to take less memory.
    pub fn forget(&mut self) {
        self.symbolizer = Symbolizer::new(NAMING);
        self.known.forget();
        self.pasts.clear();
        self.known_samples.forget();
    }

    /// Begins a turn.
    ///
    /// # Errors
    /// When the process has gone, or the kernel part cannot be aimed. That an allocator or a sampler is missing is no error: the result says so.
    pub fn begin(&mut self, plan: TurnPlan) -> Result<Turn<'_>, Error> {
        let began_cpu_ns = clock::own_cpu_ns();
        let mappings = process::mappings(plan.tgid)?;
        room::clear(&mut self.kernel)?;
        while self.ring.next().is_some() {}
        let start_ns = clock::monotonic_ns();
        let settings = Settings {
            single_tgid: plan.tgid,
            sample_period_bytes: STACK_PERIOD_BYTES,
            ..Settings::default()
        };
        self.kernel.add_target(plan.tgid)?;
        self.kernel.configure(settings)?;
        let baseline = Baseline::take(&mut self.kernel)?;
        let cpu = self.kernel.totals_reader()?;
        let start_target_ns = cpu.target_cpu_ns()?;
        let mut turn = Turn {
            plan,
            start_ns,
            start_target_ns,
            cpu,
            baseline,
            looking: None,
            no_allocations: None,
            accesses: None,
            no_accesses: None,
            sampled: Vec::new(),
            stacks: None,
            began_cpu_ns,
            turns: self,
        };
        if let Some(budget_pct) = plan.allocations_pct {
            match turn.probe(budget_pct, &mappings) {
                Ok(looking) => turn.looking = Some(looking),
                Err(reason) => turn.no_allocations = Some(reason),
            }
        }
        if let Some(hz) = plan.accesses_hz {
            match turn.sample(hz) {
                Ok(accesses) => turn.accesses = Some(accesses),
                Err(error) => turn.no_accesses = Some(error.to_string()),
            }
        }
        Ok(turn)
    }

    fn remember(&mut self, plan: TurnPlan, past: Past) {
        if self.pasts.len() >= MAX_PASTS {
            let oldest = self.pasts.iter().min_by_key(|(_, (turn, _))| *turn).map(|(key, _)| *key);
            oldest.and_then(|key| self.pasts.remove(&key));
        }
        self.turns_count += 1;
        self.pasts.insert(plan.key(), (self.turns_count, past));
    }

    /// The samples a process's allocator hands out; looked for once per set of files.
    fn samples(&mut self, tgid: u32, files: &Files, mappings: &[process::Mapping]) -> Samples {
        let mut samples = self.known_samples.of(files, || find_samples(tgid, mappings));
        for point in &mut samples.points {
            if let Some(path) = files.path(point.key) {
                point.path.clone_from(path);
            }
        }
        samples
    }

    /// The allocators of a process, likewise.
    fn allocators(
        &mut self,
        tgid: u32,
        files: &Files,
        mappings: &[process::Mapping],
    ) -> Result<AllocatorMap, String> {
        let find = || allocators::find(tgid, mappings).map_err(|error| error.to_string());
        let mut map = self.known.of(files, find)?;
        for point in &mut map.probes {
            if let Some(path) = files.path(point.key) {
                point.path.clone_from(path);
            }
        }
        Ok(map)
    }
}

const CONSTANTS: Constants = Constants {
    everyone: false,
    follow_forks: false,
    lifetimes: false,
    every_stack: false,
    min_traced_bytes: u64::MAX,
    wrappers_present: true,
    event_count: 0,
    interval_ns: INTERVAL_NS,
    phases: false,
    accesses: true,
    heat: HeatRoom::NONE,
    samples: true,
    max_live: MOST_LIVE,
    ring_bytes: RING_BYTES,
};

/// A process under a closer look. Dropping it ends that.
pub struct Turn<'t> {
    turns: &'t mut Turns,
    plan: TurnPlan,
    start_ns: u64,
    start_target_ns: u64,
    cpu: TotalsReader,
    baseline: Baseline,
    looking: Option<Looking>,
    no_allocations: Option<String>,
    accesses: Option<Accesses>,
    no_accesses: Option<String>,
    sampled: Vec<Access>,
    stacks: Option<Worker>,
    began_cpu_ns: u64,
}

impl Turn<'_> {
    fn sample(&mut self, hz: f64) -> Result<Accesses, Error> {
        let tgids = [self.plan.tgid];
        let targets = Targets { tgids: &tgids, only_tid: None, follow_forks: false };
        let kernel = &mut self.turns.kernel;
        let ready = Ready::Walk(self.turns.pace.at(Rate::Hz(hz)));
        Accesses::start(kernel, ready, targets, false, self.start_ns, INTERVAL_NS)
    }

    /// Takes what came since the last time. To be called every 50 ms or so.
    pub fn drain(&mut self) {
        while let Some(record) = self.turns.ring.next().map(|item| record::decode(&item)) {
            if let (Some(Record::Stack(sample)), Some(stacks)) = (record, &mut self.stacks) {
                stacks.unwind(sample);
            }
        }
        if let Some(accesses) = &mut self.accesses {
            self.sampled.extend(accesses.take());
        }
        if let Err(error) = self.adapt() {
            tracing::debug!(%error, "the number of stacks is not held");
        }
    }

    /// Ends the turn: probes and timers are gone when it returns.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn finish(mut self) -> Result<TurnResult, Error> {
        self.drain();
        let mut looking = self.looking.take();
        if let Some(looking) = &mut looking {
            looking.stop();
        }
        let after = Baseline::take(&mut self.turns.kernel)?;
        let target_cpu_ns = self.cpu.target_cpu_ns()?.saturating_sub(self.start_target_ns);
        let span_ns = clock::monotonic_ns() - self.start_ns;
        self.drain();
        let mut result = TurnResult { span_ns, target_cpu_ns, ..TurnResult::default() };
        if let Some(looking) = looking {
            self.conclude(looking, &after, &mut result)?;
        }
        if let Some(accesses) = self.accesses.take() {
            let finished = accesses.finish(&mut self.turns.kernel, &[self.plan.tgid], target_cpu_ns)?;
            self.sampled.extend(finished.rest);
            result.samples_cost_ns = finished.cost_ns.unwrap_or(0.0);
            result.enter_accesses(&self.sampled, &finished.totals);
        }
        result.no_allocations = self.no_allocations.take().or(result.no_allocations);
        result.no_accesses = self.no_accesses.take();
        self.turns.kernel.configure(Settings { single_tgid: NOBODY, ..Settings::default() })?;
        self.turns.kernel.forget_target(self.plan.tgid)?;
        result.own_cpu_ns = clock::own_cpu_ns().saturating_sub(self.began_cpu_ns);
        Ok(result)
    }
}
