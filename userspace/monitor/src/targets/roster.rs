//! Who belongs to which target.
//!
//! A process belongs to the first target in the order of the file that it matches or that it descends from, where that target takes `children`. A
//! descendant stays one when its parent has ended or become another program; a process whose parent becomes a member later, becomes a descendant then.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use waytrace_hw::Root;

use super::facts::{Lazy, Proc, ProcessFacts};
use super::pid_file::PidFile;
use super::seen::{Seen, same_start};
use super::selector::{Selector, SelectorError};
use crate::config::TargetConfig;

/// A process that came to a target, left one, or went from one to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Process id.
    pub pid: u32,
    /// When it started, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_boot_ns: u64,
    /// The target it belonged to.
    pub from: Option<Arc<str>>,
    /// The target it belongs to.
    pub to: Option<Arc<str>>,
}

/// All processes of a machine and their targets.
#[derive(Debug)]
pub struct Roster {
    targets: Vec<Target>,
    machine: bool,
    proc: Proc,
    /// Never a target's: waytrace itself.
    except: Option<u32>,
    processes: HashMap<u32, Process>,
    members: BTreeMap<Arc<str>, BTreeSet<u32>>,
    /// Where [`Self::recheck_groups`] goes on.
    rechecked: u32,
}

#[derive(Debug)]
struct Target {
    name: Arc<str>,
    selector: Selector,
    children: bool,
    pid_file: Option<PidFile>,
}

#[derive(Debug)]
struct Process {
    seen: Seen,
    parent: Option<(u32, u64)>,
    lazy: Arc<Lazy>,
    /// Targets, by position, that it descends from; of most processes none.
    inherited: BTreeSet<usize>,
    target: Option<Place>,
}

/// Where a process belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Configured(usize),
    /// With `machine`: the target of its command.
    Command(Arc<str>),
}

impl Roster {
    /// A roster of nobody yet. `machine` gives processes of no target one named after their command.
    ///
    /// # Errors
    /// The first selector that is wrong. [`crate::config::Config::check`] would have told.
    pub fn new(targets: &[TargetConfig], machine: bool, root: Root) -> Result<Self, SelectorError> {
        let except = root.is_live().then(std::process::id);
        let proc = Proc::new(root);
        let targets =
            targets.iter().map(|target| Target::new(target, proc.root(), &[])).collect::<Result<_, _>>()?;
        Ok(Self {
            targets,
            machine,
            proc,
            except,
            processes: HashMap::new(),
            members: BTreeMap::new(),
            rechecked: 0,
        })
    }

    /// Tells of a process that was there before.
    pub fn started(&mut self, seen: Seen) -> Vec<Change> {
        let parent = self.parent_of(&seen);
        self.enter(seen, parent, Arc::default())
    }

    /// Tells of a process that another has forked. Nothing is read: what is known of its parent holds for it.
    pub fn forked(&mut self, parent: u32, child: Seen) -> Vec<Change> {
        let known = self.processes.get(&parent);
        let lazy = known.map(|parent| Arc::clone(&parent.lazy)).unwrap_or_default();
        let parent = known.map(|process| (parent, process.seen.start_boot_ns));
        self.enter(child, parent, lazy)
    }

    /// Tells that a process runs another program now. One not known yet is entered.
    pub fn executed(&mut self, seen: Seen) -> Vec<Change> {
        match self.processes.get_mut(&seen.pid) {
            Some(process) if seen.is(process.seen.pid, process.seen.start_boot_ns) => {
                process.lazy = Arc::default();
                process.seen.comm = seen.comm;
                self.place_all([seen.pid])
            }
            _ => self.started(seen),
        }
    }

    /// Tells that a process has ended. News of an earlier one of the same id changes nothing; `None` where the start is not known.
    pub fn ended(&mut self, pid: u32, start_boot_ns: Option<u64>) -> Option<Change> {
        let process = self.processes.get(&pid)?;
        if start_boot_ns.is_some_and(|start| !same_start(start, process.seen.start_boot_ns)) {
            return None;
        }
        let process = self.processes.remove(&pid)?;
        let from = process.target.as_ref().and_then(|place| self.name_of(place));
        if let Some(name) = &from {
            self.leave(name, pid);
        }
        from.map(|from| Change { pid, start_boot_ns: process.seen.start_boot_ns, from: Some(from), to: None })
    }

    /// Compares with all processes there are, once a window: makes up for news that was lost, takes new names of commands, reads pid files that
    /// changed and follows links of executables again.
    pub fn resync(&mut self, all: &[Seen]) -> Vec<Change> {
        let mut changes = Vec::new();
        let by_pid: HashMap<u32, &Seen> = all.iter().map(|seen| (seen.pid, seen)).collect();
        let is_there = |process: &Process| {
            by_pid.get(&process.seen.pid).is_some_and(|seen| seen.is(seen.pid, process.seen.start_boot_ns))
        };
        let mut gone: Vec<u32> =
            self.processes.iter().filter(|(_, process)| !is_there(process)).map(|(pid, _)| *pid).collect();
        gone.sort_unstable();
        changes.extend(gone.into_iter().filter_map(|pid| self.ended(pid, None)));

        // Parents before their children.
        let mut all: Vec<&Seen> = all.iter().collect();
        all.sort_by_key(|seen| (seen.start_boot_ns, seen.pid));
        for seen in all {
            match self.processes.get(&seen.pid) {
                None => changes.extend(self.started(seen.clone())),
                // It may have become another program unnoticed.
                Some(process) if process.seen.comm != seen.comm => {
                    changes.extend(self.executed(seen.clone()));
                }
                Some(_) => {}
            }
        }
        if self.refresh() {
            changes.extend(self.place_everybody());
        }
        changes
    }

    /// Reads the control groups of up to `most` processes again, the next ones each time, if a target asks for groups: the kernel gives no news of
    /// processes that are moved. Only [`Self::reads`] grows where nothing has changed.
    pub fn recheck_groups(&mut self, most: usize) -> Vec<Change> {
        if !self.targets.iter().any(|target| target.selector.asks_for_groups()) {
            return Vec::new();
        }
        let mut pids: Vec<u32> = self.processes.keys().copied().collect();
        pids.sort_unstable();
        let after = pids.partition_point(|pid| *pid <= self.rechecked);
        let most = most.min(pids.len());
        let next: Vec<u32> = pids.iter().cycle().skip(after).take(most).copied().collect();
        self.rechecked = next.last().copied().unwrap_or(0);
        for pid in &next {
            if let Some(process) = self.processes.get_mut(pid) {
                process.lazy = Arc::new(process.lazy.without_groups());
            }
        }
        self.place_all(next)
    }

    /// Goes over to other targets. What was read of processes stays read, and who still matches still belongs.
    ///
    /// # Errors
    /// The first selector that is wrong; then all is as it was.
    pub fn reload(&mut self, targets: &[TargetConfig], machine: bool) -> Result<Vec<Change>, SelectorError> {
        let new: Vec<Target> = targets
            .iter()
            .map(|target| Target::new(target, self.proc.root(), &self.targets))
            .collect::<Result<_, _>>()?;
        // Where an old target is now, if it selects as it did.
        let moved: Vec<Option<usize>> = self
            .targets
            .iter()
            .map(|old| new.iter().position(|new| new.name == old.name && new.selects_as(old)))
            .collect();
        let before: Vec<(u32, Option<Arc<str>>)> =
            self.processes.iter().map(|(pid, process)| (*pid, process.name(&self.targets))).collect();
        for process in self.processes.values_mut() {
            let still = |position: &usize| moved.get(*position).copied().flatten();
            process.inherited = process.inherited.iter().filter_map(still).collect();
            process.target = None;
        }
        (self.targets, self.machine) = (new, machine);
        self.members.clear();
        self.bind_pid_files();
        self.place_everybody();
        let mut changes: Vec<Change> = before
            .into_iter()
            .filter_map(|(pid, from)| {
                let process = self.processes.get(&pid)?;
                let to = process.name(&self.targets);
                let start_boot_ns = process.seen.start_boot_ns;
                (from != to).then_some(Change { pid, start_boot_ns, from, to })
            })
            .collect();
        changes.sort_by_key(|change| change.pid);
        Ok(changes)
    }

    /// The target a process belongs to.
    pub fn target_of(&self, pid: u32) -> Option<&str> {
        match self.processes.get(&pid)?.target.as_ref()? {
            Place::Configured(position) => self.targets.get(*position).map(|target| &*target.name),
            Place::Command(name) => Some(name),
        }
    }

    /// Processes of a target, ascending.
    pub fn processes(&self, target: &str) -> impl Iterator<Item = u32> + '_ {
        self.members.get(target).into_iter().flatten().copied()
    }

    /// Targets that have processes, by name.
    pub fn present(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(|name| &**name)
    }

    /// Configured targets that have none, in the order of the file.
    pub fn missing(&self) -> Vec<&str> {
        let names = self.targets.iter().map(|target| &*target.name);
        names.filter(|name| !self.members.contains_key(*name)).collect()
    }

    /// What is known of a process.
    pub fn seen(&self, pid: u32) -> Option<&Seen> {
        self.processes.get(&pid).map(|process| &process.seen)
    }

    /// How often `/proc` was asked for an executable or for control groups.
    pub fn reads(&self) -> u64 {
        self.proc.reads()
    }

    /// How often that was not permitted, so that a process may have been missed.
    pub fn denied(&self) -> u64 {
        self.proc.denied()
    }

    fn parent_of(&self, seen: &Seen) -> Option<(u32, u64)> {
        let start = self.processes.get(&seen.ppid)?.seen.start_boot_ns;
        // A parent that is younger is one that adopted it, or another of the same id.
        (start <= seen.start_boot_ns).then_some((seen.ppid, start))
    }

    fn enter(&mut self, seen: Seen, parent: Option<(u32, u64)>, lazy: Arc<Lazy>) -> Vec<Change> {
        if self.except == Some(seen.pid) {
            return Vec::new();
        }
        let known = self.processes.get(&seen.pid);
        if known.is_some_and(|process| seen.is(process.seen.pid, process.seen.start_boot_ns)) {
            return Vec::new();
        }
        let mut changes: Vec<Change> = self.ended(seen.pid, None).into_iter().collect();
        for file in self.targets.iter_mut().filter_map(|target| target.pid_file.as_mut()) {
            file.bind(seen.pid, seen.start_boot_ns);
        }
        let pid = seen.pid;
        self.processes.insert(pid, Process { seen, parent, lazy, inherited: BTreeSet::new(), target: None });
        changes.extend(self.place_all([pid]));
        changes
    }

    /// Reads what may have changed outside; says whether something has.
    fn refresh(&mut self) -> bool {
        let mut differs = false;
        for target in &mut self.targets {
            differs |= target.selector.refresh(self.proc.root());
            if let Some(file) = &mut target.pid_file {
                // Those that were waited for since the last time have not come.
                file.give_up();
                differs |= file.refresh();
            }
        }
        self.bind_pid_files();
        differs
    }

    fn bind_pid_files(&mut self) {
        for file in self.targets.iter_mut().filter_map(|target| target.pid_file.as_mut()) {
            if let Some(process) = file.waits_for().and_then(|pid| self.processes.get(&pid)) {
                file.bind(process.seen.pid, process.seen.start_boot_ns);
            }
        }
    }

    fn place_everybody(&mut self) -> Vec<Change> {
        let mut all: Vec<(u64, u32)> =
            self.processes.values().map(|process| (process.seen.start_boot_ns, process.seen.pid)).collect();
        all.sort_unstable();
        self.place_all(all.into_iter().map(|(_, pid)| pid))
    }

    /// Finds the targets of these processes, and of the descendants of those that came to another one.
    fn place_all(&mut self, pids: impl IntoIterator<Item = u32>) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut pending: Vec<u32> = pids.into_iter().collect();
        pending.reverse();
        let mut children: Option<HashMap<u32, Vec<u32>>> = None;
        while let Some(pid) = pending.pop() {
            let Some((change, passes_on)) = self.place(pid) else { continue };
            changes.extend(change);
            if passes_on {
                let children = children.get_or_insert_with(|| self.children());
                pending.extend(children.get(&pid).into_iter().flatten());
            }
        }
        changes
    }

    fn children(&self) -> HashMap<u32, Vec<u32>> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (pid, process) in &self.processes {
            if let Some((parent, _)) = process.parent {
                children.entry(parent).or_default().push(*pid);
            }
        }
        children
    }

    /// Finds the target of one process. Also says whether its descendants may descend from another target now.
    fn place(&mut self, pid: u32) -> Option<(Option<Change>, bool)> {
        let process = self.processes.get(&pid)?;
        let mut inherited = process.inherited.clone();
        inherited.extend(self.passed_on(process));
        let to = self.find(process, inherited.first().copied());
        let from = process.target.clone();
        let passed_before = self.passed_by(process);
        let start_boot_ns = process.seen.start_boot_ns;

        let process = self.processes.get_mut(&pid)?;
        process.inherited = inherited;
        process.target.clone_from(&to);
        let process = self.processes.get(&pid)?;
        let passes_on = self.passed_by(process) != passed_before;
        if from == to {
            return Some((None, passes_on));
        }
        let (from, to) =
            (from.and_then(|place| self.name_of(&place)), to.and_then(|place| self.name_of(&place)));
        if let Some(name) = &from {
            self.leave(name, pid);
        }
        if let Some(name) = &to {
            self.members.entry(Arc::clone(name)).or_default().insert(pid);
        }
        Some((Some(Change { pid, start_boot_ns, from, to }), passes_on))
    }

    /// What a process has from its parent, if that is still there.
    fn passed_on(&self, process: &Process) -> BTreeSet<usize> {
        let parent = process.parent.and_then(|(pid, start)| {
            self.processes.get(&pid).filter(|parent| same_start(parent.seen.start_boot_ns, start))
        });
        parent.map(|parent| self.passed_by(parent)).unwrap_or_default()
    }

    /// The targets that the children of a process descend from.
    fn passed_by(&self, process: &Process) -> BTreeSet<usize> {
        let mut passed = process.inherited.clone();
        if let Some(Place::Configured(position)) = process.target
            && self.targets.get(position).is_some_and(|target| target.children)
        {
            passed.insert(position);
        }
        passed
    }

    fn find(&self, process: &Process, inherited: Option<usize>) -> Option<Place> {
        let seen = &process.seen;
        let facts = ProcessFacts { pid: seen.pid, comm: &seen.comm, lazy: &process.lazy, proc: &self.proc };
        // Targets after the one it descends from need not be asked.
        let before = inherited.unwrap_or(self.targets.len());
        let matching = self.targets.iter().take(before).position(|target| {
            let file = target.pid_file.as_ref();
            let meant = file.is_some_and(|file| file.means(seen.pid, seen.start_boot_ns));
            target.selector.matches(&facts, meant)
        });
        if let Some(position) = matching.or(inherited) {
            return Some(Place::Configured(position));
        }
        (self.machine && !seen.kernel_thread).then(|| Place::Command(self.command_target(&seen.comm)))
    }

    /// The target named after a command. A configured one of that name is another, for it did not match.
    fn command_target(&self, comm: &str) -> Arc<str> {
        let name: Arc<str> = if self.targets.iter().any(|target| &*target.name == comm) {
            format!("command:{comm}").into()
        } else {
            comm.into()
        };
        self.members.get_key_value(&name).map_or(name, |(known, _)| Arc::clone(known))
    }

    fn name_of(&self, place: &Place) -> Option<Arc<str>> {
        place.name(&self.targets)
    }

    fn leave(&mut self, name: &Arc<str>, pid: u32) {
        if let Some(members) = self.members.get_mut(name) {
            members.remove(&pid);
            if members.is_empty() {
                self.members.remove(name);
            }
        }
    }
}

impl Place {
    fn name(&self, targets: &[Target]) -> Option<Arc<str>> {
        match self {
            Self::Configured(position) => targets.get(*position).map(|target| Arc::clone(&target.name)),
            Self::Command(name) => Some(Arc::clone(name)),
        }
    }
}

impl Process {
    fn name(&self, targets: &[Target]) -> Option<Arc<str>> {
        self.target.as_ref().and_then(|place| place.name(targets))
    }
}

impl Target {
    /// A target; the state of its pid file is taken from `old` if there is one with the same.
    fn new(config: &TargetConfig, root: &Root, old: &[Self]) -> Result<Self, SelectorError> {
        let mut selector = Selector::new(config)?;
        selector.refresh(root);
        let name: Arc<str> = config.name.as_str().into();
        let kept = old.iter().find(|old| old.name == name && old.selector.pid_file() == selector.pid_file());
        let pid_file = selector.pid_file().map(|path| {
            let fresh = || PidFile::new(root.path(&path.to_string_lossy()));
            kept.and_then(|old| old.pid_file.clone()).unwrap_or_else(fresh)
        });
        Ok(Self { name, selector, children: config.children, pid_file })
    }

    fn selects_as(&self, old: &Self) -> bool {
        self.selector == old.selector && self.children == old.children
    }
}
