//! The clock of a sweep: the machine's, with Ctrl-C and SIGTERM as what ends a wait.

use std::io;
use std::time::{Duration, Instant};

use waytrace_sweep::pace::Pace;

use super::super::super::bench::signals::Signals;

/// Time since it was made.
pub struct Clock {
    began: Instant,
    signals: Signals,
}

impl Clock {
    /// Begins, and takes the signals from now on.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn new() -> io::Result<Self> {
        // A co-runner that has ended, or a terminal that has gone, is found by what writing to it gives.
        // SAFETY: ignoring a signal passes no pointers.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        Ok(Self { began: Instant::now(), signals: Signals::block()? })
    }
}

impl Pace for Clock {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wait(&mut self, ns: u64) -> bool {
        let until = self.now_ns().saturating_add(ns);
        loop {
            let left = until.saturating_sub(self.now_ns());
            if self.signals.interrupted() {
                return false;
            }
            if left == 0 {
                return true;
            }
            self.signals.wait(Duration::from_nanos(left));
        }
    }
}
