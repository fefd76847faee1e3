//! What lacks for building the kernel programs, and the commands that would mend it.

use std::fmt;

/// Installs the linker from crates.io. Without debug info it is a third of the size.
pub const LINKER_INSTALL: &str =
    "CARGO_PROFILE_RELEASE_DEBUG=0 cargo install bpf-linker --version 0.10.3 --locked";
/// Adds core's source to a nightly that is there already.
pub const RUSTUP_ADD_SOURCE: &str = "rustup component add rust-src --toolchain nightly";
/// Installs a nightly with core's source.
pub const RUSTUP_INSTALL: &str = "rustup toolchain install nightly --profile minimal --component rust-src";
/// Installs the distribution's compiler with core's source (Debian and Ubuntu, as root).
pub const DISTRIBUTION_INSTALL: &str =
    "apt-get update && apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src";

/// The oldest compiler the workspace builds with: `rust-version` in `Cargo.toml`.
pub(crate) const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Why one origin has no usable compiler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {lack}")]
pub struct CompilerGap {
    /// The compiler, or where it was looked for.
    pub place: String,
    /// What it lacks.
    pub lack: Lack,
}

/// What a compiler lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lack {
    /// The `rustup` command is not in `PATH`.
    #[error("not in PATH (https://rustup.rs)")]
    Rustup,
    /// There is no compiler (for rustup: no toolchain of the nightly channel).
    #[error("no compiler there")]
    Compiler,
    /// It does not answer `rustc -vV` as a compiler does.
    #[error("does not run")]
    Answer,
    /// It is older than the workspace's `rust-version`; carries its release.
    #[error("is {0}, and at least {OLDEST} is needed")]
    Age(String),
    /// It is built on another LLVM than bpf-linker; carries the major version.
    #[error("uses LLVM {0}, and bpf-linker needs LLVM 22")]
    Llvm(u32),
    /// It has no shared libLLVM 22 beside it.
    #[error("no shared libLLVM 22 belongs to it")]
    SharedLlvm,
    /// The source of `core` is not installed.
    #[error("core's source is not installed (rust-src)")]
    Source,
    /// There is no cargo beside it.
    #[error("no cargo beside it")]
    Cargo,
}

/// Everything that keeps this machine from building the kernel programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Why rustup's toolchains (first) and the distribution's (second) cannot be used; `None` when a compiler was found.
    pub compilers: Option<(CompilerGap, CompilerGap)>,
    /// `bpf-linker` is neither in `PATH` nor in cargo's bin folder.
    pub linker: bool,
}

impl Missing {
    /// The shell commands that would mend it, in order. Of the two ways to a compiler the shorter is taken.
    #[must_use]
    pub fn commands(&self) -> Vec<&'static str> {
        let compiler = self.compilers.as_ref().map(|(rustup, _)| match rustup.lack {
            Lack::Source => RUSTUP_ADD_SOURCE,
            Lack::Compiler => RUSTUP_INSTALL,
            _ => DISTRIBUTION_INSTALL,
        });
        compiler.into_iter().chain(self.linker.then_some(LINKER_INSTALL)).collect()
    }

    /// One line per thing that lacks.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some((rustup, distribution)) = &self.compilers {
            reasons.push(format!("no compiler for the bpf target: {rustup}; {distribution}"));
        }
        if self.linker {
            reasons.push("bpf-linker is not installed".to_owned());
        }
        reasons
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; to mend it: {}", self.reasons().join("; "), self.commands().join(" && "))
    }
}

impl std::error::Error for Missing {}
