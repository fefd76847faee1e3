//! `[[target]]`: a name, who belongs to it, and what differs for it.

use std::path::PathBuf;

use serde::Deserialize;

use super::switch::CollectorName;

/// One target. A process belongs to it if it matches everything that is said here of processes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// What it is called in history, metrics and rules.
    pub name: String,
    /// Command name, or a glob.
    pub comm: Option<String>,
    /// Path of the executable as the process sees it, or a glob.
    pub exe: Option<String>,
    /// Process id.
    pub pid: Option<u32>,
    /// File that holds the process id.
    pub pid_file: Option<PathBuf>,
    /// Path of a control group, or a glob; groups below it count.
    pub cgroup: Option<String>,
    /// systemd unit, or a glob.
    pub unit: Option<String>,
    /// Container id, or at least its first 12 digits.
    pub container: Option<String>,
    /// UID of a Kubernetes pod.
    pub pod: Option<String>,
    /// Descendants of its processes belong to it, too.
    #[serde(default)]
    pub children: bool,
    /// What differs from `[budget]` for it.
    #[serde(default)]
    pub budget: TargetBudget,
    /// Collectors it is spared.
    #[serde(default)]
    pub leave_out: Vec<CollectorName>,
}

/// What a target may cost where it is not `[budget]`'s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetBudget {
    /// waytrace's own CPU time for it, percent of the machine.
    pub cpu_pct: Option<f64>,
    /// What probes and samples may take of the target's CPU time, percent.
    pub target_slowdown_pct: Option<f64>,
}
