//! Trying things instead of guessing: each attempt does the real thing in its smallest form and undoes it.

use std::{fs, io};

use perf_event::events::Breakpoint;
use perf_event::{Builder, Counter};
use serde::Serialize;

use super::{bpf, uprobe};
use crate::counter::builder;
use crate::events::{PerfAttr, Source, resolve};
use crate::{Machine, topology};

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Attempt {
    /// It worked.
    Works,
    /// It did not.
    Failed {
        /// The kernel's error number, if the kernel was asked.
        errno: Option<i32>,
        /// What it means.
        message: String,
    },
}

impl Attempt {
    /// Whether it worked.
    pub fn works(&self) -> bool {
        *self == Self::Works
    }

    /// Whether it failed for want of a privilege.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Failed { errno: Some(libc::EPERM | libc::EACCES), .. })
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed { errno: None, message: message.into() }
    }
}

impl<T> From<io::Result<T>> for Attempt {
    fn from(result: io::Result<T>) -> Self {
        match result {
            Ok(_) => Self::Works,
            Err(error) => Self::Failed { errno: error.raw_os_error(), message: error.to_string() },
        }
    }
}

/// Which processes this one may look into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ProcessAccess {
    /// Processes it may.
    pub open_count: u32,
    /// Processes it may not.
    pub denied_count: u32,
}

/// What was tried on the running machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempts {
    /// Creating a BPF ring buffer.
    pub bpf_map: Attempt,
    /// Loading a BPF program that could read kernel memory.
    pub bpf_program: Attempt,
    /// Placing a uprobe on an own function by a link that takes many at once.
    pub uprobe_multi: Attempt,
    /// Placing it through the perf PMU, one event for each probe.
    pub uprobe: Attempt,
    /// Counting `cycles` on a CPU.
    pub hardware_counter: Attempt,
    /// Counting `cpu-clock` on a CPU, which is also the window timer.
    pub software_counter: Attempt,
    /// Counting `msr/tsc/` on a CPU.
    pub tsc_counter: Attempt,
    /// Finding the system-call tracepoints of mmap, munmap, mremap and brk.
    pub mapping_tracepoints: Attempt,
    /// Opening a mapped file through `/proc/self/map_files`, which works when it is deleted or in another namespace.
    pub map_files: Attempt,
    /// Looking into every process in `/proc`.
    pub process_access: ProcessAccess,
    /// Opening an MSR device.
    pub msr_device: Attempt,
    /// Hardware breakpoints a thread can have.
    pub breakpoints_count: u32,
}

impl Attempts {
    /// Tries everything; about 0.1 s, most of it the kernel's grace periods for the uprobes.
    pub fn make(machine: &Machine) -> Self {
        let cpu =
            topology::cpus_online(machine.root()).ok().and_then(|cpus| cpus.first().copied()).unwrap_or(0);
        let uprobe = match machine.pmu("uprobe") {
            Some(pmu) => uprobe::try_uprobe(&pmu).into(),
            None => Attempt::failed("the kernel has no uprobe PMU"),
        };
        Self {
            bpf_map: bpf::try_ring_buffer().into(),
            bpf_program: bpf::try_program().into(),
            uprobe_multi: uprobe::try_uprobe_multi().into(),
            uprobe,
            hardware_counter: try_event(machine, "cycles", cpu),
            software_counter: try_event(machine, "cpu-clock", cpu),
            tsc_counter: try_event(machine, "msr/tsc/", cpu),
            mapping_tracepoints: try_tracepoints(machine),
            map_files: try_map_files().into(),
            process_access: try_processes(),
            msr_device: fs::File::open(machine.root().path("dev/cpu/0/msr")).into(),
            breakpoints_count: count_breakpoints(),
        }
    }
}

fn try_event(machine: &Machine, name: &str, cpu: u32) -> Attempt {
    let attr = match resolve(machine, name).map(|event| event.source) {
        Ok(Source::Perf(attr)) => attr,
        Ok(Source::Task(_)) => PerfAttr::new(name, 1, 0),
        Err(error) => return Attempt::failed(error.to_string()),
    };
    // On a hybrid CPU the first CPU may be of a kind that does not count it.
    let cpu = attr.cpus().and_then(|cpus| cpus.first().copied()).unwrap_or(cpu);
    match builder(&attr, cpu) {
        Ok(builder) => builder.build().into(),
        Err(error) => Attempt::failed(error.to_string()),
    }
}

fn try_tracepoints(machine: &Machine) -> Attempt {
    let found = machine.tracefs().and_then(|tracefs| {
        let calls = ["mmap", "munmap", "mremap", "brk"];
        calls
            .iter()
            .try_for_each(|call| tracefs.tracepoint_id("syscalls", &format!("sys_exit_{call}")).map(drop))
    });
    match found {
        Ok(()) => Attempt::Works,
        Err(error) => Attempt::failed(error.to_string()),
    }
}

fn try_map_files() -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mapped = maps.lines().find(|line| line.contains(" r-xp ") && line.contains(" /"));
    let range = mapped.and_then(|line| line.split_whitespace().next()).ok_or(io::ErrorKind::NotFound)?;
    // The kernel prints addresses in `maps` with at least eight digits, but none in names under `map_files`.
    let bounds: Vec<&str> = range.split('-').map(|bound| bound.trim_start_matches('0')).collect();
    fs::File::open(format!("/proc/self/map_files/{}", bounds.join("-"))).map(drop)
}

/// Follows the link to each process's executable, which the kernel allows to those who may look into the process.
fn try_processes() -> ProcessAccess {
    let mut access = ProcessAccess::default();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()) {
        match fs::read_link(entry.path().join("exe")) {
            Ok(_) => access.open_count += 1,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => access.denied_count += 1,
            // A kernel thread has no executable, and a process may be gone by now.
            Err(_) => {}
        }
    }
    access
}

/// Opens breakpoints on this thread until no more fit.
fn count_breakpoints() -> u32 {
    const MORE_THAN_ANY_CPU_HAS: usize = 16;
    let watched = [0u64; MORE_THAN_ANY_CPU_HAS];
    let open = |word: &u64| -> Option<Counter> {
        Builder::new(Breakpoint::write(std::ptr::from_ref(word) as u64, 8)).build().ok()
    };
    let held: Vec<Counter> = watched.iter().map_while(open).collect();
    held.len() as u32
}
