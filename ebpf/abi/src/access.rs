//! What a tick of the access sampler captures: the registers of interrupted user code, and the memory it is most likely
//! to need next, so that both belong to one moment.

use crate::pod::pod;

/// Bytes of a captured line; a line begins at a multiple of it.
pub const LINE_BYTES: usize = 64;
/// General registers, in the order in which instructions encode them: `rax rcx rdx rbx rsp rbp rsi rdi r8`…`r15`.
pub const REGISTERS: usize = 16;
/// Number of `rsp` among them.
pub const RSP: usize = 4;
/// How far below the stack pointer the stack is captured: the red zone (System V ABI for x86-64, section 3.2.2).
pub const STACK_BELOW_BYTES: u64 = 128;
/// Lines of the stack captured, from [`STACK_BELOW_BYTES`] below the stack pointer.
pub const STACK_LINES: usize = 10;
/// All lines: those the registers point into, then the stack's.
pub const LINES: usize = REGISTERS + STACK_LINES;
/// Lowest address that may be a pointer: nothing is mapped below it (`vm.mmap_min_addr`).
pub const LEAST_POINTER: u64 = 65_536;

/// What made a record.
pub mod cause {
    /// The sampler's tick.
    pub const TICK: u32 = 0;
    /// The first breakpoint of a check.
    pub const CHECK_FIRST: u32 = 1;
    /// The second, after the first.
    pub const CHECK_SECOND: u32 = 2;
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
    /// General registers.
    pub general: [u64; REGISTERS],
    /// Memory: line `n` is that register `n` points into, or line `n - 16` of the stack.
    pub lines: [[u8; LINE_BYTES]; LINES],
}

/// Address of captured line `n`.
pub fn line_address(general: &[u64; REGISTERS], n: usize) -> u64 {
    let within = match general.get(n) {
        Some(&register) => register,
        None => {
            general[RSP].wrapping_sub(STACK_BELOW_BYTES).wrapping_add(((n - REGISTERS) * LINE_BYTES) as u64)
        }
    };
    within & !(LINE_BYTES as u64 - 1)
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
}

pod!(Capture = 64 + 8 * REGISTERS + LINES * LINE_BYTES, Ticks = 24);

/// Code segment of 64-bit user code (`__USER_CS`, arch/x86/include/asm/segment.h).
pub const USER_CS: u64 = 0x33;
