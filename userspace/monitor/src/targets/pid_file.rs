//! A file that holds a process id, and the process it meant when it was written.
//!
//! The file outlives the process, and the id may then be another's. So a file binds the process that has its id when it is read; a process that gets
//! the id later is not meant until the file is written anew. Only a file that was stale before waytrace started can deceive it.

use std::fs::{self, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::seen::same_start;

/// Ids are numbers of a few digits; what follows is not looked at.
const MOST_BYTES: u64 = 64;

#[derive(Debug, Clone)]
pub struct PidFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    pid: Option<u32>,
    bound: Binding,
}

/// What differs once a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binding {
    /// The file was read, and its process is not known yet: its start may be on the way.
    Waiting,
    /// This process, by its start.
    Process(u64),
    /// None: there was no such process when the next list of all came.
    Nobody,
}

impl PidFile {
    /// A file below the root; it is read at once if it is there.
    pub fn new(path: PathBuf) -> Self {
        let mut file = Self { path, stamp: None, pid: None, bound: Binding::Nobody };
        file.refresh();
        file
    }

    /// Reads the file again if it is another than it was, and says whether it was.
    pub fn refresh(&mut self) -> bool {
        let stamp = fs::metadata(&self.path).ok().filter(Metadata::is_file).map(|about| Stamp::of(&about));
        if stamp == self.stamp {
            return false;
        }
        self.stamp = stamp;
        self.pid = stamp.and_then(|_| self.read());
        self.bound = if self.pid.is_some() { Binding::Waiting } else { Binding::Nobody };
        true
    }

    fn read(&self) -> Option<u32> {
        let mut bytes = Vec::new();
        fs::File::open(&self.path).ok()?.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        text.split_whitespace().next()?.parse().ok().filter(|pid| *pid != 0)
    }

    /// The id whose process is not known yet.
    pub fn waits_for(&self) -> Option<u32> {
        self.pid.filter(|_| self.bound == Binding::Waiting)
    }

    /// Tells of a process with the id waited for.
    pub fn bind(&mut self, pid: u32, start_boot_ns: u64) {
        if self.waits_for() == Some(pid) {
            self.bound = Binding::Process(start_boot_ns);
        }
    }

    /// Tells that all processes there are have been told.
    pub fn give_up(&mut self) {
        if self.bound == Binding::Waiting {
            self.bound = Binding::Nobody;
        }
    }

    /// Whether the file means this process.
    pub fn means(&self, pid: u32, start_boot_ns: u64) -> bool {
        self.pid == Some(pid)
            && matches!(self.bound, Binding::Process(start) if same_start(start, start_boot_ns))
    }
}

impl Stamp {
    fn of(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}
