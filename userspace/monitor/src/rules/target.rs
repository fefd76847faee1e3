//! What is remembered of one target: its histories, the state of its rules, and which processes it had.

use std::collections::BTreeMap;

use waytrace_model::monitor::{HostWindow, ProcessWindow, TargetWindow};

use super::holding::Holding;
use super::series::Series;
use super::word::end_boot_ns;

/// Memory of one target.
#[derive(Debug, Default)]
pub struct Memory {
    /// By the function's place in the table.
    pub series: BTreeMap<usize, Series>,
    /// By the rule's place.
    pub rules: BTreeMap<usize, Holding>,
    /// Processes of the last window with any.
    processes: Processes,
    /// End of the last window it was judged in, by `CLOCK_BOOTTIME`.
    pub judged_ns: u64,
}

/// Who was there in a window: id and start.
#[derive(Debug, Default)]
struct Processes {
    all: Vec<(u32, u64)>,
    /// Those that were there when the window began.
    before: Vec<(u32, u64)>,
    end_ns: u64,
}

impl Processes {
    fn of(window: &HostWindow, target: &TargetWindow) -> Self {
        let id = |process: &ProcessWindow| (process.pid, process.start_boot_ns);
        let all: Vec<_> = target.processes.iter().map(id).collect();
        let before = all.iter().copied().filter(|(_, start_ns)| *start_ns < window.start_boot_ns).collect();
        Self { all, before, end_ns: end_boot_ns(window) }
    }

    /// Whether the later ones are others altogether. One that ended in a window is still told in it, so the one that took its place
    /// is known as such in the next.
    fn replaced_by(&self, later: &Self) -> bool {
        if self.all.is_empty() || later.all.is_empty() {
            return false;
        }
        let most = TargetWindow::MAX_PROCESSES;
        if self.all.len() >= most || later.all.len() >= most {
            // Not all are told: others may go on.
            return later.all.iter().all(|(_, start_ns)| *start_ns > self.end_ns);
        }
        let none_of = |earlier: &[(u32, u64)]| later.all.iter().all(|process| !earlier.contains(process));
        none_of(&self.all) || !self.before.is_empty() && none_of(&self.before)
    }
}

impl Memory {
    /// Takes note of who is there; whoever is there anew starts a history of its own.
    pub fn meet(&mut self, window: &HostWindow, target: Option<&TargetWindow>) {
        let Some(target) = target else {
            self.rules.values_mut().for_each(Holding::orphan);
            return;
        };
        let now = Processes::of(window, target);
        if self.processes.replaced_by(&now) {
            self.series.values_mut().for_each(Series::clear);
            self.rules.values_mut().for_each(Holding::replace);
        }
        if !now.all.is_empty() {
            self.processes = now;
        }
    }

    /// Whether an alert of it is told.
    pub fn is_alerting(&self) -> bool {
        self.rules.values().any(|holding| holding.alert.is_some())
    }
}
