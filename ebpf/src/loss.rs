//! Losses, counted by kind.

use core::arch::asm;

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use waytrace_abi::loss::KINDS;

/// One counter per kind of `waytrace_abi::loss`.
#[map]
static LOSS: Array<u64> = Array::with_max_entries(KINDS, 0);

/// Counts one loss of `kind`.
#[inline(never)]
pub fn count(kind: u32) {
    if let Some(counter) = LOSS.get_ptr_mut(kind) {
        add(counter, 1);
    }
}

/// Adds to a word other CPUs or preempting programs add to as well. `core`'s atomics lack these on the bpf target, which
/// declares no compare-and-swap; the instructions are those of BPF_ATOMIC (Documentation/bpf/standardization).
#[inline(always)]
pub fn add(word: *mut u64, amount: u64) {
    // SAFETY: `word` points into a map value, which is aligned to 8 and outlives the program run.
    unsafe { asm!("lock *(u64 *)({word} + 0) += {amount}", word = in(reg) word, amount = in(reg) amount) };
}

/// Adds and returns the sum.
#[inline(always)]
pub fn add_return(word: *mut u64, amount: u64) -> u64 {
    let mut before = amount;
    // SAFETY: as above.
    unsafe {
        asm!("{0} = atomic_fetch_add((u64 *)({1} + 0), {0})", inout(reg) before, in(reg) word);
    }
    before.wrapping_add(amount)
}

/// Writes `new` if the word is `old`; returns what it was.
#[inline(always)]
pub fn compare_and_swap(word: *mut u64, old: u64, new: u64) -> u64 {
    let mut seen = old;
    // SAFETY: as above. The instruction compares with r0 and leaves there what it found.
    unsafe {
        asm!("r0 = cmpxchg_64({word} + 0, r0, {new})", word = in(reg) word, new = in(reg) new, inout("r0") seen);
    }
    seen
}
