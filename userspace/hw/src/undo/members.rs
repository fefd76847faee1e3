//! Taking back whose class threads and CPUs are.

use std::collections::BTreeSet;

use waytrace_model::cache_report::{Class, Interface, MonitorGroup};

use super::Undo;
use super::caches::{Machine, machine, said};
use super::lines::Header;
use super::perform::{Effect, Tried};
use crate::Root;
use crate::rdt::{CacheAllocation, DEFAULT_CLASS, RdtError, threads_of_process};
use crate::resctrl::Resctrl;

/// Looks for threads that were born meanwhile; they are born where their makers are, which are moved by the first.
const ROUNDS: usize = 4;

/// Where members were and are.
pub struct Place<'a> {
    pub interface: Interface,
    /// The class they had.
    pub class: &'a str,
    /// Their monitoring group within it.
    pub monitor: Option<&'a str>,
    /// The class they were put into.
    pub from: &'a str,
}

/// Threads go back, and those that were born in the class they were put into.
pub fn tasks(root: &Root, header: &Header, place: &Place<'_>, tids: &[u32], all: &[Undo]) -> Tried {
    let mut resctrl = match machine(root, header, place.interface)? {
        Machine::Resctrl(resctrl) => resctrl,
        Machine::Reset(why) => return Ok(Effect::Left(why)),
        Machine::Msr(_) => return Ok(Effect::Left("threads have no class in registers".to_owned())),
    };
    let mut moved = BTreeSet::new();
    for _ in 0..ROUNDS {
        let classes = said(resctrl.classes())?;
        if place.class != DEFAULT_CLASS && !classes.iter().any(|class| class.name == place.class) {
            return Ok(Effect::Left(format!(
                "class {} is gone, and its threads stay in no class",
                place.class
            )));
        }
        let mut wanted: Vec<u32> =
            tids.iter().copied().filter(|tid| is_ours(&classes, place, *tid)).collect();
        if place.class != DEFAULT_CLASS {
            wanted.extend(born(root, &classes, place, tids, all));
        }
        wanted.retain(|tid| !moved.contains(tid));
        if wanted.is_empty() {
            break;
        }
        for tid in wanted {
            put_back(&mut resctrl, place, tid)?;
            moved.insert(tid);
        }
    }
    Ok(match moved.len() {
        0 => Effect::Nothing,
        count => Effect::Done(format!("{count} threads are in class {} again", place.class)),
    })
}

/// Whether a thread is where it was put, or fell when that class was removed, or is on its way back.
fn is_ours(classes: &[Class], place: &Place<'_>, tid: u32) -> bool {
    let is_default = || !classes.iter().any(|class| class.tasks.contains(&tid));
    match classes.iter().find(|class| class.name == place.from) {
        Some(from) if from.tasks.contains(&tid) => return true,
        None if place.class != DEFAULT_CLASS && is_default() => return true,
        _ => {}
    }
    let (Some(home), Some(group)) = group(classes, place) else { return false };
    let is_home = home.tasks.contains(&tid) || home.name == DEFAULT_CLASS && is_default();
    is_home && !group.tasks.contains(&tid)
}

/// The class members had, and their monitoring group in it.
fn group<'a>(classes: &'a [Class], place: &Place<'_>) -> (Option<&'a Class>, Option<&'a MonitorGroup>) {
    let home = classes.iter().find(|class| class.name == place.class);
    let of = |class: &'a Class| {
        class.monitor_groups.iter().find(|group| Some(group.name.as_str()) == place.monitor)
    };
    (home, home.and_then(of))
}

/// Threads in the class they were put into whom nobody put there, of processes that were.
fn born(root: &Root, classes: &[Class], place: &Place<'_>, tids: &[u32], all: &[Undo]) -> Vec<u32> {
    let Some(from) = classes.iter().find(|class| class.name == place.from) else { return Vec::new() };
    let listed: BTreeSet<u32> = all
        .iter()
        .filter_map(|undo| match undo {
            Undo::Tasks { tids, .. } => Some(tids),
            _ => None,
        })
        .flatten()
        .copied()
        .collect();
    let unlisted: BTreeSet<u32> = from.tasks.iter().copied().filter(|tid| !listed.contains(tid)).collect();
    if unlisted.is_empty() {
        return Vec::new();
    }
    let mut known = BTreeSet::new();
    for tid in tids {
        // Threads of a process seen already need not be looked for again.
        if !known.contains(tid) {
            known.extend(threads_of_process(root, *tid).unwrap_or_default());
        }
    }
    unlisted.intersection(&known).copied().collect()
}

fn put_back(resctrl: &mut Resctrl, place: &Place<'_>, tid: u32) -> Result<(), String> {
    let mut result = resctrl.assign_tasks(place.class, &[tid]);
    if let (Ok(()), Some(monitor)) = (&result, place.monitor) {
        result = resctrl.monitor_tasks(place.class, monitor, &[tid]);
    }
    match result {
        // It has ended, or its monitoring group was removed.
        Ok(()) | Err(RdtError::NoTask { .. } | RdtError::NoMonitor { .. }) => Ok(()),
        Err(error) => Err(format!("thread {tid}: {error}")),
    }
}

/// CPUs go back.
pub fn cpus(root: &Root, header: &Header, place: &Place<'_>, cpus: &[u32]) -> Tried {
    match machine(root, header, place.interface)? {
        Machine::Reset(why) => Ok(Effect::Left(why)),
        Machine::Resctrl(mut resctrl) => {
            let Some(back) = chosen(&said(resctrl.classes())?, place, cpus) else { return Ok(gone(place)) };
            let monitored = said(resctrl.monitored_cpus(place.class))?;
            move_back(&mut resctrl, place, &back)?;
            // The kernel empties the CPUs of a class's monitoring groups when the class's are written.
            for (name, cpus) in monitored {
                said(resctrl.monitor_cpus(place.class, &name, &cpus))?;
            }
            Ok(effect(place, &back))
        }
        Machine::Msr(mut registers) => {
            let Some(back) = chosen(&said(registers.classes())?, place, cpus) else { return Ok(gone(place)) };
            // The class comes last: while a CPU is where it was put it is known that this is not done.
            match place.monitor {
                Some(monitor) => said(registers.monitor_cpus(place.class, monitor, &back))?,
                None => said(registers.unmonitor_cpus(&back))?,
            }
            said(registers.assign_cpus(place.class, &back))?;
            Ok(effect(place, &back))
        }
    }
}

/// Those of the CPUs that are still where they were put; `None` where their class is gone.
fn chosen(classes: &[Class], place: &Place<'_>, cpus: &[u32]) -> Option<Vec<u32>> {
    let of = |name: &str| classes.iter().find(|class| class.name == name);
    of(place.class)?;
    let from = of(place.from).or_else(|| of(DEFAULT_CLASS))?;
    let is_halfway = |cpu: &u32| match group(classes, place) {
        (Some(home), Some(group)) => home.cpus.contains(cpu) && !group.cpus.contains(cpu),
        _ => false,
    };
    Some(cpus.iter().copied().filter(|cpu| from.cpus.contains(cpu) || is_halfway(cpu)).collect())
}

fn move_back(resctrl: &mut Resctrl, place: &Place<'_>, cpus: &[u32]) -> Result<(), String> {
    if cpus.is_empty() {
        return Ok(());
    }
    if place.class != place.from {
        said(resctrl.assign_cpus(place.class, cpus))?;
    }
    match place.monitor.map(|monitor| resctrl.monitor_cpus(place.class, monitor, cpus)) {
        None | Some(Ok(()) | Err(RdtError::NoMonitor { .. })) => Ok(()),
        Some(Err(error)) => Err(error.to_string()),
    }
}

fn gone(place: &Place<'_>) -> Effect {
    Effect::Left(format!("class {} is gone, and its CPUs stay in no class", place.class))
}

fn effect(place: &Place<'_>, back: &[u32]) -> Effect {
    match back {
        [] => Effect::Nothing,
        back => {
            let list = crate::topology::format_list(back);
            Effect::Done(format!("CPUs {list} are in class {} again", place.class))
        }
    }
}
