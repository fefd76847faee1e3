//! mmap, munmap, mremap and brk.

use std::os::fd::{AsFd, OwnedFd};

use waytrace_abi::mapping::{self, MapChange};
use waytrace_hw::Machine;
use waytrace_image::process::{Mapping, MappingKind};
use waytrace_model::allocation::{MapEvent, MapKind};

use crate::Error;
use crate::kernel::{Kernel, sys};

/// The attached system-call tracepoints.
pub struct Mappings {
    _links: Vec<OwnedFd>,
}

impl Mappings {
    /// Attaches to the entries and exits of the four calls.
    ///
    /// # Errors
    /// When there is no tracefs, or the kernel refuses a program.
    pub fn start(kernel: &mut Kernel, machine: &Machine) -> Result<Self, Error> {
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
        Ok(Self { _links: links })
    }
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
