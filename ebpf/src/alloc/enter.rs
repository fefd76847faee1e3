//! Entry of an allocating function.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_attach_cookie;
use aya_ebpf::macros::uprobe;
use aya_ebpf::programs::ProbeContext;
use waytrace_abi::allocation::{Live, Thread};
use waytrace_abi::cookie::{Cookie, FreedSize, NO_ARG, Op};

use super::record::{self, Place};
use super::{frames, keeps_lifetimes, live, site, thread, totals};
use crate::regs::{Regs, user_word};
use crate::target::{self, Task};

/// Sizes no allocator can give: counting on entry, such a call is known to fail (C11 7.22.3, PTRDIFF_MAX).
const IMPOSSIBLE_BYTES: u64 = 1 << 63;

#[uprobe]
fn alloc_enter(ctx: ProbeContext) -> u32 {
    enter(&ctx);
    0
}

#[inline(always)]
fn enter(ctx: &ProbeContext) -> Option<()> {
    let task = target::current()?;
    let regs = Regs::of(ctx);
    // SAFETY: the context is the one the kernel passed in.
    let bits = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    let cookie = Cookie::unpack(bits);
    let thread = thread::state(task)?;
    let entry_sp = regs.sp() + u64::from(cookie.return_slot);
    // A tail call (glibc's realloc of nothing jumps to malloc) finds the caller's address replaced by the trampoline of
    // the return probe it came through; the outer call has noted it before.
    let is_tail_call = thread.outer_sp == entry_sp;
    let nested = is_nested(thread, entry_sp);
    let caller = if is_tail_call { Some(thread.caller) } else { site::caller(entry_sp) };
    let counted = if nested { None } else { size(regs, cookie).zip(caller) };
    let Some((size_bytes, caller)) = counted else {
        totals::other_hit();
        return None;
    };
    let returns_to = if is_tail_call { caller } else { 0 };
    let stack = frames::stack(ctx);
    if !cookie.returns {
        if size_bytes < IMPOSSIBLE_BYTES {
            record::allocation(
                task,
                thread,
                regs,
                Place { entry_sp, caller, returns_to, stack },
                size_bytes,
                0,
            );
        } else {
            totals::other_hit();
        }
        return None;
    }
    thread.outer_sp = entry_sp;
    thread.size_bytes = size_bytes;
    thread.caller = caller;
    thread.cookie = bits;
    thread.stack = stack;
    if cookie.ptr_arg != NO_ARG {
        thread.pointer = regs.arg(cookie.ptr_arg);
    }
    if cookie.op == Op::Realloc {
        thread.old = old_block(task, regs, cookie, thread.pointer);
    }
    None
}

/// The block about to be resized. It is taken out of the live map now: once the allocator has freed it, another thread
/// may be given the same address. One that was not seen to be allocated has time 0, and size 0 if that is not known.
#[inline(always)]
fn old_block(task: Task, regs: Regs, cookie: Cookie, address: u64) -> Live {
    if address == 0 {
        return Live { size_bytes: 0, at_ns: 0, site: 0, tid: 0 };
    }
    if keeps_lifetimes()
        && let Some(block) = live::remove(task, address)
    {
        return block;
    }
    let size_bytes = unseen_size(regs, cookie, address).unwrap_or(0);
    Live { size_bytes, at_ns: 0, site: 0, tid: 0 }
}

/// Size of a block whose allocation was not seen, where it can be told.
#[inline(always)]
pub fn unseen_size(regs: Regs, cookie: Cookie, address: u64) -> Option<u64> {
    match cookie.freed_size {
        FreedSize::Unknown => None,
        FreedSize::Argument => Some(regs.arg(cookie.size_arg)),
        FreedSize::GlibcChunk => user_word(address - 8).map(|word| (word & !7).saturating_sub(8)),
    }
}

/// Whether a probed call of the same thread is still running further out. One that lies below this call's stack
/// pointer has returned unseen (longjmp, an exception through C code) and is forgotten.
#[inline(always)]
pub fn is_nested(thread: &mut Thread, entry_sp: u64) -> bool {
    if thread.outer_sp == 0 {
        return false;
    }
    if entry_sp < thread.outer_sp {
        return true;
    }
    thread.outer_sp = 0;
    false
}

/// The size asked for; `None` if the product overflows, which every allocator refuses.
#[inline(always)]
fn size(regs: Regs, cookie: Cookie) -> Option<u64> {
    let size = regs.arg(cookie.size_arg);
    if cookie.count_arg == NO_ARG {
        return Some(size);
    }
    let count = regs.arg(cookie.count_arg);
    checked_product(size, count)
}

/// `a * b` by halves of 32 bits, for BPF has no 128-bit product; `None` on overflow.
#[inline(always)]
fn checked_product(a: u64, b: u64) -> Option<u64> {
    const HALF: u64 = u32::MAX as u64;
    let (a_high, b_high) = (a >> 32, b >> 32);
    if a_high != 0 && b_high != 0 {
        return None;
    }
    let middle = a_high * (b & HALF) + b_high * (a & HALF);
    let low = (a & HALF) * (b & HALF);
    let product = low.wrapping_add(middle << 32);
    (middle <= HALF && product >= low).then_some(product)
}
