//! What a sweep changes of the machine, each change written to the journal before it is made: classes, masks, members.
//!
//! The target gets a class of its own, the co-runner another. By resctrl its threads are moved, by registers the CPUs it runs
//! on. What somebody else has changed since is told ([`Control::disturbance`]), and never set again.

use std::collections::BTreeSet;

use waytrace_hw::Root;
use waytrace_hw::rdt::{CacheAllocation, DEFAULT_CLASS, Monitored, RdtError, Setting};
use waytrace_hw::undo::{Journal, Undo, Undone};
use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::{Class, Interface};

use crate::SweepError;
use crate::target::Target;

/// The caches a sweep divides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// As schemata name them: one, or with CDP two, which are set alike.
    pub resources: Vec<String>,
    /// Which caches.
    pub ids: Vec<CacheId>,
}

/// What a sweep may set.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    /// All the target may get.
    pub target: Vec<WayMask>,
    /// All the co-runner may get.
    pub corunner: Vec<WayMask>,
    /// All that others may get, where they are confined.
    pub others: Vec<WayMask>,
}

/// A class of the sweep's.
#[derive(Debug, Clone)]
struct Own {
    class: String,
    monitored: Monitored,
    mask: Option<WayMask>,
}

/// Gives a class of ours, where there is one, ways it has not already.
fn give(
    allocation: &mut dyn CacheAllocation,
    own: Option<&mut Own>,
    mask: WayMask,
    settings: &[Setting],
) -> Result<(), SweepError> {
    if let Some(own) = own.filter(|own| own.mask != Some(mask)) {
        allocation.set(&own.class, settings)?;
        own.mask = Some(mask);
    }
    Ok(())
}

/// The changes.
pub struct Control {
    allocation: Box<dyn CacheAllocation>,
    journal: Option<Journal>,
    swept: Swept,
    masks: Masks,
    before: Vec<Class>,
    target: Option<Own>,
    corunner: Option<Own>,
    /// What the default class has been set to; `None`: what it had.
    others: Option<WayMask>,
    /// Whether it ever was.
    touches_others: bool,
    /// Threads that were put into the target's class.
    threads: BTreeSet<u32>,
    /// CPUs of the target, where CPUs have classes.
    target_cpus: Vec<u32>,
}

impl Control {
    /// Nothing is changed yet.
    ///
    /// # Errors
    /// Another sweep's journal is there; classes cannot be read.
    pub fn new(
        root: &Root,
        allocation: Box<dyn CacheAllocation>,
        swept: Swept,
        masks: Masks,
    ) -> Result<Self, SweepError> {
        let journal = Journal::open(root, "sweep")?;
        let before = allocation.classes()?;
        Ok(Self {
            allocation,
            journal: Some(journal),
            swept,
            masks,
            before,
            target: None,
            corunner: None,
            others: None,
            touches_others: false,
            threads: BTreeSet::new(),
            target_cpus: Vec::new(),
        })
    }

    /// The journal, while nothing has been undone.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Who reads the monitors.
    pub fn allocation(&self) -> &dyn CacheAllocation {
        self.allocation.as_ref()
    }

    /// The caches swept.
    pub fn ids(&self) -> &[CacheId] {
        &self.swept.ids
    }

    /// By whom the target is monitored.
    pub fn target_monitor(&self) -> Option<&Monitored> {
        self.target.as_ref().map(|own| &own.monitored)
    }

    /// By whom the co-runner is monitored.
    pub fn corunner_monitor(&self) -> Option<&Monitored> {
        self.corunner.as_ref().map(|own| &own.monitored)
    }

    fn interface(&self) -> Interface {
        self.allocation.interface()
    }

    fn write_down(&mut self, undo: Undo) -> Result<(), SweepError> {
        match &mut self.journal {
            Some(journal) => Ok(journal.add(undo)?),
            None => Ok(()),
        }
    }

    /// Makes the target's class with `mask`, and puts the target into it: its threads, or the CPUs it runs on.
    ///
    /// # Errors
    /// No class is left, no right; what was changed is in the journal.
    pub fn take_target(&mut self, target: &Target, cpus: &[u32], mask: WayMask) -> Result<(), SweepError> {
        let wanted = format!("waytrace-sweep-{}", target.pid);
        let own = self.class(&wanted, self.masks.target.clone(), cpus)?;
        self.target = Some(own);
        self.target_cpus = cpus.to_vec();
        self.set_target(mask)?;
        match self.interface() {
            Interface::Resctrl => {
                // It has them already, unless somebody has told the kernel not to give new groups any.
                self.allocation.assign_counters(&wanted)?;
                self.follow(target).map(|_| ())
            }
            Interface::Msr => Ok(()),
        }
    }

    /// Makes the co-runner's class, and puts processes or CPUs into it.
    ///
    /// # Errors
    /// As [`Self::take_target`].
    pub fn take_corunners(
        &mut self,
        target: &Target,
        pids: &[u32],
        cpus: &[u32],
        mask: WayMask,
    ) -> Result<(), SweepError> {
        let wanted = format!("waytrace-sweep-{}-corunner", target.pid);
        let own = self.class(&wanted, self.masks.corunner.clone(), cpus)?;
        let class = own.class.clone();
        self.corunner = Some(own);
        self.set_corunner(mask)?;
        if self.interface() == Interface::Resctrl {
            // They end with the sweep, and the class with them: nothing is to be put back.
            self.allocation.assign_tasks(&class, pids)?;
        }
        Ok(())
    }

    /// A class of ours with its monitor; with registers, `cpus` belong to it.
    fn class(&mut self, wanted: &str, masks: Vec<WayMask>, cpus: &[u32]) -> Result<Own, SweepError> {
        match self.interface() {
            Interface::Resctrl => {
                let (interface, name) = (Interface::Resctrl, wanted.to_owned());
                self.write_down(Undo::CreatedClass { interface, name })?;
                let class = match self.allocation.create_class(wanted) {
                    Ok(class) => class,
                    Err(error) => {
                        // Nothing was made, so that a class of that name is nobody's of ours.
                        if let Some(journal) = &mut self.journal {
                            journal.forget()?;
                        }
                        return Err(error.into());
                    }
                };
                Ok(Own { monitored: Monitored::Class(class.clone()), class, mask: None })
            }
            Interface::Msr => self.registers(masks, cpus),
        }
    }

    fn registers(&mut self, masks: Vec<WayMask>, cpus: &[u32]) -> Result<Own, SweepError> {
        let class = self.allocation.create_class("")?;
        let now = self.allocation.classes()?;
        let old = now.iter().find(|other| other.name == class).map(|other| self.of_swept(other));
        let ours = masks.into_iter().flat_map(|mask| self.settings(mask)).collect();
        let interface = Interface::Msr;
        self.write_down(Undo::Settings {
            interface,
            class: class.clone(),
            old: old.unwrap_or_default(),
            ours,
        })?;
        for other in now.iter().filter(|other| cpus.iter().any(|cpu| other.cpus.contains(cpu))) {
            for (monitor, members) in by_monitor(other, cpus) {
                self.write_down(Undo::Cpus {
                    interface,
                    class: other.name.clone(),
                    monitor,
                    from: class.clone(),
                    cpus: members,
                })?;
            }
        }
        self.allocation.assign_cpus(&class, cpus)?;
        let monitored = match self.allocation.create_monitor(&class, "") {
            Ok(name) => {
                self.allocation.monitor_cpus(&class, &name, cpus)?;
                Monitored::Group { class: class.clone(), name }
            }
            // What it would have told is missing then, and nothing else.
            Err(RdtError::Unavailable { .. } | RdtError::NoMonitorLeft { .. }) => {
                Monitored::Class(class.clone())
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Own { class, monitored, mask: None })
    }

    fn settings(&self, mask: WayMask) -> Vec<Setting> {
        let of = |resource: &String| {
            let resource = resource.clone();
            let setting = move |cache_id: &CacheId| Setting::Mask {
                resource: resource.clone(),
                cache_id: *cache_id,
                mask,
            };
            self.swept.ids.iter().map(setting).collect::<Vec<_>>()
        };
        self.swept.resources.iter().flat_map(of).collect()
    }

    /// The masks a class has in the caches swept.
    fn of_swept(&self, class: &Class) -> Vec<Setting> {
        let is_swept = |resource: &String, id: &CacheId| {
            self.swept.resources.contains(resource) && self.swept.ids.contains(id)
        };
        let masks = class.masks.iter().filter(|mask| is_swept(&mask.resource, &mask.cache_id));
        let setting = |mask: &waytrace_model::cache_report::ClassMask| Setting::Mask {
            resource: mask.resource.clone(),
            cache_id: mask.cache_id,
            mask: mask.mask,
        };
        masks.map(setting).collect()
    }

    /// Gives the target ways.
    ///
    /// # Errors
    /// What is refused.
    pub fn set_target(&mut self, mask: WayMask) -> Result<(), SweepError> {
        let settings = self.settings(mask);
        give(self.allocation.as_mut(), self.target.as_mut(), mask, &settings)
    }

    /// Gives the co-runner ways.
    ///
    /// # Errors
    /// What is refused.
    pub fn set_corunner(&mut self, mask: WayMask) -> Result<(), SweepError> {
        let settings = self.settings(mask);
        give(self.allocation.as_mut(), self.corunner.as_mut(), mask, &settings)
    }

    /// Confines what is in no class to ways.
    ///
    /// # Errors
    /// What is refused.
    pub fn set_others(&mut self, mask: WayMask) -> Result<(), SweepError> {
        if !self.touches_others {
            let ours = self.masks.others.iter().flat_map(|mask| self.settings(*mask)).collect();
            let (interface, class, old) = (self.interface(), DEFAULT_CLASS.to_owned(), self.old_default());
            self.write_down(Undo::Settings { interface, class, old, ours })?;
            self.touches_others = true;
        }
        if self.others != Some(mask) {
            self.allocation.set(DEFAULT_CLASS, &self.settings(mask))?;
            self.others = Some(mask);
        }
        Ok(())
    }

    /// Gives what is in no class the ways it had.
    ///
    /// # Errors
    /// What is refused.
    pub fn free_others(&mut self) -> Result<(), SweepError> {
        if self.others.take().is_some() {
            self.allocation.set(DEFAULT_CLASS, &self.old_default())?;
        }
        Ok(())
    }

    fn old_default(&self) -> Vec<Setting> {
        let old = self.before.iter().find(|class| class.name == DEFAULT_CLASS);
        old.map(|class| self.of_swept(class)).unwrap_or_default()
    }

    /// Puts threads that are new into the target's class; most were born there. Whether there were any.
    ///
    /// # Errors
    /// The kernel refuses; a thread that has ended is none.
    pub fn follow(&mut self, target: &Target) -> Result<bool, SweepError> {
        let Some(class) = self.target.as_ref().map(|own| own.class.clone()) else { return Ok(false) };
        if self.interface() != Interface::Resctrl {
            // Their CPUs have the class already.
            return Ok(true);
        }
        let known = self.threads.len();
        loop {
            let new: Vec<u32> =
                target.threads().into_iter().filter(|tid| !self.threads.contains(tid)).collect();
            if new.is_empty() {
                return Ok(self.threads.len() > known);
            }
            let classes = self.allocation.classes()?;
            for (from, monitor, tids) in homes(&classes, &class, &new) {
                self.write_down(Undo::Tasks {
                    interface: Interface::Resctrl,
                    class: from,
                    monitor,
                    from: class.clone(),
                    tids: tids.clone(),
                })?;
                for tid in tids {
                    match self.allocation.assign_tasks(&class, &[tid]) {
                        Ok(()) | Err(RdtError::NoTask { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            self.threads.extend(new);
        }
    }

    /// What somebody else has changed of what the sweep has set, read anew.
    ///
    /// # Errors
    /// Classes cannot be read.
    pub fn disturbance(&self, target: &Target) -> Result<Option<String>, SweepError> {
        for own in [&self.target, &self.corunner].into_iter().flatten() {
            let Some(now) = self.allocation.class(&own.class)? else {
                return Ok(Some(format!("class {} was removed by somebody else", own.class)));
            };
            if let Some(told) = self.changed(&now, own.mask) {
                return Ok(Some(told));
            }
            let is_target = self.target.as_ref().is_some_and(|target| target.class == own.class);
            if let Some(told) = self.moved(&now, target).filter(|_| is_target) {
                return Ok(Some(told));
            }
        }
        if self.others.is_none() {
            return Ok(None);
        }
        let default = self.allocation.class(DEFAULT_CLASS)?;
        Ok(default.and_then(|default| self.changed(&default, self.others)))
    }

    /// Members that the target's class should have, and has not.
    fn moved(&self, own: &Class, target: &Target) -> Option<String> {
        let by_whom = "put into another class by somebody else";
        if self.interface() == Interface::Msr {
            let moved: Vec<u32> =
                self.target_cpus.iter().copied().filter(|cpu| !own.cpus.contains(cpu)).collect();
            let list = waytrace_hw::topology::format_list(&moved);
            return (!moved.is_empty()).then(|| format!("CPUs {list} were {by_whom}"));
        }
        let mine: BTreeSet<u32> = own.tasks.iter().copied().collect();
        // Threads are listed after the class was: one that has ended meanwhile is not missed in it.
        let moved =
            target.threads().into_iter().find(|tid| self.threads.contains(tid) && !mine.contains(tid))?;
        Some(format!("thread {moved} was {by_whom}"))
    }

    fn changed(&self, class: &Class, mask: Option<WayMask>) -> Option<String> {
        let mask = mask?;
        let is_other = |setting: &Setting| matches!(setting, Setting::Mask { mask: now, .. } if *now != mask);
        match self.of_swept(class).into_iter().find(is_other)? {
            Setting::Mask { resource, cache_id, mask: now } => Some(format!(
                "class {} was given {resource} {cache_id} = {now:#} by somebody else, where {mask:#} was set",
                class.name
            )),
            Setting::Limit { .. } => None,
        }
    }

    /// Takes all changes back, and tells whether what is there now is what was there before, and what was left.
    pub fn end(&mut self, target: &Target) -> Undone {
        let Some(journal) = self.journal.take() else { return Undone::default() };
        let mut undone = journal.undo();
        if let Err(told) = self.read_back(target) {
            undone.restored = false;
            undone.left.push(told);
        }
        undone
    }

    fn read_back(&self, target: &Target) -> Result<(), String> {
        let now = self.allocation.classes().map_err(|error| error.to_string())?;
        let by_name =
            |classes: &'_ [Class], name: &str| classes.iter().find(|class| class.name == name).cloned();
        for own in [&self.target, &self.corunner].into_iter().flatten() {
            match (by_name(&self.before, &own.class), by_name(&now, &own.class)) {
                (None, Some(_)) => return Err(format!("class {} is still there", own.class)),
                (Some(old), Some(now)) if (&old.masks, &old.cpus) != (&now.masks, &now.cpus) => {
                    return Err(format!("class {} is not as before", own.class));
                }
                _ => {}
            }
        }
        let default = |classes: &[Class]| by_name(classes, DEFAULT_CLASS).map(|class| class.masks);
        if self.touches_others && default(&self.before) != default(&now) {
            return Err("the default class is not as before".to_owned());
        }
        for tid in target.threads().iter().filter(|tid| self.threads.contains(tid)) {
            let of = |classes: &[Class]| {
                classes.iter().find(|class| class.tasks.contains(tid)).map(|class| class.name.clone())
            };
            // One that was born meanwhile had no class of its own.
            if of(&self.before).is_some() && of(&self.before) != of(&now) {
                return Err(format!("thread {tid} is not in its class again"));
            }
        }
        Ok(())
    }
}

/// Classes and monitors that threads are in, but for `class`.
fn homes(classes: &[Class], class: &str, tids: &[u32]) -> Vec<(String, Option<String>, Vec<u32>)> {
    let mut homes: Vec<(String, Option<String>, Vec<u32>)> = Vec::new();
    for tid in tids {
        let home = classes.iter().find(|home| home.name != DEFAULT_CLASS && home.tasks.contains(tid));
        let home = home.or_else(|| classes.iter().find(|home| home.name == DEFAULT_CLASS));
        let Some(home) = home.filter(|home| home.name != class) else { continue };
        let monitor = home.monitor_groups.iter().find(|group| group.tasks.contains(tid));
        let monitor = monitor.map(|group| group.name.clone());
        match homes.iter_mut().find(|(name, of, _)| *name == home.name && *of == monitor) {
            Some((_, _, tids)) => tids.push(*tid),
            None => homes.push((home.name.clone(), monitor, vec![*tid])),
        }
    }
    homes
}

/// Those of the CPUs that a class has, by the monitor they have in it.
fn by_monitor(class: &Class, cpus: &[u32]) -> Vec<(Option<String>, Vec<u32>)> {
    let members: Vec<u32> = cpus.iter().copied().filter(|cpu| class.cpus.contains(cpu)).collect();
    let in_group = |cpu: &u32| class.monitor_groups.iter().any(|group| group.cpus.contains(cpu));
    let mut parts = vec![(None, members.iter().copied().filter(|cpu| !in_group(cpu)).collect())];
    for group in &class.monitor_groups {
        let of = members.iter().copied().filter(|cpu| group.cpus.contains(cpu)).collect();
        parts.push((Some(group.name.clone()), of));
    }
    parts.retain(|(_, cpus): &(_, Vec<u32>)| !cpus.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use waytrace_model::cache_report::MonitorGroup;

    use super::*;

    fn class(name: &str, tasks: &[u32], cpus: &[u32], groups: &[(&str, &[u32])]) -> Class {
        let group = |(name, members): &(&str, &[u32])| MonitorGroup {
            name: (*name).to_owned(),
            cpus: members.to_vec(),
            tasks: members.to_vec(),
            ..MonitorGroup::default()
        };
        Class {
            name: name.to_owned(),
            cpus: cpus.to_vec(),
            tasks: tasks.to_vec(),
            monitor_groups: groups.iter().map(group).collect(),
            ..Class::default()
        }
    }

    #[test]
    fn members_are_told_with_where_they_come_from() {
        let classes = [
            class(DEFAULT_CLASS, &[], &[0, 1], &[]),
            class("web", &[4, 5], &[], &[("slow", &[5])]),
            class("own", &[6], &[], &[]),
        ];
        let homes = homes(&classes, "own", &[4, 5, 6, 7]);
        let named =
            |name: &str, monitor: Option<&str>, tid| (name.to_owned(), monitor.map(str::to_owned), vec![tid]);
        assert_eq!(
            homes,
            [named("web", None, 4), named("web", Some("slow"), 5), named(DEFAULT_CLASS, None, 7)]
        );
        let parts = by_monitor(&class("cos1", &[], &[0, 1, 2], &[("rmid3", &[1, 2])]), &[1, 0, 7]);
        assert_eq!(parts, [(None, vec![0]), (Some("rmid3".to_owned()), vec![1])]);
    }
}
