//! Making and removing groups.
//!
//! Source: `fs/resctrl/rdtgroup.c`.

use std::collections::{BTreeMap, BTreeSet};

use super::mode::Mode;
use super::{Errno, Group, GroupName, MonitorGroup, Resctrl, schema};
use crate::model::machine::Machine;

impl Resctrl {
    /// `mkdir` of a path below the mount. Groups can be made in the root, and in directories `mon_groups`.
    ///
    /// # Errors
    /// EPERM elsewhere and where not mounted, EEXIST, ENOSPC without a class or RMID, EBUSY where RMIDs wait for their
    /// lines to leave the cache.
    pub fn mkdir(&mut self, machine: &mut Machine, path: &[&str]) -> Result<(), Errno> {
        if !self.mounted {
            return Err(libc::EPERM);
        }
        if self.exists(machine, path) {
            return Err(libc::EEXIST);
        }
        self.status.clear();
        match *path {
            [name] if name.contains('\n') => Err(libc::EINVAL),
            [name] if !schema::all(machine.spec(), self.cdp).is_empty() => self.make_control(machine, name),
            ["mon_groups", name] => self.make_monitor(machine, "", name),
            [control, "mon_groups", name] if self.groups.contains_key(control) => {
                self.make_monitor(machine, control, name)
            }
            _ => Err(libc::EPERM),
        }
    }

    fn make_control(&mut self, machine: &mut Machine, name: &str) -> Result<(), Errno> {
        let used: BTreeSet<u32> = self
            .groups
            .values()
            .filter(|group| !matches!(group.mode, Mode::PseudoLocked { .. }))
            .map(|group| group.closid)
            .collect();
        let count = u32::try_from(schema::closids(machine.spec(), self.cdp)).unwrap_or(u32::MAX);
        let Some(closid) = (0..count).find(|closid| !used.contains(closid)) else {
            return self.refuse(libc::ENOSPC, "Out of CLOSIDs");
        };
        let rmid = self.allocate_rmid(machine)?;
        if let Err(errno) = self.open_class(machine, closid) {
            self.release_rmid(rmid);
            return Err(errno);
        }
        let group = Group {
            id: self.next_id(),
            closid,
            rmid,
            mode: Mode::Shareable,
            cpus: BTreeSet::new(),
            monitors: BTreeMap::new(),
        };
        self.groups.insert(name.to_owned(), group);
        self.assign_at_mkdir(machine, rmid);
        Ok(())
    }

    fn make_monitor(&mut self, machine: &Machine, control: &str, name: &str) -> Result<(), Errno> {
        let mode = self.groups.get(control).ok_or(libc::ENODEV)?.mode;
        if machine.spec().monitoring.is_none() || name == "mon_groups" {
            return Err(libc::EPERM);
        }
        if matches!(mode, Mode::PseudoLocked { .. }) {
            return self.refuse(libc::EINVAL, "Pseudo-locking in progress");
        }
        let rmid = self.allocate_rmid(machine)?;
        let id = self.next_id();
        if let Some(group) = self.groups.get_mut(control) {
            group.monitors.insert(name.to_owned(), MonitorGroup { id, rmid, cpus: BTreeSet::new() });
        }
        self.assign_at_mkdir(machine, rmid);
        Ok(())
    }

    /// `rmdir`: tasks and CPUs go back to the parent. What the class's registers hold stays there, as on real machines,
    /// until a new group gets the class.
    ///
    /// # Errors
    /// EPERM for anything that is no group, ENOENT for what is not there.
    pub fn rmdir(&mut self, machine: &mut Machine, path: &[&str]) -> Result<(), Errno> {
        match *path {
            [name] if !name.is_empty() && self.groups.contains_key(name) => {
                self.remove_control(machine, name);
            }
            ["mon_groups", name] => self.remove_monitor(machine, "", name)?,
            [control, "mon_groups", name] => self.remove_monitor(machine, control, name)?,
            _ if self.exists(machine, path) => return Err(libc::EPERM),
            _ => return Err(libc::ENOENT),
        }
        self.spread_defaults(machine);
        Ok(())
    }

    fn remove_control(&mut self, machine: &mut Machine, name: &str) {
        let Some(group) = self.groups.remove(name) else { return };
        if !matches!(group.mode, Mode::PseudoLocked { .. }) {
            for task in machine.tasks.values_mut().filter(|task| task.closid == group.closid) {
                (task.closid, task.rmid) = (0, 0);
            }
        }
        if let Some(root) = self.groups.get_mut("") {
            root.cpus.extend(group.cpus);
        }
        self.release_rmid(group.rmid);
        for monitor in group.monitors.into_values() {
            self.release_rmid(monitor.rmid);
        }
    }

    fn remove_monitor(&mut self, machine: &mut Machine, control: &str, name: &str) -> Result<(), Errno> {
        let group = self.groups.get_mut(control).ok_or(libc::ENOENT)?;
        let monitor = group.monitors.remove(name).ok_or(libc::ENOENT)?;
        for task in machine.tasks.values_mut().filter(|task| task.rmid == monitor.rmid) {
            task.rmid = group.rmid;
        }
        self.release_rmid(monitor.rmid);
        Ok(())
    }

    /// The number of the group a path leads into, never given twice; the root's for everything else.
    pub fn identity(&self, path: &[&str]) -> Option<u64> {
        let (name, _) = self.split(path);
        self.id_of(&name)
    }

    fn id_of(&self, name: &GroupName) -> Option<u64> {
        let group = self.groups.get(&name.control)?;
        match &name.monitor {
            Some(monitor) => Some(group.monitors.get(monitor)?.id),
            None => Some(group.id),
        }
    }

    /// The group a path below the mount leads into, and the rest of the path.
    pub(super) fn split<'a, 'b>(&self, path: &'a [&'b str]) -> (GroupName, &'a [&'b str]) {
        let (control, rest) = match path {
            [first, rest @ ..] if !first.is_empty() && self.groups.contains_key(*first) => (*first, rest),
            _ => ("", path),
        };
        let monitors = self.groups.get(control).map(|group| &group.monitors);
        let (monitor, rest) = match rest {
            ["mon_groups", name, inner @ ..] if monitors.is_some_and(|all| all.contains_key(*name)) => {
                (Some((*name).to_owned()), inner)
            }
            _ => (None, rest),
        };
        (GroupName { control: control.to_owned(), monitor }, rest)
    }
}
