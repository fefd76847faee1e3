//! First word of every ring record.

/// A traced allocation ended: [`crate::allocation::Traced`].
pub const TRACED: u32 = 1;
/// A stack to unwind: [`crate::sample::StackSample`].
pub const STACK: u32 = 2;
/// The address space changed: [`crate::mapping::MapChange`].
pub const MAP: u32 = 3;
/// A process or thread began, ended or replaced its program: [`crate::lifecycle::Lifecycle`].
pub const LIFECYCLE: u32 = 4;
/// A phase of a thread ended: [`crate::phase::PhaseEnd`].
pub const PHASE: u32 = 5;
/// A stack to unwind, of an allocator's own sample: [`crate::sample::StackSample`].
pub const SAMPLE: u32 = 6;
