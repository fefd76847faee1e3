//! Windows of a recording: so long that there are not too many of them.

use waytrace_model::allocation::TracedAllocation;
use waytrace_model::batch::Batch;
use waytrace_model::run::Window;

/// The usual length, as of a live run.
const USUAL_NS: u64 = 100_000_000;
const MOST_WINDOWS: u64 = 2_000;

/// Length of the windows of a run.
pub fn interval_ns(duration_ns: u64, asked_ns: Option<u64>) -> u64 {
    let least = duration_ns.div_ceil(MOST_WINDOWS).next_multiple_of(1_000_000);
    asked_ns.unwrap_or(USUAL_NS).max(least)
}

/// Cuts what comes in the order of time into batches.
#[derive(Debug)]
pub struct Windows {
    interval_ns: u64,
    end_ns: u64,
    batch: Batch,
}

impl Windows {
    /// Windows of a run of `end_ns`.
    pub fn new(interval_ns: u64, end_ns: u64) -> Self {
        let window = Window { index: 0, start_ns: 0, end_ns: interval_ns.min(end_ns) };
        Self { interval_ns: interval_ns.max(1), end_ns, batch: Batch { window, ..Batch::default() } }
    }

    /// The window under way.
    pub fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Whether there is another window behind the one under way.
    pub fn has_more(&self) -> bool {
        self.batch.window.end_ns < self.end_ns
    }

    /// Ends the window under way and begins the next.
    pub fn next(&mut self) -> Batch {
        let Window { index, end_ns: start_ns, .. } = self.batch.window;
        let end_ns = start_ns.saturating_add(self.interval_ns).min(self.end_ns);
        let window = Window { index: index + 1, start_ns, end_ns };
        std::mem::replace(&mut self.batch, Batch { window, ..Batch::default() })
    }

    /// Adds a traced block that has ended.
    pub fn traced(&mut self, traced: TracedAllocation) {
        self.batch.traced.push(traced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_run_without_gaps_and_are_not_too_many() {
        let mut windows = Windows::new(100, 250);
        let mut spans = Vec::new();
        loop {
            let more = windows.has_more();
            let window = windows.next().window;
            spans.push((window.index, window.start_ns, window.end_ns));
            if !more {
                break;
            }
        }
        assert_eq!(spans, [(0, 0, 100), (1, 100, 200), (2, 200, 250)]);
        assert_eq!(interval_ns(1_000, None), 100_000_000);
        assert_eq!(interval_ns(3_600_000_000_000, Some(1_000_000)), 1_800_000_000);
        assert_eq!(interval_ns(1_000, Some(5_000_000)), 5_000_000);
    }
}
