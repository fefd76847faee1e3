//! Threads and processes that begin, end, or replace their program.

use crate::counter::TaskNumbers;
use crate::pod::pod;

/// A thread or process began.
pub const FORK: u32 = 0;
/// The process replaced its program.
pub const EXEC: u32 = 1;
/// A thread ended; its last numbers are in the record.
pub const EXIT: u32 = 2;

/// Ring record.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Lifecycle {
    /// [`crate::tag::LIFECYCLE`].
    pub tag: u32,
    /// One of the constants above.
    pub kind: u32,
    /// When.
    pub at_ns: u64,
    /// Process a new process was forked from; else the process itself.
    pub parent_tgid: u32,
    /// Not used; keeps the layout free of padding.
    pub reserved: u32,
    /// The thread's numbers; of a new thread only its ids.
    pub task: TaskNumbers,
}

pod!(Lifecycle = 24 + 88);
