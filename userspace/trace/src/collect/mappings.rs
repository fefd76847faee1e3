//! mmap, munmap, mremap and brk: by probes behind the places of the targets' code that make these calls, where all are
//! known; else by tracepoints, which see every kind of program and make every system call of the machine dearer.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use waytrace_abi::mapping::{self, MapChange};
use waytrace_hw::Machine;
use waytrace_image::process::{self, Mapping, MappingKind};
use waytrace_image::system_calls::{self, Call, FilePlaces};
use waytrace_model::allocation::{MapEvent, MapKind};

use crate::Error;
use crate::kernel::{Kernel, sys};
use crate::probes::{Placed, Plan, Prober, Scope};

/// What sees the calls.
pub enum Mappings {
    /// Probes in each target; only calls that are made cost something.
    Probes {
        /// Places them.
        prober: Prober,
        /// What is probed, by process.
        plans: HashMap<u32, Plan>,
        /// The probes.
        placed: Placed,
    },
    /// Tracepoints, open as long as these are.
    Tracepoints(Vec<OwnedFd>),
}

impl Mappings {
    /// Begins to watch `tgids`. `starting` says that they are commands held before their first instruction.
    /// `everyone` asks for processes not known yet as well, which only tracepoints see from their beginning.
    ///
    /// # Errors
    /// When there is no tracefs, or the kernel refuses a program.
    pub fn start(
        kernel: &mut Kernel,
        prober: Prober,
        tgids: &[u32],
        starting: bool,
        everyone: bool,
    ) -> Result<Self, Error> {
        let mut probes = Self::Probes { prober, plans: HashMap::new(), placed: Placed::default() };
        for &tgid in tgids {
            let known =
                !everyone && places(tgid, starting).is_some_and(|found| probes.add(tgid, &found).is_ok());
            if !known {
                drop(probes);
                return Self::by_tracepoints(kernel);
            }
        }
        Ok(probes)
    }

    fn by_tracepoints(kernel: &mut Kernel) -> Result<Self, Error> {
        let machine = Machine::live();
        let tracefs = machine.tracefs()?;
        let mut links = Vec::new();
        for call in ["mmap", "munmap", "mremap", "brk"] {
            for (side, program) in [("exit", "map_exit"), ("enter", "map_enter")] {
                let id = tracefs.tracepoint_id("syscalls", &format!("sys_{side}_{call}"))?;
                let what = format!("opening tracepoint syscalls:sys_{side}_{call}");
                let event = sys::open_tracepoint(id).map_err(Error::syscall(what))?;
                links.push(kernel.attach_tracepoint(program, event.as_fd())?);
                links.push(event);
            }
        }
        Ok(Self::Tracepoints(links))
    }

    /// A target has mapped code it had not before, or has become another program; `mappings` are its mappings now.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn look_again(&mut self, kernel: &mut Kernel, tgid: u32, mappings: &[Mapping]) -> Result<(), Error> {
        if matches!(self, Self::Tracepoints(_)) {
            return Ok(());
        }
        let found = complete(system_calls::find(tgid, mappings));
        let known = found.is_some_and(|found| self.add(tgid, &found).is_ok());
        if !known && process::is_running(tgid) {
            // The probes first, lest a call be seen twice.
            *self = Self::Tracepoints(Vec::new());
            *self = Self::by_tracepoints(kernel)?;
        }
        Ok(())
    }

    fn add(&mut self, tgid: u32, found: &[FilePlaces]) -> Result<(), Error> {
        let Self::Probes { prober, plans, placed } = self else { return Ok(()) };
        let fresh = plans.entry(tgid).or_default().add_missing(Plan::of_calls(found));
        placed.extend(prober.place(&fresh, Scope::Process(tgid))?);
        Ok(())
    }

    /// What it costs the targets that `calls` were seen, in nanoseconds; the tracepoints' cost is not known.
    pub fn cost_ns(&self, calls: u64, hit_ns: f64) -> f64 {
        match self {
            Self::Probes { .. } => calls as f64 * hit_ns,
            Self::Tracepoints(_) => 0.0,
        }
    }
}

/// The places of a process; `None` if those that map or unmap are not among them.
fn places(tgid: u32, starting: bool) -> Option<Vec<FilePlaces>> {
    let found = if starting {
        let program = process::inspect(tgid).ok()?.exe;
        system_calls::find_for_command(&program, &|name| std::env::var_os(name)).ok()?
    } else {
        system_calls::find(tgid, &process::mappings(tgid).ok()?)
    };
    complete(found)
}

/// What was found, if calls that map and that unmap are among it.
pub fn complete(found: Vec<FilePlaces>) -> Option<Vec<FilePlaces>> {
    let makes = |call| found.iter().flat_map(|file| &file.places).any(|place| place.call == call);
    (makes(Call::Mmap) && makes(Call::Munmap)).then_some(found)
}

/// Where the heap of a process ends now: the end of its mapping, or, before it has one, where it will begin.
pub fn heap_end(tgid: u32, mappings: &[Mapping]) -> Option<u64> {
    let heap = mappings.iter().filter(|mapping| mapping.kind == MappingKind::Heap);
    heap.map(|mapping| mapping.end).max().or_else(|| heap_start(tgid))
}

/// Field 47 of `/proc/PID/stat`, `start_brk`; `None` where the kernel hides it.
fn heap_start(tgid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{tgid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; field 3 follows it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(47 - 3)?.parse().ok().filter(|&start| start != 0)
}

/// A kernel record in the model's words; `None` for a kind this version does not know.
pub fn event(change: &MapChange, start_ns: u64) -> Option<MapEvent> {
    let kind = match change.kind {
        mapping::MMAP => MapKind::Mmap,
        mapping::MUNMAP => MapKind::Munmap,
        mapping::MREMAP => MapKind::Mremap,
        mapping::BRK => MapKind::Brk,
        _ => return None,
    };
    Some(MapEvent {
        at_ns: change.at_ns.saturating_sub(start_ns),
        tid: change.tid,
        kind,
        address: change.address,
        added_bytes: change.added_bytes,
        removed_bytes: change.removed_bytes,
    })
}
