//! The line on stderr while epochs go by, with the time left; only on a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use waytrace_model::units::format_ns;

/// The progress line.
pub struct Progress {
    bar: ProgressBar,
    total: usize,
    done: usize,
    began: Instant,
}

impl Progress {
    /// For so many epochs to measure.
    pub fn new(total: usize) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, total, done: 0, began: Instant::now() }
    }

    /// What goes on now.
    pub fn show(&self, what: &str) {
        let left = match u32::try_from(self.done) {
            Ok(done) if done > 0 => {
                let each = self.began.elapsed() / done;
                let left = each * u32::try_from(self.total.saturating_sub(self.done)).unwrap_or(u32::MAX);
                format!(", {} left", format_ns(left.as_nanos() as f64))
            }
            _ => String::new(),
        };
        self.bar.set_message(format!("{what}, {} of {} epochs measured{left}", self.done, self.total));
    }

    /// There are more epochs to measure than was thought.
    pub fn more(&mut self, epochs: usize) {
        self.total += epochs;
    }

    /// An epoch is measured.
    pub fn done(&mut self) {
        self.done += 1;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
