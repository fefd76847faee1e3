//! Probes on allocator functions and on what allocators tell by themselves: what to place where ([`plan`], [`samples`]), and
//! placing and removing it ([`place`]).
//!
//! Removing is dropping: a probe lives exactly as long as its descriptors, and the kernel closes those even when
//! waytrace is killed, so that no breakpoint can stay behind.

mod place;
mod plan;
mod samples;

pub use place::{Placed, Prober, Reaper, Scope};
pub use plan::{Detail, FilePlan, Plan, Point, needs_return};
pub use samples::ArgumentTable;
