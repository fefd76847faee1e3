//! The crate's one error type. Every variant names the object it is about and says how to mend it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a target or one of its files could not be read.
#[derive(Debug, Error)]
pub enum Error {
    /// No process or thread has this id.
    #[error("no process with pid {pid}; `ps -e` lists those that run in this PID namespace")]
    NoSuchProcess {
        /// The id asked for.
        pid: u32,
    },
    /// The process was there and went away while it was being read.
    #[error("process {pid} exited while it was being read; start it again and attach to the new pid")]
    Exited {
        /// The id asked for.
        pid: u32,
    },
    /// The id belongs to the kernel: there is no user memory to look at.
    #[error(
        "pid {pid} ({comm}) is a kernel thread, which has no user memory; give the pid of a user process"
    )]
    KernelThread {
        /// The id asked for.
        pid: u32,
        /// The kernel thread's name.
        comm: String,
    },
    /// The process has exited and only waits for its parent to collect it.
    #[error("pid {pid} ({comm}) is a zombie: it has exited already; give the pid of a running process")]
    Zombie {
        /// The id asked for.
        pid: u32,
        /// The zombie's name.
        comm: String,
    },
    /// The kernel refuses to show the process to this user.
    #[error(
        "no permission to read {what} of pid {pid}; run as root, or as the target's user with CAP_SYS_PTRACE"
    )]
    Permission {
        /// The target.
        pid: u32,
        /// File under `/proc/PID`.
        what: String,
    },
    /// No running user process has this name.
    #[error("no running process is named `{comm}`; names are what `ps -e -o comm` prints, at most 15 bytes")]
    NoProcessNamed {
        /// The name asked for.
        comm: String,
    },
    /// The path is no control group.
    #[error(
        "{path} is not a control group (no cgroup.procs there or under /sys/fs/cgroup); see `systemd-cgls`"
    )]
    NoSuchCgroup {
        /// The path as given.
        path: PathBuf,
    },
    /// The control group exists, but nothing runs in it.
    #[error("no process runs in control group {path}; start one there first")]
    EmptyCgroup {
        /// The path as given.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not an ELF object of this architecture, or is damaged.
    #[error("{path} is not a usable x86-64 ELF file ({reason}); reinstall it, or give another program")]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// None of the files looked at defines a function that allocates.
    #[error(
        "no allocation function found in {}{}; if the program brings its own allocator, keep its symbols (no `strip`), \
         or collect without allocations",
        .looked_at.join(", "), .notes.iter().map(|note| format!(" ({note})")).collect::<String>()
    )]
    NoAllocator {
        /// The modules searched.
        looked_at: Vec<String>,
        /// What stood in the way, if known.
        notes: Vec<String>,
    },
}

impl Error {
    /// Turns the error of reading `/proc/pid/what` into what it means for the process: gone before it was
    /// first seen, gone meanwhile, or closed to this user.
    pub(crate) fn from_proc(pid: u32, what: &str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => Self::Exited { pid },
            Some(libc::EACCES | libc::EPERM) => Self::Permission { pid, what: what.to_owned() },
            _ => Self::Read { path: format!("/proc/{pid}/{what}").into(), source },
        }
    }
}
