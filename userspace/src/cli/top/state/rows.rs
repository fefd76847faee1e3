//! The rows of what is shown, in their order.

use std::rc::Rc;

use waytrace_model::monitor::{Metric, ProcessWindow, TargetWindow};

use super::super::columns::{Item, sort};
use super::super::text::clean;
use super::{Frame, Screen, State, Tab};

/// A thread, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread<'a> {
    /// Its process.
    pub pid: u32,
    /// Its id.
    pub tid: u32,
    /// Its name.
    pub name: &'a str,
    /// CPU time in the window.
    pub cpu_ns: u64,
}

impl State {
    /// The targets of a window that pass the filter, in order; each with its place in the window.
    pub fn items<'a>(&self, frame: &'a Frame) -> Vec<(usize, Item<'a>)> {
        let wanted = self.filter.to_lowercase();
        let targets = frame.window.targets.iter().enumerate();
        let mut items: Vec<_> = targets
            .filter(|(_, target)| wanted.is_empty() || target.target.to_lowercase().contains(&wanted))
            .map(|(place, target)| {
                let growth = self.growth(frame.number, &target.target);
                (place, Item { name: clean(&target.target), values: &target.values, growth })
            })
            .collect();
        sort(&mut items, self.sort, self.reversed, frame.window.length_ns);
        items
    }

    fn growth(&self, number: u64, target: &str) -> Option<f64> {
        match self.history.rates(target, Metric::Rss, number, 2)[..] {
            [Some(before), Some(now)] => Some(now - before),
            _ => None,
        }
    }

    /// The processes of a target in order; each with its place in it.
    pub fn processes<'a>(&self, frame: &Frame, target: &'a TargetWindow) -> Vec<(usize, Item<'a>)> {
        let before = frame.number.checked_sub(1).and_then(|number| self.history.frame(number));
        let before =
            before.and_then(|frame| frame.window.targets.iter().find(|one| one.target == target.target));
        let rss = |process: &ProcessWindow| process.values.get(Metric::Rss);
        let mut items: Vec<_> = target
            .processes
            .iter()
            .enumerate()
            .map(|(place, process)| {
                let is_same = |one: &&ProcessWindow| {
                    (one.pid, one.start_boot_ns) == (process.pid, process.start_boot_ns)
                };
                let earlier = before.and_then(|target| target.processes.iter().find(is_same)).and_then(rss);
                let growth = rss(process).zip(earlier).map(|(now, before)| now - before);
                let name = format!("{:>7} {}", process.pid, clean(&process.comm));
                (place, Item { name, values: &process.values, growth })
            })
            .collect();
        sort(&mut items, self.sort, self.reversed, frame.window.length_ns);
        items
    }

    /// The threads of a target that are told one by one, of most CPU time first.
    pub fn threads<'a>(&self, target: &'a TargetWindow) -> Vec<Thread<'a>> {
        let of = |process: &'a ProcessWindow| {
            let all = process.threads.iter();
            all.map(move |(tid, name, cpu_ns)| Thread { pid: process.pid, tid: *tid, name, cpu_ns: *cpu_ns })
        };
        let mut threads: Vec<_> = target.processes.iter().flat_map(of).collect();
        threads.sort_by_key(|thread| (std::cmp::Reverse(thread.cpu_ns), thread.tid));
        threads
    }

    /// How many rows the screen has.
    pub(super) fn len(&self) -> usize {
        let Some(frame) = self.shown.as_ref().map(Rc::clone) else { return 0 };
        let Screen::Target(_, tab) = &self.screen else {
            return if self.screen == Screen::Alerts { self.alerts.len() } else { self.items(&frame).len() };
        };
        let Some(target) = self.target() else { return 0 };
        match tab {
            Tab::Processes => target.processes.len(),
            Tab::Threads => self.threads(target).len(),
            Tab::Sites => target.sites.len(),
            Tab::Sizes => target.sizes.len(),
            Tab::Regions => target.regions.len(),
            Tab::Cache => 0,
            Tab::Values => Metric::ALL.len() + target.absent.len(),
        }
    }

    /// The name of the target the cursor is on.
    pub(super) fn under_cursor(&self) -> Option<String> {
        let frame = self.shown.as_ref()?;
        let items = self.items(frame);
        let (place, _) = items.get(self.targets.cursor)?;
        frame.window.targets.get(*place).map(|target| target.target.clone())
    }

    /// The process a recording would be of: the marked one, else that of most CPU time.
    pub(super) fn process_under_cursor(&self) -> Option<u32> {
        let frame = self.shown.as_ref()?;
        if let (Screen::Target(_, Tab::Processes), Some(target)) = (&self.screen, self.target()) {
            let items = self.processes(frame, target);
            let (place, _) = items.get(self.rows.cursor)?;
            return target.processes.get(*place).map(|process| process.pid);
        }
        let target = match &self.screen {
            Screen::Targets => self.under_cursor()?,
            Screen::Target(name, _) => name.clone(),
            Screen::Alerts => return None,
        };
        let target = frame.window.targets.iter().find(|one| one.target == target)?;
        let cpu = |process: &&ProcessWindow| process.values.get(Metric::Cpu).unwrap_or(0.0);
        let busiest = target.processes.iter().max_by(|a, b| cpu(a).total_cmp(&cpu(b)));
        busiest.map(|process| process.pid)
    }

    /// Lets the cursor stay on its target, wherever that went.
    pub(super) fn follow(&mut self) {
        let (Some(frame), Some(chosen)) = (self.shown.clone(), &self.chosen) else { return };
        let is_chosen = |(place, _): &(usize, Item<'_>)| {
            frame.window.targets.get(*place).is_some_and(|target| target.target == *chosen)
        };
        if let Some(at) = self.items(&frame).iter().position(is_chosen) {
            self.targets.cursor = at;
        }
    }
}
