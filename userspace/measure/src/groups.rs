//! One run's events, open on every place in groups, each of which a single call starts and a single call reads.
//!
//! Events of one PMU at one place are one group as long as the kernel takes them and the PMU counts the whole, so that they are of
//! the same time. An event that a group does not take is tried alone; refused even so, it is quarantined, and all others are
//! counted. Groups that were tried have counted a little: begin with what they read then ([`crate::Recorder::begin_at`]).

use std::io;

use waytrace_hw::Error;
use waytrace_hw::events::PerfAttr;
use waytrace_model::measured::Quarantined;

use crate::Place;

/// Members of a group. The kernel's bound is 16 KiB of what a reading returns, and adding the n-th costs it n steps.
const MOST_MEMBERS: usize = 256;

/// What reading a group gives, since it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupReading {
    /// Time the group was enabled, in nanoseconds.
    pub time_enabled_ns: u64,
    /// Time it counted, in nanoseconds.
    pub time_running_ns: u64,
    /// Its events' values, in the order they were opened.
    pub values: Vec<u64>,
}

/// Opens, starts and reads groups: the kernel does ([`crate::places::PerfEvents`]), or the PMU of a test.
pub trait Opener {
    /// An open counter; dropping it closes it.
    type Counter;

    /// Opens the stopped leader of a new group, or a member of `leader`'s.
    ///
    /// # Errors
    /// Why the event cannot be opened there, or not in that group.
    fn open(
        &mut self,
        attr: &PerfAttr,
        place: Place,
        leader: Option<&mut Self::Counter>,
    ) -> Result<Self::Counter, Error>;

    /// Lets a group count.
    ///
    /// # Errors
    /// Whatever the kernel says.
    fn start(&mut self, leader: &mut Self::Counter) -> io::Result<()>;

    /// Stops a group; its values stay.
    ///
    /// # Errors
    /// Whatever the kernel says.
    fn stop(&mut self, leader: &mut Self::Counter) -> io::Result<()>;

    /// Reads a group.
    ///
    /// # Errors
    /// Whatever the kernel says.
    fn read(&mut self, leader: &mut Self::Counter) -> io::Result<GroupReading>;
}

/// Events counted together at one place.
#[derive(Debug)]
pub struct Group<C> {
    /// Where.
    pub place: Place,
    /// The events, leader first.
    pub events: Vec<u32>,
    pmu: u32,
    leader: C,
    members: Vec<C>,
}

/// All groups of one run.
#[derive(Debug)]
pub struct Groups<C> {
    /// The groups.
    pub groups: Vec<Group<C>>,
    /// Events refused somewhere, which count nowhere.
    pub refused: Vec<Quarantined>,
}

/// Opens events, named by number, at every place where they can be counted. A thread that has ended is left out.
///
/// # Errors
/// What is no fault of an event: no permission at all, or no descriptors left.
pub fn open<O: Opener>(
    opener: &mut O,
    events: &[(u32, PerfAttr)],
    places: &[Place],
) -> Result<Groups<O::Counter>, Error> {
    let mut opened = Groups { groups: Vec::new(), refused: Vec::new() };
    let mut gone: Vec<Place> = Vec::new();
    for (event, attr) in events {
        match open_everywhere(opener, &mut opened.groups, *event, attr, places, &mut gone) {
            Ok(()) => {}
            Err(error) if is_nobodys_fault(&error) => return Err(error),
            Err(error) => opened.refused.push(Quarantined { event: *event, reason: error.to_string() }),
        }
    }
    Ok(opened)
}

/// Once its place is known to be gone, a thread is not asked for again.
fn open_everywhere<O: Opener>(
    opener: &mut O,
    groups: &mut Vec<Group<O::Counter>>,
    event: u32,
    attr: &PerfAttr,
    places: &[Place],
    gone: &mut Vec<Place>,
) -> Result<(), Error> {
    let mut counted = false;
    for place in places.iter().filter(|place| counts_at(attr, **place)) {
        if gone.contains(place) {
            continue;
        }
        match open_at(opener, groups, event, attr, *place) {
            Err(error) if errno(&error) == Some(libc::ESRCH) => gone.push(*place),
            opened => opened?,
        }
        counted = true;
    }
    if counted {
        return Ok(());
    }
    let reason = if attr.per_task {
        "it is counted on none of these CPUs; measure others"
    } else {
        "it counts for a package, not for a process; measure it with --all-cpus"
    };
    Err(Error::BadEvent { event: attr.name().to_owned(), reason: reason.to_owned() })
}

fn counts_at(attr: &PerfAttr, place: Place) -> bool {
    match place {
        Place::Cpu(cpu) => attr.for_cpu(cpu).is_some(),
        Place::Thread { .. } => attr.per_task,
    }
}

fn open_at<O: Opener>(
    opener: &mut O,
    groups: &mut Vec<Group<O::Counter>>,
    event: u32,
    attr: &PerfAttr,
    place: Place,
) -> Result<(), Error> {
    let pmu = pmu(attr, place);
    let alike = groups.iter_mut().rev().find(|group| group.place == place && group.pmu == pmu);
    if let Some(group) = alike.filter(|group| group.events.len() < MOST_MEMBERS)
        && let Ok(counter) = opener.open(attr, place, Some(&mut group.leader))
        && (is_unlimited(pmu) || runs(opener, &mut group.leader))
    {
        group.events.push(event);
        group.members.push(counter);
        return Ok(());
    }
    let leader = opener.open(attr, place, None)?;
    groups.push(Group { place, events: vec![event], pmu, leader, members: Vec::new() });
    Ok(())
}

/// Whether the group is counted as a whole now, if what it counts runs at all. Only that tells: Arm's `validate_group` passes
/// over a stopped leader and so takes one event too many, and no kernel accounts for counters that others hold.
fn runs<O: Opener>(opener: &mut O, leader: &mut O::Counter) -> bool {
    let mut look = || {
        let before = opener.read(leader)?;
        opener.start(leader)?;
        let after = opener.read(leader);
        opener.stop(leader)?;
        let after = after?;
        Ok::<_, io::Error>(
            after.time_running_ns > before.time_running_ns || after.time_enabled_ns == before.time_enabled_ns,
        )
    };
    look().unwrap_or(false)
}

/// Whether the PMU counts any number of events: it is the kernel's own. Thousands of tracepoints are not to be tried one by one.
fn is_unlimited(pmu: u32) -> bool {
    const SOFTWARE: u32 = 1;
    const TRACEPOINT: u32 = 2;
    matches!(pmu, SOFTWARE | TRACEPOINT)
}

/// What every event would meet.
fn is_nobodys_fault(error: &Error) -> bool {
    matches!(error, Error::PerfPermission { .. })
        || matches!(errno(error), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

fn errno(error: &Error) -> Option<i32> {
    match error {
        Error::PerfOpen { source, .. } | Error::EventUnsupported { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

/// Type of the PMU that counts the event.
fn pmu(attr: &PerfAttr, place: Place) -> u32 {
    const HARDWARE: u32 = 0;
    const HW_CACHE: u32 = 3;
    /// What the core PMU is called where there is only one.
    const RAW: u32 = 4;
    let cpu = match place {
        Place::Cpu(cpu) => cpu,
        Place::Thread { .. } => attr.cpus().and_then(|cpus| cpus.first().copied()).unwrap_or(0),
    };
    match attr.for_cpu(cpu) {
        Some(encoding) if matches!(encoding.type_, HARDWARE | HW_CACHE) => {
            match (encoding.config[0] >> u32::BITS) as u32 {
                0 => RAW,
                pmu => pmu,
            }
        }
        Some(encoding) => encoding.type_,
        None => RAW,
    }
}

impl<C> Groups<C> {
    /// Counters open.
    pub fn counters(&self) -> usize {
        self.groups.iter().map(|group| 1 + group.members.len()).sum()
    }

    /// All counters: what they are for is forgotten.
    pub fn into_counters(self) -> Vec<C> {
        self.groups.into_iter().flat_map(|group| std::iter::once(group.leader).chain(group.members)).collect()
    }

    /// Lets all groups count from now on.
    ///
    /// # Errors
    /// The first refusal.
    pub fn start<O: Opener<Counter = C>>(&mut self, opener: &mut O) -> io::Result<()> {
        self.groups.iter_mut().try_for_each(|group| opener.start(&mut group.leader))
    }

    /// Stops all groups, so that none counts what comes after the epoch.
    pub fn stop<O: Opener<Counter = C>>(&mut self, opener: &mut O) {
        for group in &mut self.groups {
            // A group that cannot be stopped has lost its thread, and counts nothing more.
            let _ = opener.stop(&mut group.leader);
        }
    }

    /// Reads all groups, in their order; `None` where one cannot be read.
    pub fn read<O: Opener<Counter = C>>(&mut self, opener: &mut O) -> Vec<Option<GroupReading>> {
        self.groups.iter_mut().map(|group| opener.read(&mut group.leader).ok()).collect()
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
