//! `waytrace events measure`: every event counted without multiplexing, on a command, a process, a cgroup or all CPUs.
//!
//! [`choose`] makes a plan of the events asked for, [`runner`] goes through its epochs and stores each as it ends, [`result`]
//! says what came out. Everything about opening, reading and comparing is in `waytrace-measure`.

mod choose;
mod command;
mod progress;
mod result;
mod runner;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use waytrace_hw::{Machine, topology};
use waytrace_measure::circumstances;
use waytrace_model::measured::{MeasurementHeader, MeasurementPlan, PmuUser, Precondition, Scope};
use waytrace_model::units::{format_ns, parse_duration_ns, parse_percent};
use waytrace_store::{Measurement, Store};

use super::super::exit::INCOMPLETE;
use super::super::output::{now_unix_ns, plain, print, say};
use super::super::{Outcome, StoreArgs};
use super::gather::{From, Only, SourceArgs, gather};

/// Seeds stay exact as JSON numbers everywhere.
const SEEDS: u64 = 1 << 53;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code: the command's own with -- CMD, the first that is not 0; else 0 if all was measured, 1 if not.

Examples:
  waytrace events measure -- sleep 2                        software events, and what else has PMUs here
  waytrace events measure --pmu tracepoint -- make          every tracepoint of the kernel, at once
  waytrace events measure --pid 4242 --epoch 2s             a living process, a run of events after the other
  waytrace events measure --resume last                     go on where it was interrupted")]
pub struct Args {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    only: Only,
    /// Count these, as perf names them, instead of all there are; may be repeated.
    #[arg(short, long, value_name = "EVENT", conflicts_with_all = ["filter", "pmu"])]
    event: Vec<String>,
    /// Time between two readings.
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = parse_duration_ns)]
    interval: u64,
    /// Length of an epoch on what is running anyway.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration_ns)]
    epoch: u64,
    /// Executions, or epochs, of each run of events.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    /// End an execution of the command that takes longer.
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    timeout: Option<u64>,
    /// Repeat epochs, up to three times, in which the target's pace was this far from its usual one.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    max_drift: Option<f64>,
    /// Events counted at once on a process or cgroup, where each costs the target at every context switch.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    at_once: u32,
    /// Name of the measurement [default: the target's, with a number].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Say what would be measured and how long it would take; measure nothing.
    #[arg(long)]
    dry_run: bool,
    /// Show all events, also those that counted nothing.
    #[arg(long)]
    all: bool,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// On what.
#[derive(Debug, clap::Args)]
#[group(id = "scope", required = true, multiple = false)]
struct Whom {
    /// A process, with all its threads and what it forks.
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// All processes of a control group: its directory.
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// Everything that runs.
    #[arg(long)]
    all_cpus: bool,
    /// Go on with the measurement of this name or id, or `last`, as it was begun.
    #[arg(long, value_name = "NAME")]
    resume: Option<String>,
    /// A command, executed once for each run of events.
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let machine = Machine::live();
    if let Some(name) = &args.whom.resume {
        let mut store = Store::open_existing_writable(args.store.db.as_deref())?;
        let measurement = store.measurement(name)?;
        choose::check_target(&measurement.header.plan.scope)?;
        if args.dry_run {
            return dry_run(&measurement.header.plan, measurement.epochs.len());
        }
        return measure(args, &machine, &mut store, &measurement);
    }
    ensure!(args.interval >= 1_000_000, "--interval: shorter than 1ms costs more than it shows");
    ensure!(
        args.epoch >= args.interval,
        "--epoch {} is shorter than one --interval",
        format_ns(args.epoch as f64)
    );
    let (plan, left_out) = plan(args, &machine)?;
    for reason in &left_out {
        say(&plain(reason));
    }
    if args.dry_run {
        return dry_run(&plan, 0);
    }
    let own = std::process::id();
    let environment = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    let has_pmu = !machine.core_pmus().is_empty();
    let circumstances = circumstances::gather(machine.root(), own, has_pmu, environment);
    warn(&circumstances.preconditions, &circumstances.pmu_users);
    let stem = choose::stem(&plan.scope);
    let now = now_unix_ns();
    let mut header = MeasurementHeader {
        name: args.name.clone().unwrap_or_default(),
        started_at_unix_ns: now,
        command: std::env::args().collect::<Vec<_>>().join(" "),
        seed: now % SEEDS,
        plan,
        host: topology::host(machine.root()),
        circumstances,
    };
    // What cannot be started at all is said before anything is stored.
    choose::check_command(&header.plan.scope)?;
    choose::check_cgroup(&machine, &header.plan.scope)?;
    let mut store = Store::open(args.store.db.as_deref())?;
    let id = store.begin_measurement(&mut header, &stem)?;
    let measurement = Measurement { id, header, quarantined: Vec::new(), epochs: Vec::new() };
    measure(args, &machine, &mut store, &measurement)
}

fn plan(args: &Args, machine: &Machine) -> anyhow::Result<(MeasurementPlan, Vec<String>)> {
    let from = From { cpu: None, sources: args.sources.clone() };
    let mut gathered = gather(&from)?;
    let all = gathered.events.len();
    args.only.retain(&mut gathered.events);
    let whom = &args.whom;
    let scope = choose::scope(whom.pid, whom.cgroup.as_deref(), &whom.command)?;
    let wanted = choose::Wanted {
        named: &args.event,
        // Two thousand tracepoints are for those who ask for them.
        tracepoints: gathered.events.len() < all,
        at_once: matches!(scope, Scope::Process { .. } | Scope::Cgroup { .. })
            .then_some(args.at_once as usize),
    };
    let mut chosen = choose::runs(machine, &gathered.events, &wanted, &scope)?;
    let epoch_ns = (!matches!(scope, Scope::Command { .. })).then_some(args.epoch);
    // What the catalogue lacks is no matter where events are named.
    let mut left_out = if args.event.is_empty() { gathered.missing } else { Vec::new() };
    left_out.append(&mut chosen.left_out);
    let plan = MeasurementPlan {
        scope,
        interval_ns: args.interval,
        epoch_ns,
        repeat: args.repeat,
        timeout_ns: args.timeout,
        max_drift_pct: args.max_drift,
        events: chosen.events,
        anchors: chosen.anchors,
        runs: chosen.runs,
    };
    Ok((plan, left_out))
}

fn measure(args: &Args, machine: &Machine, store: &mut Store, measurement: &Measurement) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting")?;
    let finished = runtime.block_on(runner::run(machine, store, measurement))?;
    let after = store.measurement(&measurement.id.0.to_string())?;
    let epochs = store.epochs(measurement.id, false)?;
    let report = result::Report::of(&after, &epochs, finished.interrupted);
    report.show(args.json, args.all)?;
    let code = match finished.exit_code {
        Some(code) => u8::try_from(code).unwrap_or(u8::MAX),
        None if report.is_complete() => 0,
        None => INCOMPLETE,
    };
    if finished.tracepoints > 0 {
        say(&format!(
            "the kernel goes on closing {} tracepoints; nothing waits for it",
            finished.tracepoints
        ));
    }
    Ok(ExitCode::from(code))
}

fn warn(preconditions: &[Precondition], users: &[PmuUser]) {
    for one in preconditions.iter().filter(|one| !one.is_good) {
        let value = one.value.as_deref().unwrap_or("unknown");
        say(&format!("{} is {value}: {}", one.name, one.effect));
    }
    for user in users {
        let pid = user.pid.map_or_else(String::new, |pid| format!(" ({pid})"));
        say(&plain(&format!("{}{pid} has {} perf events open, too", user.name, user.events)));
    }
}

fn dry_run(plan: &MeasurementPlan, done: usize) -> Outcome {
    let epochs = plan.runs.len() * plan.repeat as usize;
    let left = epochs.saturating_sub(done);
    let mut text = format!(
        "{} events in {} runs, {} times each: {left} of {epochs} epochs to measure\n",
        plan.events.len(),
        plan.runs.len(),
        plan.repeat
    );
    text += &match plan.epoch_ns {
        Some(epoch_ns) => format!("about {}\n", format_ns(epoch_ns as f64 * left as f64)),
        None => format!("{} executions of the command, one of them to warm up\n", left + 1),
    };
    for (number, run) in plan.runs.iter().enumerate() {
        let names = run
            .iter()
            .filter_map(|event| plan.events.get(*event as usize))
            .map(|event| event.perf_name.as_str());
        let names: Vec<&str> = names.collect();
        let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text += &format!("run {}: {} events: {shown}{more}\n", number + 1, names.len());
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Events of a run that a dry run names.
const SHOWN: usize = 8;
