//! What can go wrong with keeping a journal, each with the way to mend it.

use std::io;
use std::path::PathBuf;

/// Errors of journals and watchdogs.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// Another one is at it.
    #[error("process {pid} (`{command}`) is at it and has its changes in {}; wait for its end, or end it", .path.display())]
    Alive {
        /// Its process.
        pid: u32,
        /// Its command line.
        command: String,
        /// Its journal.
        path: PathBuf,
    },
    /// Another one was, and was killed.
    #[error("process {pid} (`{command}`) is gone and left its changes in {}; `{fix}` takes them back", .path.display())]
    Pending {
        /// Its process.
        pid: u32,
        /// Its command line.
        command: String,
        /// Its journal.
        path: PathBuf,
        /// The command that mends it.
        fix: String,
    },
    /// A file or directory that cannot be used.
    #[error("{what} {}: {source}{}", .path.display(), fix(.source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// File or directory.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A directory in which others could write journals.
    #[error("{} can be written by others, who could say there what is to be changed: `chmod 700` it, as its owner", .path.display())]
    Insecure {
        /// The directory.
        path: PathBuf,
    },
    /// A journal that cannot be understood.
    #[error("{} is damaged or of a newer waytrace: look at what it says was changed, set it back and delete it", .path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
    },
    /// A class that is there already cannot be removed as if it were ours.
    #[error(
        "there is a class `{class}` already; remove it with `waytrace cache reset --class {class}` or wait for who uses it"
    )]
    ClassExists {
        /// Its name.
        class: String,
    },
    /// The watchdog did not start.
    #[error("starting the process that takes changes back after a kill: {source}")]
    Watchdog {
        /// Why.
        source: io::Error,
    },
}

impl UndoError {
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

fn fix(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
            "; run as root, or name a directory of your own in WAYTRACE_RUN_DIR"
        }
        Some(libc::ENOSPC) => "; make room there: nothing is changed before it is written down",
        _ => "",
    }
}
