//! What can be wrong with a source of events, each with the file it is about and the way to mend it.

use std::io;
use std::path::PathBuf;

/// Errors of event catalogues.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A text that names no CPU.
    #[error(
        "`{0}` is no CPU id; write it like GenuineIntel-6-55, with a stepping GenuineIntel-6-55-4, AuthenticAMD-25-11, \
         or for Arm the MIDR 0x00000000410fd0c0"
    )]
    BadCpuId(String),
    /// `/proc/cpuinfo` does not say what the CPU is.
    #[error("this machine does not tell its CPU's id ({}); name one with --cpu", .0.display())]
    NoCpuId(PathBuf),
    /// No source has events for a CPU.
    #[error(
        "no source knows the events of {cpu} ({asked}); give a directory of event files with --catalogue or import one with \
         `waytrace events import DIR`{}", near(.alike)
    )]
    UnknownCpu {
        /// CPU asked for.
        cpu: String,
        /// What each source said.
        asked: String,
        /// CPUs some source does know, of the same vendor and family.
        alike: Vec<String>,
    },
    /// A file or directory that cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Path.
        path: PathBuf,
        /// What reading gave.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("writing {}: {source}; name a writable directory with --cache or XDG_DATA_HOME", .path.display())]
    Write {
        /// Path.
        path: PathBuf,
        /// What writing gave.
        source: io::Error,
    },
    /// A file that is no event file, or is damaged.
    #[error("{}: {reason}; fetch it again, or leave it out of mapfile.csv", .path.display())]
    BadFile {
        /// Path.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A directory without an index of CPUs.
    #[error(
        "{}: no mapfile.csv there; give the top directory of Intel's perfmon files, or `tools/perf/pmu-events/arch` of a kernel's source",
        .0.display()
    )]
    NoMapfile(PathBuf),
}

fn near(alike: &[String]) -> String {
    if alike.is_empty() {
        String::new()
    } else {
        format!("; known are {}, `waytrace events stats` lists all", alike.join(", "))
    }
}
