//! Groups: events that a PMU counts together or not at all, so that ratios between them are of the same time.
//!
//! A group grows as long as the kernel takes the next event into it and the PMU still counts the whole: the kernel refuses
//! what could never fit, but does not account for counters that others hold (the NMI watchdog's). What finds no
//! room begins a further group, and groups of one PMU take turns. Groups of hardware events are not verified on hardware.
//! Source: `perf_event_open(2)`, `validate_group` in `arch/x86/events/core.c`.

use perf_event::Counter;

use crate::Error;
use crate::counter::{builder, describe, open_error};
use crate::events::PerfAttr;

/// Opens counters: the kernel does ([`PerfEvents`]), or the PMU of a test.
pub trait Opener {
    /// An open counter; dropping it closes it.
    type Counter;

    /// Opens a counter of all that runs on `cpu`: the stopped leader of a new group, or a member of `leader`'s.
    ///
    /// # Errors
    /// Why the event cannot be opened, or not in that group.
    fn open(
        &mut self,
        attr: &PerfAttr,
        cpu: u32,
        leader: Option<&mut Self::Counter>,
    ) -> Result<Self::Counter, Error>;

    /// Whether the PMU counts the leader's whole group now. The group is stopped before and after.
    fn runs(&mut self, leader: &mut Self::Counter) -> bool;

    /// Lets the leader's group count from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn start(&mut self, attr: &PerfAttr, cpu: u32, leader: &mut Self::Counter) -> Result<(), Error>;
}

/// Events of one CPU that are counted together.
#[derive(Debug)]
pub struct Group<C> {
    /// Where they count.
    pub cpu: u32,
    /// Position of each event in the list asked for, and its counter; the leader is first.
    pub members: Vec<(usize, C)>,
    /// Type of the PMU that counts them; `None` for an event that has to be alone.
    pmu: Option<u32>,
}

/// Events that count, and those that could not be opened.
#[derive(Debug)]
pub struct Opened<C> {
    /// Groups, CPU by CPU.
    pub groups: Vec<Group<C>>,
    /// Events that some CPU refused, by position, and why. They count nowhere.
    pub refused: Vec<(usize, Error)>,
}

impl<C> Opened<C> {
    /// The groups of a PMU that cannot count all its events at once, on the first CPU where there is one, as positions of
    /// events.
    pub fn turns(&self) -> Option<Vec<Vec<usize>>> {
        let alike = |group: &Group<C>| {
            let of_pmu =
                |other: &&Group<C>| group.pmu.is_some() && (other.cpu, other.pmu) == (group.cpu, group.pmu);
            let events = |group: &Group<C>| group.members.iter().map(|(event, _)| *event).collect();
            self.groups.iter().filter(of_pmu).map(events).collect::<Vec<Vec<usize>>>()
        };
        self.groups.iter().map(alike).find(|groups| groups.len() > 1)
    }
}

/// Opens events on each CPU in as few groups as their PMUs take, and starts them. An event that any CPU refuses is left
/// out on all; with `all_or_none` it is an error.
///
/// # Errors
/// The refusal of an event, or of a group's start.
pub fn open_groups<O: Opener>(
    opener: &mut O,
    attrs: &[&PerfAttr],
    cpus: &[u32],
    all_or_none: bool,
) -> Result<Opened<O::Counter>, Error> {
    let mut refused: Vec<(usize, Error)> = Vec::new();
    'again: loop {
        let mut groups = Vec::new();
        for &cpu in cpus {
            let left = (0..attrs.len()).filter(|event| refused.iter().all(|(other, _)| other != event));
            match open_on_cpu(opener, attrs, left, cpu) {
                Ok(more) => groups.extend(more),
                Err((_, error)) if all_or_none => return Err(error),
                Err(refusal) => {
                    // A group without its leader falls apart: all are made anew, without the event.
                    refused.push(refusal);
                    continue 'again;
                }
            }
        }
        for Group { cpu, members, .. } in &mut groups {
            if let Some((event, leader)) = members.first_mut() {
                opener.start(attrs[*event], *cpu, leader)?;
            }
        }
        return Ok(Opened { groups, refused });
    }
}

type Refusal = (usize, Error);

fn open_on_cpu<O: Opener>(
    opener: &mut O,
    attrs: &[&PerfAttr],
    events: impl Iterator<Item = usize>,
    cpu: u32,
) -> Result<Vec<Group<O::Counter>>, Refusal> {
    let mut groups: Vec<Group<O::Counter>> = Vec::new();
    for event in events {
        let attr = attrs[event];
        let pmu = pmu(attr, cpu);
        let mut alike = groups.iter_mut().filter(|group| pmu.is_some() && group.pmu == pmu);
        if alike.any(|group| join(opener, event, attr, group)) {
            continue;
        }
        let counter = opener.open(attr, cpu, None).map_err(|error| (event, error))?;
        groups.push(Group { cpu, members: vec![(event, counter)], pmu });
    }
    Ok(groups)
}

/// Makes an event a member of a group; false where there is no room for it.
fn join<O: Opener>(opener: &mut O, event: usize, attr: &PerfAttr, group: &mut Group<O::Counter>) -> bool {
    let Some((_, leader)) = group.members.first_mut() else { return false };
    match opener.open(attr, group.cpu, Some(leader)) {
        Ok(counter) if opener.runs(leader) => {
            group.members.push((event, counter));
            true
        }
        _ => false,
    }
}

/// Type of the PMU that counts the event on this CPU; `None` where it must be in no group: only leaders can be pinned or
/// exclusive, and members would be it with them.
fn pmu(attr: &PerfAttr, cpu: u32) -> Option<u32> {
    const HARDWARE: u32 = 0;
    const HW_CACHE: u32 = 3;
    /// What the core PMU is called where there is only one.
    const RAW: u32 = 4;
    let encoding = attr.for_cpu(cpu)?;
    let is_free = !attr.modifiers.pinned && !attr.modifiers.exclusive;
    is_free.then_some(match encoding.type_ {
        // The upper half of a generic event's config names the PMU on a hybrid CPU.
        HARDWARE | HW_CACHE => match (encoding.config[0] >> u32::BITS) as u32 {
            0 => RAW,
            pmu => pmu,
        },
        pmu => pmu,
    })
}

/// The running machine's perf events.
#[derive(Debug)]
pub struct PerfEvents;

impl Opener for PerfEvents {
    type Counter = Counter;

    fn open(&mut self, attr: &PerfAttr, cpu: u32, leader: Option<&mut Counter>) -> Result<Counter, Error> {
        let mut builder = builder(attr, cpu)?;
        let opened = match leader {
            // A member is always enabled, and counts when its leader does.
            Some(leader) => builder.enabled(true).build_with_group(leader),
            None => builder.build(),
        };
        opened.map_err(|source| open_error(describe(attr, cpu), source))
    }

    fn runs(&mut self, leader: &mut Counter) -> bool {
        let mut look = || {
            let before = leader.read_count_and_time()?;
            leader.enable()?;
            let after = leader.read_count_and_time();
            leader.disable()?;
            let after = after?;
            Ok::<_, std::io::Error>(
                after.time_running > before.time_running || after.time_enabled == before.time_enabled,
            )
        };
        look().unwrap_or(false)
    }

    fn start(&mut self, attr: &PerfAttr, cpu: u32, leader: &mut Counter) -> Result<(), Error> {
        leader.enable().map_err(|source| open_error(describe(attr, cpu), source))
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
