//! What a tick of the access sampler captures: the registers of interrupted user code, and the memory it is most likely
//! to need next, so that all of it belongs to one moment.

use crate::pod::pod;

/// Bytes of a captured line; a line begins at a multiple of it.
pub const LINE_BYTES: usize = 64;
/// General registers, in the order in which instructions encode them: `rax rcx rdx rbx rsp rbp rsi rdi r8`…`r15`.
pub const REGISTERS: usize = 16;
/// Number of `rsp` among them.
pub const RSP: usize = 4;
/// Lines captured from the one a register points into upwards.
pub const LINES_PER_REGISTER: usize = 2;
/// How far below the stack pointer the stack is captured: the red zone (System V ABI for x86-64, section 3.2.2).
pub const STACK_BELOW_BYTES: u64 = 128;
/// Lines of the stack captured, from [`STACK_BELOW_BYTES`] below the stack pointer.
pub const STACK_LINES: usize = 10;
/// Lines found by register.
pub const LINES: usize = REGISTERS * LINES_PER_REGISTER + STACK_LINES;
/// Lines captured because walks of the process keep needing them.
pub const HOT_LINES: usize = 128;
/// Processes whose hot lines are known, those sampled last.
pub const MAX_HOT: u32 = 128;
/// Register values taken for pointers: from where programs that are not moved begin (System V ABI for x86-64, section
/// 3.3.3) to the end of user memory. Reading anything else costs a fault.
pub const POINTERS: core::ops::Range<u64> = 0x40_0000..1 << 47;
/// Code segment of 64-bit user code (`__USER_CS`, arch/x86/include/asm/segment.h).
pub const USER_CS: u64 = 0x33;

/// What made a record.
pub mod cause {
    /// The sampler's tick.
    pub const TICK: u32 = 0;
    /// The first breakpoint of a check.
    pub const CHECK_FIRST: u32 = 1;
    /// The second, after the first.
    pub const CHECK_SECOND: u32 = 2;
}

/// Addresses of lines to capture for a process; 0 ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Hot {
    /// Multiples of [`LINE_BYTES`].
    pub lines: [u64; HOT_LINES],
}

/// Ring record: a thread about to execute the instruction at `ip`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Capture {
    /// One of [`cause`].
    pub cause: u32,
    /// CPU.
    pub cpu: u32,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// When.
    pub at_ns: u64,
    /// `rip`.
    pub ip: u64,
    /// `rflags`.
    pub flags: u64,
    /// Base of the `fs` segment as the kernel last saved it.
    pub fs_base: u64,
    /// Code segment: tells 32-bit code apart.
    pub cs: u64,
    /// Bit `n`: line `n` was captured.
    pub captured: u64,
    /// Bit `n`: hot line `n` was captured.
    pub hot_captured: [u64; HOT_LINES / 64],
    /// General registers.
    pub general: [u64; REGISTERS],
    /// Memory: [`LINES_PER_REGISTER`] lines for each register, then the stack's ([`line_address`]).
    pub lines: [[u8; LINE_BYTES]; LINES],
    /// Addresses of hot lines; only those captured are there.
    pub hot: [u64; HOT_LINES],
    /// Hot lines.
    pub hot_lines: [[u8; LINE_BYTES]; HOT_LINES],
}

/// Address of line `n` found by register.
pub fn line_address(general: &[u64; REGISTERS], n: usize) -> u64 {
    let (register, below, line) = match n.checked_sub(REGISTERS * LINES_PER_REGISTER) {
        None => (general[n / LINES_PER_REGISTER], 0, n % LINES_PER_REGISTER),
        Some(line) => (general[RSP], STACK_BELOW_BYTES, line),
    };
    let first = register.wrapping_sub(below) & !(LINE_BYTES as u64 - 1);
    first.wrapping_add((line * LINE_BYTES) as u64)
}

/// Per CPU: what the sampler's ticks found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Ticks {
    /// User code: a capture.
    pub user: u64,
    /// The kernel, at work for the thread.
    pub kernel: u64,
    /// User code that found no room in the ring.
    pub dropped: u64,
    /// Time captures took.
    pub capture_ns: u64,
}

pod!(
    Hot = 8 * HOT_LINES,
    Ticks = 32,
    Capture = 64 + HOT_LINES / 8 + 8 * REGISTERS + LINES * LINE_BYTES + HOT_LINES * (8 + LINE_BYTES),
);
