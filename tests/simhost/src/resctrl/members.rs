//! The files `tasks`, `cpus` and `cpus_list`: who belongs to a group.
//!
//! Source: `fs/resctrl/rdtgroup.c`.

use std::collections::BTreeSet;

use super::mode::Mode;
use super::numbers::{cpu_list, cpu_mask, parse_cpu_list, parse_cpu_mask};
use super::{Errno, GroupName, Resctrl};
use crate::model::control::Association;
use crate::model::machine::Machine;

impl Resctrl {
    /// Class and RMID of a group.
    pub(super) fn association(&self, name: &GroupName) -> Option<Association> {
        let group = self.groups.get(&name.control)?;
        let rmid = match &name.monitor {
            Some(monitor) => group.monitors.get(monitor)?.rmid,
            None => group.rmid,
        };
        Some(Association { closid: group.closid, rmid })
    }

    /// Threads of a control group are those of its class, also where a monitoring group in it has them.
    pub(super) fn show_tasks(&self, machine: &Machine, name: &GroupName) -> Option<String> {
        let group = self.association(name)?;
        if self.is_locked(name) {
            return Some(String::new());
        }
        let tasks = machine.tasks.values().filter(|task| match name.monitor {
            Some(_) => task.rmid == group.rmid,
            None => task.closid == group.closid,
        });
        Some(tasks.map(|task| format!("{}\n", task.spec.tid)).collect())
    }

    pub(super) fn write_tasks(
        &mut self,
        machine: &mut Machine,
        name: &GroupName,
        text: &str,
    ) -> Result<(), Errno> {
        self.status.clear();
        let group = self.association(name).ok_or(libc::ENOENT)?;
        if self.is_locked(name) {
            return self.refuse(libc::EINVAL, "Pseudo-locking in progress");
        }
        let line = text.split('\n').next().unwrap_or_default();
        let mut outcome = Ok(());
        for part in line.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Ok(pid) = part.parse::<i32>() else {
                outcome = self.refuse(libc::EINVAL, format!("Task list parsing error pid {part}"));
                break;
            };
            let Ok(tid) = u32::try_from(pid) else {
                outcome = self.refuse(libc::EINVAL, format!("Invalid pid {pid}"));
                break;
            };
            outcome = self.move_task(machine, name, group, tid);
            if outcome.is_err() {
                outcome = self
                    .refuse(outcome.err().unwrap_or(libc::EIO), format!("Error while processing task {pid}"));
                break;
            }
        }
        machine.sync_associations();
        outcome
    }

    fn move_task(
        &mut self,
        machine: &mut Machine,
        name: &GroupName,
        group: Association,
        tid: u32,
    ) -> Result<(), Errno> {
        let Some(task) = machine.tasks.get_mut(&tid) else {
            return self.refuse(libc::ESRCH, format!("No task {tid}"));
        };
        if name.monitor.is_some() && task.closid != group.closid {
            return self.refuse(libc::EINVAL, "Can't move task to different control group");
        }
        (task.closid, task.rmid) = (group.closid, group.rmid);
        Ok(())
    }

    pub(super) fn show_cpus(&self, machine: &Machine, name: &GroupName, as_list: bool) -> Option<String> {
        let group = self.groups.get(&name.control)?;
        let own;
        let cpus = match (&name.monitor, group.mode) {
            (Some(monitor), _) => &group.monitors.get(monitor)?.cpus,
            (None, Mode::PseudoLocked { domain, .. }) => {
                own = machine.spec().cpus_of_domain(domain).into_iter().collect();
                &own
            }
            (None, _) => &group.cpus,
        };
        Some(match as_list {
            true => cpu_list(cpus.iter().copied()) + "\n",
            false => cpu_mask(cpus, machine.spec().cpus()) + "\n",
        })
    }

    pub(super) fn write_cpus(
        &mut self,
        machine: &mut Machine,
        name: &GroupName,
        text: &str,
        as_list: bool,
    ) -> Result<(), Errno> {
        self.status.clear();
        self.association(name).ok_or(libc::ENOENT)?;
        if self.is_locked(name) {
            return self.refuse(libc::EINVAL, "Pseudo-locking in progress");
        }
        let parsed = if as_list { parse_cpu_list(text) } else { parse_cpu_mask(text) };
        let Some(cpus) = parsed else { return self.refuse(libc::EINVAL, "Bad CPU list/mask") };
        if cpus.last().is_some_and(|&last| last >= machine.spec().cpus()) {
            let errno = if as_list { libc::ERANGE } else { libc::EOVERFLOW };
            return self.refuse(errno, "Bad CPU list/mask");
        }
        if cpus.iter().any(|&cpu| !machine.is_online(cpu)) {
            return self.refuse(libc::EINVAL, "Can only assign online CPUs");
        }
        match &name.monitor {
            Some(monitor) => self.set_monitor_cpus(&name.control, monitor, &cpus)?,
            None => self.set_control_cpus(&name.control, &cpus)?,
        }
        self.spread_defaults(machine);
        Ok(())
    }

    fn set_control_cpus(&mut self, name: &str, cpus: &BTreeSet<usize>) -> Result<(), Errno> {
        let before = self.groups.get(name).map(|group| group.cpus.clone()).unwrap_or_default();
        let dropped: BTreeSet<usize> = before.difference(cpus).copied().collect();
        if name.is_empty() && !dropped.is_empty() {
            return self.refuse(libc::EINVAL, "Can't drop CPUs from default group");
        }
        for (other, group) in &mut self.groups {
            if other == name {
                group.cpus = cpus.clone();
                // The kernel empties the monitoring groups' CPUs whenever the control group's are written.
                group.monitors.values_mut().for_each(|monitor| monitor.cpus.clear());
                continue;
            }
            group.cpus.retain(|cpu| !cpus.contains(cpu));
            if other.is_empty() {
                group.cpus.extend(&dropped);
            }
            for monitor in group.monitors.values_mut() {
                monitor.cpus.retain(|cpu| group.cpus.contains(cpu));
            }
        }
        Ok(())
    }

    fn set_monitor_cpus(
        &mut self,
        control: &str,
        monitor: &str,
        cpus: &BTreeSet<usize>,
    ) -> Result<(), Errno> {
        let group = self.groups.get_mut(control).ok_or(libc::ENOENT)?;
        // The parent's CPUs include those of its monitoring groups.
        if !cpus.is_subset(&group.cpus) {
            return self.refuse(libc::EINVAL, "Can only add CPUs to mongroup that belong to parent");
        }
        for (name, other) in &mut group.monitors {
            if name == monitor {
                other.cpus = cpus.clone();
            } else {
                other.cpus.retain(|cpu| !cpus.contains(cpu));
            }
        }
        Ok(())
    }

    /// Tells every CPU the association of its group.
    pub(super) fn spread_defaults(&self, machine: &mut Machine) {
        for group in self.groups.values() {
            for &cpu in &group.cpus {
                let monitor = group.monitors.values().find(|monitor| monitor.cpus.contains(&cpu));
                let rmid = monitor.map_or(group.rmid, |monitor| monitor.rmid);
                if let Some(cpu) = machine.cpus.get_mut(cpu) {
                    cpu.default = Association { closid: group.closid, rmid };
                }
            }
        }
        machine.sync_associations();
    }

    fn is_locked(&self, name: &GroupName) -> bool {
        let group = self.groups.get(&name.control);
        group.is_some_and(|group| matches!(group.mode, Mode::PseudoLocked { .. }))
    }
}
