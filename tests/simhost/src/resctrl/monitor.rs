//! Monitoring: RMIDs, the files of `mon_data`, and the sums the kernel keeps beside counters that wrap.
//!
//! Source: `fs/resctrl/monitor.c`, `arch/x86/kernel/cpu/resctrl/monitor.c`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Errno, GroupName, Resctrl};
use crate::model::machine::Machine;
use crate::registers::counter;
use crate::spec::{Broken, MonitorEvent, full_mask};

/// RMIDs that are free, and those that were given back while their lines are still in a cache.
#[derive(Debug, Clone)]
pub(super) struct Rmids {
    free: BTreeSet<u16>,
    limbo: BTreeSet<u16>,
}

impl Rmids {
    pub(super) fn new(count: u16) -> Self {
        Self { free: (1..count).collect(), limbo: BTreeSet::new() }
    }

    /// The lowest free RMID. The kernel looks through those in limbo once a second; here it is done when one is asked
    /// for, so none waits longer than it has lines.
    fn allocate(&mut self, machine: &Machine, threshold_bytes: u64) -> Result<u16, Errno> {
        let is_clean = |rmid: u16| {
            (0..machine.spec().domains())
                .all(|domain| machine.occupancy_bytes(domain, rmid) <= threshold_bytes)
        };
        let clean: Vec<u16> = self.limbo.iter().copied().filter(|&rmid| is_clean(rmid)).collect();
        for rmid in clean {
            self.limbo.remove(&rmid);
            self.free.insert(rmid);
        }
        self.free.pop_first().ok_or(if self.limbo.is_empty() { libc::ENOSPC } else { libc::EBUSY })
    }

    fn release(&mut self, rmid: u16) {
        self.limbo.insert(rmid);
    }
}

/// A counter as the kernel follows it.
#[derive(Debug, Clone, Copy, Default)]
struct Followed {
    last: u64,
    units: u64,
}

/// Traffic by cache, RMID and event.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(BTreeMap<(usize, u16, MonitorEvent), Followed>);

impl Traffic {
    /// Adds what came since the last look. A counter that wrapped twice meanwhile has lost a round.
    pub(super) fn follow(&mut self, machine: &Machine, rmids: &[u16]) {
        let Some(monitoring) = &machine.spec().monitoring else { return };
        let width = full_mask(usize::try_from(monitoring.counter_width).unwrap_or(62));
        let events = [MonitorEvent::TotalBytes, MonitorEvent::LocalBytes];
        for domain in 0..machine.spec().domains() {
            for &rmid in rmids {
                for event in events {
                    let raw = counter(machine, domain, select(rmid, event));
                    if raw >> 62 == 0 {
                        let followed = self.0.entry((domain, rmid, event)).or_default();
                        followed.units += raw.wrapping_sub(followed.last) & width;
                        followed.last = raw;
                    }
                }
            }
        }
    }

    /// Begins anew for an RMID: what a group counts begins with the group.
    fn reset(&mut self, machine: &Machine, rmid: u16) {
        self.follow(machine, &[rmid]);
        for ((_, of, _), followed) in &mut self.0 {
            if *of == rmid {
                followed.units = 0;
            }
        }
    }

    /// Begins anew for one event: what a counter counts begins with its assignment.
    pub(super) fn begin(&mut self, machine: &Machine, domain: usize, rmid: u16, event: MonitorEvent) {
        self.follow(machine, &[rmid]);
        if let Some(followed) = self.0.get_mut(&(domain, rmid, event)) {
            followed.units = 0;
        }
    }
}

fn select(rmid: u16, event: MonitorEvent) -> u64 {
    u64::from(rmid) << 32 | event as u64
}

impl Resctrl {
    pub(super) fn allocate_rmid(&mut self, machine: &Machine) -> Result<u16, Errno> {
        if machine.spec().monitoring.is_none() {
            return Ok(0);
        }
        match self.rmids.allocate(machine, self.threshold_bytes) {
            Ok(rmid) => {
                self.traffic.reset(machine, rmid);
                Ok(rmid)
            }
            Err(errno) => self.refuse(errno, "Out of RMIDs"),
        }
    }

    pub(super) fn release_rmid(&mut self, rmid: u16) {
        if rmid > 0 {
            self.unassign_all(rmid);
            self.rmids.release(rmid);
        }
    }

    /// A file of `mon_data`. A control group's is the sum over its own and its monitoring groups', as far as these can be
    /// read.
    pub(super) fn show_event(
        &mut self,
        machine: &Machine,
        name: &GroupName,
        domain: usize,
        event: MonitorEvent,
    ) -> Option<String> {
        let own = self.association(name)?.rmid;
        let mut rmids = vec![own];
        if name.monitor.is_none() {
            rmids.extend(self.groups.get(&name.control)?.monitors.values().map(|monitor| monitor.rmid));
        }
        let readings: Vec<Result<u64, Broken>> =
            rmids.iter().map(|&rmid| self.read_event(machine, domain, rmid, event)).collect();
        let good: Vec<u64> = readings.iter().filter_map(|reading| reading.ok()).collect();
        Some(match readings.first() {
            Some(Err(_)) if !good.is_empty() => format!("{}\n", good.iter().sum::<u64>()),
            Some(Err(Broken::Error)) => "Error\n".to_owned(),
            Some(Err(Broken::Unavailable)) => "Unavailable\n".to_owned(),
            Some(Err(Broken::Unassigned)) => "Unassigned\n".to_owned(),
            _ => format!("{}\n", good.iter().sum::<u64>()),
        })
    }

    pub(super) fn read_event(
        &mut self,
        machine: &Machine,
        domain: usize,
        rmid: u16,
        event: MonitorEvent,
    ) -> Result<u64, Broken> {
        let monitoring = machine.spec().monitoring.as_ref().ok_or(Broken::Error)?;
        let broken = monitoring.broken.iter().find(|(broken, _)| *broken == event);
        if matches!(broken, Some((_, Broken::Unassigned))) || !self.is_counted(domain, rmid, event) {
            return Err(Broken::Unassigned);
        }
        let raw = counter(machine, domain, select(rmid, event));
        match raw >> 62 {
            0 => {}
            1 => return Err(Broken::Unavailable),
            _ => return Err(Broken::Error),
        }
        let units = match event {
            MonitorEvent::Occupancy => raw,
            MonitorEvent::TotalBytes | MonitorEvent::LocalBytes => {
                self.traffic.follow(machine, &[rmid]);
                self.traffic.0.get(&(domain, rmid, event)).map_or(0, |followed| followed.units)
            }
        };
        Ok(units * monitoring.upscale_bytes)
    }
}
