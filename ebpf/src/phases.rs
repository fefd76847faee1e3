//! Phases: each thread's own stretches of so many counts of one event, as unhalted reference cycles.
//!
//! The event belongs to the thread and overflows once a period. A phase lasts from one overflow to the next; what
//! a thread does before its first is part of none. On hardware an overflow is an NMI: it may strike while a switch is
//! being handled, and never waits. Source: `kernel/events/core.c`, `__perf_event_overflow`.

use core::arch::asm;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{map, perf_event};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::PerfEventContext;
use waytrace_abi::allocation::MAX_THREADS;
use waytrace_abi::counter::{MAX_EVENTS, OnCpu, Reading, Value};
use waytrace_abi::phase::{Phase, PhaseEnd};

use crate::counters::{ON_CPU, event_count, read_events};
use crate::settings::constant;
use crate::target::{Task, current};
use crate::{loss, ring};

/// 1 if there are phases.
#[unsafe(no_mangle)]
static PHASES: u32 = 0;

/// The phase each thread is in.
#[map]
static PHASE_NOW: HashMap<u32, Phase> = HashMap::with_max_entries(MAX_THREADS, 0);

/// A thread's event overflowed.
#[perf_event]
fn phase_end(_ctx: PerfEventContext) -> u32 {
    overflowed();
    0
}

#[inline(always)]
fn overflowed() -> Option<()> {
    let task = current()?;
    let on = ON_CPU.get_ptr(0)?;
    // SAFETY: the slot is this CPU's own; whoever changes it says so first, and is not resumed before this ends.
    let is_changing = unsafe { core::ptr::read_volatile(&raw const (*on).is_changing) } != 0;
    if is_changing {
        let phase = PHASE_NOW.get_ptr_mut(task.tid)?;
        // SAFETY: a map value is writable during the program run.
        unsafe { core::ptr::write_volatile(&raw mut (*phase).is_due, 1) };
        return None;
    }
    // SAFETY: as above, and nobody is changing it.
    let on = unsafe { &*on };
    let segment_is_known = on.tgid != 0 && on.tid == task.tid;
    if !segment_is_known {
        return None;
    }
    // SAFETY: the helper has no preconditions.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let mut now = Reading::default();
    read_events(&mut now);
    match PHASE_NOW.get_ptr_mut(task.tid) {
        // SAFETY: only the CPU the thread is on changes its phase.
        Some(phase) => end(unsafe { &mut *phase }, task, on, &now, now_ns),
        None => {
            if PHASE_NOW.insert(task.tid, Phase::default(), 0).is_err() {
                loss::count(waytrace_abi::loss::THREADS_FULL);
                return None;
            }
            // SAFETY: as above.
            begin(unsafe { &mut *PHASE_NOW.get_ptr_mut(task.tid)? }, on, &now, now_ns);
        }
    }
    None
}

/// Adds a segment that ends now to its thread's phase.
#[inline(always)]
pub fn add_segment(on: &OnCpu, now: &Reading, now_ns: u64) -> Option<()> {
    if !is_on() {
        return None;
    }
    // SAFETY: only the CPU the thread is on changes its phase.
    let phase = unsafe { &mut *PHASE_NOW.get_ptr_mut(on.tid)? };
    // SAFETY: a reference is valid for reads and writes; an NMI may have changed the word.
    let is_due = unsafe { core::ptr::read_volatile(&raw const phase.is_due) } != 0;
    if is_due {
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(&raw mut phase.is_due, 0) };
        end(phase, Task { tgid: on.tgid, tid: on.tid }, on, now, now_ns);
    }
    phase.cpu_ns = phase.cpu_ns.wrapping_add(now_ns.wrapping_sub(on.began_ns));
    each(|event| {
        phase.sums.values[event] =
            plus(&phase.sums.values[event], &minus(&now.values[event], &on.start.values[event]));
    });
    None
}

/// Says that this CPU's slot is being changed, or no longer is.
#[inline(always)]
pub fn changing(on: &mut OnCpu, is_changing: bool) {
    if is_on() {
        compiler_barrier();
        // SAFETY: a reference is valid for writes. Volatile, for an NMI reads it.
        unsafe { core::ptr::write_volatile(&raw mut on.is_changing, u64::from(is_changing)) };
        compiler_barrier();
    }
}

/// Keeps memory accesses before it before those after it, as an NMI on the same CPU sees them.
#[inline(always)]
fn compiler_barrier() {
    // SAFETY: no instruction at all.
    unsafe { asm!("") };
}

/// Forgets a thread that begins or ends: its id may have been another's.
#[inline(always)]
pub fn forget(tid: u32) {
    if is_on() {
        let _ = PHASE_NOW.remove(tid);
    }
}

#[inline(always)]
fn is_on() -> bool {
    constant(&PHASES) != 0
}

/// Reports the phase that ends now, within the segment `on`, and begins the next.
#[inline(always)]
fn end(phase: &mut Phase, task: Task, on: &OnCpu, now: &Reading, now_ns: u64) {
    match ring::RING.reserve::<PhaseEnd>(0) {
        Some(mut entry) => {
            let head = PhaseEnd {
                tag: waytrace_abi::tag::PHASE,
                reserved: 0,
                tgid: task.tgid,
                tid: task.tid,
                index: phase.index,
                start_ns: phase.start_ns,
                end_ns: now_ns,
                cpu_ns: phase.cpu_ns.wrapping_add(now_ns.wrapping_sub(on.began_ns)),
                sums: Reading::default(),
            };
            // SAFETY: the kernel gave room for a whole record.
            let record = unsafe { &mut *entry.as_mut_ptr() };
            *record = head;
            each(|event| {
                record.sums.values[event] =
                    plus(&phase.sums.values[event], &minus(&now.values[event], &on.start.values[event]));
            });
            entry.submit(ring::NO_WAKEUP);
        }
        None => loss::count(waytrace_abi::loss::RING_FULL),
    }
    phase.index += 1;
    begin(phase, on, now, now_ns);
}

#[inline(always)]
fn begin(phase: &mut Phase, on: &OnCpu, now: &Reading, now_ns: u64) {
    phase.start_ns = now_ns;
    phase.cpu_ns = on.began_ns.wrapping_sub(now_ns);
    each(|event| phase.sums.values[event] = minus(&on.start.values[event], &now.values[event]));
}

/// Does it for every event of the run.
#[inline(always)]
fn each(mut it: impl FnMut(usize)) {
    let count = event_count();
    for event in 0..MAX_EVENTS {
        if event >= count {
            break;
        }
        it(event);
    }
}

#[inline(always)]
fn plus(a: &Value, b: &Value) -> Value {
    Value {
        value: a.value.wrapping_add(b.value),
        time_enabled_ns: a.time_enabled_ns.wrapping_add(b.time_enabled_ns),
        time_running_ns: a.time_running_ns.wrapping_add(b.time_running_ns),
    }
}

#[inline(always)]
fn minus(a: &Value, b: &Value) -> Value {
    Value {
        value: a.value.wrapping_sub(b.value),
        time_enabled_ns: a.time_enabled_ns.wrapping_sub(b.time_enabled_ns),
        time_running_ns: a.time_running_ns.wrapping_sub(b.time_running_ns),
    }
}
