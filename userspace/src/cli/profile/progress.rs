//! The line on stderr while a run goes on; only on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use waytrace_model::units::{format_bytes, format_count, format_ns};

/// The progress line. It appears after two seconds.
pub struct Progress {
    bar: Option<ProgressBar>,
    duration_ns: Option<u64>,
}

const DELAY_NS: u64 = 2_000_000_000;

impl Progress {
    /// A line for a run of this length, where one is set.
    pub fn new(duration_ns: Option<u64>) -> Self {
        Self { bar: None, duration_ns }
    }

    /// Shows how far the run is.
    pub fn show(&mut self, elapsed_ns: u64, allocations: Option<(f64, f64)>) {
        if elapsed_ns < DELAY_NS {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let mut text = format_ns(elapsed_ns as f64);
        if let Some(duration_ns) = self.duration_ns {
            text.push_str(&format!(" of {}", format_ns(duration_ns as f64)));
        }
        if let Some((count, bytes)) = allocations {
            text.push_str(&format!(", {} allocations, {}", format_count(count), format_bytes(bytes)));
        }
        bar.set_message(text);
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
