//! The collector `cache`: what targets hold of the last-level cache and move to memory, where the machine has monitors for them.
//!
//! Targets' processes are put into monitoring groups ([`waytrace_occupancy::Targets`]) as they come; the groups are read at each
//! window's end. What that costs is kept within a part of the budget by the number of groups.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use waytrace_hw::Root;
use waytrace_hw::clock;
use waytrace_model::monitor::{CollectorShare, HostWindow, Metric, ShareState, TargetWindow};
use waytrace_occupancy::{OccupancyError, Targets, Told, Wanted};

use super::allotment::Allotment;

/// Its name, as [`crate::config::CollectorName`] spells it.
const NAME: &str = "cache";
/// Within a window new processes are looked for at most so often.
const FOLLOW: Duration = Duration::from_secs(1);
/// Where there are no monitors it is looked again after this: resctrl may have been mounted meanwhile.
const RETRY: Duration = Duration::from_secs(60);
/// Targets a state names.
const NAMED: usize = 3;
const OFF: &str = "switched off by the configuration";
const LEFT_OUT: &str = "left out for this target by the configuration";
const SIMULATED: &str = "simulated host: figures of no machine";

/// Processes of targets.
pub type Processes = BTreeMap<String, Vec<u32>>;

/// The collector.
pub struct Cache {
    root: Root,
    state: State,
    allotment: Allotment,
    /// Processes became a target's or ceased to be within the window.
    is_behind: bool,
    next_follow: Instant,
    /// CPU time of targets in the last window: where monitors are few, who did most comes first.
    cpu_ns: HashMap<String, u64>,
    /// What it took in this window.
    taken_ns: u64,
    /// What it took of a CPU in the last window, percent.
    cpu_pct: f64,
}

enum State {
    On(Box<Targets>),
    /// Why not, and when it is tried again.
    Off(String, Option<Instant>),
}

impl Cache {
    /// Looks for monitors below a root. Nothing is made yet.
    pub fn new(root: Root, is_wanted: bool, budget_ratio: f64) -> Self {
        let mut cache = Self {
            root,
            state: State::Off(OFF.to_owned(), None),
            allotment: Allotment::new(budget_ratio),
            is_behind: false,
            next_follow: Instant::now(),
            cpu_ns: HashMap::new(),
            taken_ns: 0,
            cpu_pct: 0.0,
        };
        cache.switch(is_wanted);
        cache
    }

    /// Takes other settings.
    pub fn reconfigure(&mut self, is_wanted: bool, budget_ratio: f64) {
        self.allotment.set_budget(budget_ratio);
        let is_off = matches!(self.state, State::Off(_, None));
        if is_off == is_wanted {
            self.switch(is_wanted);
        }
    }

    fn switch(&mut self, is_wanted: bool) {
        self.state = match is_wanted {
            true => Self::opened(&self.root),
            false => State::Off(OFF.to_owned(), None),
        };
    }

    fn opened(root: &Root) -> State {
        Targets::open(root).map_or_else(|error| off(&error), |targets| State::On(Box::new(targets)))
    }

    /// Begins with the processes there are; the first window begins now.
    pub fn begin(&mut self, processes: impl Fn() -> Processes) {
        // Threads that are born while others are put into a group may be found by the second look only.
        self.measured(|cache| (0..2).for_each(|_| cache.follow(&processes)));
        self.begin_window();
    }

    /// Processes became a target's, or ceased to be: they are looked for as soon as that is due.
    pub fn note_changed(&mut self) {
        self.is_behind = true;
    }

    /// Whether it is time to look for processes that came within the window.
    pub fn is_due(&self) -> bool {
        self.is_behind && matches!(self.state, State::On(_)) && Instant::now() >= self.next_follow
    }

    /// Puts processes that came into the groups of their targets.
    pub fn keep_up(&mut self, processes: impl Fn() -> Processes) {
        self.measured(|cache| cache.follow(processes));
    }

    /// A window is over: enters what targets held and moved, then looks who is there for the next. Targets that are not in
    /// `processes` are left out.
    pub fn close(
        &mut self,
        window: &mut HostWindow,
        processes: impl Fn() -> Processes,
        is_left_out: impl Fn(&str) -> bool,
    ) {
        let cpu_ns = |target: &TargetWindow| target.values.get(Metric::Cpu).unwrap_or(0.0) as u64;
        self.cpu_ns = window.targets.iter().map(|target| (target.target.clone(), cpu_ns(target))).collect();
        self.measured(|cache| {
            cache.enter(window, is_left_out);
            cache.look_again();
            cache.follow(processes);
            cache.take_back_mixed(window);
        });
        self.begin_window();
        self.cpu_pct = 100.0 * self.taken_ns as f64 / window.length_ns.max(1) as f64;
        let count = if let State::On(targets) = &self.state { targets.count() } else { 0 };
        self.allotment.learn(std::mem::take(&mut self.taken_ns), window.length_ns, count);
    }

    fn enter(&mut self, window: &mut HostWindow, is_left_out: impl Fn(&str) -> bool) {
        let State::On(targets) = &mut self.state else { return };
        if let Err(error) = targets.read() {
            self.state = off(&error.into());
            return;
        }
        for target in &mut window.targets {
            if is_left_out(&target.target) {
                target.absent.insert(NAME.to_owned(), LEFT_OUT.to_owned());
            } else {
                enter(target, &targets.told(&target.target));
            }
        }
    }

    /// Others were found in a group that was read as a target's.
    fn take_back_mixed(&self, window: &mut HostWindow) {
        let State::On(targets) = &self.state else { return };
        for (name, why) in targets.mixed() {
            if let Some(target) = window.targets.iter_mut().find(|target| target.target == name) {
                enter(target, &Told::nothing(why));
            }
        }
    }

    fn look_again(&mut self) {
        if let State::Off(_, Some(again)) = &self.state
            && Instant::now() >= *again
        {
            self.state = Self::opened(&self.root);
        }
    }

    fn follow(&mut self, processes: impl Fn() -> Processes) {
        let State::On(targets) = &mut self.state else { return };
        let most = self.allotment.most();
        if most == 0 && targets.count() == 0 {
            return;
        }
        let processes = processes();
        let wanted: Vec<Wanted<'_>> = processes
            .iter()
            .map(|(name, pids)| Wanted {
                name,
                pids: pids.clone(),
                cpu_ns: self.cpu_ns.get(name).copied().unwrap_or(0),
            })
            .collect();
        if let Err(error) = targets.follow(&wanted, most) {
            self.state = off(&error);
        }
    }

    fn begin_window(&mut self) {
        if let State::On(targets) = &mut self.state {
            targets.begin();
        }
    }

    /// Adds what it takes to what the window took.
    fn measured(&mut self, act: impl FnOnce(&mut Self)) {
        let before_ns = clock::own_cpu_ns();
        act(self);
        let taken_ns = clock::own_cpu_ns().saturating_sub(before_ns);
        self.taken_ns += taken_ns;
        self.is_behind = false;
        self.next_follow = Instant::now() + FOLLOW.max(self.allotment.pause(taken_ns));
    }

    /// What it took of a CPU in the last window, percent.
    pub fn cpu_pct(&self) -> f64 {
        self.cpu_pct
    }

    /// How it fares, and why not better.
    pub fn share(&self) -> CollectorShare {
        let (state, reason) = match &self.state {
            State::Off(reason, _) => (ShareState::Unavailable, Some(reason.clone())),
            State::On(_) if self.allotment.most() == 0 => (ShareState::Paused, Some(self.allotment.why())),
            State::On(targets) => match without(targets) {
                Some(reason) => (ShareState::Reduced, Some(reason)),
                None => (ShareState::Full, None),
            },
        };
        let is_simulated = matches!(self.state, State::On(_)) && !self.root.is_live();
        let reason = match (is_simulated, reason) {
            (true, None) => Some(SIMULATED.to_owned()),
            (true, Some(reason)) => Some(format!("{SIMULATED}; {reason}")),
            (false, reason) => reason,
        };
        CollectorShare { name: NAME.to_owned(), state, reason, tool_cpu_pct: self.cpu_pct }
    }
}

/// Enters what is told of a target.
fn enter(target: &mut TargetWindow, told: &Told) {
    for (metric, number) in [
        (Metric::LlcOccupancy, &told.occupancy_bytes),
        (Metric::MemoryTraffic, &told.total_bytes),
        (Metric::LocalTraffic, &told.local_bytes),
    ] {
        target.values.set(metric, number.as_ref().ok().map(|bytes| *bytes as f64));
    }
    if let Some(why) = told.why() {
        target.absent.insert(NAME.to_owned(), why);
    }
}

/// Not now, and perhaps later.
fn off(error: &OccupancyError) -> State {
    State::Off(error.to_string(), Some(Instant::now() + RETRY))
}

/// Which targets have no monitor, and why.
fn without(targets: &Targets) -> Option<String> {
    let lacking: Vec<(&str, &str)> = targets.lacking().collect();
    let (_, why) = lacking.first()?;
    let named: Vec<&str> = lacking.iter().take(NAMED).map(|(name, _)| *name).collect();
    let more = match lacking.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("not {}{more}: {why}", named.join(", ")))
}
