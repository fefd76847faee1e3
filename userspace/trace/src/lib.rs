//! The eBPF session: load, attach, drain, decode, and what becomes of it window by window.
//!
//! * [`kernel`] – the kernel part: loading, maps, the system calls aya has no API for
//! * [`probes`] – uprobes on allocator functions; [`budget`] – probing in windows held to a budget
//! * [`usdt`] – the samples an allocator hands out itself
//! * [`collect`] – collectors; [`stacks`], [`names`] – unwinding and naming, off the drain path
//! * [`access`] – sampled memory accesses
//! * [`host`] – every process of the machine, at next to no cost; [`turn`] – a closer look at one of them for a while
//! * [`session`] – one attach-to-detach, from which the command line takes its batches

pub mod access;
pub mod budget;
pub mod calibrate;
pub mod collect;
pub mod error;
pub mod host;
pub mod kernel;
mod known;
pub mod names;
pub mod probes;
mod random;
pub mod record;
pub mod session;
pub mod stacks;
pub mod turn;
pub mod usdt;

pub use error::Error;
pub use kernel::kernel_part_present;
