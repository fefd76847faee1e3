//! The forward walk: from a thread's captured registers to its k-th next memory access, by emulating its code.
//!
//! [`Walker::walk`] takes a [`State`], the target's [`Memory`] and [`Code`], and visits every access in program order
//! until the k-th, or until something it needs is not known: then it says which ([`Reason`]). It never guesses, so
//! all it reports is right if memory still holds what the target saw. It does no I/O, and no bytes or registers make
//! it panic.
//!
//! | module | holds |
//! |---|---|
//! | `state` | registers and flags, each bit (of vectors each byte) known or unknown |
//! | `memory` | the trait for the target's memory, and the walk's own stores in front of it |
//! | `code` | instructions decoded once into [`code::Operation`]s, and the cache of basic blocks |
//! | `machine` | what one instruction may do: read and write operands, load, store |
//! | `exec` | what each instruction does, a file per family; `exec::vector` for SSE and AVX |
//! | `walker` | the loop |
//!
//! Not modelled, so their results are unknown: x87 and MMX values, the time stamp counter and its like. Floating
//! point assumes the default rounding mode. An instruction without an executor of its own goes through
//! `exec::fallback`: its accesses are reported and what it writes becomes unknown.
#![forbid(unsafe_code)]

pub mod access;
pub mod code;
pub mod end;
pub mod exec;
pub mod machine;
pub mod memory;
pub mod state;
pub mod walker;

pub use access::{Access, Kind};
pub use code::{Code, Origin};
pub use end::{End, Reason};
pub use memory::{Memory, Unreadable};
pub use state::State;
pub use walker::{Limit, Walker};
