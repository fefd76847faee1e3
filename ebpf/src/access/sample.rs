//! The sampler's tick: each thread of the targets has a timer of its own CPU time.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{map, perf_event};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::PerfEventContext;
use waytrace_abi::access::{Ticks, cause};

use super::capture::{self, Interrupted};
use crate::target::current;

/// What ticks found on this CPU.
#[map]
static ACCESS_TICKS: PerCpuArray<Ticks> = PerCpuArray::with_max_entries(1, 0);

/// A thread has run for another period.
#[perf_event]
fn access_tick(ctx: PerfEventContext) -> u32 {
    ticked(&ctx);
    0
}

#[inline(always)]
fn ticked(ctx: &PerfEventContext) -> Option<()> {
    let task = current()?;
    // SAFETY: the slot is this CPU's own, and a timer's interrupt is not interrupted by another.
    let ticks = unsafe { &mut *ACCESS_TICKS.get_ptr_mut(0)? };
    let interrupted = Interrupted::of(ctx);
    if !interrupted.is_user() {
        ticks.kernel += 1;
        return None;
    }
    // SAFETY: the helper has no preconditions.
    let began_ns = unsafe { bpf_ktime_get_ns() };
    match capture::emit(interrupted, task, cause::TICK) {
        Ok(()) => ticks.user += 1,
        Err(()) => ticks.dropped += 1,
    }
    // SAFETY: as above.
    ticks.capture_ns += unsafe { bpf_ktime_get_ns() } - began_ns;
    None
}
