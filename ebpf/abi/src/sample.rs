//! Stack samples: registers and a copy of the user stack, unwound on the user side.

use crate::pod::pod;

/// Most bytes of stack copied.
pub const STACK_BYTES: usize = 16 * 1024;
/// The copy is made in pieces of this size, so that it can run up to the end of the mapping.
pub const CHUNK_BYTES: usize = 1024;

/// Registers at an allocation call.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Head {
    /// [`crate::tag::STACK`].
    pub tag: u32,
    /// Index of the site it belongs to; of an allocator's own sample its place among the live blocks, or all ones.
    pub site: u32,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Size asked for by this call.
    pub size_bytes: u64,
    /// Bytes it stands for, of an allocator's own sample; else 0.
    pub weighted_bytes: u64,
    /// Return address of the allocator call; of an allocator's own sample the byte behind the probe's first.
    pub ip: u64,
    /// Stack pointer after returning to `ip`: the copy starts here.
    pub sp: u64,
    /// Frame pointer register.
    pub bp: u64,
    /// Bytes of the stack that were copied.
    pub stack_bytes: u64,
}

/// Ring record: [`Head`] and the stack from `sp` upwards.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct StackSample {
    /// Registers.
    pub head: Head,
    /// The stack; valid up to `head.stack_bytes`.
    pub stack: [u8; STACK_BYTES],
}

pod!(Head = 64, StackSample = 64 + STACK_BYTES);
