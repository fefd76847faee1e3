//! Memory accesses: from a source of the hardware's where there is one ([`hardware`]), else by forward walk: where a timer
//! found a thread, what would it access next?
//!
//! ```text
//! timer of each thread ─► access_tick (kernel part): registers and the lines they point to ─► ACCESS_RING, which wakes
//!   worker (a thread): Space (what the process has mapped), LineCache (captured, then read from the process)
//!     └► waytrace_walk: emulate to the k-th next access, for several k of each walk, drawn anew
//!          └► Access ─► session, which adds the block it lies in ─► Batch
//! ```
//!
//! A timer's interrupt is taken when the instruction that was being waited for is done, so what a sample finds is time,
//! and the access that took it is past. What comes *next* is computed from exact registers. With k uniform in 1..=K every
//! access of a loop of fewer than K has nearly the same chance, however long each of them takes: within a phase
//! samples are weighted by accesses. Between phases they stay weighted by time.
//!
//! The target is not stopped: by the time of the walk it is some tens of microseconds ahead, and memory that is not in
//! the capture is as it is then. [`check`] measures how often that, or a fault of the emulator, leads a walk astray.
//!
//! Reading memory may fault a page in. The walk reads what the target is about to read, so it has done so itself by then.

mod beside;
mod blocks;
mod check;
mod code;
mod draw;
mod emulator;
mod hardware;
mod heat;
mod hot;
mod lines;
mod memory;
mod places;
mod rate;
mod reach;
mod regions;
mod residency;
mod space;
mod walk;
mod worker;

use waytrace_hw::clock;
use waytrace_model::access::{Access, AccessTotals};
use waytrace_model::access_heat::HeatWindow;
use waytrace_model::collector::Status;

use hardware::Hardware;
pub use hardware::Precise;
pub use rate::{RATES_HZ, Rate};
pub use walk::Pace;
use walk::Walk;

use crate::Error;
use crate::kernel::Kernel;
use blocks::Blocks;
use worker::Sampled;

/// Why there are no sites.
const NO_BLOCKS: &str = "sites need to know the live blocks: use --exact";
/// Where samples are to come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// Forward walk, so often.
    Walk(Rate),
    /// A source of the hardware's.
    Hardware(Precise),
}

/// What a session samples with, before the kernel part is loaded.
pub enum Prepared {
    /// Forward walk: so often, and why, if it was not meant to be.
    Walk(Rate, Option<String>),
    /// The source, open and stopped.
    Hardware(Box<Hardware>),
}

impl Prepared {
    /// Opens the source that is wanted, or finds that there is to be a walk.
    ///
    /// # Errors
    /// When a source cannot be opened that is not to be replaced by a walk.
    pub fn new(mode: &Mode, targets: Targets<'_>) -> Result<Self, Error> {
        let precise = match mode {
            Mode::Walk(rate) => return Ok(Self::Walk(*rate, None)),
            Mode::Hardware(precise) => precise,
        };
        match (Hardware::open(precise, targets), precise.fallback) {
            (Ok(hardware), _) => Ok(Self::Hardware(Box::new(hardware))),
            (Err(error), None) => Err(error),
            (Err(error), Some(rate)) => {
                let name = precise.source.source.as_str();
                Ok(Self::Walk(rate, Some(format!("by forward walk, as {name} cannot be opened: {error}"))))
            }
        }
    }

    /// Whether the kernel part has to capture.
    pub fn is_walk(&self) -> bool {
        matches!(self, Self::Walk(..))
    }

    /// How it is to be reported, and what is to be said of it.
    pub fn status(&self) -> (Status, Option<String>) {
        match self {
            Self::Walk(_, None) => (Status::Ran, None),
            Self::Walk(_, Some(reason)) => (Status::Degraded, Some(reason.clone())),
            Self::Hardware(hardware) => (Status::Degraded, Some(hardware.notes())),
        }
    }

    /// Measures what is to be known of the machine before it is started.
    ///
    /// # Errors
    /// When the walk's timer cannot be opened.
    pub fn calibrate(self, kernel: &mut Kernel) -> Result<Ready, Error> {
        Ok(match self {
            Self::Walk(rate, _) => Ready::Walk(Pace::calibrate(kernel, rate)?),
            Self::Hardware(hardware) => Ready::Hardware(hardware),
        })
    }
}

/// What can be started.
pub enum Ready {
    /// Forward walk at a known cost.
    Walk(Pace),
    /// The source, open and stopped.
    Hardware(Box<Hardware>),
}

/// The running sampler.
pub struct Accesses {
    collector: Collector,
    /// Where live blocks are known.
    blocks: Option<Blocks>,
}

enum Collector {
    Walk(Box<Walk>),
    Hardware(Box<Hardware>),
}

/// Whom to sample.
#[derive(Debug, Clone, Copy)]
pub struct Targets<'a> {
    /// Processes.
    pub tgids: &'a [u32],
    /// Only this thread of theirs.
    pub only_tid: Option<u32>,
    /// Children of the processes too.
    pub follow_forks: bool,
}

impl Accesses {
    /// Starts sampling, in a kernel part that is aimed already and has windows of `interval_ns` from `start_ns` on.
    /// `knows_blocks` where that keeps all live blocks.
    ///
    /// # Errors
    /// When the timers or events cannot be opened or started, or no thread can be started.
    pub fn start(
        kernel: &mut Kernel,
        ready: Ready,
        targets: Targets<'_>,
        knows_blocks: bool,
        start_ns: u64,
        interval_ns: u64,
    ) -> Result<Self, Error> {
        let blocks = if knows_blocks { Some(Blocks::new(kernel.live_table()?, start_ns)) } else { None };
        let collector = match ready {
            Ready::Walk(pace) => Collector::Walk(Box::new(Walk::start(kernel, pace, targets, start_ns)?)),
            Ready::Hardware(mut hardware) => {
                hardware.start(kernel, targets.tgids, start_ns, interval_ns)?;
                Collector::Hardware(hardware)
            }
        };
        Ok(Self { collector, blocks })
    }

    /// Takes what hardware has sampled off its rings; a walk has a thread for that.
    pub fn drain(&mut self) {
        if let Collector::Hardware(hardware) = &mut self.collector {
            hardware.drain();
        }
    }

    /// Keeps a walk within its budget; takes what the kernel part has counted of hardware's samples.
    ///
    /// # Errors
    /// When the timers cannot be opened anew, or the kernel part cannot be read.
    pub fn keep_pace(&mut self, kernel: &mut Kernel, targets: Targets<'_>) -> Result<(), Error> {
        match &mut self.collector {
            Collector::Walk(walk) => walk.keep_pace(kernel, targets),
            Collector::Hardware(hardware) => hardware.count(kernel),
        }
    }

    /// What was counted in the kernel of windows that were complete since the last time.
    pub fn take_heat(&mut self) -> Vec<HeatWindow> {
        match &mut self.collector {
            Collector::Walk(_) => Vec::new(),
            Collector::Hardware(hardware) => hardware.take_heat(),
        }
    }

    /// What was resolved since the last time.
    pub fn take(&mut self) -> Vec<Access> {
        let sampled = match &mut self.collector {
            Collector::Walk(walk) => walk.worker.take(),
            Collector::Hardware(hardware) => hardware.take(),
        };
        joined(&mut self.blocks, sampled, false)
    }

    /// Tells that a process has mapped code anew, or runs another program.
    pub fn changed(&mut self, tgid: u32) {
        match &mut self.collector {
            Collector::Walk(walk) => walk.worker.changed(tgid),
            Collector::Hardware(hardware) => hardware.changed(tgid),
        }
    }

    /// Ends sampling, resolves what is left and names what was found.
    ///
    /// # Errors
    /// When the kernel part cannot be read, or the kernel does not let go of the events.
    pub fn finish(mut self, kernel: &mut Kernel, tgids: &[u32], cpu_ns: u64) -> Result<Finished, Error> {
        let (rest, finished) = match self.collector {
            Collector::Walk(walk) => {
                let (rest, totals, dropped, cost_ns) = walk.finish(kernel, cpu_ns)?;
                let (heat, cost_ns) = (Vec::new(), Some(cost_ns));
                (rest, Finished { rest: Vec::new(), heat, totals, dropped, missed: 0, cost_ns })
            }
            Collector::Hardware(hardware) => hardware.finish(kernel)?,
        };
        let rest = joined(&mut self.blocks, rest, true);
        let mut totals = finished.totals;
        residency::enter(&mut totals.regions);
        totals.footprints = self.blocks.as_ref().map(|blocks| blocks.footprints(tgids)).unwrap_or_default();
        totals.null_reason = self.blocks.is_none().then(|| NO_BLOCKS.to_owned());
        Ok(Finished { rest, totals, ..finished })
    }
}

fn joined(blocks: &mut Option<Blocks>, sampled: Vec<Sampled>, is_last: bool) -> Vec<Access> {
    match blocks {
        Some(blocks) => blocks.join(sampled, is_last),
        None => sampled.into_iter().map(|sampled| sampled.access).collect(),
    }
}

/// What a sampler leaves.
pub struct Finished {
    /// Accesses that were not taken yet.
    pub rest: Vec<Access>,
    /// Windows counted in the kernel that were not taken yet.
    pub heat: Vec<HeatWindow>,
    /// Totals.
    pub totals: AccessTotals,
    /// Samples a ring had no room for.
    pub dropped: u64,
    /// Accesses to a watched address for which the kernel did not run the kernel part.
    pub missed: u64,
    /// CPU time it took from the targets, in nanoseconds; `None` where nobody knows.
    pub cost_ns: Option<f64>,
}

/// Now, as captures tell the time.
fn now_ns() -> u64 {
    clock::monotonic_ns()
}
