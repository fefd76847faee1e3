//! Inode numbers of paths, and files that are open.

use std::collections::HashMap;

/// The first number is the root's.
const ROOT: u64 = 1;

/// A path has one number until its directory is removed: what comes back there is another, as the kernel has marked the old one.
pub(super) struct Inodes {
    paths: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Default for Inodes {
    fn default() -> Self {
        Self { paths: vec![String::new()], numbers: HashMap::from([(String::new(), ROOT)]) }
    }
}

impl Inodes {
    /// Path of a number that was given.
    pub(super) fn path(&self, number: u64) -> Option<String> {
        let index = usize::try_from(number.checked_sub(ROOT)?).ok()?;
        self.paths.get(index).cloned()
    }

    /// Gives other numbers from now on to a directory and what is in it.
    pub(super) fn forget(&mut self, directory: &str) {
        let below = format!("{directory}/");
        self.numbers.retain(|path, _| path != directory && !path.starts_with(&below));
    }

    /// Number of a path.
    pub(super) fn number(&mut self, path: &str) -> u64 {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        self.paths.push(path.to_owned());
        let number = self.paths.len() as u64;
        self.numbers.insert(path.to_owned(), number);
        number
    }
}

/// An open file.
#[derive(Debug, Clone, Default)]
pub(super) struct Handle {
    /// The resctrl group it was opened in: another of the same name is not meant.
    pub(super) group: Option<u64>,
    /// Its text as of the last read from the beginning, as a `seq_file` keeps it.
    pub(super) text: Vec<u8>,
}

/// All open files.
#[derive(Default)]
pub(super) struct Handles {
    open: HashMap<u64, Handle>,
    last: u64,
}

impl Handles {
    pub(super) fn open(&mut self, handle: Handle) -> u64 {
        self.last += 1;
        self.open.insert(self.last, handle);
        self.last
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Handle> {
        self.open.get_mut(&number)
    }

    pub(super) fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_keep_their_numbers() {
        let mut inodes = Inodes::default();
        let first = inodes.number("a");
        assert_ne!(first, inodes.number("b"));
        assert_eq!((inodes.number("a"), inodes.number("")), (first, ROOT));
        assert_eq!((inodes.path(first), inodes.path(0), inodes.path(99)), (Some("a".into()), None, None));
    }
}
