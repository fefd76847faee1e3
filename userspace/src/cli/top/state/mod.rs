//! What `top` shows, and what keys do to it: no terminal, no clock, no source.

mod history;
mod list;
mod press;
mod rows;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use waytrace_model::monitor::{Alert, HostWindow, Metric, TargetWindow};

use super::columns::By;
use super::source::Facts;
pub use history::{DEPTH, Frame, History};
pub use list::List;
pub use press::{Action, Key};

/// Alerts that are kept.
const MOST_ALERTS: usize = 200;

/// What of one target is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Its processes.
    Processes,
    /// Its threads.
    Threads,
    /// Callers of the allocator.
    Sites,
    /// Sizes of blocks.
    Sizes,
    /// Regions of the address space.
    Regions,
    /// Cache and hardware counters.
    Cache,
    /// All numbers, and why others are absent.
    Values,
}

impl Tab {
    /// All of them, in their order, with the key that leads there and their title.
    pub const ALL: [(Self, char, &'static str); 7] = [
        (Self::Processes, 'P', "processes"),
        (Self::Threads, 't', "threads"),
        (Self::Sites, 'a', "sites"),
        (Self::Sizes, 'h', "sizes"),
        (Self::Regions, 'm', "memory"),
        (Self::Cache, 'c', "cache"),
        (Self::Values, 'v', "values"),
    ];
}

/// The picture under the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// All targets.
    Targets,
    /// One target.
    Target(String, Tab),
    /// Alerts.
    Alerts,
}

/// What stands before the picture and takes the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Popup {
    /// What to sort by: the place in [`By::all`].
    Sort(List),
    /// The filter while it is written, and what it was before.
    Filter(String),
    /// The keys.
    Help,
}

/// A line for the user, until the next key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub text: String,
    /// Whether something failed.
    pub failed: bool,
}

/// All of it.
pub struct State {
    /// What is kept of windows.
    pub history: History,
    /// The window that is seen.
    pub shown: Option<Rc<Frame>>,
    taken: u64,
    /// Whether it stays when others come.
    pub paused: bool,
    /// Whether there will be no more windows.
    pub ended: bool,
    /// Newest last.
    pub alerts: Vec<Alert>,
    /// The picture.
    pub screen: Screen,
    /// What stands before it.
    pub popup: Option<Popup>,
    /// The message at the bottom.
    pub message: Option<Message>,
    /// What rows are sorted by.
    pub sort: By,
    /// Whether the other way round.
    pub reversed: bool,
    /// What names of targets must contain.
    pub filter: String,
    /// Length of windows asked for.
    pub interval: Duration,
    /// Recordings under way.
    pub recording: usize,
    /// Targets on screen.
    pub targets: List,
    /// Rows of the other screens.
    pub rows: List,
    /// The target the cursor follows; none while it stays at the top.
    chosen: Option<String>,
    has: [bool; Metric::COUNT],
}

impl State {
    /// Before the first window.
    pub fn new(sort: By, reversed: bool, interval: Duration) -> Self {
        Self {
            history: History::default(),
            shown: None,
            taken: 0,
            paused: false,
            ended: false,
            alerts: Vec::new(),
            screen: Screen::Targets,
            popup: None,
            message: None,
            sort,
            reversed,
            filter: String::new(),
            interval,
            recording: 0,
            targets: List::default(),
            rows: List::default(),
            chosen: None,
            has: [false; Metric::COUNT],
        }
    }

    /// Takes the next window; while paused it is kept, and not shown.
    pub fn take(&mut self, window: HostWindow, facts: Facts) {
        for (metric, _) in window.targets.iter().flat_map(|target| target.values.iter()) {
            self.has[metric.index()] = true;
        }
        let frame = self.history.take(Frame { number: self.taken, window, facts });
        self.taken += 1;
        if !self.paused || self.shown.is_none() {
            self.shown = Some(frame);
        }
        self.follow();
    }

    /// Takes alerts that began or ended.
    pub fn take_alerts(&mut self, alerts: Vec<Alert>) {
        for alert in alerts {
            let is_same = |one: &&mut Alert| {
                (&one.rule, &one.target, one.began_unix_ns)
                    == (&alert.rule, &alert.target, alert.began_unix_ns)
            };
            match self.alerts.iter_mut().find(is_same) {
                Some(known) => *known = alert,
                None => self.alerts.push(alert),
            }
        }
        let surplus = self.alerts.len().saturating_sub(MOST_ALERTS);
        self.alerts.drain(..surplus);
    }

    /// What became of a recording.
    pub fn recorded(&mut self, pid: u32, result: &anyhow::Result<String>) {
        self.recording = self.recording.saturating_sub(1);
        self.message = Some(match result {
            Ok(run) => {
                Message { text: format!("process {pid} is recorded: waytrace show {run}"), failed: false }
            }
            Err(error) => Message { text: format!("process {pid} is not recorded: {error:#}"), failed: true },
        });
    }

    /// Whether any window had a number of it.
    pub fn has(&self, by: By) -> bool {
        match by {
            By::Name => true,
            By::Growth => self.has[Metric::Rss.index()],
            By::Metric(metric) => self.has[metric.index()],
        }
    }

    /// Windows taken since the one that is shown.
    pub fn behind(&self) -> u64 {
        let shown = self.shown.as_ref().map_or(0, |frame| frame.number + 1);
        self.taken.saturating_sub(shown)
    }

    /// The target one looks at, if it is in the window shown.
    pub fn target(&self) -> Option<&TargetWindow> {
        let Screen::Target(name, _) = &self.screen else { return None };
        self.shown.as_ref()?.window.targets.iter().find(|target| target.target == *name)
    }

    /// Alerts that hold.
    pub fn active(&self) -> usize {
        self.alerts.iter().filter(|alert| alert.ended.is_none()).count()
    }
}
