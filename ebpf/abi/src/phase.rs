//! Phases: stretches of a thread between two overflows of its sampling event.

use crate::counter::{MAX_EVENTS, Reading};
use crate::pod::pod;

/// A thread's phase under way. Sums hold what closed segments brought, less what the segment the phase began in had
/// brought before: they wrap, and are right once the segment running now is added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Phase {
    /// Position among the thread's phases, from 0.
    pub index: u64,
    /// When it began.
    pub start_ns: u64,
    /// Time on a CPU.
    pub cpu_ns: u64,
    /// 1 if it should have ended while the slot of its CPU was being changed.
    pub is_due: u64,
    /// What it counted.
    pub sums: Reading,
}

/// Ring record.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct PhaseEnd {
    /// [`crate::tag::PHASE`].
    pub tag: u32,
    /// Not used; keeps the layout free of padding.
    pub reserved: u32,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Position among the thread's phases, from 0. A gap is a phase the ring had no room for.
    pub index: u64,
    /// When it began.
    pub start_ns: u64,
    /// When it ended, and the next began.
    pub end_ns: u64,
    /// Time on a CPU.
    pub cpu_ns: u64,
    /// What it counted.
    pub sums: Reading,
}

pod!(Phase = 32 + 24 * MAX_EVENTS, PhaseEnd = 48 + 24 * MAX_EVENTS);
