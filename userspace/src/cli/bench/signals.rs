//! Ends of children and Ctrl-C, waited for in one place. The signals are blocked and taken one by one, so that none is
//! missed between looking and waiting and no handler runs.

use std::io;
use std::time::Duration;

/// The blocked signals. Threads started later inherit the mask; children get an empty one.
pub struct Signals {
    set: libc::sigset_t,
    interrupted: bool,
}

impl Signals {
    /// Blocks them in this thread.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn block() -> io::Result<Self> {
        let mut set = empty();
        // SAFETY: the set is a whole one, the signals exist, and a null pointer asks for no old mask.
        let result = unsafe {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD] {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
        };
        if result == 0 {
            Ok(Self { set, interrupted: false })
        } else {
            Err(io::Error::from_raw_os_error(result))
        }
    }

    /// Waits until a child's state changes, somebody asks for the end, or the time is over; no longer than that.
    pub fn wait(&mut self, timeout: Duration) {
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: set and time live through the call; a null pointer asks for no details.
        let signal =
            unsafe { libc::sigtimedwait(&raw const self.set, std::ptr::null_mut(), &raw const timeout) };
        self.interrupted |= signal == libc::SIGINT || signal == libc::SIGTERM;
    }

    /// Whether somebody asked for the end, until now.
    pub fn interrupted(&mut self) -> bool {
        self.wait(Duration::ZERO);
        self.interrupted
    }
}

/// Gives a child between fork and exec an empty mask. Async-signal-safe.
///
/// # Errors
/// Whatever the kernel says.
pub fn unblock() -> io::Result<()> {
    let set = empty();
    // SAFETY: the set is a whole one, and a null pointer asks for no old mask.
    let result = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn empty() -> libc::sigset_t {
    // SAFETY: a set is plain words, and sigemptyset makes it a valid one.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        set
    }
}
