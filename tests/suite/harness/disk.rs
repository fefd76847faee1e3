//! A small file system of a test's own, which can be filled to its last byte.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tempfile::TempDir;

/// A small file system of its own, unmounted when dropped.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one.
    ///
    /// # Errors
    /// The reason to skip.
    pub fn new(size: &str) -> Result<Self, String> {
        let disk = Self { folder: TempDir::new().unwrap() };
        let (target, options) = (c_path(disk.path()), CString::new(format!("size={size}")).unwrap());
        // SAFETY: all arguments are strings that live through the call.
        let result = unsafe {
            libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast())
        };
        match result {
            0 => Ok(disk),
            _ => Err(format!("no tmpfs can be mounted: {}", std::io::Error::last_os_error())),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes every byte that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    /// Gives back what [`Self::fill`] took.
    pub fn empty(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // SAFETY: the argument is a string that lives through the call.
        unsafe { libc::umount2(c_path(self.path()).as_ptr(), libc::MNT_DETACH) };
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}
