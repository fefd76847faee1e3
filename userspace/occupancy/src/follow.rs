//! Follows what is watched: threads that are born, are moved or end, CPUs that go and come, groups that are made and removed.
//!
//! Who is in a monitoring group already is read there, with whoever else is in it; only who is in none is put into one, within
//! the class it has. So nothing that anybody may use, and no group of anybody else, changes.

use std::mem;

use waytrace_hw::Root;
use waytrace_hw::rdt::{CacheAllocation, DEFAULT_CLASS, Monitored, RdtError, threads_of_process};
use waytrace_hw::topology::{cpus_online, format_list};
use waytrace_hw::undo::Undone;
use waytrace_model::cache_report::{Class, Interface};

use super::OccupancyError;
use super::groups::{Groups, Members};
use super::own::Own;
use super::target::{Places, Row, Target};

/// What the groups made here are for.
const PURPOSE: &str = "watch";

/// What is watched, and by what.
pub struct Watcher {
    groups: Groups<dyn CacheAllocation>,
    /// All that is watched.
    pub rows: Vec<Row>,
    /// Classes and groups that come are watched, too.
    all: bool,
}

impl Watcher {
    /// Watches targets, or, if there are none, all classes and groups.
    ///
    /// # Errors
    /// A target that cannot be watched: there is none, or no monitor for it.
    pub fn new(
        root: Root,
        allocation: Box<dyn CacheAllocation>,
        targets: Vec<Target>,
    ) -> Result<Self, OccupancyError> {
        if allocation.interface() == Interface::Msr
            && targets.iter().any(|target| matches!(target, Target::Pid(_)))
        {
            return Err(RdtError::Unsupported {
                interface: "msr",
                what: "monitor threads, only CPUs; use --cpus, or `--interface resctrl`".to_owned(),
            }
            .into());
        }
        if allocation.capabilities()?.monitoring.is_none() {
            // With the words of who is asked.
            allocation.read(&Monitored::Class(DEFAULT_CLASS.to_owned()))?;
            return Err(OccupancyError::NoMonitoring);
        }
        let all = targets.is_empty();
        let rows = targets.into_iter().map(Row::new).collect();
        let own = Own::new(root.clone(), PURPOSE);
        let mut watcher = Self { groups: Groups { root, allocation, own }, rows, all };
        watcher.check()?;
        // Threads that are born while others are put into a group may be found by the second look only.
        for _ in 0..2 {
            if let Some(lost) = watcher.follow()?.into_iter().next() {
                return Err(OccupancyError::Ended(lost));
            }
        }
        Ok(watcher)
    }

    /// Whether all targets are there.
    fn check(&self) -> Result<(), OccupancyError> {
        let classes = self.groups.allocation.classes()?;
        let online = cpus_online(&self.groups.root)?;
        for row in &self.rows {
            match &row.target {
                Target::Group(whom) => find(&classes, whom)?,
                Target::Pid(pid) => {
                    threads_of_process(&self.groups.root, *pid)?;
                }
                Target::Cpus(cpus) => {
                    if let Some(cpu) = cpus.iter().find(|cpu| !online.contains(cpu)) {
                        return Err(RdtError::NoCpu { cpu: *cpu }.into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks who is there and where, and gives monitors to who has none. Returns what ended.
    ///
    /// # Errors
    /// What cannot be read, or no monitor for who has none.
    pub fn follow(&mut self) -> Result<Vec<String>, OccupancyError> {
        let classes = self.groups.allocation.classes()?;
        if self.all {
            self.find_all(&classes);
        }
        let mut ended = Vec::new();
        let (tasks, cpus) = (Places::of_tasks(&classes), Places::of_cpus(&classes));
        let mut rows = mem::take(&mut self.rows);
        for row in rows.iter_mut().filter(|row| !row.ended) {
            let lost = match row.target.clone() {
                Target::Group(whom) => {
                    row.sources.add(whom.clone(), false, 0);
                    find(&classes, &whom).err().map(|_| format!("{} is gone", row.target))
                }
                Target::Pid(pid) => match threads_of_process(&self.groups.root, pid) {
                    Ok(tids) => self.place(row, &tasks, &tids, true).map(|()| None)?,
                    Err(_) => Some(format!("process {pid} has ended")),
                },
                Target::Cpus(wanted) => {
                    let online = cpus_online(&self.groups.root)?;
                    let there: Vec<u32> = wanted.iter().copied().filter(|cpu| online.contains(cpu)).collect();
                    self.place(row, &cpus, &there, false)?;
                    there.is_empty().then(|| format!("CPUs {} are offline", format_list(&wanted)))
                }
            };
            row.ended = lost.is_some();
            ended.extend(lost);
        }
        self.rows = rows;
        Ok(ended)
    }

    /// Classes and groups that have come since.
    fn find_all(&mut self, classes: &[Class]) {
        let by_registers = self.groups.allocation.interface() == Interface::Msr;
        for class in classes {
            // Registers have no monitors of classes; what has no monitor of its own is the default one's.
            let is_read = !by_registers || class.name == DEFAULT_CLASS;
            let of_class = is_read.then(|| Monitored::Class(class.name.clone()));
            let groups = class.monitor_groups.iter();
            let groups =
                groups.map(|group| Monitored::Group { class: class.name.clone(), name: group.name.clone() });
            for whom in of_class.into_iter().chain(groups) {
                if !self.rows.iter().any(|row| row.target == Target::Group(whom.clone())) {
                    self.rows.push(Row::new(Target::Group(whom)));
                }
            }
        }
    }

    /// Sees to it that all members are read somewhere.
    fn place(
        &mut self,
        row: &mut Row,
        places: &Places,
        members: &[u32],
        are_tasks: bool,
    ) -> Result<(), OccupancyError> {
        let (groups, homeless) = places.sort(members);
        // A group of others that nobody is in any more, or one that was removed, has nothing to say of the target.
        row.sources.retain(|source| match &source.whom {
            Monitored::Group { class, name } if source.own => places.has(class, name),
            Monitored::Group { class, name } => groups.contains_key(&(class.clone(), name.clone())),
            Monitored::Class(_) => true,
        });
        for ((class, name), others) in groups {
            let own = row.sources.own(&class).as_ref() == Some(&name);
            row.sources.add(Monitored::Group { class, name }, own, others);
        }
        for (class, members) in homeless {
            let name = match row.sources.own(&class) {
                Some(name) => name,
                None => self.groups.make(&class)?,
            };
            let members = if are_tasks { Members::Tasks(&members) } else { Members::Cpus(&members) };
            if self.groups.monitor(&class, &name, members)? {
                row.sources.add(Monitored::Group { class, name }, true, 0);
            }
        }
        Ok(())
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// What cannot be read; a group that was removed can be done without.
    pub fn read(&mut self) -> Result<(), RdtError> {
        for source in self.rows.iter_mut().flat_map(|row| row.sources.iter_mut()) {
            self.groups.read(&source.whom, &mut source.meter)?;
        }
        Ok(())
    }

    /// Begins an interval, without what has ended.
    pub fn begin(&mut self) {
        for row in mem::take(&mut self.rows).into_iter().filter(|row| !row.ended) {
            self.rows.push(row);
        }
        for source in self.rows.iter_mut().flat_map(|row| row.sources.iter_mut()) {
            source.meter.begin();
        }
    }

    /// Who is asked.
    pub fn allocation(&self) -> &dyn CacheAllocation {
        self.groups.allocation.as_ref()
    }

    /// Removes what was made.
    pub fn end(mut self) -> Undone {
        self.groups.own.end()
    }
}

/// Whether there is such a class or group.
fn find(classes: &[Class], whom: &Monitored) -> Result<(), RdtError> {
    let (class, group) = match whom {
        Monitored::Class(class) => (class, None),
        Monitored::Group { class, name } => (class, Some(name)),
    };
    let found = classes.iter().find(|found| found.name == *class);
    let found = found.ok_or_else(|| RdtError::NoClass { class: class.clone() })?;
    match group {
        Some(name) if !found.monitor_groups.iter().any(|group| group.name == *name) => {
            Err(RdtError::NoMonitor { class: class.clone(), name: name.clone() })
        }
        _ => Ok(()),
    }
}
