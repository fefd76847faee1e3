//! A database in a temporary directory, and runs put into it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use waytrace_store::{RunId, Store};

use crate::fixture::{self, Fixture};

/// A place for a database that goes away with the test.
pub struct Place {
    directory: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("deep/er/runs.db")
    }

    pub fn open(&self) -> Store {
        Store::open(Some(&self.file())).unwrap()
    }
}

/// Records `run` from beginning to end.
pub fn record(store: &Store, run: &Fixture) -> RunId {
    let mut writer = store.begin_run(&run.header, &run.events).unwrap();
    for batch in &run.batches {
        writer.append(batch).unwrap();
    }
    writer.finish(&run.epilogue).unwrap()
}

/// Records the first `windows` windows of `run` and no end, as a tool that is killed does.
pub fn record_without_end(store: &Store, run: &Fixture, windows: usize) -> RunId {
    let mut writer = store.begin_run(&run.header, &run.events).unwrap();
    for batch in &run.batches[..windows] {
        writer.append(batch).unwrap();
    }
    writer.id()
}

/// Records exact runs of these names, oldest first.
pub fn record_named(store: &Store, names: &[&str]) -> Vec<RunId> {
    names.iter().map(|name| record(store, &fixture::exact(name, 2))).collect()
}

/// A mount that goes away with the test. Needs root.
pub struct Mount {
    target: PathBuf,
}

impl Mount {
    /// `directory` seen read-only; `None` without the right to mount.
    pub fn read_only(directory: &Path) -> Option<Self> {
        let bound = mount(&["--bind".as_ref(), directory.as_os_str(), directory.as_os_str()], directory)?;
        mount(&["-o".as_ref(), "remount,bind,ro".as_ref(), directory.as_os_str()], directory)
            .map(std::mem::forget)?;
        Some(bound)
    }

    /// A file system of `kib` KiB at `directory`; `None` without the right to mount.
    pub fn tiny(directory: &Path, kib: u32) -> Option<Self> {
        let size = format!("size={kib}k");
        let options = ["-t", "tmpfs", "-o", &size, "tmpfs"].map(OsStr::new);
        mount(&[options.as_slice(), &[directory.as_os_str()]].concat(), directory)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.target).status();
    }
}

fn mount(arguments: &[&OsStr], target: &Path) -> Option<Mount> {
    let output = Command::new("mount").args(arguments).output().ok()?;
    output.status.success().then(|| Mount { target: target.to_owned() })
}
