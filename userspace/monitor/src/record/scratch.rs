//! A folder for what is not kept, readable by nobody else, removed when dropped.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Error;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The folder.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one. What is there already is somebody else's and not used.
    ///
    /// # Errors
    /// [`Error::Scratch`].
    pub fn new() -> Result<Self, Error> {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("waytrace-{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Scratch { path, source }),
            }
        }
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is a temporary file like any other.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
