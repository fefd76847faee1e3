//! Forks, execs and exits of targets, by raw tracepoints (no tracefs needed).

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_get_current_task, bpf_ktime_get_ns};
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use waytrace_abi::counter::TaskNumbers;
use waytrace_abi::lifecycle::{EXEC, EXIT, FORK, Lifecycle};

use crate::target::{self, TARGETS, Task};
use crate::{alloc, loss, phases, ring, tasks};

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
        if !target::follows_forks() {
            return None;
        }
        if TARGETS.insert(task.tgid, parent.tgid, 0).is_err() {
            loss::count(waytrace_abi::loss::TARGETS_FULL);
            return None;
        }
    }
    phases::forget(task.tid);
    emit(FORK, parent.tgid, ids(task));
    None
}

/// `sched_process_exec(task, old_pid, bprm)`.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn task_executed(_ctx: RawTracePointContext) -> i32 {
    if let Some(task) = target::current() {
        alloc::thread::forget(task.tid);
        emit(EXEC, task.tgid, ids(task));
    }
    0
}

/// `sched_process_exit(task)`: runs on the exiting thread.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn task_exited(_ctx: RawTracePointContext) -> i32 {
    if let Some(task) = target::current() {
        alloc::thread::forget(task.tid);
        phases::forget(task.tid);
        // SAFETY: the helper has no preconditions.
        emit(EXIT, task.tgid, tasks::numbers(unsafe { bpf_get_current_task() } as *const c_void));
    }
    0
}

fn ids(task: Task) -> TaskNumbers {
    TaskNumbers { tgid: task.tgid, tid: task.tid, ..TaskNumbers::default() }
}

#[inline(always)]
fn emit(kind: u32, parent_tgid: u32, task: TaskNumbers) {
    // SAFETY: the helper has no preconditions.
    let at_ns = unsafe { bpf_ktime_get_ns() };
    ring::emit(&Lifecycle { tag: waytrace_abi::tag::LIFECYCLE, kind, at_ns, parent_tgid, reserved: 0, task });
}
