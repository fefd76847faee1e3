//! Groups: events that a PMU counts together or not at all, so that ratios between them are of the same time.
//!
//! The kernel tells whether a group can ever be scheduled when an event joins it, but does not account for counters
//! that others hold (the NMI watchdog's); a group that does not run is taken apart again. Groups of hardware events
//! are not verified on hardware. Source: `perf_event_open(2)`, `validate_group` in `arch/x86/events/core.c`.

use perf_event::Counter;

use crate::Error;
use crate::counter::{builder, describe, open_error, open_on_cpu};
use crate::events::PerfAttr;

/// A counter and the group it is in.
#[derive(Debug)]
pub struct Member {
    /// The open counter.
    pub counter: Counter,
    /// Number of its group; members with the same number are counted together.
    pub group: usize,
}

/// Opens events on one CPU in as few groups as the kernel takes, in the order given. All count from now on.
///
/// # Errors
/// As [`open_on_cpu`], for the first event that cannot be opened even alone.
pub fn open_groups_on_cpu(attrs: &[&PerfAttr], cpu: u32) -> Result<Vec<Member>, Error> {
    let mut members: Vec<Member> = Vec::with_capacity(attrs.len());
    let mut leader: Option<usize> = None;
    for attr in attrs {
        if let Some(counter) = leader.and_then(|at| join(attr, cpu, &mut members[at].counter)) {
            let group = members[members.len() - 1].group;
            members.push(Member { counter, group });
            continue;
        }
        let group = members.last().map_or(0, |member| member.group + 1);
        let counter =
            builder(attr, cpu)?.build().map_err(|source| open_error(describe(attr, cpu), source))?;
        leader = Some(members.len());
        members.push(Member { counter, group });
    }
    start(&mut members, attrs, cpu)?;
    Ok(members)
}

/// The event as a member of `leader`'s group; `None` where the kernel does not take it there.
fn join(attr: &PerfAttr, cpu: u32, leader: &mut Counter) -> Option<Counter> {
    // Pinned and exclusive are for leaders only.
    let alone = attr.modifiers.pinned || attr.modifiers.exclusive;
    let mut builder = builder(attr, cpu).ok().filter(|_| !alone)?;
    builder.enabled(true).build_with_group(leader).ok()
}

/// Starts every group, and opens the members of one that does not run each alone.
fn start(members: &mut [Member], attrs: &[&PerfAttr], cpu: u32) -> Result<(), Error> {
    let mut next_group = members.last().map_or(0, |member| member.group + 1);
    let mut first = 0;
    while first < members.len() {
        let group = members[first].group;
        let last = first + members[first..].iter().take_while(|member| member.group == group).count();
        let failed = |source| open_error(describe(attrs[first], cpu), source);
        members[first].counter.enable().map_err(failed)?;
        let reading = members[first].counter.read_count_and_time().map_err(failed)?;
        let scheduled = reading.time_running > 0 || reading.time_enabled == 0;
        if last - first > 1 && !scheduled {
            for at in first..last {
                members[at] = Member { counter: open_on_cpu(attrs[at], cpu)?, group: next_group };
                next_group += 1;
            }
        }
        first = last;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;
    use crate::topology::cpus_online;

    fn software(id: u64) -> PerfAttr {
        PerfAttr::new(format!("software {id}"), 1, id)
    }

    #[test]
    fn a_group_is_enabled_for_the_same_time() {
        let cpu = cpus_online(&Root::default()).unwrap()[0];
        let (clock, faults, switches) = (software(0), software(2), software(3));
        let mut members = match open_groups_on_cpu(&[&clock, &faults, &switches], cpu) {
            Ok(members) => members,
            Err(error) => return println!("SKIP: {error}"),
        };
        assert_eq!(members.iter().map(|member| member.group).collect::<Vec<_>>(), [0, 0, 0]);
        members[0].counter.disable_group().unwrap();
        let times: Vec<u64> = members
            .iter_mut()
            .map(|member| member.counter.read_count_and_time().unwrap().time_running)
            .collect();
        assert!(times[0] > 0 && times[1] > 0 && times[2] > 0, "{times:?}");
        assert!(members[0].counter.read().unwrap() > 0);
    }

    #[test]
    fn what_must_lead_starts_a_group_of_its_own() {
        let cpu = cpus_online(&Root::default()).unwrap()[0];
        let (clock, mut pinned) = (software(0), software(3));
        pinned.modifiers.pinned = true;
        match open_groups_on_cpu(&[&clock, &pinned, &clock], cpu) {
            Ok(members) => {
                let groups: Vec<usize> = members.iter().map(|member| member.group).collect();
                assert_eq!(groups, [0, 1, 1]);
            }
            Err(error) => println!("SKIP: {error}"),
        }
    }

    #[test]
    fn an_impossible_event_fails_the_whole() {
        let clock = software(0);
        let nonsense = PerfAttr::new("nonsense", 0xffff, 0);
        assert!(open_groups_on_cpu(&[&clock, &nonsense], 0).is_err());
    }
}
