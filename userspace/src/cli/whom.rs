//! Whose windows, as arguments of `monitor` and `top`.

use std::path::PathBuf;

use waytrace_monitor::config::Flags;

/// Whom to watch.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct WhomArgs {
    /// A process.
    #[arg(long, value_name = "PID", num_args = 1..)]
    pid: Vec<u32>,
    /// All processes of this command name, or glob.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    comm: Vec<String>,
    /// All processes of this executable, or glob.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    exe: Vec<String>,
    /// The process whose id is in this file.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pid_file: Vec<PathBuf>,
    /// All processes of a control group, or glob.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    cgroup: Vec<String>,
    /// All processes of a systemd unit, or glob.
    #[arg(long, value_name = "UNIT", num_args = 1..)]
    unit: Vec<String>,
    /// All processes of a container, by its id or the beginning of it.
    #[arg(long, value_name = "ID", num_args = 1..)]
    container: Vec<String>,
    /// All processes of a Kubernetes pod.
    #[arg(long, value_name = "UID", num_args = 1..)]
    pod: Vec<String>,
    /// Every process, by command name.
    #[arg(long)]
    machine: bool,
    /// Descendants of these processes, too.
    #[arg(long)]
    children: bool,
    /// Directory that stands in for / where caches are monitored.
    #[arg(long, value_name = "DIR", hide = true, default_value = "/")]
    pub host_root: PathBuf,
}

impl WhomArgs {
    /// As the configuration has them.
    pub fn flags(&self) -> Flags {
        Flags {
            pids: self.pid.clone(),
            comms: self.comm.clone(),
            exes: self.exe.clone(),
            pid_files: self.pid_file.clone(),
            cgroups: self.cgroup.clone(),
            units: self.unit.clone(),
            containers: self.container.clone(),
            pods: self.pod.clone(),
            machine: self.machine,
            children: self.children,
            ..Flags::default()
        }
    }
}
