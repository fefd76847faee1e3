//! The numbers the kernel keeps per task: read once a window by an iterator over all tasks, and once more when a
//! thread exits. Nothing is added to the scheduler's path for them.
//!
//! Field offsets come from the running kernel's BTF, through constants the user side sets before loading.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::bpf_seq_write;
use waytrace_abi::counter::TaskNumbers;

use crate::settings::constant;
use crate::target::{is_target, watches_everyone};

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => { $(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        static $name: u32 = 0;
    )+ };
}

offsets! {
    /// `task_struct.pid`.
    TASK_PID,
    /// `task_struct.tgid`.
    TASK_TGID,
    /// `task_struct.comm`.
    TASK_COMM,
    /// `task_struct.se.sum_exec_runtime`.
    TASK_CPU_NS,
    /// `task_struct.se.nr_migrations`.
    TASK_MIGRATIONS,
    /// `task_struct.min_flt`.
    TASK_MINOR_FAULTS,
    /// `task_struct.maj_flt`.
    TASK_MAJOR_FAULTS,
    /// `task_struct.nvcsw`.
    TASK_VOLUNTARY_SWITCHES,
    /// `task_struct.nivcsw`.
    TASK_INVOLUNTARY_SWITCHES,
    /// `task_struct.sched_info.run_delay`; 0 where the kernel does not keep it.
    TASK_RUN_QUEUE_NS,
    /// `task_struct.start_boottime`.
    TASK_START_BOOT_NS,
    /// `task_struct.flags`.
    TASK_FLAGS,
    /// `task_struct.exit_state`.
    TASK_EXIT_STATE,
}

/// Process of a task.
#[inline(always)]
pub fn tgid(task: *const c_void) -> u32 {
    field(task, &TASK_TGID)
}

/// Thread id of a task.
#[inline(always)]
pub fn tid(task: *const c_void) -> u32 {
    field(task, &TASK_PID)
}

/// All numbers of a task.
#[inline(always)]
pub fn numbers(task: *const c_void) -> TaskNumbers {
    TaskNumbers {
        tgid: tgid(task),
        tid: tid(task),
        cpu_ns: field(task, &TASK_CPU_NS),
        minor_faults_count: field(task, &TASK_MINOR_FAULTS),
        major_faults_count: field(task, &TASK_MAJOR_FAULTS),
        voluntary_switches_count: field(task, &TASK_VOLUNTARY_SWITCHES),
        involuntary_switches_count: field(task, &TASK_INVOLUNTARY_SWITCHES),
        migrations_count: field(task, &TASK_MIGRATIONS),
        run_queue_ns: if constant(&TASK_RUN_QUEUE_NS) == 0 { 0 } else { field(task, &TASK_RUN_QUEUE_NS) },
        start_boot_ns: field(task, &TASK_START_BOOT_NS),
        comm: field(task, &TASK_COMM),
    }
}

#[inline(always)]
fn field<T: Default>(task: *const c_void, offset: &'static u32) -> T {
    // SAFETY: the helper fails instead of faulting, whatever the address.
    unsafe { bpf_probe_read_kernel(task.byte_add(constant(offset) as usize).cast::<T>()) }.unwrap_or_default()
}

/// Context of a task iterator, `kernel/bpf/task_iter.c`.
#[repr(C)]
struct IterContext {
    meta: *const IterMeta,
    task: *const c_void,
}

/// Head of `struct bpf_iter_meta`.
#[repr(C)]
struct IterMeta {
    seq: *mut c_void,
}

/// `PF_KTHREAD` (include/linux/sched.h): a thread of the kernel's own.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// Whether the iterator tells of a task. Of all processes those that wait for their parent to take note of their end are left out:
/// their last numbers came with it.
#[inline(always)]
fn is_wanted(task: *const c_void) -> bool {
    if watches_everyone() {
        return field::<u32>(task, &TASK_FLAGS) & KERNEL_THREAD == 0
            && field::<u32>(task, &TASK_EXIT_STATE) == 0;
    }
    is_target(tgid(task))
}

/// Writes one [`TaskNumbers`] per thread of a target, or of every process where all are watched.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn task_numbers(ctx: *const c_void) -> u32 {
    let ctx: *const IterContext = ctx.cast();
    // SAFETY: the kernel passes this context to `iter/task` programs; the verifier checks the accesses.
    let (task, seq) = unsafe { ((*ctx).task, (*(*ctx).meta).seq) };
    if task.is_null() || !is_wanted(task) {
        return 0;
    }
    let numbers = numbers(task);
    // SAFETY: `seq` is the iterator's own; the record lives on the stack for the call.
    unsafe {
        bpf_seq_write(seq.cast(), (&raw const numbers).cast_mut().cast(), size_of::<TaskNumbers>() as u32)
    };
    0
}
