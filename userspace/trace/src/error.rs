//! What can go wrong between the kernel and this crate; each variant names its object and how to mend it.

use std::io;

use thiserror::Error;

/// Errors of the eBPF session.
#[derive(Debug, Error)]
pub enum Error {
    /// The binary was built without a toolchain for the bpf target.
    #[error("this waytrace was built without its kernel part; run `cargo xtask setup` and build again")]
    KernelPartMissing,
    /// The kernel refuses BPF to this user.
    #[error(
        "the kernel does not let this user load BPF programs ({0}); run as root, or grant CAP_BPF and CAP_PERFMON"
    )]
    Permission(io::Error),
    /// The kernel part sees other process ids than waytrace does.
    #[error(
        "waytrace runs in a PID namespace of its own, where the kernel's process ids are not its own; run it on the host, or in a container that shares the host's (docker run --pid=host, hostPID: true)"
    )]
    PidNamespace,
    /// The kernel has no type information.
    #[error(
        "this kernel offers no type information at /sys/kernel/btf/vmlinux ({0}); it needs CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf(io::Error),
    /// A kernel struct is not as expected.
    #[error("this kernel's {0} has no field `{1}` that waytrace knows; please report the kernel version")]
    UnknownField(&'static str, &'static str),
    /// aya could not load the object.
    #[error("cannot load the kernel part: {0}")]
    Load(#[from] aya::EbpfError),
    /// A program was refused.
    #[error("the kernel refused program `{name}`: {source}")]
    Program {
        /// Program name.
        name: String,
        /// Why.
        source: aya::programs::ProgramError,
    },
    /// A program or map that should be in the object is not.
    #[error("the kernel part has no `{0}`; the build is inconsistent, build again")]
    Missing(String),
    /// A map operation failed.
    #[error("cannot access map `{name}`: {source}")]
    Map {
        /// Map name.
        name: &'static str,
        /// Why.
        source: aya::maps::MapError,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Syscall {
        /// What was attempted, on which object.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// A probe could not be placed.
    #[error("cannot place a probe on {function} in {path}: {source}")]
    Attach {
        /// Function.
        function: String,
        /// File.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The allocator's own samples were asked for and are not there.
    #[error(
        "no file that pid {pid} has mapped offers readable static probes otel_memory:alloc{}; start it with an allocator that \
         hands out its samples, or leave out `--alloc-source usdt`",
        .notes.iter().map(|note| format!(" ({note})")).collect::<String>()
    )]
    NoSamples {
        /// The target.
        pid: u32,
        /// What stood in the way, if known.
        notes: Vec<String>,
    },
    /// The target cannot be measured.
    #[error(transparent)]
    Image(#[from] waytrace_image::error::Error),
    /// The machine cannot do it.
    #[error(transparent)]
    Hardware(#[from] waytrace_hw::Error),
}

impl Error {
    /// Whether neither another request nor another right would mend it: waytrace or the kernel is at fault.
    pub fn is_internal(&self) -> bool {
        let is_denied = |source: &io::Error| source.kind() == io::ErrorKind::PermissionDenied;
        match self {
            Self::UnknownField(..)
            | Self::Load(_)
            | Self::Program { .. }
            | Self::Missing(_)
            | Self::Map { .. } => true,
            Self::Syscall { source, .. } | Self::Attach { source, .. } => !is_denied(source),
            Self::KernelPartMissing
            | Self::Permission(_)
            | Self::PidNamespace
            | Self::NoBtf(_)
            | Self::NoSamples { .. }
            | Self::Image(_)
            | Self::Hardware(_) => false,
        }
    }

    /// A failed system call.
    pub(crate) fn syscall(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Syscall { what, source }
    }
}
