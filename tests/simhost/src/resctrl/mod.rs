//! The resctrl filesystem: groups, their files and what writing them does, with the kernel's texts in
//! `info/last_cmd_status` and its error numbers. What it decides lands in the registers of the model.
//!
//! Source: `Documentation/filesystems/resctrl.rst`, `fs/resctrl/`.

mod assign;
mod controller;
mod directories;
mod files;
mod info;
mod members;
mod mode;
mod monitor;
mod numbers;
mod schema;
mod schemata;

use std::collections::{BTreeMap, BTreeSet};

pub use files::Entry;
pub use mode::Mode;
pub(crate) use numbers::{cpu_list, parse_cpu_list};

use crate::model::machine::Machine;
use assign::Assigned;
use controller::Controller;
use monitor::{Rmids, Traffic};

/// An error number of the kernel, positive.
pub type Errno = i32;

/// A group that holds monitored tasks of a control group.
#[derive(Debug, Clone)]
pub struct MonitorGroup {
    /// Never given twice, also not to a group of the same name.
    pub id: u64,
    /// Its RMID.
    pub rmid: u16,
    /// CPUs of its own among the control group's.
    pub cpus: BTreeSet<usize>,
}

/// A control group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Never given twice.
    pub id: u64,
    /// Its class.
    pub closid: u32,
    /// RMID of what no monitoring group has.
    pub rmid: u16,
    /// How it shares.
    pub mode: Mode,
    /// Its CPUs.
    pub cpus: BTreeSet<usize>,
    /// Monitoring groups in it.
    pub monitors: BTreeMap<String, MonitorGroup>,
}

/// Names a group: a control group (the root's name is empty), or a monitoring group in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupName {
    /// Control group.
    pub control: String,
    /// Monitoring group in it.
    pub monitor: Option<String>,
}

/// The filesystem's state.
#[derive(Debug, Clone)]
pub struct Resctrl {
    mounted: bool,
    cdp: bool,
    /// By name; the root's is empty.
    groups: BTreeMap<String, Group>,
    rmids: Rmids,
    traffic: Traffic,
    /// Who has the bandwidth counters, where they are assigned.
    assigned: Option<Assigned>,
    /// Limits in MiB/s, where it is mounted so.
    controller: Option<Controller>,
    /// What `info/last_cmd_status` shows; empty is ok.
    status: String,
    /// Bytes below which an RMID that was given back may be used again.
    threshold_bytes: u64,
    last_id: u64,
}

impl Resctrl {
    /// One that is not mounted yet.
    pub fn new(machine: &Machine) -> Self {
        Self {
            mounted: false,
            cdp: false,
            groups: BTreeMap::new(),
            rmids: Rmids::new(machine.spec().rmids()),
            traffic: Traffic::default(),
            assigned: Assigned::new(machine),
            controller: None,
            status: String::new(),
            threshold_bytes: machine.spec().l3.bytes() / u64::from(machine.spec().rmids()),
            last_id: 0,
        }
    }

    /// Mounts it: all CPUs and tasks in the root group, every register open.
    pub fn mount(&mut self, machine: &mut Machine, cdp: bool) {
        *self = Self::new(machine);
        (self.mounted, self.cdp) = (true, cdp);
        self.controller = Controller::new(machine.spec());
        self.reset(machine);
        machine.control.cdp.fill(cdp);
        machine.kernel_assigns = true;
        let online = (0..machine.spec().cpus()).filter(|&cpu| machine.is_online(cpu)).collect();
        let root = Group {
            id: self.next_id(),
            closid: 0,
            rmid: 0,
            mode: Mode::Shareable,
            cpus: online,
            monitors: BTreeMap::new(),
        };
        self.groups.insert(String::new(), root);
        self.assign_at_mkdir(machine, 0);
        self.status.clear();
    }

    /// Unmounts it: groups are gone and registers open, as the kernel leaves them.
    pub fn unmount(&mut self, machine: &mut Machine) {
        self.reset(machine);
        machine.kernel_assigns = false;
        *self = Self::new(machine);
    }

    fn reset(&mut self, machine: &mut Machine) {
        let fresh = crate::model::control::Control::new(machine.spec());
        let control = &mut machine.control;
        (control.l3, control.l2, control.mba, control.cdp) = (fresh.l3, fresh.l2, fresh.mba, fresh.cdp);
        for task in machine.tasks.values_mut() {
            (task.closid, task.rmid) = (0, 0);
        }
        for cpu in &mut machine.cpus {
            cpu.default = crate::model::control::Association::default();
        }
        machine.sync_associations();
    }

    /// Whether it is mounted.
    pub fn is_mounted(&self) -> bool {
        self.mounted
    }

    /// Options the mount shows behind `rw,relatime`.
    pub fn mount_options(&self) -> String {
        let cdp = if self.cdp { ",cdp" } else { "" };
        let controller = if self.controller.is_some() { ",mba_MBps" } else { "" };
        format!("{cdp}{controller}")
    }

    /// A control group by name; the root's is empty.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Groups a task is in, as `/proc/PID/cpu_resctrl_groups` shows them.
    pub fn groups_of(&self, closid: u32, rmid: u16) -> String {
        let group = self.groups.iter().find(|(_, group)| group.closid == closid);
        let Some((name, group)) = group.filter(|_| self.mounted) else { return "res:\nmon:\n".to_owned() };
        let monitor = group.monitors.iter().find(|(_, monitor)| monitor.rmid == rmid);
        let root = if name.is_empty() { "/" } else { "" };
        format!("res:{root}{name}\nmon:{}\n", monitor.map_or("", |(name, _)| name))
    }

    /// Does what the kernel does once a second: reads traffic counters before they can wrap twice, and holds limits in MiB/s.
    pub fn each_second(&mut self, machine: &mut Machine) {
        let rmids: Vec<u16> = self.rmids_in_use();
        self.traffic.follow(machine, &rmids);
        self.control_bandwidth(machine);
    }

    /// Takes a CPU that went offline out of all groups.
    pub fn cpu_offline(&mut self, cpu: usize) {
        for group in self.groups.values_mut() {
            group.cpus.remove(&cpu);
            for monitor in group.monitors.values_mut() {
                monitor.cpus.remove(&cpu);
            }
        }
    }

    fn rmids_in_use(&self) -> Vec<u16> {
        let of = |group: &Group| {
            let monitors = group.monitors.values().map(|monitor| monitor.rmid);
            monitors.chain([group.rmid]).collect::<Vec<_>>()
        };
        self.groups.values().flat_map(of).collect()
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Fails with a text for `last_cmd_status`.
    fn refuse<T>(&mut self, errno: Errno, text: impl AsRef<str>) -> Result<T, Errno> {
        self.status.push_str(text.as_ref());
        self.status.push('\n');
        Err(errno)
    }
}

#[cfg(test)]
mod tests;
