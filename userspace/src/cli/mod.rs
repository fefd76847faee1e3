//! The command line: one file per command. Results go to stdout, logs and progress to stderr.

mod bench;
mod cache;
mod curves;
mod diff;
mod doctor;
mod events;
mod exit;
mod export;
mod file;
mod history;
mod hold;
mod import;
mod list;
mod monitor;
mod output;
mod profile;
mod prune;
mod report;
mod samples;
mod show;
mod table;
mod top;
mod watchdog;
mod whom;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Attaches to a running process, without restarting or preloading it, and explains its memory.
#[derive(Debug, Parser)]
#[command(name = "waytrace", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say more on stderr; twice for every detail.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXAMPLES: &str = "Examples:
  waytrace doctor                               what works on this machine, what does not, and why
  waytrace profile --pid 4242 --duration 30s    attach to a process for half a minute
  waytrace profile --exact -- ./server --port 1 measure a command from its first instruction
  waytrace show last                            the newest run again
  waytrace report last -o run.html              one self-contained page";

#[derive(Debug, Subcommand)]
enum Command {
    /// What works on this machine, what does not, why, and how to mend it.
    Doctor(doctor::Args),
    /// Attach to a process and measure it; the main job.
    Profile(Box<profile::Args>),
    /// Workloads in several modes, repeated, shuffled and compared.
    Bench(bench::Args),
    /// Runs in the store, newest first; with --since targets of the history.
    List(list::Args),
    /// One run, or a range of a target's history.
    Show(show::Args),
    /// Two runs, or two ranges of a target's history, side by side.
    Diff(diff::Args),
    /// One run, or a range of a target's history, as a self-contained HTML page.
    Report(report::Args),
    /// One run, or a range of a target's history, in another tool's format.
    Export(export::Args),
    /// Recordings of perf and Heimdallr as runs.
    Import(import::Args),
    /// What this machine, or any CPU, can count.
    Events(events::Args),
    /// Who may use how much of the last-level cache and the memory bandwidth.
    Cache(cache::Args),
    /// A live view of targets.
    Top(top::Args),
    /// Watch processes for as long as it runs: history, alerts, metrics.
    Monitor(Box<monitor::Args>),
    /// Delete old runs, or old history.
    Prune(prune::Args),
    #[command(name = "undo-watchdog", hide = true)]
    Watchdog(watchdog::Args),
}

/// Where the runs are; flattened into every command that reads or writes them.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Database file [default: $XDG_DATA_HOME/waytrace/runs.db].
    #[arg(long, value_name = "PATH")]
    pub db: Option<PathBuf>,
}

/// What a command's `run` gives back: the exit code of a command that did its work.
pub type Outcome = anyhow::Result<ExitCode>;

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    init_logs(cli.verbose);
    if !matches!(cli.command, Command::Profile(_) | Command::Bench(_) | Command::Monitor(_)) {
        end_with_the_reader();
    }
    exit::of(|| match cli.command {
        Command::Doctor(args) => doctor::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::List(args) => list::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Events(args) => events::run(&args),
        Command::Cache(args) => cache::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Prune(args) => prune::run(&args),
        Command::Watchdog(args) => watchdog::run(&args),
    })
}

/// Lets a reader that has enough (`waytrace export … | head`) end the command quietly, as it ends other tools: Rust ignores
/// the signal otherwise. A measurement does not end with its reader; its run is kept.
fn end_with_the_reader() {
    // SAFETY: restoring a signal's default action passes no pointers, and no other thread runs yet.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

fn init_logs(verbose: u8) {
    let level = ["warn", "info", "debug"][usize::from(verbose.min(2))];
    let filter = tracing_subscriber::EnvFilter::try_from_env("WAYTRACE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .without_time()
        .init();
}
