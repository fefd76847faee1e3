//! Forks, execs and exits of targets, by raw tracepoints (no tracefs needed).

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_get_current_task, bpf_ktime_get_ns};
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use waytrace_abi::counter::TaskNumbers;
use waytrace_abi::lifecycle::{EXEC, EXIT, FORK, Lifecycle};

use crate::target::{self, Task};
use crate::{alloc, phases, ring, tasks};

/// `sched_process_fork(parent, child)`: threads and processes alike.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn task_forked(ctx: RawTracePointContext) -> i32 {
    forked(&ctx);
    0
}

#[inline(always)]
fn forked(ctx: &RawTracePointContext) -> Option<()> {
    let parent = target::current()?;
    let child: *const c_void = ctx.arg(1);
    let task = Task { tgid: tasks::tgid(child), tid: tasks::tid(child) };
    let is_thread = task.tgid == parent.tgid;
    if !is_thread {
        if !target::follows_forks() || !target::enter(task.tgid, parent.tgid) {
            return None;
        }
    }
    phases::forget(task.tid);
    emit(FORK, parent.tgid, tasks::numbers(child));
    None
}

/// `sched_process_exec(task, old_pid, bprm)`.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn task_executed(_ctx: RawTracePointContext) -> i32 {
    let task = target::current().or_else(newcomer);
    if let Some(task) = task {
        alloc::thread::forget(task.tid);
        // SAFETY: the helper has no preconditions.
        emit(EXEC, task.tgid, tasks::numbers(unsafe { bpf_get_current_task() } as *const c_void));
    }
    0
}

/// The current task, where every process is watched: it is a target from now on, so that also the end of a process that lives
/// for a moment is told.
#[inline(always)]
fn newcomer() -> Option<Task> {
    let task = target::current_any();
    (target::watches_everyone() && target::enter(task.tgid, 0)).then_some(task)
}

/// `sched_process_exit(task)`: runs on the exiting thread.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn task_exited(_ctx: RawTracePointContext) -> i32 {
    if let Some(task) = target::current() {
        alloc::thread::forget(task.tid);
        phases::forget(task.tid);
        // SAFETY: the helper has no preconditions.
        let was_told =
            emit(EXIT, task.tgid, tasks::numbers(unsafe { bpf_get_current_task() } as *const c_void));
        // The user side takes the process out when it hears of its end. If it never will, its place would stay taken.
        if !was_told && target::watches_everyone() && task.tid == task.tgid {
            target::leave(task.tgid);
        }
    }
    0
}

/// Tells the user side; whether there was room to.
#[inline(always)]
fn emit(kind: u32, parent_tgid: u32, task: TaskNumbers) -> bool {
    // SAFETY: the helper has no preconditions.
    let at_ns = unsafe { bpf_ktime_get_ns() };
    ring::emit(&Lifecycle { tag: waytrace_abi::tag::LIFECYCLE, kind, at_ns, parent_tgid, reserved: 0, task })
}
