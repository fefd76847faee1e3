//! What a probe hit costs on this machine, measured on a function of our own before the target is touched.
//!
//! The same programs take the same path as for the target: the calling thread is made the target, calls a function of
//! three instructions whose first is a `push` (emulated by the kernel, as in most allocators) many times with and
//! without the probes, and the difference in its CPU time is the cost. The best of several rounds counts: whatever
//! disturbs a round only adds.

#[cfg(target_arch = "x86_64")]
use std::arch::naked_asm;
use std::path::PathBuf;
use std::time::Duration;

use waytrace_abi::cookie::{Cookie, FreedSize, NO_ARG, Op};
use waytrace_abi::settings::Settings;
use waytrace_hw::clock;
use waytrace_image::allocators::FileKey;
use waytrace_image::process;

use crate::Error;
use crate::kernel::{Counts, Kernel};
use crate::probes::{Detail, FilePlan, Plan, Point, Prober, Scope};

/// CPU time a hit takes from the thread that makes it, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Costs {
    /// A probe at the entry of an allocating function, with what its handler does at this detail.
    pub alloc_ns: f64,
    /// The same of a freeing function.
    pub free_ns: f64,
    /// A return probe, on top of the entry's.
    pub return_ns: f64,
    /// A stack sample, on top of the hit's.
    pub sample_ns: f64,
}

/// What probes took from a target between two readings of the totals, in nanoseconds of CPU time by calibration.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Paid {
    /// In allocating functions, stack samples included.
    pub alloc_ns: f64,
    /// In freeing functions.
    pub free_ns: f64,
}

impl Paid {
    /// Both.
    pub fn total_ns(&self) -> f64 {
        self.alloc_ns + self.free_ns
    }
}

impl Costs {
    /// What probes cost between two readings. A hit that counted nothing is taken for one of an allocating function.
    pub fn between(&self, from: &Counts, to: &Counts) -> Paid {
        let frees = to.free_count - from.free_count;
        let allocs = (to.hit_count - from.hit_count).saturating_sub(frees);
        let returns = to.return_count - from.return_count;
        let samples = to.sample_count - from.sample_count;
        Paid {
            alloc_ns: self.alloc_ns * allocs as f64
                + self.return_ns * returns as f64
                + self.sample_ns * samples as f64,
            free_ns: self.free_ns * frees as f64,
        }
    }
}

const CALLS: u32 = 2_000;
const ROUNDS: u32 = 5;
const SAMPLED_CALLS: u32 = 100;
const BLOCK_BYTES: usize = 64;
/// How it is looked whether removed probes are still hit, and how long at most.
const SETTLING_CALLS: u32 = 50;
const SETTLING_LOOK: Duration = Duration::from_micros(200);
const MOST_WAITED_NS: u64 = 200_000_000;

/// Stands for an allocator: returns its second argument.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn stand_in_alloc(_size: usize, _block: usize) -> usize {
    naked_asm!("push rbp", "mov rax, rsi", "pop rbp", "ret")
}

/// Stands for a free.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn stand_in_free(_block: usize) {
    naked_asm!("push rbp", "nop", "pop rbp", "ret")
}

/// The same elsewhere, where no kernel part loads and so nothing is calibrated: it only has to compile.
#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
extern "C" fn stand_in_alloc(_size: usize, block: usize) -> usize {
    block
}

/// See [`stand_in_alloc`].
#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
extern "C" fn stand_in_free(_block: usize) {}

/// Calibrates; `freed_size` is how the target's allocator tells the size of a freed block, for that is part of a free's
/// cost. Everything it leaves in the kernel part's maps carries this process's id.
///
/// # Errors
/// When the probes cannot be placed on this very program.
pub fn run(
    kernel: &mut Kernel,
    prober: &Prober,
    detail: Detail,
    freed_size: FreedSize,
) -> Result<Costs, Error> {
    let tgid = std::process::id();
    let mut settings = Settings { single_tgid: tgid, ..Settings::default() };
    kernel.configure(settings)?;
    let mut costs = Costs {
        alloc_ns: measure(prober, Probed { enter: true, ..Probed::of(freed_size) })?,
        free_ns: measure(prober, Probed { free: true, ..Probed::of(freed_size) })?,
        ..Costs::default()
    };
    if detail >= Detail::Lifetimes {
        // Live blocks are only kept, and only taken out again, where both sides are probed.
        let pair_ns = measure(prober, Probed { enter: true, exit: true, free: true, freed_size })?;
        let trampoline_ns =
            measure(prober, Probed { exit: true, ..Probed::of(freed_size) })? - costs.alloc_ns;
        costs.return_ns = (pair_ns - costs.alloc_ns - costs.free_ns).max(trampoline_ns).max(0.0);
    }
    settings.sample_period_bytes = 1;
    kernel.configure(settings)?;
    let sampled_ns =
        measure_calls(prober, Probed { enter: true, ..Probed::of(freed_size) }, SAMPLED_CALLS, 1)?;
    costs.sample_ns = (sampled_ns - costs.alloc_ns).max(0.0);
    kernel.configure(Settings::default())?;
    Ok(costs)
}

#[derive(Clone, Copy)]
struct Probed {
    enter: bool,
    exit: bool,
    free: bool,
    freed_size: FreedSize,
}

impl Probed {
    fn of(freed_size: FreedSize) -> Self {
        Self { enter: false, exit: false, free: false, freed_size }
    }
}

/// Cost of one call pair (allocate, free) under the probes, over what it costs without.
fn measure(prober: &Prober, probed: Probed) -> Result<f64, Error> {
    measure_calls(prober, probed, CALLS, ROUNDS)
}

fn measure_calls(prober: &Prober, probed: Probed, calls: u32, rounds: u32) -> Result<f64, Error> {
    let bare = best_round(calls, rounds);
    let placed = prober.place(&plan(probed)?, Scope::Process(std::process::id()))?;
    let with = best_round(calls, rounds);
    // The breakpoints go first and the grace period, which takes long, is waited for elsewhere. On a busy machine that thread begins late,
    // and breakpoints still there would count as what the next measurement costs without.
    std::thread::spawn(move || placed.remove());
    let deadline_ns = clock::monotonic_ns() + MOST_WAITED_NS;
    while best_round(SETTLING_CALLS, 1) > bare + (with - bare) / 2.0 && clock::monotonic_ns() < deadline_ns {
        std::thread::sleep(SETTLING_LOOK);
    }
    Ok((with - bare).max(0.0))
}

/// The fastest of several rounds, per call pair.
fn best_round(calls: u32, rounds: u32) -> f64 {
    // Real memory, for the handler reads the word before a freed block. A word of 64 bytes reads as a small chunk.
    let memory = vec![BLOCK_BYTES as u64; (calls as usize + 1) * BLOCK_BYTES / 8];
    let first = memory.as_ptr() as usize + BLOCK_BYTES;
    let round = || {
        let before = clock::thread_cpu_ns();
        for call in 0..calls {
            let block =
                stand_in_alloc(std::hint::black_box(BLOCK_BYTES), first + BLOCK_BYTES * call as usize);
            stand_in_free(std::hint::black_box(block));
        }
        (clock::thread_cpu_ns() - before) as f64 / f64::from(calls)
    };
    (0..rounds).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn plan(probed: Probed) -> Result<Plan, Error> {
    let alloc = Cookie {
        op: Op::Alloc,
        size_arg: 0,
        count_arg: NO_ARG,
        ptr_arg: NO_ARG,
        freed_size: FreedSize::Unknown,
        return_slot: 0,
        returns: probed.exit,
    };
    let free = Cookie { op: Op::Free, ptr_arg: 0, freed_size: probed.freed_size, ..alloc };
    let point = |wanted: bool, function: *const (), cookie: Cookie| -> Result<Vec<Point>, Error> {
        if !wanted {
            return Ok(Vec::new());
        }
        Ok(vec![Point::plain(file_offset(function as u64)?, cookie.pack())])
    };
    let file = FilePlan {
        path: PathBuf::from("/proc/self/exe"),
        key: FileKey::default(),
        module: "waytrace".to_owned(),
        enters: point(probed.enter, stand_in_alloc as *const (), alloc)?,
        exits: point(probed.exit, stand_in_alloc as *const (), alloc)?,
        frees: point(probed.free, stand_in_free as *const (), free)?,
        ..FilePlan::default()
    };
    Ok(Plan { files: vec![file], names: Vec::new() })
}

fn file_offset(address: u64) -> Result<u64, Error> {
    let mappings = process::mappings(std::process::id())?;
    let home = mappings.iter().find_map(|mapping| mapping.file_offset_of(address));
    home.ok_or_else(|| Error::Missing("calibration function".to_owned()))
}
