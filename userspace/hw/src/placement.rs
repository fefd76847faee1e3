//! Where two programs go so that they share a named part of the machine and nothing closer: a core, an L3, or all of it.
//!
//! The configurations are those of gz/autoperf, computed from the machine's own topology, for any number of threads per core
//! and every group of it. Source: `Documentation/admin-guide/cputopology.rst`, `Documentation/ABI/testing/sysfs-devices-system-cpu`.

use std::collections::BTreeMap;

use crate::topology::{cpus_online, parse_list};
use crate::topology_cache::smt_siblings;
use crate::{Error, Root};

/// A way to put two programs on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Configuration {
    /// One core, whose threads are halved.
    L1Smt,
    /// The cores of one L3, and on each the threads are halved.
    L3Smt,
    /// Half of the cores of one L3 each, with all their threads.
    L3SmtCores,
    /// Half of the cores of one L3 each, with one thread per core.
    L3Cores,
    /// Half of the machine's L3s each, with one thread per core.
    FullL3,
    /// Half of the machine's L3s each, with all threads.
    FullSmtL3,
    /// Half of the cores of every L3 each, with one thread per core.
    FullCores,
    /// Half of the cores of every L3 each, with all their threads.
    FullSmtCores,
}

impl Configuration {
    /// All of them, the closest first.
    pub const ALL: [Self; 8] = [
        Self::L1Smt,
        Self::L3Smt,
        Self::L3SmtCores,
        Self::L3Cores,
        Self::FullL3,
        Self::FullSmtL3,
        Self::FullCores,
        Self::FullSmtCores,
    ];

    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1Smt => "L1-SMT",
            Self::L3Smt => "L3-SMT",
            Self::L3SmtCores => "L3-SMT-cores",
            Self::L3Cores => "L3-cores",
            Self::FullL3 => "Full-L3",
            Self::FullSmtL3 => "Full-SMT-L3",
            Self::FullCores => "Full-cores",
            Self::FullSmtCores => "Full-SMT-cores",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Every place it has on this machine, by lowest CPU: one per core, per L3, or one of the whole machine.
    ///
    /// # Errors
    /// Why the machine cannot do it.
    pub fn places(self, machine: &Layout) -> Result<Vec<Seats>, String> {
        let smt = machine.cores.iter().any(|core| core.cpus.len() > 1);
        let groups = machine.by_l3();
        let needs_smt = !matches!(self, Self::L3Cores | Self::FullL3 | Self::FullCores);
        if needs_smt && !smt {
            return Err("no core has more than one thread here".to_owned());
        }
        let needs_l3 = !matches!(self, Self::L1Smt | Self::FullCores | Self::FullSmtCores);
        if needs_l3 && groups.is_none() {
            return Err("the kernel shows no L3 cache here".to_owned());
        }
        let groups = groups.unwrap_or_else(|| vec![machine.cores.iter().collect()]);
        let each = |halve: fn(&[&Core]) -> Seats| -> Vec<Seats> {
            groups.iter().map(|group| halve(group)).collect()
        };
        let places = match self {
            Self::L1Smt => machine.cores.iter().map(|core| halve_threads(&[core])).collect(),
            Self::L3Smt => {
                groups.iter().filter(|group| group.len() > 1).map(|group| halve_threads(group)).collect()
            }
            Self::L3SmtCores => each(|group| halve_cores(group, Core::all)),
            Self::L3Cores => each(|group| halve_cores(group, Core::first)),
            Self::FullL3 => vec![halve_groups(&groups, Core::first)],
            Self::FullSmtL3 => vec![halve_groups(&groups, Core::all)],
            Self::FullCores => vec![joined(each(|group| halve_cores(group, Core::first)))],
            Self::FullSmtCores => vec![joined(each(|group| halve_cores(group, Core::all)))],
        };
        let places: Vec<Seats> = places.into_iter().filter(Seats::are_taken).collect();
        if places.is_empty() { Err(self.lack().to_owned()) } else { Ok(places) }
    }

    fn lack(self) -> &'static str {
        match self {
            Self::L1Smt => "no core has more than one thread here",
            Self::L3Smt => "no L3 is shared by two cores with more than one thread each here",
            Self::L3SmtCores | Self::L3Cores => "no L3 is shared by two cores here",
            Self::FullL3 | Self::FullSmtL3 => "there is only one L3 here",
            Self::FullCores | Self::FullSmtCores => "no two cores share a part of the machine here",
        }
    }
}

/// CPUs of both programs, ascending, none of them in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seats {
    /// Of the measured one.
    pub measured: Vec<u32>,
    /// Of the antagonist.
    pub antagonist: Vec<u32>,
}

impl Seats {
    fn are_taken(&self) -> bool {
        !self.measured.is_empty() && !self.antagonist.is_empty()
    }
}

/// A core with the threads that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Core {
    /// Ascending, at least one.
    cpus: Vec<u32>,
    /// Lowest CPU that shares its L3, whether it may be used or not; `None` where the kernel shows none.
    l3: Option<u32>,
}

impl Core {
    fn all(&self) -> &[u32] {
        &self.cpus
    }

    fn first(&self) -> &[u32] {
        self.cpus.get(..1).unwrap_or_default()
    }
}

/// The cores of a machine, as far as this process may use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// By lowest CPU.
    cores: Vec<Core>,
}

impl Layout {
    /// Reads the cores. CPUs that are offline, or that a cpuset or `taskset` keeps from this process, are left out.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::BadList`] where sysfs does not tell.
    pub fn read(root: &Root) -> Result<Self, Error> {
        let mut usable = cpus_online(root)?;
        let status = root.read("proc/self/status").unwrap_or_default();
        if let Some(list) = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")) {
            let allowed = parse_list(list)?;
            usable.retain(|cpu| allowed.contains(cpu));
        }
        let mut cores = BTreeMap::new();
        for cpu in usable {
            let siblings = smt_siblings(root, cpu)?;
            let id = siblings.first().copied().unwrap_or(cpu);
            let core = match cores.entry(id) {
                std::collections::btree_map::Entry::Occupied(core) => core.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(Core { cpus: Vec::new(), l3: l3(root, cpu)? })
                }
            };
            core.cpus.push(cpu);
        }
        Ok(Self { cores: cores.into_values().collect() })
    }

    /// The cores of each L3; `None` where the kernel shows none for some core.
    fn by_l3(&self) -> Option<Vec<Vec<&Core>>> {
        let mut groups: BTreeMap<u32, Vec<&Core>> = BTreeMap::new();
        for core in &self.cores {
            groups.entry(core.l3?).or_default().push(core);
        }
        Some(groups.into_values().collect())
    }
}

/// Lowest CPU that shares the L3 of `cpu`.
fn l3(root: &Root, cpu: u32) -> Result<Option<u32>, Error> {
    let dir = format!("sys/devices/system/cpu/cpu{cpu}/cache");
    for index in root.names(&dir).iter().filter(|name| name.starts_with("index")) {
        if root.read_number(&format!("{dir}/{index}/level")) == Some(3)
            && let Ok(text) = root.read(&format!("{dir}/{index}/shared_cpu_list"))
        {
            return Ok(parse_list(&text)?.first().copied());
        }
    }
    Ok(None)
}

/// Half of the threads of each core to either; the odd one stays idle, and so does a core with a single one.
fn halve_threads(cores: &[&Core]) -> Seats {
    let mut seats = Seats::default();
    for core in cores {
        let half = core.cpus.len() / 2;
        seats.measured.extend(core.cpus.iter().take(half));
        seats.antagonist.extend(core.cpus.iter().skip(half).take(half));
    }
    sorted(seats)
}

/// Half of the cores to either; the odd one stays idle.
fn halve_cores(cores: &[&Core], threads: fn(&Core) -> &[u32]) -> Seats {
    let half = cores.len() / 2;
    let of =
        |cores: &mut dyn Iterator<Item = &&Core>| cores.flat_map(|core| threads(core).to_vec()).collect();
    let measured = of(&mut cores.iter().take(half));
    sorted(Seats { measured, antagonist: of(&mut cores.iter().skip(half).take(half)) })
}

/// Half of the groups to either; the odd one stays idle.
fn halve_groups(groups: &[Vec<&Core>], threads: fn(&Core) -> &[u32]) -> Seats {
    let half = groups.len() / 2;
    let of = |groups: &mut dyn Iterator<Item = &Vec<&Core>>| {
        groups.flatten().flat_map(|core| threads(core).to_vec()).collect()
    };
    let measured = of(&mut groups.iter().take(half));
    sorted(Seats { measured, antagonist: of(&mut groups.iter().skip(half).take(half)) })
}

fn joined(places: Vec<Seats>) -> Seats {
    let mut all = Seats::default();
    for seats in places {
        all.measured.extend(seats.measured);
        all.antagonist.extend(seats.antagonist);
    }
    sorted(all)
}

fn sorted(mut seats: Seats) -> Seats {
    seats.measured.sort_unstable();
    seats.antagonist.sort_unstable();
    seats
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
