//! What became of the clocks between windows: one that was set, a machine that slept.

use waytrace_model::monitor::HostWindow;

/// Less than that is a clock that is steered, or the time between two readings.
const LEAST_NS: i64 = 1_000_000_000;

/// Seen from window to window.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    before: Option<Begin>,
    /// How often the wall clock was set, by a second or more.
    pub(super) steps: u64,
    /// Time for which the machine slept, in sleeps of a second or more.
    pub(super) suspended_ns: u64,
}

/// When a window began, and how long it was.
#[derive(Debug, Clone, Copy)]
struct Begin {
    unix_ns: i64,
    boot_ns: i64,
    length_ns: i64,
}

impl Clocks {
    /// Takes a window in; what happened in it shows when the next one has begun.
    pub(super) fn add(&mut self, window: &HostWindow) {
        let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        let now = Begin {
            unix_ns: signed(window.start_unix_ns),
            boot_ns: signed(window.start_boot_ns),
            length_ns: signed(window.length_ns),
        };
        let Some(before) = self.before.replace(now) else { return };
        let passed_ns = now.boot_ns.saturating_sub(before.boot_ns);
        let told_ns = now.unix_ns.saturating_sub(before.unix_ns);
        if told_ns.saturating_sub(passed_ns).saturating_abs() >= LEAST_NS {
            self.steps += 1;
        }
        // CLOCK_BOOTTIME goes on while CLOCK_MONOTONIC, of which lengths are, stands still.
        let slept_ns = passed_ns.saturating_sub(before.length_ns);
        if slept_ns >= LEAST_NS {
            self.suspended_ns += slept_ns.unsigned_abs();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn after(begins: &[(u64, u64)]) -> (u64, u64) {
        let mut clocks = Clocks::default();
        for (unix, boot) in begins {
            clocks.add(&HostWindow {
                start_unix_ns: unix * SECOND,
                start_boot_ns: boot * SECOND,
                length_ns: 10 * SECOND,
                ..HostWindow::default()
            });
        }
        (clocks.steps, clocks.suspended_ns / SECOND)
    }

    #[test]
    fn clocks_that_go_together_are_nothing() {
        assert_eq!(after(&[(1_000, 7), (1_010, 17), (1_020, 27)]), (0, 0));
    }

    #[test]
    fn a_clock_that_is_set_is_counted_both_ways() {
        assert_eq!(after(&[(1_000, 7), (4_610, 17), (4_620, 27), (30, 37), (40, 47)]), (2, 0));
    }

    #[test]
    fn sleep_is_what_no_window_had() {
        assert_eq!(after(&[(1_000, 7), (1_070, 77), (1_080, 87), (4_690, 3_697)]), (0, 60 + 3_600));
    }
}
