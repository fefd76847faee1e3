//! Whom to measure: an existing process, found and checked, or a command to start.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use waytrace_image::process::{self, ProcessInfo};

use super::child::Child;

/// Arguments that name the target.
#[derive(Debug, clap::Args)]
#[group(id = "whom", required = true, multiple = false)]
pub struct WhomArgs {
    /// A process, with all its threads.
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// One thread.
    #[arg(long, value_name = "TID")]
    tid: Option<u32>,
    /// All processes of this name.
    #[arg(long, value_name = "NAME")]
    comm: Option<String>,
    /// All processes of a control group.
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// Start the bundled target and measure it.
    #[arg(long)]
    demo: bool,
    /// A command to start and measure from its first instruction.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Arguments about the target.
#[derive(Debug, clap::Args)]
pub struct TargetArgs {
    #[command(flatten)]
    whom: WhomArgs,
    /// Measure the target's children too. Probes are then placed in every process that uses the same files.
    #[arg(long)]
    pub follow_forks: bool,
}

/// Whom to measure.
pub struct Target {
    /// What is known of the processes; at least one.
    pub processes: Vec<ProcessInfo>,
    /// Only this thread.
    pub only_tid: Option<u32>,
    /// The command waytrace started, held at its first instruction.
    pub child: Option<Child>,
}

/// The program `--demo` starts, found beside waytrace itself.
const DEMO: &str = "traverse-array";

impl Target {
    /// Finds the target, or starts it and holds it.
    pub fn find(args: &TargetArgs) -> anyhow::Result<Self> {
        let whom = &args.whom;
        if whom.demo {
            return Self::start(&[demo()?], true);
        }
        if !whom.command.is_empty() {
            return Self::start(&whom.command, false);
        }
        if let Some(tid) = whom.tid {
            let tgid = process::resolve_tid(tid)?;
            return Ok(Self { processes: vec![check(tgid)?], only_tid: Some(tid), child: None });
        }
        let pids = match (whom.pid, &whom.comm, &whom.cgroup) {
            (Some(pid), ..) => vec![pid],
            (_, Some(comm), _) => process::find_by_comm(comm)?,
            (.., Some(path)) => process::pids_in_cgroup(path)?,
            _ => bail!("no target given; use --pid, --tid, --comm, --cgroup, or -- CMD"),
        };
        let own = std::process::id();
        let alone = pids.len() == 1;
        let mut processes = Vec::with_capacity(pids.len());
        for pid in pids.into_iter().filter(|&pid| pid != own) {
            match check(pid) {
                Ok(info) => processes.push(info),
                Err(error) if alone => return Err(error),
                Err(error) => tracing::warn!("left out: {error:#}"),
            }
        }
        if processes.is_empty() {
            bail!("no process to measure is left; waytrace does not measure itself");
        }
        Ok(Self { processes, only_tid: None, child: None })
    }

    fn start(command: &[String], demo: bool) -> anyhow::Result<Self> {
        let child = Child::start(command, demo)?;
        let info = check(child.pid())?;
        Ok(Self { processes: vec![info], only_tid: None, child: Some(child) })
    }

    /// Processes to attach to.
    pub fn tgids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.tgid).collect()
    }
}

fn check(pid: u32) -> anyhow::Result<ProcessInfo> {
    let tgid = process::resolve_tid(pid)?;
    if tgid != pid {
        bail!(
            "{pid} is a thread of process {tgid}; use --tid {pid} for the thread or --pid {tgid} for the process"
        );
    }
    Ok(process::inspect(pid)?)
}

fn demo() -> anyhow::Result<String> {
    let own = std::env::current_exe().context("finding the demo program")?;
    let path = own.with_file_name(DEMO);
    if !path.exists() {
        bail!(
            "{} is not there; build it with `cargo build --release -p {DEMO}`, or use `cargo xtask run`",
            path.display()
        );
    }
    Ok(path.to_string_lossy().into_owned())
}
