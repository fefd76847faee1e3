//! What was found in the files a process has mapped, remembered for the next process with the same files.
//!
//! A file is the same if device, inode, size and times of last change agree: probes at places remembered of another file would damage its code.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use waytrace_image::allocators::FileKey;
use waytrace_image::process::{self, Mapping};

/// Sets of files remembered.
const MAX_SETS: usize = 256;

/// Identity of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct File {
    key: FileKey,
    size_bytes: u64,
    changed: (i64, i64),
    modified: (i64, i64),
}

/// The executable files a process has mapped, as they are now.
#[derive(Debug)]
pub struct Files {
    identity: Vec<File>,
    paths: HashMap<FileKey, PathBuf>,
}

impl Files {
    /// Looks at the files of a process.
    pub fn of(tgid: u32, mappings: &[Mapping]) -> Self {
        let (mut identity, mut paths) = (Vec::new(), HashMap::new());
        for mapping in process::executable_files(mappings) {
            let key = FileKey { dev: mapping.dev, inode: mapping.inode };
            let path = process::open_path(tgid, mapping);
            let Ok(meta) = fs::metadata(&path) else { continue };
            identity.push(File {
                key,
                size_bytes: meta.size(),
                changed: (meta.ctime(), meta.ctime_nsec()),
                modified: (meta.mtime(), meta.mtime_nsec()),
            });
            paths.insert(key, path);
        }
        identity.sort_unstable_by_key(|file| (file.key.dev, file.key.inode));
        Self { identity, paths }
    }

    /// A path through which this process's file can be opened.
    pub fn path(&self, key: FileKey) -> Option<&PathBuf> {
        self.paths.get(&key)
    }
}

/// What was found, by set of files.
#[derive(Debug)]
pub struct Known<T>(HashMap<Vec<File>, T>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Known<T> {
    /// What is known of these files, or what `find` finds in them.
    pub fn of(&mut self, files: &Files, find: impl FnOnce() -> T) -> T {
        if let Some(known) = self.0.get(&files.identity) {
            return known.clone();
        }
        if self.0.len() >= MAX_SETS {
            self.0.clear();
        }
        let found = find();
        self.0.insert(files.identity.clone(), found.clone());
        found
    }

    /// Forgets all.
    pub fn forget(&mut self) {
        self.0 = HashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_searched_once_and_a_changed_file_makes_another() {
        let own = std::process::id();
        let mappings = process::mappings(own).unwrap();
        let mut files = Files::of(own, &mappings);
        let mut known = Known::default();
        assert_eq!(known.of(&files, || 1), 1);
        assert_eq!(known.of(&Files::of(own, &mappings), || 2), 1);
        files.identity[0].modified.1 += 1;
        assert_eq!(known.of(&files, || 3), 3);
        let exe = fs::metadata("/proc/self/exe").unwrap();
        assert!(files.paths.iter().any(|(key, path)| {
            key.inode == exe.ino() && fs::metadata(path).unwrap().size() == exe.size()
        }));
    }
}
