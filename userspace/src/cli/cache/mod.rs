//! `waytrace cache`: what of a cache whose tasks may use, shown and set.

mod reset;
mod set;
mod show;
mod sweep;
mod watch;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use waytrace_hw::Root;
use waytrace_hw::msr::MsrAllocation;
use waytrace_hw::rdt::{CacheAllocation, RdtError};
use waytrace_hw::resctrl::Resctrl;

use super::Outcome;

const EXAMPLES: &str = "Examples:
  waytrace cache show                                     what can be allocated, and who has what
  waytrace cache set --l3 4w --pid 4242                   four ways of every L3 for a process
  waytrace cache set --l3 25% --mb 50% --cgroup batch     a quarter of the cache, half of the bandwidth
  waytrace cache set --l3 2MiB --cpus 4-7 --cache-id 0    at least 2 MiB of one L3 for what runs on CPUs
  waytrace cache watch --pid 4242 --interval 500ms        what a process holds and moves
  waytrace cache sweep --pid 4242                         how it fares with fewer and fewer ways
  waytrace cache reset                                    as after boot";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    host: Host,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What can be allocated and monitored, all classes, and who belongs to them.
    Show(show::Args),
    /// Give threads, a cgroup or CPUs a share of a cache or of the memory bandwidth.
    Set(set::Args),
    /// Remove classes, and give the default class everything.
    Reset(reset::Args),
    /// Take ways from a process one by one: its miss-ratio and IPC curves. All is as before at the end.
    Sweep(Box<sweep::Args>),
    #[command(hide = true)]
    Corun(sweep::corun::Args),
    /// Occupancy and bandwidth of processes, classes, groups and CPUs, until Ctrl-C.
    Watch(watch::Args),
}

/// Which machine, and how it is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Host {
    /// Who is asked.
    #[arg(long, value_name = "NAME", global = true, default_value = "resctrl")]
    interface: Name,
    /// With `--interface msr`: use registers although resctrl is mounted and uses them, too.
    #[arg(long, global = true)]
    force: bool,
    /// Directory that stands in for /.
    #[arg(long, value_name = "DIR", global = true, hide = true, default_value = "/")]
    host_root: PathBuf,
}

/// Interfaces there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The kernel's resctrl file system.
    Resctrl,
    /// The CPUs' registers, by the msr driver; only CPUs can have a share then.
    Msr,
}

impl Host {
    fn root(&self) -> Root {
        Root::new(self.host_root.clone())
    }

    /// The machine's cache allocation.
    fn open(&self) -> Result<Box<dyn CacheAllocation>, RdtError> {
        match self.interface {
            Name::Resctrl => Ok(Box::new(Resctrl::open(&self.root())?)),
            Name::Msr => Ok(Box::new(MsrAllocation::open(&self.root(), self.force)?)),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.verb {
        Verb::Show(verb) => show::run(verb, &args.host),
        Verb::Set(verb) => set::run(verb, &args.host),
        Verb::Reset(verb) => reset::run(verb, &args.host),
        Verb::Sweep(verb) => sweep::run(verb, &args.host),
        Verb::Corun(verb) => sweep::corun::run(verb),
        Verb::Watch(verb) => watch::run(verb, &args.host),
    }
}
