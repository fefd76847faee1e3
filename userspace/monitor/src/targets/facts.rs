//! What is read of a process only when a selector asks: its executable and control groups.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use waytrace_hw::Root;

use super::cgroup::Groups;

/// `/proc`, with a count of what was asked of it.
#[derive(Debug)]
pub struct Proc {
    root: Root,
    reads: Cell<u64>,
    denied: Cell<u64>,
}

impl Proc {
    pub fn new(root: Root) -> Self {
        Self { root, reads: Cell::new(0), denied: Cell::new(0) }
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    pub fn reads(&self) -> u64 {
        self.reads.get()
    }

    pub fn denied(&self) -> u64 {
        self.denied.get()
    }

    fn noted<T>(&self, result: io::Result<T>) -> Option<T> {
        self.reads.set(self.reads.get() + 1);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            self.denied.set(self.denied.get() + 1);
        }
        result.ok()
    }
}

/// What has been read of a process so far. A process shares it with those it forks until one of them replaces itself.
#[derive(Debug, Default)]
pub struct Lazy {
    exe: OnceLock<Option<PathBuf>>,
    groups: OnceLock<Groups>,
}

impl Lazy {
    /// The same, with the groups to be read again.
    pub fn without_groups(&self) -> Self {
        Self { exe: self.exe.clone(), groups: OnceLock::new() }
    }
}

/// A process as selectors see it; what is missing is read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ProcessFacts<'a> {
    /// Process id.
    pub pid: u32,
    /// Command name.
    pub comm: &'a str,
    pub(super) lazy: &'a Lazy,
    pub(super) proc: &'a Proc,
}

impl ProcessFacts<'_> {
    /// The executable as the process sees it, with ` (deleted)` behind it where it was removed or replaced; `None` for kernel threads, for processes that
    /// have gone and where reading it is not permitted.
    pub fn exe(&self) -> Option<&PathBuf> {
        let read = || {
            let path = self.proc.root.path(&format!("proc/{}/exe", self.pid));
            self.proc.noted(fs::read_link(path))
        };
        self.lazy.exe.get_or_init(read).as_ref()
    }

    pub(super) fn groups(&self) -> &Groups {
        self.lazy.groups.get_or_init(|| {
            let text = self.proc.noted(fs::read(self.proc.root.path(&format!("proc/{}/cgroup", self.pid))));
            text.map(|text| Groups::parse(&String::from_utf8_lossy(&text))).unwrap_or_default()
        })
    }
}
