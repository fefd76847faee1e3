//! The peak memory a process begins with. A fork shares its parent's pages and counts them as its own, and exec keeps the
//! peak: what waytrace had resident is the least that wait4 ever says of its children. Source: `dup_mmap` of
//! kernel/fork.c, `exec_mmap` of fs/exec.c (`setmax_mm_hiwater_rss`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::command::max_rss_bytes;

/// What the kernel's sum may be off: it adds up pages per CPU, in steps of twice as many as there are CPUs
/// (lib/percpu_counter.c). This is the step of 64 CPUs.
const SLACK_BYTES: u64 = 512 << 10;

/// A number that the child notes down just before its exec, in a page it shares with its parent.
#[derive(Clone)]
pub struct Floor(Arc<Page>);

struct Page(*mut libc::c_void);

// SAFETY: the page is only ever used as an atomic number.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Floor {
    /// Nothing noted yet.
    ///
    /// # Errors
    /// No memory.
    pub fn new() -> io::Result<Self> {
        let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that is there.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<AtomicU64>(), rights, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self(Arc::new(Page(page))))
        }
    }

    fn bytes(&self) -> &AtomicU64 {
        // SAFETY: the page is mapped for as long as `self` lives, aligned, zeroed at first, and used as nothing else.
        unsafe { AtomicU64::from_ptr(self.0.0.cast()) }
    }

    /// In the child between fork and exec: notes its peak. Async-signal-safe.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn note(&self) -> io::Result<()> {
        // SAFETY: a rusage is plain numbers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the place is a whole rusage that lives through the call.
        if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } < 0 {
            return Err(io::Error::last_os_error());
        }
        self.bytes().store(max_rss_bytes(&usage), Ordering::Relaxed);
        Ok(())
    }

    /// A peak that tells something of the program: `None` if it is no more than what it began with.
    pub fn beyond(&self, peak_bytes: u64) -> Option<u64> {
        let floor = self.bytes().load(Ordering::Relaxed);
        (peak_bytes > floor.saturating_add(SLACK_BYTES)).then_some(peak_bytes)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `Floor::new` with this length, and nobody holds it any more.
        unsafe { libc::munmap(self.0, size_of::<AtomicU64>()) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    /// A child of a process of 64 MiB begins with them, whatever it is.
    #[test]
    fn a_child_begins_with_what_its_parent_has() {
        let ballast = vec![1_u8; 64 << 20];
        let floor = Floor::new().unwrap();
        let noted = floor.clone();
        let mut command = Command::new("true");
        // SAFETY: between fork and exec the closure makes one system call and stores a number.
        unsafe { command.pre_exec(move || noted.note()) };
        assert!(command.status().unwrap().success());
        assert_eq!(floor.beyond(ballast.len() as u64), None);
        assert_eq!(floor.beyond(1 << 40), Some(1 << 40));
    }
}
