//! `waytrace events`: what can be counted, by which PMU and on which counters.

mod aggregate;
mod compare;
mod correlate;
mod gather;
mod import;
mod list;
mod measure;
mod metrics;
mod pair;
mod plan;
mod rank;
mod search;
mod show;
mod stats;

use clap::Subcommand;

use super::Outcome;

const EXAMPLES: &str = "Examples:
  waytrace events list                                    what this machine can count
  waytrace events list --filter l3_miss --cpu GenuineIntel-6-55
  waytrace events plan --cpu GenuineIntel-6-55            all of a CPU's events in the fewest runs
  waytrace events measure -- make                         count them all, without multiplexing
  waytrace events correlate last -o matrix.html           which of them go together
  waytrace events rank last                               which of them to watch
  waytrace events pair manifest.toml --dry-run            programs side by side, and where they would run
  waytrace events import perfmon                          Intel's files, or pmu-events/arch of a kernel's source
  waytrace events stats GenuineIntel-6-3F GenuineIntel-6-55   what one CPU counts that the other does not";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Events of this machine or of a CPU.
    List(list::Args),
    /// All events in the fewest runs without multiplexing, and the proof of how few there can be.
    Plan(plan::Args),
    /// Count all events without multiplexing: on a command, a process, a cgroup or all CPUs.
    Measure(Box<measure::Args>),
    /// Measurements as one table of values: CSV or Parquet.
    Aggregate(aggregate::Args),
    /// Which events go together over time, as a matrix and a picture.
    Correlate(correlate::Args),
    /// One event over time.
    Show(show::Args),
    /// Two measurements, and which changes are no chance.
    Compare(compare::Args),
    /// The events worth watching that one run can count.
    Rank(rank::Args),
    /// Event files become part of what waytrace knows.
    Import(import::Args),
    /// Programs of a manifest side by side, every two of them, and how much each is slowed down.
    Pair(Box<pair::Args>),
    /// Event codes that count though undocumented; not verified on hardware, and not without danger.
    Search(Box<search::Args>),
    /// Figures of the events of each CPU, or what differs between two.
    Stats(stats::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.verb {
        Verb::List(args) => list::run(args),
        Verb::Plan(args) => plan::run(args),
        Verb::Measure(args) => measure::run(args),
        Verb::Aggregate(args) => aggregate::run(args),
        Verb::Correlate(args) => correlate::run(args),
        Verb::Show(args) => show::run(args),
        Verb::Compare(args) => compare::run(args),
        Verb::Rank(args) => rank::run(args),
        Verb::Import(args) => import::run(args),
        Verb::Pair(args) => pair::run(args),
        Verb::Search(args) => search::run(args),
        Verb::Stats(args) => stats::run(args),
    }
}

/// Who knows events of which CPUs, for `waytrace doctor --json`.
pub fn known() -> Vec<waytrace_hw::catalogue::Known> {
    gather::known()
}

/// The catalogue's line in `waytrace doctor`.
pub fn summary(root: &waytrace_hw::Root) -> String {
    gather::summary(root)
}
