//! `monitor` on processes of known truth: what windows add up to, who is found, what survives what.

mod caches;
mod ends;
mod found;
mod leak;
mod reload;
mod samples;
mod truth;

use std::collections::BTreeMap;
use std::process::Command;

use waytrace_model::monitor::{HostWindow, Metric, TargetWindow, Values};

use crate::harness::waytrace::{Finished, Running, command};

/// A monitor under way, which prints its windows.
pub struct Monitor(Running);

impl Monitor {
    /// Starts it and waits until it watches.
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, |_| ())
    }

    /// The same, with a say in how it is started.
    pub fn start_with(args: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = command(&["monitor", "--json"]);
        command.args(args);
        prepare(&mut command);
        let mut running = Running::start(&mut command);
        running.await_line("watching");
        Self(running)
    }

    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    pub fn signal(&self, signal: i32) {
        self.0.signal(signal);
    }

    /// Waits for a line on stderr.
    pub fn await_line(&mut self, part: &str) {
        self.0.await_line(part);
    }

    /// Waits for so many windows from now on.
    pub fn await_windows(&mut self, count: usize) {
        self.0.skip_output();
        (0..count).for_each(|_| {
            self.0.await_output();
        });
    }

    /// Waits for its end, without asking for it.
    pub fn finish(self) -> Finished {
        self.0.finish()
    }

    /// Ends it as a service manager does, and gives all windows.
    pub fn stop(self) -> Vec<HostWindow> {
        self.0.signal(libc::SIGTERM);
        let finished = self.0.finish();
        assert_eq!(finished.code, 0, "{finished:#?}");
        windows(&finished)
    }
}

/// The windows on stdout.
pub fn windows(finished: &Finished) -> Vec<HostWindow> {
    let window = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    finished.stdout.lines().map(window).collect()
}

/// What a target's amounts come to in all windows; levels are those of the last.
pub fn total(windows: &[HostWindow], target: &str) -> Values {
    let mut sums: BTreeMap<Metric, f64> = BTreeMap::new();
    for window in of(windows, target) {
        for (metric, value) in window.values.iter() {
            let sum = sums.entry(metric).or_default();
            *sum = match metric.fold() {
                waytrace_model::monitor::Fold::Sum => *sum + value,
                _ => value,
            };
        }
    }
    sums.into_iter().collect()
}

/// The windows of a target.
pub fn of<'a>(windows: &'a [HostWindow], target: &str) -> impl Iterator<Item = &'a TargetWindow> + use<'a> {
    let target = target.to_owned();
    windows.iter().flat_map(|window| &window.targets).filter(move |window| window.target == target)
}
