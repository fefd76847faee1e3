//! What can be wrong with a recording: the file, what is wrong, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// What reading gave.
        source: io::Error,
    },
    /// Nothing this version can read.
    #[error(
        "{}: neither perf.data, nor text of perf script with addresses, nor a directory Heimdallr wrote; name the kind with --format if you know it",
        .0.display()
    )]
    Unknown(PathBuf),
    /// A perf.data file in a form that is not read.
    #[error("{}: {what}; convert it: `perf script --ns -F comm,pid,tid,cpu,time,period,event,addr,ip,sym,dso -i FILE > FILE.txt` and import that", .path.display())]
    Form {
        /// File.
        path: PathBuf,
        /// Which.
        what: String,
    },
    /// A damaged file.
    #[error("{}: damaged at byte {at}: {what}", .path.display())]
    Damaged {
        /// File.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// Samples without addresses.
    #[error("{}: none of its {samples} samples has an address; {mend}", .path.display())]
    NoAddresses {
        /// File.
        path: PathBuf,
        /// Samples.
        samples: u64,
        /// What to do about it.
        mend: &'static str,
    },
    /// Nothing in it.
    #[error("{}: {what}", .path.display())]
    Empty {
        /// File or directory.
        path: PathBuf,
        /// What is missing, and what to do.
        what: &'static str,
    },
}

impl Error {
    /// Whether it is no fault of the recording's: the file could be read before and no longer can.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Read { path: path.to_owned(), source }
    }
}
