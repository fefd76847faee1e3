//! The history one function has of one target: no longer than its time, and of a bounded number of points.

use std::collections::VecDeque;

use super::past::{Function, Past};

/// Points of a slope: all pairs of them are looked at.
const MOST_OF_SLOPE: u64 = 60;
/// Points of the others: an hour of windows of 10 s.
const MOST: u64 = 360;

/// One or several windows.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// End of the last of them, by `CLOCK_BOOTTIME`.
    end_ns: u64,
    /// How many seconds the middle of their ends lies before that.
    back: f32,
    weight: f32,
    value: f64,
}

/// Values of a function's expression, the oldest first. Where its time holds more windows than points are kept, several
/// windows become one point.
#[derive(Debug, Clone)]
pub struct Series {
    past: Past,
    span_ns: u64,
    window_ns: u64,
    /// How long a point may be.
    step_ns: u64,
    points: VecDeque<Point>,
    /// Start of the newest point.
    begun_ns: u64,
}

impl Series {
    /// An empty one, for windows of a usual length.
    pub fn new(function: &Function, window_ns: u64) -> Self {
        let most = if function.past.is_slope() { MOST_OF_SLOPE } else { MOST };
        let step_ns = function.span_ns.div_ceil(most);
        Self {
            past: function.past,
            span_ns: function.span_ns,
            window_ns: window_ns.max(1),
            step_ns: if step_ns <= window_ns { 0 } else { step_ns },
            points: VecDeque::new(),
            begun_ns: 0,
        }
    }

    /// Forgets everything: another process has begun.
    pub fn clear(&mut self) {
        self.points.clear();
    }

    /// Points that are kept.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// The function's value in the window that ends at `end_ns`, in which its expression had a value or none; the window then
    /// belongs to the history.
    pub fn next(&mut self, end_ns: u64, value: Option<f64>) -> Option<f64> {
        self.forget(end_ns);
        if self.past == Past::Baseline {
            let usual = self.value();
            self.push(end_ns, value);
            return usual;
        }
        self.push(end_ns, value);
        // Without a value now there is none to judge: an old mean would be judged again and again.
        value.and_then(|_| self.value())
    }

    /// Half a window more or less, so that jitter of windows does not change how many there are.
    fn forget(&mut self, now_ns: u64) {
        let half = self.window_ns / 2;
        let reach = if self.past.is_slope() {
            self.span_ns.saturating_add(half)
        } else {
            self.span_ns.saturating_sub(half)
        };
        let oldest_ns = match self.past {
            // Its history ends with the window before.
            Past::Baseline => now_ns.saturating_sub(reach.saturating_add(self.window_ns)),
            _ => now_ns.saturating_sub(reach),
        };
        while self.points.front().is_some_and(|point| point.end_ns < oldest_ns) {
            self.points.pop_front();
        }
    }

    fn push(&mut self, end_ns: u64, value: Option<f64>) {
        let Some(value) = value else { return };
        if let Some(newest) = self.points.back_mut() {
            if end_ns <= newest.end_ns {
                return; // The clock does not go back; a window seen twice is one window.
            }
            if end_ns - self.begun_ns < self.step_ns {
                newest.value = self.past.merge(newest.value, f64::from(newest.weight), value);
                let moved = (end_ns - newest.end_ns) as f32 / 1e9;
                newest.back = (newest.back + moved) * newest.weight / (newest.weight + 1.0);
                newest.end_ns = end_ns;
                newest.weight += 1.0;
                return;
            }
        }
        self.begun_ns = end_ns;
        self.points.push_back(Point { end_ns, back: 0.0, weight: 1.0, value });
    }

    fn value(&self) -> Option<f64> {
        let (first, last) = (self.points.front()?, self.points.back()?);
        let ends_ns = last.end_ns.saturating_sub(first.end_ns);
        let covered = ends_ns.saturating_add(self.window_ns) as f64;
        let values: f32 = self.points.iter().map(|point| point.weight).sum();
        if (values as usize) < self.past.least() || covered < self.span_ns as f64 * self.past.least_cover() {
            return None;
        }
        let points: Vec<(f64, f64)> = self
            .points
            .iter()
            .map(|point| {
                (point.end_ns.saturating_sub(first.end_ns) as f64 / 1e9 - f64::from(point.back), point.value)
            })
            .collect();
        self.past.of(&points)
    }
}
