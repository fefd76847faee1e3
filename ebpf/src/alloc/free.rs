//! A freeing function.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::{bpf_get_attach_cookie, bpf_ktime_get_ns};
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;
use waytrace_abi::allocation::{Live, Thread};
use waytrace_abi::cookie::Cookie;

use super::enter::{is_nested, unseen_size};
use super::{keeps_lifetimes, live, min_traced_bytes, site, thread, totals};
use crate::regs::Regs;
use crate::target::{self, Task};

#[uprobe]
fn free_enter(ctx: ProbeContext) -> u32 {
    free(&ctx);
    0
}

#[inline(always)]
fn free(ctx: &ProbeContext) -> Option<()> {
    let task = target::current()?;
    let regs = Regs::of(ctx);
    // SAFETY: the context is the one the kernel passed in.
    let cookie = Cookie::unpack(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) });
    let address = regs.arg(cookie.ptr_arg);
    let thread = thread::state(task)?;
    if address == 0 || is_nested(thread, regs.sp() + u64::from(cookie.return_slot)) {
        totals::other_hit();
        return None;
    }
    let seen = keeps_lifetimes() && seen_block(task, thread, address).is_some();
    if !seen {
        totals::freed_unseen(unseen_block(task, regs, cookie, address));
    }
    None
}

/// Frees a block whose allocation was seen; `None` if it was not.
#[inline(always)]
fn seen_block(task: Task, thread: &mut Thread, address: u64) -> Option<()> {
    let block = live::remove(task, address)?;
    // SAFETY: the helper has no preconditions.
    live::bury(task, address, &block, unsafe { bpf_ktime_get_ns() });
    if thread.last_block == address
        && block.tid == task.tid
        && let Some(site) = site::totals(block.site)
    {
        site.temporary_count += 1;
    }
    Some(())
}

/// Frees a block that was there before, or whose allocation is not kept; returns its size where it can be told.
#[inline(always)]
fn unseen_block(task: Task, regs: Regs, cookie: Cookie, address: u64) -> Option<u64> {
    let size_bytes = unseen_size(regs, cookie, address);
    if keeps_lifetimes() && size_bytes.unwrap_or(0) >= min_traced_bytes() {
        let block = Live { size_bytes: size_bytes.unwrap_or(0), at_ns: 0, site: 0, tid: 0 };
        // SAFETY: the helper has no preconditions.
        live::trace(task, address, &block, unsafe { bpf_ktime_get_ns() });
    }
    size_bytes
}
