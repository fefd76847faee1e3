//! Stack samples: the first call of every site, then one each so many bytes.
//!
//! The gap between samples of a thread is drawn uniformly from half to one and a half times the period, so that a
//! periodic program cannot hide from it. Samples only say which paths lead to a site; totals never depend on them.

use aya_ebpf::bindings::BPF_RB_AVAIL_DATA;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use waytrace_abi::allocation::Thread;
use waytrace_abi::sample::{CHUNK_BYTES, Head, STACK_BYTES, StackSample};

use super::record::Place;
use super::totals;
use crate::loss;
use crate::regs::{Regs, user_word};
use crate::ring::{NO_WAKEUP, RING};
use crate::settings::setting;
use crate::target::Task;

/// Bytes waiting in the ring above which no stack is sampled: records that count must find room.
pub const MOST_WAITING_BYTES: u64 = 2 << 20;

/// Whether this allocation is to be sampled.
#[inline(always)]
pub fn due(thread: &mut Thread, size_bytes: u64) -> bool {
    if thread.until_sample_bytes > size_bytes {
        thread.until_sample_bytes -= size_bytes;
        return false;
    }
    let period = setting!(sample_period_bytes);
    if period == 0 || RING.query(BPF_RB_AVAIL_DATA.into()) > MOST_WAITING_BYTES {
        return false;
    }
    thread.random =
        thread.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    thread.until_sample_bytes = period / 2 + ((thread.random >> 32) * period >> 32);
    true
}

/// A call to sample.
pub struct Sampled {
    /// Who called.
    pub task: Task,
    /// Registers at the probe.
    pub regs: Regs,
    /// Where the call stands.
    pub place: Place,
    /// Index of the site.
    pub site: u32,
    /// Size asked for.
    pub size_bytes: u64,
}

/// Copies registers and stack into the ring.
#[inline(never)]
pub fn take(&Sampled { task, regs, place, site, size_bytes }: &Sampled) {
    let ip = match place.returns_to {
        0 => user_word(place.entry_sp).unwrap_or(place.caller),
        returns_to => returns_to,
    };
    let sent = send(&Head {
        tag: waytrace_abi::tag::STACK,
        site,
        tgid: task.tgid,
        tid: task.tid,
        size_bytes,
        weighted_bytes: 0,
        ip,
        sp: place.entry_sp + 8,
        bp: regs.bp(),
        stack_bytes: 0,
    });
    if sent != 0 {
        totals::sampled();
    }
}

/// Writes a head, and behind it the stack from its stack pointer up. 0, and a loss counted, where the ring has no room.
#[inline(never)]
pub fn send(head: &Head) -> u32 {
    let Some(mut entry) = RING.reserve::<StackSample>(0) else {
        loss::count(waytrace_abi::loss::RING_FULL);
        return 0;
    };
    let sample = entry.as_mut_ptr();
    // SAFETY: `sample` points to reserved ring memory of this type; all is written before it is submitted but the end
    // of the stack, and the reader looks only at the first `stack_bytes` of that.
    unsafe {
        (*sample).head = *head;
        (*sample).head.stack_bytes = copy_stack((&raw mut (*sample).stack).cast(), head.sp);
    }
    entry.submit(NO_WAKEUP);
    1
}

/// Copies from `sp` upwards until the buffer is full or the mapping ends; returns the bytes copied.
#[inline(always)]
fn copy_stack(buffer: *mut u8, sp: u64) -> u64 {
    // Pieces end at multiples of their size, so that none straddles the end of the mapping.
    let first = CHUNK_BYTES as u64 - (sp & (CHUNK_BYTES as u64 - 1));
    // SAFETY: `first` is at most one piece, and the buffer is longer; the helper checks the source.
    if unsafe { bpf_probe_read_user(buffer.cast(), first as u32, sp as *const _) } != 0 {
        return 0;
    }
    let mut copied = first;
    for _ in 1..STACK_BYTES / CHUNK_BYTES {
        if copied > (STACK_BYTES - CHUNK_BYTES) as u64 {
            break;
        }
        // SAFETY: a whole piece still fits, as checked; the helper checks the source.
        let failed = unsafe {
            bpf_probe_read_user(
                buffer.add(copied as usize).cast(),
                CHUNK_BYTES as u32,
                (sp + copied) as *const _,
            )
        };
        if failed != 0 {
            break;
        }
        copied += CHUNK_BYTES as u64;
    }
    copied
}
