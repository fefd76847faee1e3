//! What can go wrong with cache allocation, each with its object and the way to mend it.

use std::io;
use std::path::PathBuf;

use waytrace_model::cache::{CacheId, MaskError};

/// Errors of cache allocation.
#[derive(Debug, thiserror::Error)]
pub enum RdtError {
    /// The machine cannot do it, or not now.
    #[error("no cache allocation here: {reason}")]
    Unavailable {
        /// Why, and what to do.
        reason: String,
    },
    /// Registers may not be used, because the kernel uses them.
    #[error("resctrl is mounted at {}, and the kernel would undo what is written to registers; use `--interface resctrl`, `umount {}`, or say --force", .mount.display(), .mount.display())]
    Mounted {
        /// Where.
        mount: PathBuf,
    },
    /// A file that cannot be read.
    #[error("reading {}: {source}{}", .path.display(), right(.source, "read"))]
    Read {
        /// File.
        path: PathBuf,
        /// What reading gave.
        source: io::Error,
    },
    /// A change the kernel refused.
    #[error("{what}: {source}{}{}", said(.status), right(.source, "write"))]
    Refused {
        /// What was tried, with the file.
        what: String,
        /// The kernel's answer.
        source: io::Error,
        /// `info/last_cmd_status`, where it says something.
        status: Option<String>,
    },
    /// A file that cannot be understood.
    #[error("{}: `{text}` is not {expected}", .path.display())]
    Malformed {
        /// File.
        path: PathBuf,
        /// The text in question.
        text: String,
        /// What it should be.
        expected: &'static str,
    },
    /// No such resource.
    #[error("this machine does not allocate {resource}; it has {present}")]
    NoResource {
        /// As asked for.
        resource: String,
        /// Those there are.
        present: String,
    },
    /// No such cache.
    #[error("there is no {resource} cache {cache_id}; there are {present}")]
    NoCache {
        /// Resource.
        resource: String,
        /// Number asked for.
        cache_id: CacheId,
        /// Those there are.
        present: String,
    },
    /// A mask that is not legal.
    #[error("{resource} of cache {cache_id}: {source}")]
    BadMask {
        /// Resource.
        resource: String,
        /// Cache.
        cache_id: CacheId,
        /// Why not.
        source: MaskError,
    },
    /// A bandwidth limit that is not legal.
    #[error("a limit of {value} is none that {resource} takes; it takes {takes}")]
    BadLimit {
        /// Resource.
        resource: String,
        /// As asked for.
        value: u32,
        /// What it takes.
        takes: String,
    },
    /// No such class.
    #[error("there is no class `{class}`; `waytrace cache show` lists them")]
    NoClass {
        /// As asked for.
        class: String,
    },
    /// No such monitoring group.
    #[error("class `{class}` has no monitoring group `{name}`")]
    NoMonitor {
        /// The class.
        class: String,
        /// As asked for.
        name: String,
    },
    /// A name no class can have.
    #[error("`{name}` cannot name a class or monitor: {reason}")]
    BadName {
        /// As asked for.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A class somebody relies on.
    #[error(
        "class `{class}` is {mode}, and waytrace leaves such classes as they are; name another with --class"
    )]
    Protected {
        /// The class.
        class: String,
        /// Its mode.
        mode: &'static str,
    },
    /// All classes are in use.
    #[error(
        "all {max} classes of this machine are in use; remove one with `waytrace cache reset --class NAME`"
    )]
    NoClassLeft {
        /// How many there are.
        max: u32,
    },
    /// All monitors are in use.
    #[error(
        "all {max} monitors (RMIDs) of this machine are in use, or were until lately and still have lines in a cache; remove a monitoring group, or try again later"
    )]
    NoMonitorLeft {
        /// How many there are.
        max: u32,
    },
    /// Somebody's alone.
    #[error(
        "{who} in class `{class}`, which is exclusive; to take them out of it, make it shareable first (`mode` in its directory below resctrl)"
    )]
    Exclusive {
        /// Whom it would take out, as `thread 12 is`.
        who: String,
        /// The class.
        class: String,
    },
    /// A thread that is gone.
    #[error("there is no thread or process {tid}; has it ended?")]
    NoTask {
        /// Thread.
        tid: u32,
    },
    /// A CPU that is not there.
    #[error("there is no CPU {cpu} online")]
    NoCpu {
        /// CPU.
        cpu: u32,
    },
    /// A register that cannot be used.
    #[error("{verb} MSR {register:#x} of CPU {cpu}: {source}{}", msr_fix(.source, .path))]
    Msr {
        /// `reading` or `writing`.
        verb: &'static str,
        /// Register.
        register: u32,
        /// CPU.
        cpu: u32,
        /// The CPU's file.
        path: PathBuf,
        /// What it gave.
        source: io::Error,
    },
    /// Something this interface has not.
    #[error("the {interface} interface cannot {what}")]
    Unsupported {
        /// `resctrl` or `msr`.
        interface: &'static str,
        /// What it cannot, and what can.
        what: String,
    },
    /// The topology cannot be read.
    #[error(transparent)]
    Topology(#[from] crate::Error),
    /// A change failed, and so did a part of taking it back.
    #[error(
        "{first}; taking back what was done before failed, too: {second}; `waytrace cache show` tells what is left"
    )]
    NotUndone {
        /// What failed first.
        first: Box<RdtError>,
        /// What failed then.
        second: Box<RdtError>,
    },
}

fn said(status: &Option<String>) -> String {
    status.as_ref().map_or_else(String::new, |status| format!(" (the kernel says: {status})"))
}

fn right(source: &io::Error, verb: &str) -> String {
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            format!("; run as root: resctrl's files are root's to {verb}")
        }
        Some(libc::EROFS) => "; resctrl is mounted read-only: `mount -o remount,rw`".to_owned(),
        Some(libc::ENODEV | libc::ENOENT) if verb == "write" => {
            "; it was removed meanwhile, and `waytrace cache show` tells what is there".to_owned()
        }
        Some(libc::EBUSY) => "; somebody else is at it: try again".to_owned(),
        Some(libc::EIO) => "; `dmesg` may tell more".to_owned(),
        _ => String::new(),
    }
}

fn msr_fix(source: &io::Error, path: &std::path::Path) -> String {
    match source.raw_os_error() {
        Some(libc::ENOENT) => format!("; {} is missing: `modprobe msr`", path.display()),
        Some(libc::EACCES | libc::EPERM) => {
            "; run as root, with CAP_SYS_RAWIO, on a kernel that is not locked down".to_owned()
        }
        Some(libc::EIO) => "; this CPU has no such register or refuses the value".to_owned(),
        Some(libc::ENXIO | libc::ENODEV) => "; is that CPU online?".to_owned(),
        _ => String::new(),
    }
}
