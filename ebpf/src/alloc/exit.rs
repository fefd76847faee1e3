//! Return of an allocating function.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::uretprobe;
use aya_ebpf::programs::RetProbeContext;
use waytrace_abi::allocation::{Live, Thread};
use waytrace_abi::cookie::{Cookie, Op};

use super::record::{self, Place};
use super::{keeps_lifetimes, live, site, thread, totals};
use crate::loss::add;
use crate::regs::{Regs, user_word};
use crate::target::{self, Task};

#[uretprobe]
fn alloc_exit(ctx: RetProbeContext) -> u32 {
    exit(&ctx);
    0
}

#[inline(always)]
fn exit(ctx: &RetProbeContext) -> Option<()> {
    let task = target::current()?;
    let regs = Regs::of(ctx);
    if !keeps_lifetimes() {
        // With lifetimes every call has a return, and the user side knows their number without counting.
        totals::returned();
    }
    let thread = thread::state(task)?;
    // After the return the stack pointer is one word above where the call had it.
    let entry_sp = regs.sp() - 8;
    // Not the outermost call of the thread, or one that was entered before the probes were there.
    if thread.outer_sp != entry_sp {
        totals::other_hit();
        return None;
    }
    thread.outer_sp = 0;
    match new_block(task, thread, regs) {
        Some(address) => {
            let place = Place { entry_sp, caller: thread.caller, returns_to: regs.ip(), stack: thread.stack };
            let size_bytes = thread.size_bytes;
            record::allocation(task, thread, regs, place, size_bytes, address);
        }
        None => totals::other_hit(),
    }
    None
}

/// The block the call has made; `None` if it made none.
#[inline(always)]
fn new_block(task: Task, thread: &mut Thread, regs: Regs) -> Option<u64> {
    let result = regs.ret();
    let address = match Cookie::unpack(thread.cookie).op {
        Op::Realloc => resized(task, thread, result)?,
        Op::AllocOut if result as u32 == 0 => user_word(thread.pointer)?,
        Op::AllocOut => 0,
        _ => result,
    };
    (address != 0).then_some(address)
}

/// A moved block is one free and one allocation; one resized in place keeps its age and site, and only the
/// difference in bytes is booked.
#[inline(always)]
fn resized(task: Task, thread: &mut Thread, after: u64) -> Option<u64> {
    let (before, size_bytes) = (thread.pointer, thread.size_bytes);
    if before == 0 {
        return Some(after);
    }
    if after == before {
        resized_in_place(task, thread, size_bytes);
        return None;
    }
    if after != 0 || size_bytes == 0 {
        freed(task, thread);
        return Some(after);
    }
    // It failed: the block is as it was.
    if keeps_lifetimes() && thread.old.at_ns != 0 {
        let old = thread.old;
        live::insert(task, before, &old, 0);
    }
    None
}

#[inline(always)]
fn freed(task: Task, thread: &mut Thread) {
    let old = thread.old;
    if keeps_lifetimes() && old.at_ns != 0 {
        // SAFETY: the helper has no preconditions.
        live::bury(task, thread.pointer, &old, unsafe { bpf_ktime_get_ns() });
    } else {
        totals::freed_unseen((old.size_bytes != 0).then_some(old.size_bytes));
    }
}

#[inline(always)]
fn resized_in_place(task: Task, thread: &mut Thread, size_bytes: u64) {
    let old = thread.old;
    if !keeps_lifetimes() || old.at_ns == 0 {
        return;
    }
    live::insert(task, thread.pointer, &Live { size_bytes, ..old }, 0);
    if let Some(site) = site::totals(old.site) {
        if size_bytes > old.size_bytes {
            add(&raw mut site.alloc_bytes, size_bytes - old.size_bytes);
        } else {
            add(&raw mut site.freed_bytes, old.size_bytes - size_bytes);
        }
    }
    totals::resized(old.size_bytes, size_bytes);
}
