//! The tree below the mount: which directories and files there are, and what reading and writing them leads to.

use super::{Errno, GroupName, Resctrl, assign, schema};
use crate::model::machine::Machine;
use crate::spec::MonitorEvent;

/// Longest write the kernel takes at once, bytes.
const LONGEST_WRITE: usize = 4096;

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: String,
    /// Permissions of a file; none is a directory.
    pub file_mode: Option<u16>,
}

impl Entry {
    /// A directory.
    pub fn directory(name: impl Into<String>) -> Self {
        Self { name: name.into(), file_mode: None }
    }

    /// A file.
    pub fn file(name: impl Into<String>, mode: u16) -> Self {
        Self { name: name.into(), file_mode: Some(mode) }
    }
}

impl Resctrl {
    /// What a directory below the mount holds; none where there is no such directory.
    pub fn entries(&self, machine: &Machine, path: &[&str]) -> Option<Vec<Entry>> {
        if !self.mounted {
            return path.is_empty().then(Vec::new);
        }
        if let ["info", inner @ ..] = path {
            return self.info_entries(machine, inner);
        }
        let monitoring = machine.spec().monitoring.as_ref();
        let (name, rest) = self.split(path);
        let group = self.groups.get(&name.control)?;
        match rest {
            [] => Some(self.group_entries(machine, &name)),
            ["mon_groups"] if name.monitor.is_none() => {
                monitoring?;
                Some(group.monitors.keys().map(Entry::directory).collect())
            }
            ["mon_data"] => {
                monitoring?;
                let domain = |domain| Entry::directory(format!("mon_L3_{domain:02}"));
                Some(monitored(machine).into_iter().map(domain).collect())
            }
            ["mon_data", domain] => {
                let cache = parse_domain(machine, domain)?;
                let events = monitoring?.events.iter().map(|event| Entry::file(event.name(), 0o444));
                let node = |node| Entry::directory(format!("mon_sub_L3_{node:02}"));
                Some(events.chain(parts(machine, cache).map(node)).collect())
            }
            // What a node alone has is not modelled.
            ["mon_data", domain, part] => {
                let cache = parse_domain(machine, domain)?;
                let is_part = parts(machine, cache).any(|node| *part == format!("mon_sub_L3_{node:02}"));
                is_part.then(Vec::new)
            }
            _ => None,
        }
    }

    fn group_entries(&self, machine: &Machine, name: &GroupName) -> Vec<Entry> {
        let spec = machine.spec();
        let is_root = name.control.is_empty() && name.monitor.is_none();
        let writable = |names: &'static [&'static str]| names.iter().map(|name| Entry::file(*name, 0o644));
        let mut entries: Vec<Entry> = writable(&["cpus", "cpus_list", "tasks"]).collect();
        if name.monitor.is_none() && !schema::all(spec, self.cdp).is_empty() {
            entries.extend(writable(&["schemata", "mode"]));
            entries.push(Entry::file("size", 0o444));
        }
        entries.extend(self.assigned.is_some().then(|| Entry::file("mbm_L3_assignments", 0o644)));
        if spec.monitoring.is_some() {
            entries.push(Entry::directory("mon_data"));
            entries.extend(name.monitor.is_none().then(|| Entry::directory("mon_groups")));
        }
        if is_root {
            entries.push(Entry::directory("info"));
            entries.extend(self.groups.keys().filter(|name| !name.is_empty()).map(Entry::directory));
        }
        entries
    }

    pub(super) fn exists(&self, machine: &Machine, path: &[&str]) -> bool {
        let [parent @ .., name] = path else { return true };
        self.entries(machine, parent).is_some_and(|entries| entries.iter().any(|entry| entry.name == *name))
    }

    /// Text of a file.
    ///
    /// # Errors
    /// ENODEV where there is none, as for a file of a group that is gone.
    pub fn read(&mut self, machine: &Machine, path: &[&str]) -> Result<String, Errno> {
        if !self.mounted || !self.exists(machine, path) {
            return Err(libc::ENODEV);
        }
        let text = match path {
            ["info", "L3_MON", file] if assign::INFO.iter().any(|(name, _)| name == file) => {
                return self.show_assigned_info(machine, file).ok_or(libc::ENODEV)?;
            }
            ["info", inner @ ..] => self.show_info(machine, inner),
            _ => {
                let (name, rest) = self.split(path);
                if *rest == ["mbm_L3_assignments"] {
                    return self.show_assignments(machine, &name).ok_or(libc::ENODEV)?;
                }
                self.show(machine, &name, rest)
            }
        };
        text.ok_or(libc::ENODEV)
    }

    fn show(&mut self, machine: &Machine, name: &GroupName, rest: &[&str]) -> Option<String> {
        match *rest {
            ["tasks"] => self.show_tasks(machine, name),
            ["cpus"] => self.show_cpus(machine, name, false),
            ["cpus_list"] => self.show_cpus(machine, name, true),
            ["schemata"] => self.show_schemata(machine, &name.control),
            ["size"] => self.show_size(machine, &name.control),
            ["mode"] => Some(format!("{}\n", self.groups.get(&name.control)?.mode.name())),
            ["mon_data", domain, event] => {
                let domain = parse_domain(machine, domain)?;
                let event = MonitorEvent::ALL.into_iter().find(|one| one.name() == event)?;
                self.show_event(machine, name, domain, event)
            }
            _ => None,
        }
    }

    /// Writes a file.
    ///
    /// # Errors
    /// The kernel's: EINVAL for what the file does not take, ESRCH, ENODEV for a file that is not there, E2BIG.
    /// `info/last_cmd_status` says more.
    pub fn write(&mut self, machine: &mut Machine, path: &[&str], text: &str) -> Result<(), Errno> {
        if !self.mounted || !self.exists(machine, path) {
            return Err(libc::ENODEV);
        }
        if text.len() > LONGEST_WRITE {
            return Err(libc::E2BIG);
        }
        if let ["info", inner @ ..] = path {
            return self.write_info(machine, inner, text);
        }
        let (name, rest) = self.split(path);
        match *rest {
            ["tasks"] => self.write_tasks(machine, &name, text),
            ["cpus"] => self.write_cpus(machine, &name, text, false),
            ["cpus_list"] => self.write_cpus(machine, &name, text, true),
            ["schemata"] => self.write_schemata(machine, &name.control, text),
            ["mode"] => self.write_mode(machine, &name.control, text),
            ["mbm_L3_assignments"] => self.write_assignments(machine, &name, text),
            _ => Err(libc::EINVAL),
        }
    }
}

/// Caches with a CPU online.
fn monitored(machine: &Machine) -> Vec<usize> {
    let is_there =
        |domain: &usize| machine.spec().cpus_of_domain(*domain).into_iter().any(|cpu| machine.is_online(cpu));
    (0..machine.spec().domains()).filter(is_there).collect()
}

/// Nodes a cache is divided into; none where it is whole.
fn parts(machine: &Machine, cache: usize) -> std::ops::Range<usize> {
    let count = machine.spec().nodes_per_cache;
    if count > 1 { cache * count..(cache + 1) * count } else { 0..0 }
}

fn parse_domain(machine: &Machine, name: &str) -> Option<usize> {
    monitored(machine).into_iter().find(|domain| name == format!("mon_L3_{domain:02}"))
}
