//! The roster as the engine asks for it.

use std::collections::HashSet;

use waytrace_hw::Root;
use waytrace_trace::host::ProcessId;

use super::{Limits, Membership};
use crate::config::{CollectorName, TargetConfig};
use crate::targets::{Roster, Seen, SelectorError};

/// Processes whose control groups are read again with each window.
const RECHECKED: usize = 256;

/// Who belongs to which target, by the kernel's news.
#[derive(Debug)]
pub struct Members {
    roster: Roster,
    configs: Vec<TargetConfig>,
    root: Root,
    /// Processes the roster has been told of.
    told: HashSet<(u32, u64)>,
}

impl Members {
    /// Members of these targets; `machine` makes every process one of a target named after its command.
    ///
    /// # Errors
    /// The first selector that is wrong.
    pub fn new(targets: &[TargetConfig], machine: bool, root: Root) -> Result<Self, SelectorError> {
        let roster = Roster::new(targets, machine, root.clone())?;
        Ok(Self { roster, configs: targets.to_vec(), root, told: HashSet::new() })
    }

    /// Takes other targets; processes keep theirs where they still match.
    ///
    /// # Errors
    /// As [`Self::new`]; nothing has changed then.
    pub fn reload(&mut self, targets: &[TargetConfig], machine: bool) -> Result<(), SelectorError> {
        self.roster.reload(targets, machine)?;
        self.configs = targets.to_vec();
        Ok(())
    }

    /// The target of a process id.
    pub fn target_of_pid(&self, pid: u32) -> Option<&str> {
        self.roster.target_of(pid)
    }
}

fn seen(process: &ProcessId) -> Seen {
    Seen {
        pid: process.tgid,
        start_boot_ns: process.start_boot_ns,
        comm: process.comm.clone(),
        ..Seen::default()
    }
}

impl Membership for Members {
    fn forked(&mut self, parent: u32, child: &ProcessId) {
        self.told.insert((child.tgid, child.start_boot_ns));
        self.roster.forked(parent, Seen { ppid: parent, ..seen(child) });
    }

    fn executed(&mut self, process: &ProcessId) {
        self.told.insert((process.tgid, process.start_boot_ns));
        self.roster.executed(seen(process));
    }

    fn ended(&mut self, process: &ProcessId) {
        self.told.remove(&(process.tgid, process.start_boot_ns));
        self.roster.ended(process.tgid, Some(process.start_boot_ns));
    }

    fn resync(&mut self, processes: &[ProcessId]) {
        let all: Vec<Seen> = processes
            .iter()
            .map(|process| {
                let is_new = self.told.insert((process.tgid, process.start_boot_ns));
                // Whose child it is the kernel's numbers do not say, and it matters once.
                let ppid =
                    if is_new { Seen::read(&self.root, process.tgid).map(|seen| seen.ppid) } else { None };
                Seen { ppid: ppid.unwrap_or(0), ..seen(process) }
            })
            .collect();
        self.told.retain({
            let alive: HashSet<(u32, u64)> = all.iter().map(|seen| (seen.pid, seen.start_boot_ns)).collect();
            move |known| alive.contains(known)
        });
        self.roster.resync(&all);
        self.roster.recheck_groups(RECHECKED);
    }

    fn target_of(&mut self, process: &ProcessId) -> Option<String> {
        self.roster.target_of(process.tgid).map(str::to_owned)
    }

    fn limits(&self, target: &str) -> Limits {
        let Some(config) = self.configs.iter().find(|config| config.name == target) else {
            return Limits::default();
        };
        let may = |collector| !config.leave_out.contains(&collector);
        Limits {
            slowdown_pct: config.budget.target_slowdown_pct,
            cpu_pct: config.budget.cpu_pct,
            allocations: may(CollectorName::Allocations),
            accesses: may(CollectorName::Accesses),
            mappings: may(CollectorName::Mappings),
            cache: may(CollectorName::Cache),
        }
    }

    fn missing(&mut self) -> Vec<String> {
        self.roster.missing().into_iter().map(str::to_owned).collect()
    }
}
