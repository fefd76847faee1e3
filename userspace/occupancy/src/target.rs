//! What is watched, and who is where.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use waytrace_hw::rdt::{DEFAULT_CLASS, Monitored};
use waytrace_hw::topology::format_list;
use waytrace_model::cache::CacheId;
use waytrace_model::cache_report::{Class, MonitorGroup};
use waytrace_model::cache_watch::{Missing, WatchKind};

use super::meter::Meter;

/// One that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A class or group that is there.
    Group(Monitored),
    /// All threads of a process.
    Pid(u32),
    /// CPUs.
    Cpus(Vec<u32>),
}

impl Target {
    /// What it is.
    pub fn kind(&self) -> WatchKind {
        match self {
            Self::Group(Monitored::Class(_)) => WatchKind::Class,
            Self::Group(Monitored::Group { .. }) => WatchKind::Group,
            Self::Pid(_) => WatchKind::Pid,
            Self::Cpus(_) => WatchKind::Cpus,
        }
    }

    /// Its name without what it is.
    pub fn name(&self) -> String {
        match self {
            Self::Group(Monitored::Class(class)) => class.clone(),
            Self::Group(Monitored::Group { class, name }) => format!("{class}/{name}"),
            Self::Pid(pid) => pid.to_string(),
            Self::Cpus(cpus) => format_list(cpus),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(_) => f.write_str(&self.name()),
            Self::Pid(_) => write!(f, "pid {}", self.name()),
            Self::Cpus(_) => write!(f, "CPUs {}", self.name()),
        }
    }
}

/// A row: one that is watched, and what it is read from.
#[derive(Debug)]
pub struct Row {
    /// Who.
    pub target: Target,
    /// Classes and groups.
    pub sources: Sources,
    /// There is nothing more to come.
    pub ended: bool,
}

impl Row {
    /// One without a source yet.
    pub fn new(target: Target) -> Self {
        Self { target, sources: Sources::default(), ended: false }
    }
}

/// What something is read from.
#[derive(Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        self.0.iter_mut()
    }

    /// Reads from there as well, if it does not yet.
    pub fn add(&mut self, whom: Monitored, own: bool, others: usize) {
        match self.0.iter_mut().find(|source| source.whom == whom) {
            Some(source) => source.others = others,
            None => self.0.push(Source { whom, own, others, meter: Meter::default() }),
        }
    }

    /// The own group in a class.
    pub fn own(&self, class: &str) -> Option<String> {
        self.0.iter().filter(|source| source.own).find_map(|source| match &source.whom {
            Monitored::Group { class: own, name } if own == class => Some(name.clone()),
            _ => None,
        })
    }

    /// Leaves those it is not to be read from any more.
    pub fn retain(&mut self, is_kept: impl FnMut(&Source) -> bool) {
        self.0.retain(is_kept);
    }

    /// Bytes of an event by all of them together, of which none may be missing, as [`Meter::value`] of each.
    ///
    /// # Errors
    /// The first reason why there is no number.
    pub fn value(&self, event: &str, cache: CacheId) -> Result<u64, Missing> {
        let values: Result<Vec<u64>, Missing> =
            self.0.iter().map(|source| source.meter.value(event, cache)).collect();
        Ok(values?.into_iter().fold(0u64, u64::saturating_add))
    }

    /// Caches that gave something, ascending.
    pub fn caches(&self) -> Vec<CacheId> {
        let mut ids: Vec<CacheId> = self.0.iter().flat_map(|source| source.meter.caches()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// A class or group that is read.
#[derive(Debug)]
pub struct Source {
    /// Which.
    pub whom: Monitored,
    /// Whether it was made for its row.
    pub own: bool,
    /// Members that are none of the target's.
    pub others: usize,
    /// What it counted.
    pub meter: Meter,
}

/// Where threads or CPUs are: their class, and the monitoring group in it.
#[derive(Debug, Default)]
pub struct Places {
    of: HashMap<u32, (String, Option<String>)>,
    sizes: HashMap<(String, String), usize>,
}

/// Members who are watched: by group, how many others are in it, and by class those without a group.
pub type Sorted = (BTreeMap<(String, String), usize>, BTreeMap<String, Vec<u32>>);

impl Places {
    /// Of threads.
    pub fn of_tasks(classes: &[Class]) -> Self {
        Self::new(classes, |class| &class.tasks, |group| &group.tasks)
    }

    /// Of CPUs.
    pub fn of_cpus(classes: &[Class]) -> Self {
        Self::new(classes, |class| &class.cpus, |group| &group.cpus)
    }

    fn new(
        classes: &[Class],
        of_class: impl Fn(&Class) -> &Vec<u32>,
        of_group: impl Fn(&MonitorGroup) -> &Vec<u32>,
    ) -> Self {
        let mut places = Self::default();
        for class in classes {
            for member in of_class(class) {
                places.of.insert(*member, (class.name.clone(), None));
            }
            for group in &class.monitor_groups {
                let key = (class.name.clone(), group.name.clone());
                places.sizes.insert(key, group.tasks.len() + group.cpus.len());
                for member in of_group(group) {
                    places.of.insert(*member, (class.name.clone(), Some(group.name.clone())));
                }
            }
        }
        places
    }

    /// Class of a member, and its group in it; who is in no class is in the default one.
    pub fn of(&self, member: u32) -> (&str, Option<&str>) {
        self.of.get(&member).map_or((DEFAULT_CLASS, None), |(class, group)| (class, group.as_deref()))
    }

    /// Members of a group.
    pub fn size(&self, class: &str, group: &str) -> usize {
        self.sizes.get(&(class.to_owned(), group.to_owned())).copied().unwrap_or(0)
    }

    /// All groups, by class and name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sizes.keys().map(|(class, group)| (class.as_str(), group.as_str()))
    }

    /// Whether there is such a group.
    pub fn has(&self, class: &str, group: &str) -> bool {
        self.sizes.contains_key(&(class.to_owned(), group.to_owned()))
    }

    /// Sorts members by where they are; who is in no class is in the default one.
    pub fn sort(&self, members: &[u32]) -> Sorted {
        let (mut groups, mut homeless) = Sorted::default();
        for member in members {
            match self.of.get(member) {
                Some((class, Some(group))) => {
                    let key = (class.clone(), group.clone());
                    let all = self.sizes.get(&key).copied().unwrap_or(0);
                    let others = groups.entry(key).or_insert(all);
                    *others = others.saturating_sub(1);
                }
                place => {
                    let class = place.map_or(DEFAULT_CLASS, |(class, _)| class.as_str());
                    homeless.entry(class.to_owned()).or_insert_with(Vec::new).push(*member);
                }
            }
        }
        (groups, homeless)
    }
}

#[cfg(test)]
mod tests {
    use waytrace_model::cache_report::MonitorGroup;

    use super::*;

    fn class(name: &str, tasks: &[u32], groups: &[(&str, &[u32])]) -> Class {
        let group = |(name, tasks): &(&str, &[u32])| MonitorGroup {
            name: (*name).to_owned(),
            tasks: tasks.to_vec(),
            ..MonitorGroup::default()
        };
        Class {
            name: name.to_owned(),
            tasks: tasks.to_vec(),
            monitor_groups: groups.iter().map(group).collect(),
            ..Class::default()
        }
    }

    #[test]
    fn members_are_sorted_by_their_groups() {
        let classes = [
            class(DEFAULT_CLASS, &[], &[("a", &[1, 2, 9])]),
            class("web", &[3, 4, 5, 6], &[("slow", &[4, 7, 8])]),
        ];
        let (groups, homeless) = Places::of_tasks(&classes).sort(&[1, 2, 3, 4, 5, 10]);
        let key = |class: &str, group: &str| (class.to_owned(), group.to_owned());
        assert_eq!(groups, BTreeMap::from([(key(DEFAULT_CLASS, "a"), 1), (key("web", "slow"), 2)]));
        assert_eq!(homeless, BTreeMap::from([("web".into(), vec![3, 5]), (DEFAULT_CLASS.into(), vec![10])]));
    }
}
