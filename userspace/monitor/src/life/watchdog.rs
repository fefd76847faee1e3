//! When to ping a service manager's watchdog: while windows come.
//!
//! A ping by a timer alone would keep a monitor alive that has ceased to measure. So there is one only while the last window is no older than a few
//! windows; a monitor that has stopped making any is restarted.

use std::time::{Duration, Instant};

use super::notify::watchdog_of;

/// Windows that may be missed: one late through load is no fault.
const PATIENCE: u32 = 3;
/// A window of 100 ms is easily late.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);

/// When to ping.
#[derive(Debug, Clone)]
pub struct Watchdog {
    /// Time from one ping to the next; `None` where nobody waits for any.
    every: Option<Duration>,
    patience: Duration,
    last_window: Instant,
    last_ping: Option<Instant>,
}

impl Watchdog {
    /// The watchdog the environment asks for (`WATCHDOG_USEC`, `WATCHDOG_PID`), with windows of this length from now on.
    pub fn from_env(window: Duration, now: Instant) -> Self {
        let variable = |name| std::env::var(name).ok();
        let limit = watchdog_of(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Self::new(limit, window, now)
    }

    /// A watchdog that must be pinged within `limit`.
    pub fn new(limit: Option<Duration>, window: Duration, now: Instant) -> Self {
        // sd_watchdog_enabled(3) recommends half of the time.
        let every = limit.map(|limit| limit / 2);
        let patience = (window * PATIENCE).max(LEAST_PATIENCE);
        Self { every, patience, last_window: now, last_ping: None }
    }

    /// Tells of a window that is complete.
    pub fn window(&mut self, now: Instant) {
        self.last_window = now;
    }

    /// Whether to ping now; to be asked at least as often as [`Self::every`].
    pub fn is_due(&mut self, now: Instant) -> bool {
        let Some(every) = self.every else { return false };
        let alive = now.saturating_duration_since(self.last_window) <= self.patience;
        let due = self.last_ping.is_none_or(|last| now.saturating_duration_since(last) >= every);
        if alive && due {
            self.last_ping = Some(now);
        }
        alive && due
    }

    /// How often to ask; `None` where nobody waits for a ping.
    pub fn every(&self) -> Option<Duration> {
        self.every
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn pings_come_while_windows_do() {
        let start = Instant::now();
        let mut dog = Watchdog::new(Some(20 * S), 10 * S, start);
        let mut pings = Vec::new();
        for second in 0..200 {
            let now = start + second * S;
            // The last window comes at 100 s.
            if second % 10 == 0 && second <= 100 {
                dog.window(now);
            }
            if dog.is_due(now) {
                pings.push(second);
            }
        }
        assert_eq!(pings, (0..=130).step_by(10).collect::<Vec<_>>(), "three windows later there are none");
    }

    #[test]
    fn windows_longer_than_the_limit_do_not_starve_it() {
        let start = Instant::now();
        let mut dog = Watchdog::new(Some(4 * S), 60 * S, start);
        assert_eq!(dog.every(), Some(2 * S));
        let pings = (0..60).filter(|second| dog.is_due(start + *second * S)).count();
        assert_eq!(pings, 30);
    }

    #[test]
    fn short_windows_are_given_time() {
        let start = Instant::now();
        let mut dog = Watchdog::new(Some(2 * S), S / 10, start);
        assert!(dog.is_due(start + 10 * S));
        assert!(!dog.is_due(start + 12 * S));
    }

    #[test]
    fn without_a_limit_there_is_no_ping() {
        let start = Instant::now();
        let mut dog = Watchdog::new(None, S, start);
        assert!(!dog.is_due(start) && dog.every().is_none());
    }
}
