//! Samples an allocator hands out itself, by static probes: `otel_memory:alloc` and `otel_memory:free`.
//!
//! Where a probe has its arguments is written in its note; the user side turns that into [`ARGUMENTS`], and the cookie names
//! the entry. Samples are few and each stands for many allocations, so nothing here is as sparing as at a probed `malloc`.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_RB_AVAIL_DATA;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::helpers::{bpf_get_attach_cookie, bpf_get_prandom_u32, bpf_ktime_get_ns};
use aya_ebpf::macros::{map, uprobe};
use aya_ebpf::maps::{Array, PerCpuArray};
use aya_ebpf::programs::ProbeContext;
use waytrace_abi::allocation::Live;
use waytrace_abi::sample::Head;
use waytrace_abi::usdt::{
    Argument, Arguments, COUNT_BITS, MAX_ARGUMENTS, NO_REGISTER, ONE, SQUARE_BITS, SampleTotals,
};

use super::{live, sample, totals};
use crate::loss::{self, add};
use crate::regs::Regs;
use crate::ring::RING;
use crate::settings::setting;
use crate::target::{self, Task};

/// Where probes have their arguments.
#[map]
static ARGUMENTS: Array<Arguments> = Array::with_max_entries(MAX_ARGUMENTS, 0);

#[map]
static SAMPLE_TOTALS: PerCpuArray<SampleTotals> = PerCpuArray::with_max_entries(1, 0);

/// How many allocations each live block stands for, by its place. Sized as the table of live blocks.
#[map]
static LIVE_COUNTS: Array<u64> = Array::with_max_entries(1, 0);

/// Larger weights are cut: none is meant, and the arithmetic needs the bits.
const MOST_WEIGHTED_BYTES: u64 = 1 << 47;
/// In sums of squares.
const MOST_SQUARED_BYTES: u64 = 1 << 35;
const MOST_SQUARED_COUNT: u64 = 1 << 28;
/// Bits of a number of allocations dropped before it is squared.
const COUNT_SQUARE_BITS: u32 = 8;

/// Adds to fields of this CPU's totals.
macro_rules! count {
    ($($field:ident += $amount:expr),+ $(,)?) => {
        if let Some(totals) = SAMPLE_TOTALS.get_ptr_mut(0) {
            // SAFETY: a map value; only field addresses are taken.
            unsafe { $( add(&raw mut (*totals).$field, $amount); )+ }
        }
    };
}

#[uprobe]
fn usdt_alloc(ctx: ProbeContext) -> u32 {
    alloc(&ctx);
    0
}

#[uprobe]
fn usdt_free(ctx: ProbeContext) -> u32 {
    free(&ctx);
    0
}

#[inline(always)]
fn alloc(ctx: &ProbeContext) -> Option<()> {
    let task = target::current()?;
    let regs = Regs::of(ctx);
    let cookie = cookie(ctx);
    let arguments = ARGUMENTS.get_ptr(cookie as u32)?;
    // SAFETY: a map value is readable during the program run.
    let places = unsafe { &*arguments };
    let read = (value(regs, &places.pointer), value(regs, &places.size), value(regs, &places.weighted_bytes));
    let (Some(address), Some(size_bytes), Some(weighted_bytes)) = read else {
        count!(unread_samples += 1);
        return None;
    };
    // A block of nothing still is one allocation; its weight says of how many bytes it stands.
    let divisor = if size_bytes == 0 { 1 } else { size_bytes };
    let weighted_bytes = weighted_bytes.min(MOST_WEIGHTED_BYTES);
    let count = (weighted_bytes << COUNT_BITS) / divisor;
    if let Some(totals) = SAMPLE_TOTALS.get_ptr_mut(0) {
        // SAFETY: a map value; only a field address is taken.
        totals::bucket(unsafe { &raw mut (*totals).sizes }, size_bytes, count, weighted_bytes);
    }
    count!(
        alloc_samples += 1,
        bytes_variance += bytes_variance(weighted_bytes, size_bytes),
        count_variance += count_variance(count),
    );
    // The upper half of the cookie says whether the program tells of frees: else blocks would stay for ever.
    let place = if cookie >> 32 != 0 && address != 0 {
        keep(task, address, weighted_bytes, count)
    } else {
        live::NONE
    };
    take_stack(task, regs, place, size_bytes, weighted_bytes);
    None
}

#[inline(always)]
fn free(ctx: &ProbeContext) -> Option<()> {
    let task = target::current()?;
    let arguments = ARGUMENTS.get_ptr(cookie(ctx) as u32)?;
    // SAFETY: a map value is readable during the program run.
    let Some(address) = value(Regs::of(ctx), unsafe { &(*arguments).pointer }) else {
        count!(unread_samples += 1);
        return None;
    };
    let Some((place, block)) = live::look_up(task, address) else {
        count!(unseen_free_samples += 1);
        return None;
    };
    // SAFETY: a map value is readable.
    let count = LIVE_COUNTS.get_ptr(place).map_or(0, |count| unsafe { *count });
    live::release(place);
    totals::shrink(block.size_bytes);
    // SAFETY: the helper has no preconditions.
    let age_ns = unsafe { bpf_ktime_get_ns() }.saturating_sub(block.at_ns);
    if let Some(totals) = SAMPLE_TOTALS.get_ptr_mut(0) {
        // SAFETY: a map value; only a field address is taken.
        totals::bucket(unsafe { &raw mut (*totals).lifetimes }, age_ns, count, block.size_bytes);
    }
    count!(free_samples += 1);
    None
}

/// Keeps a block until its free; its place. One that is there under the address has ended without a word, as a `realloc`
/// may: what it stood for is live no more.
#[inline(always)]
fn keep(task: Task, address: u64, weighted_bytes: u64, count: u64) -> u32 {
    if let Some((place, old)) = live::look_up(task, address) {
        live::release(place);
        totals::shrink(old.size_bytes);
        count!(unseen_free_samples += 1);
    }
    // SAFETY: the helper has no preconditions.
    let at_ns = unsafe { bpf_ktime_get_ns() };
    let place =
        live::keep(task, address, &Live { size_bytes: weighted_bytes, at_ns, site: 0, tid: task.tid });
    if let Some(slot) = LIVE_COUNTS.get_ptr_mut(place) {
        // SAFETY: a map value; the place was just taken, and its block is freed by nobody before this program ends.
        unsafe { *slot = count };
        totals::grow(weighted_bytes);
    }
    place
}

/// Takes the stack of a sample, so that about one comes in so many bytes: of smaller weights a random choice, which then
/// stands for the others.
#[inline(always)]
fn take_stack(task: Task, regs: Regs, place: u32, size_bytes: u64, weighted_bytes: u64) {
    let period = setting!(sample_period_bytes);
    // SAFETY: the helper has no preconditions.
    let random = u64::from(unsafe { bpf_get_prandom_u32() });
    if period == 0 || (random * (period >> 8)) >> 24 >= weighted_bytes {
        return;
    }
    if RING.query(BPF_RB_AVAIL_DATA.into()) > sample::MOST_WAITING_BYTES {
        loss::count(waytrace_abi::loss::STACKS_FULL);
        return;
    }
    let sent = sample::send(&Head {
        tag: waytrace_abi::tag::SAMPLE,
        site: place,
        tgid: task.tgid,
        tid: task.tid,
        size_bytes,
        weighted_bytes: weighted_bytes.max(period),
        // The address looked up is the byte before: the probe itself.
        ip: regs.ip() + 1,
        sp: regs.sp(),
        bp: regs.bp(),
        stack_bytes: 0,
    });
    if sent != 0 {
        count!(stacks += 1);
    }
}

#[inline(always)]
fn cookie(ctx: &ProbeContext) -> u64 {
    // SAFETY: the context is the one the kernel passed in.
    unsafe { bpf_get_attach_cookie(ctx.as_ptr()) }
}

/// The value of an argument; `None` where it cannot be read.
#[inline(always)]
fn value(regs: Regs, argument: &Argument) -> Option<u64> {
    let mut value = argument.value;
    if argument.base != NO_REGISTER {
        value = value.wrapping_add(regs.at(argument.base)?);
    }
    if argument.index != NO_REGISTER {
        value = value.wrapping_add(regs.at(argument.index)? << (argument.index_shift & 3));
    }
    let width_bytes = u32::from(argument.width_bytes).min(8);
    if argument.is_memory != 0 {
        let address = value;
        value = 0;
        // SAFETY: at most as many bytes as the word has; the helper checks the source.
        if unsafe { bpf_probe_read_user((&raw mut value).cast(), width_bytes, address as *const _) } != 0 {
            return None;
        }
    }
    let unused_bits = (64 - 8 * width_bytes) & 63;
    let raised = value << unused_bits;
    Some(if argument.is_signed == 0 { raised >> unused_bits } else { (raised as i64 >> unused_bits) as u64 })
}

/// w·(w − size): a sample picked with probability p = size / w has the variance (1 − p) / p² · size² (Horvitz, Thompson,
/// 1952); where large blocks are picked several times over it holds on average.
#[inline(always)]
fn bytes_variance(weighted_bytes: u64, size_bytes: u64) -> u64 {
    let weight = weighted_bytes.min(MOST_SQUARED_BYTES) as i64;
    let excess = weight - size_bytes.min(MOST_SQUARED_BYTES) as i64;
    ((weight >> SQUARE_BITS) * (excess >> SQUARE_BITS)) as u64
}

/// The same of the number of allocations.
#[inline(always)]
fn count_variance(count: u64) -> u64 {
    let count = (count >> COUNT_SQUARE_BITS).min(MOST_SQUARED_COUNT) as i64;
    ((count * (count - (ONE >> COUNT_SQUARE_BITS) as i64)) >> COUNT_SQUARE_BITS) as u64
}
