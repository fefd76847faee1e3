//! The loop whose instructions are known.

use std::arch::asm;

/// Instructions of one iteration.
pub const INSTRUCTIONS: u64 = 2;

/// Counts down from `iterations`, at least one.
pub fn spin(iterations: u64) {
    let left = iterations.max(1);
    // SAFETY: counts a register of its own down; touches neither memory nor stack.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("2:", "subs {left}, {left}, #1", "b.ne 2b", left = inout(reg) left => _, options(nomem, nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("2:", "sub {left}, 1", "jne 2b", left = inout(reg) left => _, options(nomem, nostack));
    }
}
