//! What the kernel part sums up of samples that come with an address: by page and by line, and all of them by CPU.
//!
//! A window is as long as the run's and counted from its start. Nothing is written into one that is over, so that its
//! entries can be taken out whole.

use crate::pod::pod;

/// Bytes of a page, as counted here on any machine.
pub const PAGE_BYTES: u64 = 4096;
/// Bytes of a line.
pub const LINE_BYTES: u64 = 64;
/// Pages of all windows not taken out yet; further ones are only in the totals.
pub const MAX_PAGES: u32 = 16_384;
/// Lines of all windows not taken out yet; further ones take the place of those not accessed for longest.
pub const MAX_LINES: u32 = 32_768;
/// Totals by window and CPU not taken out yet.
pub const MAX_TOTALS: u32 = 4_096;
/// Samples a CPU is to hand on in a second, where there are more: shares among as many are known to 1 %.
pub const PASSED_HZ: u64 = 10_000;
/// How many times that it may be in a window that samples much more than the one before.
pub const MOST_PASSED: u64 = 4;

/// Direction of what an event samples.
pub mod direction {
    /// Memory is read.
    pub const LOAD: u32 = 0;
    /// Memory is written.
    pub const STORE: u32 = 1;
    /// Only the sample's record tells.
    pub const UNKNOWN: u32 = 2;
    /// How many there are.
    pub const COUNT: usize = 3;
}

/// Names the count of a page or a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct HeatKey {
    /// Process.
    pub tgid: u32,
    /// One of [`direction`].
    pub direction: u32,
    /// Window.
    pub window: u64,
    /// Its address over [`PAGE_BYTES`] or [`LINE_BYTES`].
    pub number: u64,
}

/// Names a CPU's totals of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct TotalKey {
    /// Window.
    pub window: u64,
    /// CPU.
    pub cpu: u64,
}

/// A CPU's totals of a window. Weights are sums of what samples stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct HeatTotal {
    /// Weight by [`direction`].
    pub weights: [u64; direction::COUNT],
    /// Samples in these weights.
    pub samples: u64,
    /// Those of them handed on one by one.
    pub passed: u64,
    /// Weight of these.
    pub passed_weight: u64,
    /// Samples of kernel code, or of an address of the kernel's; in nothing above.
    pub in_kernel: u64,
    /// Samples without an address; in nothing above.
    pub no_address: u64,
    /// Weight of those in the two counts before.
    pub other_weight: u64,
}

/// Per CPU: how many samples have come in the window that is under way, and what share is handed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Pace {
    /// Window.
    pub window: u64,
    /// Samples in it.
    pub samples: u64,
    /// Those handed on.
    pub passed: u64,
    /// One of so many is handed on, as a rule.
    pub every: u64,
}

pod!(HeatKey = 24, TotalKey = 16, HeatTotal = 8 * (direction::COUNT + 6), Pace = 32);
