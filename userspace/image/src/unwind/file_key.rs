//! The identity of a file, whatever its path.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

/// Tells files apart, across mount namespaces and after a file was written anew in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileKey {
    dev: u64,
    inode: u64,
    len: u64,
    modified_ns: i128,
}

impl FileKey {
    /// The key of an open file.
    ///
    /// # Errors
    /// What the kernel says of its metadata.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::of_meta(&file.metadata()?))
    }

    /// The key of the file this describes.
    pub fn of_meta(meta: &Metadata) -> Self {
        let modified_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        Self { dev: meta.dev(), inode: meta.ino(), len: meta.len(), modified_ns }
    }
}
