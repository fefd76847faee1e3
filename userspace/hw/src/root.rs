//! The file tree everything is read from: `/`, or a directory that stands in for it in tests and simulated hosts.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Root of a file tree holding `proc`, `sys`, `dev` and `boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}

impl Root {
    /// A tree at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Whether this is the running machine's own tree. Only then do facts that no file tells (CPUID, a detached
    /// tracefs) belong to it.
    pub fn is_live(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Path of `rel` (written without its leading slash) in this tree.
    pub fn path(&self, rel: &str) -> PathBuf {
        self.0.join(rel.trim_start_matches('/'))
    }

    /// Text of a file, without surrounding white space.
    ///
    /// # Errors
    /// Whatever reading it gave, or `InvalidData` where it is not UTF-8.
    pub fn read(&self, rel: &str) -> io::Result<String> {
        Ok(fs::read_to_string(self.path(rel))?.trim().to_owned())
    }

    /// Text of a file that holds one number.
    pub(crate) fn read_number(&self, rel: &str) -> Option<i64> {
        self.read(rel).ok()?.parse().ok()
    }

    /// Names in a directory, sorted; none where it cannot be read.
    pub(crate) fn names(&self, rel: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(rel)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// Whether there is something at `rel`.
    pub(crate) fn exists(&self, rel: &str) -> bool {
        self.path(rel).exists()
    }
}
