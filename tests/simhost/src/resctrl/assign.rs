//! Bandwidth counters that are fewer than groups and are assigned to them (AMD's ABMC): `info/L3_MON/mbm_assign_mode` and its
//! neighbours, and each group's `mbm_L3_assignments`.
//!
//! Source: `Documentation/filesystems/resctrl.rst`, "mbm_assign_mode"; `fs/resctrl/monitor.c` (6.18) for the texts and numbers.

use std::collections::BTreeSet;

use super::numbers::kernel_number;
use super::{Errno, GroupName, Resctrl};
use crate::model::machine::Machine;
use crate::spec::MonitorEvent;

/// Events that take a counter.
const EVENTS: [MonitorEvent; 2] = [MonitorEvent::TotalBytes, MonitorEvent::LocalBytes];

/// Files of `info/L3_MON` with their permissions.
pub(super) const INFO: [(&str, u16); 4] = [
    ("mbm_assign_mode", 0o644),
    ("mbm_assign_on_mkdir", 0o644),
    ("num_mbm_cntrs", 0o444),
    ("available_mbm_cntrs", 0o444),
];

/// Who has the counters of a machine that assigns them.
#[derive(Debug, Clone)]
pub(super) struct Assigned {
    /// Counters of each cache.
    count: usize,
    /// `mbm_event` mode; else every group is taken to have its counters.
    enabled: bool,
    /// A new group gets the counters that are left.
    on_mkdir: bool,
    /// By cache, RMID and event.
    taken: BTreeSet<(usize, u16, MonitorEvent)>,
}

impl Assigned {
    /// As after boot; `None` where counters are not assigned.
    pub fn new(machine: &Machine) -> Option<Self> {
        let count = machine.spec().monitoring.as_ref()?.assignable?;
        Some(Self { count, enabled: true, on_mkdir: true, taken: BTreeSet::new() })
    }

    fn free(&self, domain: usize) -> usize {
        self.count.saturating_sub(self.taken.iter().filter(|(at, ..)| *at == domain).count())
    }
}

impl Resctrl {
    /// Whether an event of an RMID has what it needs to be counted.
    pub(super) fn is_counted(&self, domain: usize, rmid: u16, event: MonitorEvent) -> bool {
        let assigned = self.assigned.as_ref().filter(|assigned| assigned.enabled && EVENTS.contains(&event));
        assigned.is_none_or(|assigned| assigned.taken.contains(&(domain, rmid, event)))
    }

    /// Gives a new group the counters that are left; where there are none it is made all the same.
    pub(super) fn assign_at_mkdir(&mut self, machine: &Machine, rmid: u16) {
        if self.assigned.as_ref().is_some_and(|assigned| assigned.enabled && assigned.on_mkdir) {
            for event in EVENTS {
                let all: Vec<usize> = (0..machine.spec().domains()).collect();
                self.assign(machine, &all, rmid, event).ok();
            }
        }
    }

    /// Takes a removed group's counters back.
    pub(super) fn unassign_all(&mut self, rmid: u16) {
        if let Some(assigned) = &mut self.assigned {
            assigned.taken.retain(|(_, of, _)| *of != rmid);
        }
    }

    /// Goes on after a failure: other caches may have counters left.
    fn assign(
        &mut self,
        machine: &Machine,
        domains: &[usize],
        rmid: u16,
        event: MonitorEvent,
    ) -> Result<(), Errno> {
        let mut outcome = Ok(());
        for &domain in domains {
            let Some(assigned) = &mut self.assigned else { return Err(libc::EINVAL) };
            if assigned.taken.contains(&(domain, rmid, event)) {
                continue;
            }
            if assigned.free(domain) == 0 {
                let text = format!("Failed to allocate counter for {} in domain {domain}", event.name());
                outcome = self.refuse(libc::ENOSPC, text);
                continue;
            }
            assigned.taken.insert((domain, rmid, event));
            self.traffic.begin(machine, domain, rmid, event);
        }
        outcome
    }

    /// Text of one of [`INFO`]; none where it is none of them.
    pub(super) fn show_assigned_info(
        &mut self,
        machine: &Machine,
        file: &str,
    ) -> Option<Result<String, Errno>> {
        let assigned = self.assigned.clone()?;
        let list = |of: &dyn Fn(usize) -> usize| {
            let one = |domain| format!("{domain}={}", of(domain));
            (0..machine.spec().domains()).map(one).collect::<Vec<_>>().join(";") + "\n"
        };
        Some(Ok(match file {
            "mbm_assign_mode" if assigned.enabled => "[mbm_event]\ndefault\n".to_owned(),
            "mbm_assign_mode" => "[default]\nmbm_event\n".to_owned(),
            "num_mbm_cntrs" => list(&|_| assigned.count),
            "available_mbm_cntrs" | "mbm_assign_on_mkdir" if !assigned.enabled => {
                return Some(self.not_enabled());
            }
            "available_mbm_cntrs" => list(&|domain| assigned.free(domain)),
            "mbm_assign_on_mkdir" => format!("{}\n", u8::from(assigned.on_mkdir)),
            _ => return None,
        }))
    }

    fn not_enabled<T>(&mut self) -> Result<T, Errno> {
        self.status.clear();
        self.refuse(libc::EINVAL, "mbm_event counter assignment mode is not enabled")
    }

    /// Writes one of [`INFO`]. Another mode takes all counters back.
    pub(super) fn write_assigned_info(&mut self, file: &str, text: &str) -> Result<(), Errno> {
        self.status.clear();
        let Some(assigned) = &mut self.assigned else { return Err(libc::EINVAL) };
        match (file, text.trim_end_matches('\n')) {
            ("mbm_assign_mode", mode @ ("default" | "mbm_event")) => {
                let enable = mode == "mbm_event";
                if assigned.enabled != enable {
                    assigned.taken.clear();
                    assigned.on_mkdir |= enable;
                }
                assigned.enabled = enable;
                Ok(())
            }
            ("mbm_assign_mode", _) => self.refuse(libc::EINVAL, "Unsupported assign mode"),
            ("mbm_assign_on_mkdir", _) if !assigned.enabled => self.not_enabled(),
            ("mbm_assign_on_mkdir", value @ ("0" | "1")) => {
                assigned.on_mkdir = value == "1";
                Ok(())
            }
            _ => Err(libc::EINVAL),
        }
    }

    /// A group's counters: `e` where it has one.
    pub(super) fn show_assignments(
        &mut self,
        machine: &Machine,
        name: &GroupName,
    ) -> Option<Result<String, Errno>> {
        let rmid = self.association(name)?.rmid;
        let assigned = self.assigned.as_ref()?;
        if !assigned.enabled {
            return Some(self.not_enabled());
        }
        let line = |event: &MonitorEvent| {
            let one = |domain| {
                let mark = if assigned.taken.contains(&(domain, rmid, *event)) { 'e' } else { '_' };
                format!("{domain}={mark}")
            };
            let all = (0..machine.spec().domains()).map(one).collect::<Vec<_>>().join(";");
            format!("{}:{all}\n", event.name())
        };
        Some(Ok(EVENTS.iter().map(line).collect()))
    }

    /// Assigns and takes back, as `mbm_total_bytes:0=e;1=_` says. What was done before a failure stays done.
    pub(super) fn write_assignments(
        &mut self,
        machine: &Machine,
        name: &GroupName,
        text: &str,
    ) -> Result<(), Errno> {
        let text = text.strip_suffix('\n').ok_or(libc::EINVAL)?;
        self.status.clear();
        let rmid = self.association(name).ok_or(libc::ENOENT)?.rmid;
        if self.assigned.as_ref().is_none_or(|assigned| !assigned.enabled) {
            return self.refuse(libc::EINVAL, "mbm_event mode is not enabled");
        }
        for line in text.split('\n') {
            let (event, caches) = line.split_once(':').unwrap_or((line, ""));
            let Some(event) = EVENTS.into_iter().find(|one| one.name() == event) else {
                return self.refuse(libc::ENOENT, format!("Invalid event {event}"));
            };
            for part in caches.split(';').take_while(|part| !part.is_empty()) {
                self.assign_part(machine, rmid, event, part.trim())?;
            }
        }
        Ok(())
    }

    fn assign_part(
        &mut self,
        machine: &Machine,
        rmid: u16,
        event: MonitorEvent,
        part: &str,
    ) -> Result<(), Errno> {
        let (id, state) = part.split_once('=').unwrap_or((part, ""));
        let count = machine.spec().domains();
        let domains: Vec<usize> = match (id, kernel_number(id, 10)) {
            ("*", _) => (0..count).collect(),
            (_, None) => return self.refuse(libc::EINVAL, "Missing domain id"),
            (_, Some(id)) => match usize::try_from(id).ok().filter(|id| *id < count) {
                Some(domain) => vec![domain],
                None => return self.refuse(libc::EINVAL, format!("Invalid domain id {id}")),
            },
        };
        let done = match state {
            "e" => self.assign(machine, &domains, rmid, event),
            "_" => {
                if let Some(assigned) = &mut self.assigned {
                    assigned
                        .taken
                        .retain(|(at, of, one)| !(domains.contains(at) && *of == rmid && *one == event));
                }
                Ok(())
            }
            _ => Err(libc::EINVAL),
        };
        match done {
            Err(errno) => {
                self.refuse(errno, format!("Assign operation '{}:{id}={state}' failed", event.name()))
            }
            Ok(()) => Ok(()),
        }
    }
}
