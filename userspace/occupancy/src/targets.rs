//! Targets of many processes, with as many monitoring groups as may be made: who gets none is told why.
//!
//! Threads are born in the group of the thread that makes them, so as a rule a target's new processes are where they should be. A
//! look finds those that are not: processes that became a target's, threads that were moved to another class, and strays, which
//! were born in a target's group and are not its own (any more). Strays go back to their class through a group that is made for
//! them and removed at once: the kernel gives a removed group's members to its class, whereas who writes to the class's own list
//! might take a thread out of the class that somebody has put it into meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use waytrace_hw::Root;
use waytrace_hw::rdt::{CacheAllocation as _, DEFAULT_CLASS, Monitored, RdtError, threads_of_process};
use waytrace_hw::resctrl::Resctrl;
use waytrace_hw::undo::Undone;
use waytrace_model::cache_report::Class;

use super::groups::{Groups, Members};
use super::own::Own;
use super::target::{Places, Sources};
use super::{OccupancyError, Told};

/// What the groups made here are for.
const PURPOSE: &str = "monitor";
/// Of the machine's monitors one in so many is left to others: a class takes one, too, and could not be made without.
const RESERVE: u32 = 8;
/// Why there is no group.
const NO_MONITOR: &str = "all monitors (RMIDs) this machine can spare are in use";
const NO_BUDGET: &str = "the budget has no room for its monitoring group";

/// A target as it is now.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its processes; some may have ended.
    pub pids: Vec<u32>,
    /// What it did lately: who did most comes first where monitors are few. Nanoseconds of CPU time.
    pub cpu_ns: u64,
}

/// All targets, and what they are read from.
pub struct Targets {
    groups: Groups<Resctrl>,
    /// Monitors of the machine.
    max_rmids: u32,
    held: BTreeMap<String, Held>,
    /// Threads that were in a group of a target and not its own when it was last looked; the next look sends them home. Many are
    /// gone by then, or their target's after all.
    strays: HashSet<u32>,
}

/// One target.
#[derive(Debug, Default)]
struct Held {
    sources: Sources,
    lack: Option<Lack>,
}

/// Why a target is not told, whatever is read.
#[derive(Debug)]
struct Lack {
    why: String,
    /// What was read is not the target's alone.
    is_mixed: bool,
}

impl Lack {
    /// No group.
    fn of_group(why: &str) -> Self {
        Self { why: why.to_owned(), is_mixed: false }
    }

    /// Others in its group.
    fn mixed(why: String) -> Self {
        Self { why, is_mixed: true }
    }
}

/// Groups that may be made yet.
#[derive(Debug, Clone, Copy)]
struct Room {
    count: usize,
    /// Why there are no more.
    why: &'static str,
}

/// Where the threads of a target are that are not in its own groups.
#[derive(Debug, Default)]
struct Elsewhere {
    /// In groups of others: how many of them, by class and group.
    theirs: BTreeMap<(String, String), usize>,
    /// In none, or in one of another target, by class.
    free: BTreeMap<String, Vec<u32>>,
}

impl Targets {
    /// Looks for monitors. Groups that a killed process has left are removed first. Nothing is made yet.
    ///
    /// # Errors
    /// No resctrl, no monitors, or no right to read them.
    pub fn open(root: &Root) -> Result<Self, OccupancyError> {
        let allocation = Box::new(Resctrl::open(root)?);
        let Some(monitoring) = allocation.capabilities()?.monitoring else {
            // With the words of who is asked.
            allocation.read(&Monitored::Class(DEFAULT_CLASS.to_owned()))?;
            return Err(OccupancyError::NoMonitoring);
        };
        if let Some(line) = Own::take_back_left(root, PURPOSE).into_iter().next() {
            return Err(OccupancyError::Left(line));
        }
        let groups = Groups { root: root.clone(), allocation, own: Own::new(root.clone(), PURPOSE) };
        Ok(Self { groups, max_rmids: monitoring.max_rmids, held: BTreeMap::new(), strays: HashSet::new() })
    }

    /// Looks who is where. Who is new gets a group, of all targets together at most `most`; who is no more gives its own back.
    ///
    /// # Errors
    /// What cannot be read, no right, no journal. That there is no monitor left is none.
    pub fn follow(&mut self, wanted: &[Wanted<'_>], most: usize) -> Result<(), OccupancyError> {
        // Before threads are listed: who is in a group by then is listed, too, unless it has ended.
        let classes = self.groups.allocation.classes()?;
        let places = Places::of_tasks(&classes);
        let threads = |wanted: &Wanted<'_>| -> Vec<u32> {
            let of = |pid: &u32| threads_of_process(&self.groups.root, *pid).unwrap_or_default();
            wanted.pids.iter().flat_map(of).collect()
        };
        let mut all: Vec<(&Wanted<'_>, Vec<u32>)> =
            wanted.iter().map(|wanted| (wanted, threads(wanted))).collect();
        all.retain(|(_, tids)| !tids.is_empty());
        let names: BTreeSet<&str> = all.iter().map(|(wanted, _)| wanted.name).collect();
        self.release(|name| !names.contains(name))?;
        let stuck = self.send_home(&classes, &all.iter().flat_map(|(_, tids)| tids).copied().collect())?;
        // Who has groups keeps them, as long as they may be so many.
        all.sort_by_key(|(wanted, _)| (self.count_of(wanted.name) == 0, std::cmp::Reverse(wanted.cpu_ns)));
        let mut room = self.room(&classes, &places, most);
        for (wanted, tids) in &all {
            let mut held = self.held.remove(wanted.name).unwrap_or_default();
            let placed = self.place(&mut held, tids, &places, &mut room);
            if held.lack.is_none() && held.sources.iter().any(|source| stuck.contains(&source.whom)) {
                held.lack =
                    Some(Lack::mixed(format!("threads of others are in its group, and {NO_MONITOR}")));
            }
            self.held.insert(wanted.name.to_owned(), held);
            placed?;
        }
        Ok(())
    }

    /// Groups there are.
    pub fn count(&self) -> usize {
        self.held.values().map(Held::count).sum()
    }

    fn count_of(&self, name: &str) -> usize {
        self.held.get(name).map_or(0, Held::count)
    }

    /// Groups that may be held by all targets together, those there are with them.
    fn room(&self, classes: &[Class], places: &Places, most: usize) -> Room {
        let theirs = places.groups().filter(|(_, name)| !self.groups.own.is_own(name)).count();
        let taken = u32::try_from(classes.len() + theirs).unwrap_or(u32::MAX);
        let reserve = self.max_rmids.div_ceil(RESERVE);
        let spare = self.max_rmids.saturating_sub(taken).saturating_sub(reserve) as usize;
        let why = if most < spare { NO_BUDGET } else { NO_MONITOR };
        Room { count: most.min(spare), why }
    }

    /// Gives groups of targets back.
    fn release(&mut self, is_to_go: impl Fn(&str) -> bool) -> Result<(), RdtError> {
        for (_, mut held) in self.held.extract_if(.., |name, _| is_to_go(name)).collect::<Vec<_>>() {
            self.groups.give_back(&mut held.sources)?;
        }
        Ok(())
    }

    /// Takes threads that were strays before, and are yet, out of the groups of targets. Returns the groups where it could not.
    fn send_home(
        &mut self,
        classes: &[Class],
        wanted: &HashSet<u32>,
    ) -> Result<HashSet<Monitored>, OccupancyError> {
        let (mut now, mut stuck) = (HashSet::new(), HashSet::new());
        for class in classes {
            let groups = class.monitor_groups.iter().filter(|group| self.groups.own.is_own(&group.name));
            let mut known = Vec::new();
            let mut from = Vec::new();
            for group in groups {
                let strays = group.tasks.iter().copied().filter(|tid| !wanted.contains(tid));
                let (old, new): (Vec<u32>, Vec<u32>) = strays.partition(|tid| self.strays.contains(tid));
                if !old.is_empty() {
                    from.push(Monitored::Group { class: class.name.clone(), name: group.name.clone() });
                }
                known.extend(old);
                now.extend(new);
            }
            if known.is_empty() {
                continue;
            }
            match self.groups.pass(&class.name, &known) {
                Err(OccupancyError::Rdt(RdtError::NoMonitorLeft { .. })) => {
                    stuck.extend(from);
                    now.extend(known);
                }
                result => result?,
            }
        }
        self.strays = now;
        Ok(stuck)
    }

    /// Sees to it that all threads of a target are read somewhere, where nobody else's are.
    fn place(
        &mut self,
        held: &mut Held,
        tids: &[u32],
        places: &Places,
        room: &mut Room,
    ) -> Result<(), OccupancyError> {
        self.groups.leave_gone(&mut held.sources, places)?;
        let Elsewhere { theirs, free } = self.elsewhere(&held.sources, tids, places);
        let shared = theirs.iter().find(|((class, name), count)| places.size(class, name) > **count);
        let needed = free.keys().filter(|class| held.sources.own(class).is_none()).count();
        let count = held.count() + needed;
        held.lack = match shared {
            Some(((class, name), _)) => Some(Lack::mixed(format!(
                "it shares the monitoring group {class}/{name}, which others made, with others"
            ))),
            None if count > room.count => Some(Lack::of_group(room.why)),
            None => None,
        };
        if held.lack.is_some() {
            return Ok(self.groups.give_back(&mut held.sources)?);
        }
        held.sources.retain(|source| match &source.whom {
            Monitored::Group { class, name } => {
                source.own || theirs.contains_key(&(class.clone(), name.clone()))
            }
            Monitored::Class(_) => false,
        });
        for (class, name) in theirs.into_keys() {
            held.sources.add(Monitored::Group { class, name }, false, 0);
        }
        for (class, tids) in free {
            let name = match held.sources.own(&class).map_or_else(|| self.groups.make(&class), Ok) {
                Ok(name) => name,
                // Those that are free have lines in a cache yet.
                Err(OccupancyError::Rdt(RdtError::NoMonitorLeft { .. })) => {
                    held.lack = Some(Lack::of_group(NO_MONITOR));
                    *room = Room { count: 0, why: NO_MONITOR };
                    return Ok(self.groups.give_back(&mut held.sources)?);
                }
                Err(error) => return Err(error),
            };
            held.sources.add(Monitored::Group { class: class.clone(), name: name.clone() }, true, 0);
            self.groups.monitor(&class, &name, Members::Tasks(&tids))?;
        }
        room.count -= count.min(room.count);
        for source in held.sources.iter_mut().filter(|source| source.meter.is_new()) {
            self.groups.read(&source.whom, &mut source.meter)?;
        }
        Ok(())
    }

    fn elsewhere(&self, sources: &Sources, tids: &[u32], places: &Places) -> Elsewhere {
        let mut elsewhere = Elsewhere::default();
        for tid in tids {
            match places.of(*tid) {
                (class, Some(group)) if sources.own(class).as_deref() == Some(group) => {}
                (class, Some(group)) if !self.groups.own.is_own(group) => {
                    *elsewhere.theirs.entry((class.to_owned(), group.to_owned())).or_default() += 1;
                }
                (class, _) => elsewhere.free.entry(class.to_owned()).or_default().push(*tid),
            }
        }
        elsewhere
    }

    /// Reads all of them, at the end of an interval.
    ///
    /// # Errors
    /// What cannot be read; a group that was removed can be done without.
    pub fn read(&mut self) -> Result<(), RdtError> {
        for source in self.held.values_mut().flat_map(|held| held.sources.iter_mut()) {
            self.groups.read(&source.whom, &mut source.meter)?;
        }
        Ok(())
    }

    /// What was read of a target since [`Self::begin`].
    pub fn told(&self, name: &str) -> Told {
        match self.held.get(name) {
            Some(Held { lack: Some(lack), .. }) => Told::nothing(&lack.why),
            Some(Held { sources, .. }) => Told::of(sources),
            None => Told::nothing("it had no group in this window"),
        }
    }

    /// Targets that are not told, and why.
    pub fn lacking(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lacks().map(|(name, lack)| (name, lack.why.as_str()))
    }

    /// Those of them that had others in their groups when it was last looked: what was told before of the same interval was not
    /// theirs alone.
    pub fn mixed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lacks().filter(|(_, lack)| lack.is_mixed).map(|(name, lack)| (name, lack.why.as_str()))
    }

    fn lacks(&self) -> impl Iterator<Item = (&str, &Lack)> {
        self.held.iter().filter_map(|(name, held)| Some((name.as_str(), held.lack.as_ref()?)))
    }

    /// Begins an interval.
    pub fn begin(&mut self) {
        for source in self.held.values_mut().flat_map(|held| held.sources.iter_mut()) {
            source.meter.begin();
        }
    }

    /// Removes what was made.
    pub fn end(&mut self) -> Undone {
        // One by one, for the journal looks at all groups there are for each of its lines. What fails here is the journal's.
        let _ = self.release(|_| true);
        self.groups.own.end()
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.end();
    }
}

impl Held {
    /// Groups made for it.
    fn count(&self) -> usize {
        self.sources.iter().filter(|source| source.own).count()
    }
}
