//! An allocator's own samples, as static probes (USDT) hand them out: where a probe has its arguments, and the totals.
//!
//! A sample stands for `weighted_bytes` bytes and so for `weighted_bytes / size` allocations. Allocations are counted in
//! fractions of 2^[`COUNT_BITS`], for a large block may stand for hardly more than itself.

use crate::allocation::{BUCKETS, Bucket};
use crate::pod::pod;

/// Bits behind the point of a number of allocations.
pub const COUNT_BITS: u32 = 16;
/// One allocation.
pub const ONE: u64 = 1 << COUNT_BITS;
/// Different sets of arguments at once; as many probes as there are may share one.
pub const MAX_ARGUMENTS: u32 = 256;
/// In place of a register: none.
pub const NO_REGISTER: u16 = u16::MAX;
/// Bits by which each factor of a sum of squares of bytes is shortened, so that the sum does not overflow.
pub const SQUARE_BITS: u32 = 4;

/// Where one argument is. Its value is `value`, plus the register `base`, plus the register `index` shifted left; or what
/// memory holds at that address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Argument {
    /// A constant or displacement.
    pub value: u64,
    /// Offset of a register in the kernel's `pt_regs`, or [`NO_REGISTER`].
    pub base: u16,
    /// Likewise.
    pub index: u16,
    /// By how many bits `index` is shifted: 0 to 3.
    pub index_shift: u8,
    /// 1 if it is in memory.
    pub is_memory: u8,
    /// Bytes of it that count: 1, 2, 4 or 8.
    pub width_bytes: u8,
    /// 1 if it is extended by its sign.
    pub is_signed: u8,
}

/// Where a probe has its arguments. The cookie of a probe is an index of the map that holds these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Arguments {
    /// The block.
    pub pointer: Argument,
    /// Bytes asked for; of allocations.
    pub size: Argument,
    /// Bytes it stands for; of allocations.
    pub weighted_bytes: Argument,
}

/// Totals of all targets on one CPU, written atomically.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct SampleTotals {
    /// Sizes asked for: allocations in fractions, and bytes stood for.
    pub sizes: [Bucket; BUCKETS as usize],
    /// Lifetimes in nanoseconds of blocks seen allocated and freed, likewise.
    pub lifetimes: [Bucket; BUCKETS as usize],
    /// Allocations that were sampled.
    pub alloc_samples: u64,
    /// Frees of blocks whose allocation was seen.
    pub free_samples: u64,
    /// Frees of other sampled blocks: what those stood for is not known.
    pub unseen_free_samples: u64,
    /// Hits whose arguments could not be read.
    pub unread_samples: u64,
    /// Stacks taken.
    pub stacks: u64,
    /// Σ w·(w − size) over all samples, an unbiased estimate of the variance of the bytes, in units of
    /// 4^[`SQUARE_BITS`]; two's complement.
    pub bytes_variance: u64,
    /// Σ c·(c − 1) with c = w / size, the same of the allocations, in units of 2^-8; two's complement.
    pub count_variance: u64,
    /// Not used; keeps the length even.
    pub reserved: u64,
}

pod!(Argument = 16, Arguments = 48, SampleTotals = 2 * 16 * BUCKETS as usize + 64);
