//! The target's address space and binaries, read from outside: what is mapped, which functions allocate and where
//! a probe on them is cheap, how its stacks unwind, and what its addresses are called.
//!
//! Everything here only reads `/proc` and files; nothing stops, writes to or attaches to the target.

pub mod allocators;
pub mod elf;
mod emulated;
pub mod error;
pub mod process;
pub mod symbols;
pub mod system_calls;
#[cfg(test)]
mod testing;
pub mod unwind;
pub mod usdt;
