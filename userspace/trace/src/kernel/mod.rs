//! The kernel part: loading it with a run's constants, and typed access to its maps and programs.

mod btf;
mod heat;
mod iterator;
mod live;
mod maps;
pub(crate) mod multi;
mod object;
mod samples;
pub(crate) mod sys;

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::programs::{PerfEvent, Program, RawTracePoint, TracePoint};
use aya::{Ebpf, EbpfLoader};

use waytrace_abi::allocation::{MAX_STACKS, MAX_THREADS, WAYS};
use waytrace_abi::counter::TaskNumbers;
use waytrace_abi::pod;
use waytrace_abi::settings::Settings;

use crate::Error;
pub use heat::{Heat, HeatRoom};
use iterator::TaskIterator;
pub use live::LiveTable;
pub use maps::{Counts, Histogram, Plain, Sums, TotalsReader};
pub use samples::{SampleSums, in_model};

/// The object the build script made; empty when it had no toolchain for the bpf target.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/waytrace-ebpf.o"));

/// Whether this binary contains its kernel part.
pub fn kernel_part_present() -> bool {
    !OBJECT.is_empty()
}

/// Constants of a run, fixed when the programs are loaded: the verifier removes what they rule out.
#[derive(Debug, Clone, Copy)]
pub struct Constants {
    /// Every process of the machine is watched.
    pub everyone: bool,
    /// Children of targets become targets.
    pub follow_forks: bool,
    /// Keep live blocks, peak and lifetimes.
    pub lifetimes: bool,
    /// Take the stack by frame pointer of every call.
    pub every_stack: bool,
    /// Smallest block traced one by one.
    pub min_traced_bytes: u64,
    /// The target has wrappers around its allocator to look through.
    pub wrappers_present: bool,
    /// Perf events read at context switches.
    pub event_count: u32,
    /// Window length.
    pub interval_ns: u64,
    /// Threads have phases.
    pub phases: bool,
    /// Accesses are sampled.
    pub accesses: bool,
    /// Room for what is summed up of samples with an address.
    pub heat: HeatRoom,
    /// An allocator's own samples may be taken.
    pub samples: bool,
    /// Live blocks tracked at once.
    pub max_live: u32,
    /// Size of the ring; a power of two, at least a page.
    pub ring_bytes: u32,
}

/// Room for some dozens of captures. They are taken out as they come, and a larger ring would push the target's memory out of
/// its caches.
const ACCESS_RING_BYTES: u32 = 1 << 19;
/// The kernel makes no smaller ring.
const LEAST_RING_BYTES: u32 = 4096;

/// Constant of the kernel part, struct of the kernel, and the path of members to the field.
const TASK_FIELDS: [(&str, &[(&str, &str)]); 13] = [
    ("TASK_PID", &[("task_struct", "pid")]),
    ("TASK_TGID", &[("task_struct", "tgid")]),
    ("TASK_COMM", &[("task_struct", "comm")]),
    ("TASK_CPU_NS", &[("task_struct", "se"), ("sched_entity", "sum_exec_runtime")]),
    ("TASK_MIGRATIONS", &[("task_struct", "se"), ("sched_entity", "nr_migrations")]),
    ("TASK_MINOR_FAULTS", &[("task_struct", "min_flt")]),
    ("TASK_MAJOR_FAULTS", &[("task_struct", "maj_flt")]),
    ("TASK_VOLUNTARY_SWITCHES", &[("task_struct", "nvcsw")]),
    ("TASK_INVOLUNTARY_SWITCHES", &[("task_struct", "nivcsw")]),
    ("TASK_START_BOOT_NS", &[("task_struct", "start_boottime")]),
    ("TASK_FLAGS", &[("task_struct", "flags")]),
    ("TASK_EXIT_STATE", &[("task_struct", "exit_state")]),
    ("TASK_FS_BASE", &[("task_struct", "thread"), ("thread_struct", "fsbase")]),
];

/// Likewise, of what not every kernel keeps (`CONFIG_SCHED_INFO`).
const RUN_QUEUE_FIELD: (&str, [(&str, &str); 2]) =
    ("TASK_RUN_QUEUE_NS", [("task_struct", "sched_info"), ("sched_info", "run_delay")]);

/// The loaded kernel part. Dropping it detaches everything attached through it.
pub struct Kernel {
    ebpf: Ebpf,
    tasks: TaskIterator,
    multi: Option<multi::Programs>,
    lifetimes: bool,
    live_sets: usize,
    knows_run_queue: bool,
}

impl Kernel {
    /// Loads maps and programs.
    ///
    /// # Errors
    /// When the binary has no kernel part, the kernel has no BTF, or it refuses the programs to this user.
    pub fn load(constants: &Constants) -> Result<Self, Error> {
        if !kernel_part_present() {
            return Err(Error::KernelPartMissing);
        }
        let vmlinux = fs::read("/sys/kernel/btf/vmlinux").map_err(Error::NoBtf)?;
        let (offsets, target_id) = task_types(&vmlinux)?;
        drop(vmlinux);
        let flags = [
            u32::from(constants.follow_forks),
            u32::from(constants.lifetimes),
            u32::from(constants.wrappers_present),
            u32::from(constants.every_stack),
            u32::from(constants.phases),
            u32::from(constants.everyone),
        ];
        let live_sets = constants.max_live.div_ceil(WAYS).next_power_of_two();
        let passed = heat::passed(constants.interval_ns);
        let mut loader = EbpfLoader::new();
        loader
            .btf(None)
            .override_global("FOLLOW_FORKS", &flags[0], true)
            .override_global("LIFETIMES", &flags[1], true)
            .override_global("WRAPPERS_PRESENT", &flags[2], true)
            .override_global("EVERY_STACK", &flags[3], true)
            .override_global("PHASES", &flags[4], true)
            .override_global("EVERYONE", &flags[5], true)
            .override_global("MIN_TRACED_BYTES", &constants.min_traced_bytes, true)
            .override_global("EVENT_COUNT", &constants.event_count, true)
            .override_global("INTERVAL_NS", &constants.interval_ns, true)
            .override_global("LIVE_SETS", &live_sets, true)
            .override_global("HEAT_PASSED", &passed, true)
            .map_max_entries("HEAT_PAGES", constants.heat.pages)
            .map_max_entries("HEAT_LINES", constants.heat.lines)
            .map_max_entries("STACKS", if constants.every_stack { MAX_STACKS } else { 1 })
            .map_max_entries("LIVE_KEYS", live_sets)
            .map_max_entries("LIVE", live_sets * WAYS)
            .map_max_entries("LIVE_COUNTS", if constants.samples { live_sets * WAYS } else { 1 })
            .map_max_entries("PHASE_NOW", if constants.phases { MAX_THREADS } else { 1 })
            .map_max_entries(
                "ACCESS_RING",
                if constants.accesses { ACCESS_RING_BYTES } else { LEAST_RING_BYTES },
            )
            .map_max_entries("RING", constants.ring_bytes);
        for (name, offset) in &offsets {
            loader.override_global(name, offset, true);
        }
        let knows_run_queue = offsets.iter().any(|(name, _)| *name == RUN_QUEUE_FIELD.0);
        let ebpf = loader.load(OBJECT).map_err(refused)?;
        let object = object::relocated(OBJECT, &ebpf).map_err(Error::Missing)?;
        let tasks = TaskIterator::load(&object, "task_numbers", target_id)
            .map_err(Error::syscall("loading the task iterator"))?;
        let multi = match multi::Programs::load(&object) {
            Ok(programs) => Some(programs),
            Err(reason) => {
                tracing::info!("multi-uprobe links are not available ({reason}); placing probes one by one");
                None
            }
        };
        Ok(Self {
            ebpf,
            tasks,
            multi,
            lifetimes: constants.lifetimes,
            live_sets: live_sets as usize,
            knows_run_queue,
        })
    }

    /// Whether this kernel keeps how long tasks wait for a CPU.
    pub fn knows_run_queue(&self) -> bool {
        self.knows_run_queue
    }

    /// Whether the kernel part knows this process by the id it has for itself. It does not where waytrace runs in a PID
    /// namespace of its own.
    ///
    /// # Errors
    /// When the kernel refuses the iterator.
    pub fn sees_own_id(&mut self) -> Result<bool, Error> {
        let own = std::process::id();
        self.configure(Settings { single_tgid: own, ..Settings::default() })?;
        let bytes = self.task_numbers()?;
        let comm = fs::read_to_string("/proc/self/comm").unwrap_or_default();
        let comm = comm.trim_end();
        let mut records = bytes.chunks_exact(size_of::<TaskNumbers>()).filter_map(pod::read::<TaskNumbers>);
        Ok(records.any(|task| task.tid == own && !comm.is_empty() && task.comm.starts_with(comm.as_bytes())))
    }

    /// Takes out the programs for multi-uprobe links, where the kernel has them (Linux 6.6).
    pub(crate) fn take_multi(&mut self) -> Option<multi::Programs> {
        self.multi.take()
    }

    fn program<'a, P>(&'a mut self, name: &str) -> Result<&'a mut P, Error>
    where
        &'a mut P: TryFrom<&'a mut Program>,
    {
        let program = self.ebpf.program_mut(name).ok_or_else(|| Error::Missing(name.to_owned()))?;
        program.try_into().map_err(|_| Error::Missing(name.to_owned()))
    }

    /// Attaches a raw tracepoint program under the tracepoint's own name, until the kernel part is dropped.
    ///
    /// # Errors
    /// When the kernel refuses the program or has no such tracepoint.
    pub fn attach_raw_tracepoint(&mut self, name: &str, tracepoint: &str) -> Result<(), Error> {
        let program: &mut RawTracePoint = self.program(name)?;
        program.load().and_then(|()| program.attach(tracepoint)).map_err(program_error(name))?;
        Ok(())
    }

    /// Attaches a tracepoint program to a perf event the caller opened.
    ///
    /// # Errors
    /// When the kernel refuses the program or the link.
    pub fn attach_tracepoint(&mut self, name: &str, event: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
        let program: &mut TracePoint = self.program(name)?;
        if program.fd().is_err() {
            program.load().map_err(program_error(name))?;
        }
        let fd = program.fd().map_err(program_error(name))?;
        sys::link_perf_event(fd.as_fd(), event, 0).map_err(Error::syscall(format!("attaching {name}")))
    }

    /// Attaches a program to the samples of a perf event the caller opened.
    ///
    /// # Errors
    /// When the kernel refuses the program or the link.
    pub fn attach_perf_event(&mut self, name: &str, event: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
        let program: &mut PerfEvent = self.program(name)?;
        if program.fd().is_err() {
            program.load().map_err(program_error(name))?;
        }
        let fd = program.fd().map_err(program_error(name))?;
        sys::link_perf_event(fd.as_fd(), event, 0).map_err(Error::syscall(format!("attaching {name}")))
    }

    /// Loads a program for perf events and returns a descriptor of it, for links made later.
    ///
    /// # Errors
    /// When the kernel refuses the program.
    pub fn perf_event_program(&mut self, name: &str) -> Result<OwnedFd, Error> {
        let program: &mut PerfEvent = self.program(name)?;
        if program.fd().is_err() {
            program.load().map_err(program_error(name))?;
        }
        let fd = program.fd().map_err(program_error(name))?;
        fd.as_fd().try_clone_to_owned().map_err(Error::syscall(format!("duplicating {name}")))
    }

    /// Loads a probe program for single links and returns its descriptor.
    pub(crate) fn probe_program(&mut self, name: &str) -> Result<BorrowedFd<'_>, Error> {
        let program: &mut aya::programs::UProbe = self.program(name)?;
        if program.fd().is_err() {
            program.load().map_err(program_error(name))?;
        }
        let program: &aya::programs::UProbe = program;
        Ok(program.fd().map_err(program_error(name))?.as_fd())
    }

    /// What the kernel keeps of every task, as `TaskNumbers` one after the other.
    ///
    /// # Errors
    /// When the kernel refuses the iterator.
    pub fn task_numbers(&self) -> Result<Vec<u8>, Error> {
        self.tasks.read().map_err(Error::syscall("reading the task iterator"))
    }
}

fn program_error(name: &str) -> impl FnOnce(aya::programs::ProgramError) -> Error {
    let name = name.to_owned();
    move |source| Error::Program { name, source }
}

/// Offsets by the constant of the kernel part that holds them.
type Offsets = Vec<(&'static str, u32)>;

/// Offsets of [`TASK_FIELDS`], and the type number of the iterator over tasks.
fn task_types(vmlinux: &[u8]) -> Result<(Offsets, u32), Error> {
    let unknown = || Error::UnknownField("BTF", "task_struct");
    let structs = btf::Structs::parse(
        vmlinux,
        &["task_struct", "sched_entity", "sched_info", "thread_struct", iterator::TARGET],
    )
    .ok_or_else(unknown)?;
    let mut offsets = Vec::with_capacity(TASK_FIELDS.len());
    for (constant, path) in TASK_FIELDS {
        let mut offset = 0;
        for &(name, member) in path {
            offset += structs.offset(name, member).ok_or(Error::UnknownField(name, member))?;
        }
        offsets.push((constant, offset));
    }
    let (constant, path) = RUN_QUEUE_FIELD;
    if let Some(offset) = path.iter().map(|(name, member)| structs.offset(name, member)).sum() {
        offsets.push((constant, offset));
    }
    let target_id = structs.function(iterator::TARGET).ok_or(Error::UnknownField("BTF", iterator::TARGET))?;
    Ok((offsets, target_id))
}

/// Permission is an expected state with its own fix; everything else is passed on.
fn refused(error: aya::EbpfError) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.raw_os_error() == Some(libc::EPERM)
        {
            return Error::Permission(std::io::Error::from_raw_os_error(libc::EPERM));
        }
        source = cause.source();
    }
    Error::Load(error)
}
