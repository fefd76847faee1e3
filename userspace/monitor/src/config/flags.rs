//! The same configuration by flags.

use std::path::PathBuf;

use super::{Config, Error, TargetConfig};

/// What the command line says, already parsed. [`Self::apply`] puts it over a file's configuration or over the defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags {
    /// Processes.
    pub pids: Vec<u32>,
    /// Command names or globs.
    pub comms: Vec<String>,
    /// Executables or globs.
    pub exes: Vec<String>,
    /// Files that hold process ids.
    pub pid_files: Vec<PathBuf>,
    /// Control groups or globs.
    pub cgroups: Vec<String>,
    /// systemd units or globs.
    pub units: Vec<String>,
    /// Container ids or prefixes.
    pub containers: Vec<String>,
    /// UIDs of Kubernetes pods.
    pub pods: Vec<String>,
    /// Every process.
    pub machine: bool,
    /// Descendants of the targets named by flags belong to them, too.
    pub children: bool,
    /// Length of a window, nanoseconds.
    pub window_ns: Option<u64>,
    /// CPU time of waytrace itself, percent of all CPUs together.
    pub cpu_pct: Option<f64>,
    /// What probes and samples may take of a target's CPU time, percent.
    pub target_slowdown_pct: Option<f64>,
    /// Where the history is kept.
    pub db: Option<PathBuf>,
    /// Address and port to answer HTTP at.
    pub listen: Option<String>,
}

impl Flags {
    /// Puts these flags over `config`: targets are added after those of a file, all else replaces what a file says.
    pub fn apply(&self, config: &mut Config) {
        config.targets.extend(self.targets());
        config.machine |= self.machine;
        if let Some(window_ns) = self.window_ns {
            config.window_ns = window_ns;
        }
        if let Some(cpu_pct) = self.cpu_pct {
            config.budget.cpu_pct = cpu_pct;
        }
        if let Some(slowdown_pct) = self.target_slowdown_pct {
            config.budget.target_slowdown_pct = slowdown_pct;
        }
        if let Some(db) = &self.db {
            config.history.path = Some(db.clone());
        }
        if let Some(listen) = &self.listen {
            config.http.listen = Some(listen.clone());
        }
    }

    /// A target for each selector, named after it.
    fn targets(&self) -> Vec<TargetConfig> {
        let of = |name: String| TargetConfig { name, children: self.children, ..TargetConfig::default() };
        let mut targets = Vec::new();
        for &pid in &self.pids {
            targets.push(TargetConfig { pid: Some(pid), ..of(format!("pid-{pid}")) });
        }
        for comm in &self.comms {
            targets.push(TargetConfig { comm: Some(comm.clone()), ..of(comm.clone()) });
        }
        for exe in &self.exes {
            targets.push(TargetConfig { exe: Some(exe.clone()), ..of(exe.clone()) });
        }
        for path in &self.pid_files {
            targets.push(TargetConfig { pid_file: Some(path.clone()), ..of(path.display().to_string()) });
        }
        for cgroup in &self.cgroups {
            targets.push(TargetConfig { cgroup: Some(cgroup.clone()), ..of(cgroup.clone()) });
        }
        for unit in &self.units {
            targets.push(TargetConfig { unit: Some(unit.clone()), ..of(unit.clone()) });
        }
        for container in &self.containers {
            targets.push(TargetConfig { container: Some(container.clone()), ..of(container.clone()) });
        }
        for pod in &self.pods {
            targets.push(TargetConfig { pod: Some(pod.clone()), ..of(pod.clone()) });
        }
        targets
    }
}

impl Config {
    /// The configuration that flags alone say.
    ///
    /// # Errors
    /// [`Error::Bad`] at the first mistake.
    pub fn from_flags(flags: &Flags) -> Result<Self, Error> {
        Self::default().with_flags(flags)
    }

    /// This configuration with flags put over it, checked anew.
    ///
    /// # Errors
    /// [`Error::Bad`] at the first mistake.
    pub fn with_flags(mut self, flags: &Flags) -> Result<Self, Error> {
        flags.apply(&mut self);
        let bad = |what: String| Error::Bad { place: "the command line".to_owned(), what };
        self.check().map_err(|problem| bad(problem.to_string()))?;
        Ok(self)
    }
}
