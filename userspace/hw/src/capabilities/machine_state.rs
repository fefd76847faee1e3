//! State of the machine that decides about caches and about how steady measurements are: resctrl, registers, CPU frequencies,
//! and changes that are still in force.

use std::fs::OpenOptions;

use serde::Serialize;
use waytrace_model::cache_report::{Capabilities, Interface};

use super::Attempt;
use crate::Root;
use crate::msr::MsrAllocation;
use crate::rdt::{CacheAllocation, ResctrlState, resctrl_state, why_not};
use crate::resctrl::Resctrl;
use crate::{cpufreq, undo};

/// Caches as far as they can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CacheFacts {
    /// Why resctrl cannot be used, with the mend; null where it is mounted.
    pub resctrl_lacks: Option<String>,
    /// The kernel has it, and it only has to be mounted.
    pub resctrl_mountable: bool,
    /// Its mount options.
    pub resctrl_options: Vec<String>,
    /// Opening its files for writing; null where it is not mounted.
    pub resctrl_write: Option<Attempt>,
    /// Who told what can be allocated and monitored.
    pub interface: Option<Interface>,
    /// What can be.
    pub found: Option<Capabilities>,
    /// Why neither tells.
    pub refused: Option<String>,
    /// Whether the msr driver takes writes (`/sys/module/msr/parameters/allow_writes`): `on`, `off`, `default`.
    pub msr_writes: Option<String>,
}

/// What decides about the CPUs' frequencies. Null is not told, or not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FrequencyFacts {
    /// Groups of CPUs whose frequency is set together; 0 where the kernel sets none.
    pub policies: usize,
    /// Governors in use, each once.
    pub governors: Vec<String>,
    /// Policies whose lower limit is not their upper one.
    pub unpinned_policies: usize,
    /// Whether CPUs may run faster than their nominal frequency for a while.
    pub turbo: Option<bool>,
}

/// A journal of changes in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftFacts {
    /// What they are for: `sweep`, `doctor`, `frequency`.
    pub purpose: String,
    /// Whose they are.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// They are meant to stay (`doctor --fix`).
    pub kept: bool,
    /// How many.
    pub changes_count: usize,
    /// The journal.
    pub path: String,
}

/// Asks resctrl, and where it is not mounted the registers.
pub fn caches(root: &Root) -> CacheFacts {
    let state = resctrl_state(root);
    let mut facts = CacheFacts {
        resctrl_lacks: why_not(&state),
        resctrl_mountable: state == ResctrlState::NotMounted,
        msr_writes: root.read("sys/module/msr/parameters/allow_writes").ok(),
        ..CacheFacts::default()
    };
    if let ResctrlState::Mounted { path, options } = state {
        facts.resctrl_options = options;
        facts.resctrl_write = Some(OpenOptions::new().write(true).open(path.join("schemata")).into());
    }
    let told = match facts.resctrl_lacks {
        None => Resctrl::open(root).and_then(|resctrl| resctrl.capabilities()),
        Some(_) => MsrAllocation::open(root, false).and_then(|registers| registers.capabilities()),
    };
    match told {
        Ok(found) => {
            let by_kernel = facts.resctrl_lacks.is_none();
            facts.interface = Some(if by_kernel { Interface::Resctrl } else { Interface::Msr });
            facts.found = Some(found);
        }
        Err(error) => facts.refused = Some(error.to_string()),
    }
    facts
}

/// Reads the kernel's frequency policies.
pub fn frequencies(root: &Root) -> FrequencyFacts {
    let policies = cpufreq::policies(root);
    let read = |policy: &str, file: &str| root.read(&format!("{policy}/{file}")).ok();
    let mut governors: Vec<String> =
        policies.iter().filter_map(|policy| read(policy, "scaling_governor")).collect();
    governors.sort_unstable();
    governors.dedup();
    let unpinned =
        policies.iter().filter(|policy| read(policy, "scaling_min_freq") != read(policy, "scaling_max_freq"));
    FrequencyFacts {
        policies: policies.len(),
        unpinned_policies: unpinned.count(),
        governors,
        turbo: turbo(root),
    }
}

fn turbo(root: &Root) -> Option<bool> {
    match root.read_number("sys/devices/system/cpu/intel_pstate/no_turbo") {
        Some(off) => Some(off == 0),
        None => root.read_number(&format!("{}/boost", cpufreq::DIR)).map(|on| on != 0),
    }
}

/// Looks for journals.
pub fn left(root: &Root) -> Vec<LeftFacts> {
    undo::pending(root)
        .into_iter()
        .map(|left| LeftFacts {
            purpose: left.purpose,
            pid: left.pid,
            command: left.command,
            kept: left.kept,
            changes_count: left.changes,
            path: left.path.display().to_string(),
        })
        .collect()
}
