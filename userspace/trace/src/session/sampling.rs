//! How often stacks are sampled: so many bytes apart that a window brings about as many samples as asked for.

use waytrace_abi::settings::Settings;

use crate::Error;
use crate::kernel::Kernel;

/// Bytes between two samples of a thread until something is known of the target.
const FIRST_PERIOD_BYTES: u64 = 1 << 20;
/// Samples wanted of a window in which anything was allocated: a hundred to some hundreds a second, at ~10 us each.
const WANTED: u64 = 32;

/// The sampling period, kept in the kernel part's settings.
#[derive(Debug)]
pub struct Sampling {
    settings: Settings,
}

impl Sampling {
    /// Starts with a period for an unknown target; the settings must be handed to the kernel part by the caller. Of an
    /// allocator's own samples, which are few, each is taken at first.
    pub fn new(settings: &mut Settings, of_samples: bool) -> Self {
        settings.sample_period_bytes = if of_samples { 1 } else { FIRST_PERIOD_BYTES };
        Self { settings: *settings }
    }

    /// Takes note of the bytes counted in a window, and changes the period if they ask for another.
    ///
    /// # Errors
    /// When the settings cannot be written.
    pub fn adapt(&mut self, kernel: &mut Kernel, counted_bytes: u64) -> Result<(), Error> {
        let period = next_period(self.settings.sample_period_bytes, counted_bytes);
        if period == self.settings.sample_period_bytes {
            return Ok(());
        }
        self.settings.sample_period_bytes = period;
        kernel.configure(self.settings)
    }
}

/// Half way to the period that would have brought as many samples as wanted; changes below an eighth are not worth it.
fn next_period(period: u64, counted_bytes: u64) -> u64 {
    if counted_bytes == 0 {
        return period;
    }
    let next = (period / 2 + counted_bytes / WANTED / 2).max(1);
    if next.abs_diff(period) * 8 < period { period } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_settles_where_windows_bring_what_is_wanted() {
        for bytes in [1_000, 1_000_000, 4_000_000_000] {
            let mut period = FIRST_PERIOD_BYTES;
            for _ in 0..64 {
                period = next_period(period, bytes);
            }
            let samples = bytes / period;
            assert!((WANTED * 3 / 4..=WANTED * 5 / 4).contains(&samples), "{bytes}: {samples} a window");
        }
        assert_eq!(next_period(77, 0), 77);
    }
}
