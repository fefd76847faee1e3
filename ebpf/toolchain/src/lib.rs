//! Finds what can build the kernel programs in `ebpf/` on this machine, and builds them.
//!
//! The bpf target has no prebuilt `core`, so it takes a compiler with core's source and permission to use
//! `-Zbuild-std`, plus `bpf-linker`, which loads the libLLVM of that very compiler. Two origins are tried in
//! order: rustup's toolchains, then the distribution's compiler under `/usr` (Debian's `rustc-web`).
//!
//! This crate only looks and builds; it installs nothing. `cargo xtask setup` acts on what [`find`] reports.

mod build;
mod compiler;
mod missing;
mod search;

pub use build::{BuildError, Built};
pub use compiler::{Compiler, Origin};
pub use missing::{
    CompilerGap, DISTRIBUTION_INSTALL, LINKER_INSTALL, Lack, Missing, RUSTUP_ADD_SOURCE, RUSTUP_INSTALL,
};
pub use search::{Search, find};

use std::path::PathBuf;

/// Everything needed to build the kernel programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler, its cargo and its libLLVM.
    pub compiler: Compiler,
    /// The `bpf-linker` executable.
    pub linker: PathBuf,
}
