//! A walk compared with the processor: breakpoints on two instructions the thread is about to execute.
//!
//! Both are armed at once. The first hit of the first is captured, then the next hit of the second; hits of the second
//! before that only use up the number of hits the user side allows it, so that one in a hot loop ends itself. The kernel
//! counts a hit against that limit only if the program returns 1 (`__perf_event_overflow` in kernel/events/core.c);
//! `aya_ebpf`'s `perf_event` always returns 0.

use core::ffi::c_void;

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use aya_ebpf::programs::PerfEventContext;
use waytrace_abi::access::cause;

use super::capture::{self, Interrupted};
use crate::target::current_any;

/// Thread under check that has come by the first breakpoint; 0 for none. There is one check at a time.
#[map]
static ACCESS_CHECK: Array<u32> = Array::with_max_entries(1, 0);

/// The first breakpoint.
#[unsafe(no_mangle)]
#[unsafe(link_section = "perf_event")]
fn access_check_first(ctx: *mut c_void) -> u32 {
    let ctx = PerfEventContext::new(ctx.cast());
    let task = current_any();
    if let Some(passed) = ACCESS_CHECK.get_ptr_mut(0)
        && capture::emit(Interrupted::of(&ctx), task, cause::CHECK_FIRST).is_ok()
    {
        // SAFETY: a map value is writable during the program run; only the thread under check gets here.
        unsafe { core::ptr::write_volatile(passed, task.tid) };
    }
    1
}

/// The second breakpoint.
#[unsafe(no_mangle)]
#[unsafe(link_section = "perf_event")]
fn access_check_second(ctx: *mut c_void) -> u32 {
    let ctx = PerfEventContext::new(ctx.cast());
    let task = current_any();
    if let Some(passed) = ACCESS_CHECK.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe {
            if core::ptr::read_volatile(passed) == task.tid {
                core::ptr::write_volatile(passed, 0);
                let _ = capture::emit(Interrupted::of(&ctx), task, cause::CHECK_SECOND);
            }
        }
    }
    1
}
