//! A host mounted as a directory, and the clock that moves it.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, Config, MountOption, SessionACL};

use super::filesystem::{SimulatedFs, lock};
use crate::host::Host;

/// Real time between two steps of the clock.
const STEP: Duration = Duration::from_millis(1);
/// Most simulated time one step catches up; where the machine is too slow for more, simulated time falls behind.
const LONGEST_STEP_NS: u64 = 50_000_000;
/// Requests served at once, so that a slow one does not hold up the others.
const THREADS: usize = 2;

/// A mounted host. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct Mounted {
    host: Arc<Mutex<Host>>,
    path: PathBuf,
    session: Option<BackgroundSession>,
    stop: Arc<AtomicBool>,
    clock: Option<JoinHandle<()>>,
}

/// Mounting failed.
#[derive(Debug, thiserror::Error)]
#[error("mounting at {path}: {source}; it needs /dev/fuse, root or fusermount3, and an empty directory")]
pub struct MountError {
    path: PathBuf,
    source: std::io::Error,
}

impl Mounted {
    /// Mounts a host at a directory. While the host's `follows_clock` is set, simulated time passes `factor` times as
    /// fast as real time.
    ///
    /// # Errors
    /// [`MountError`] without FUSE, rights or directory.
    pub fn new(host: Host, path: &Path, factor: f64) -> Result<Self, MountError> {
        let host = Arc::new(Mutex::new(host));
        let mut config = Config::default();
        config.mount_options =
            vec![MountOption::FSName("simhost".to_owned()), MountOption::DefaultPermissions];
        config.acl = SessionACL::All;
        config.n_threads = Some(THREADS);
        let session = fuser::spawn_mount(SimulatedFs::new(Arc::clone(&host)), path, &config)
            .map_err(|source| MountError { path: path.to_owned(), source })?;
        let stop = Arc::new(AtomicBool::new(false));
        let clock = std::thread::spawn({
            let (host, stop) = (Arc::clone(&host), Arc::clone(&stop));
            move || follow_clock(&host, &stop, factor)
        });
        Ok(Self { host, path: path.to_owned(), session: Some(session), stop, clock: Some(clock) })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The host, which nothing else changes meanwhile. Reading the mount while holding this waits forever.
    pub fn host(&self) -> MutexGuard<'_, Host> {
        lock(&self.host)
    }

    /// Stops time: from here on the host moves by [`Mounted::step`] only.
    pub fn freeze(&self) {
        self.host().follows_clock = false;
    }

    /// Lets time go on with the real clock.
    pub fn thaw(&self) {
        self.host().follows_clock = true;
    }

    /// Lets `ns` simulated nanoseconds pass at once.
    pub fn step(&self, ns: u64) {
        self.host().step(ns);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(clock) = self.clock.take() {
            // Only a panic is reported this way, and it was printed.
            clock.join().ok();
        }
        if let Some(session) = self.session.take()
            && let Err(error) = session.umount_and_join()
            && !detach(&self.path)
        {
            eprintln!("unmounting {}: {error}", self.path.display());
        }
    }
}

/// Takes a mount that somebody still uses out of the tree; it is served until the last user is gone.
fn detach(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: `path` is a string that ends in a zero byte and lives during the call, which keeps no reference to it.
    unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) == 0 }
}

fn follow_clock(host: &Mutex<Host>, stop: &AtomicBool, factor: f64) {
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(STEP);
        let now = Instant::now();
        let simulated = now.duration_since(last).mul_f64(factor.clamp(0.0, 1_000.0));
        last = now;
        let ns = u64::try_from(simulated.as_nanos()).unwrap_or(u64::MAX).min(LONGEST_STEP_NS);
        let mut host = lock(host);
        if host.follows_clock {
            host.follow_adopted();
            host.step(ns);
        }
    }
}
