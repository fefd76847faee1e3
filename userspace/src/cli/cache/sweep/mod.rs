//! `waytrace cache sweep`: how a process fares with fewer and fewer ways of the last-level cache.
//!
//! Everything about the sweep itself is in `waytrace-sweep`. Here are its options, its clock ([`pace`]), and where its points go
//! ([`keep`]). In the end it is shown as `show` does.

pub mod corun;
mod keep;
mod pace;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use waytrace_hw::topology::parse_list;
use waytrace_model::sweep::{EndReason, SweepEnd};
use waytrace_model::units::{parse_duration_ns, parse_percent, parse_size_bytes};
use waytrace_store::Store;
use waytrace_sweep::corunner::Processes;
use waytrace_sweep::{Parts, Request, Sweep};

use super::super::curves;
use super::super::exit::INCOMPLETE;
use super::super::output::{plain, say};
use super::super::{Outcome, StoreArgs};
use super::Host;
use keep::Keep;
use pace::Clock;

/// Seeds stay exact as JSON numbers everywhere.
const SEEDS: u64 = 1 << 53;
/// Fewest sweeps that tell how much they differ.
const REPEATS: u32 = 3;
/// Shortest window: reading counters takes a part of a millisecond.
const SHORTEST_WINDOW_NS: u64 = 5_000_000;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All masks, members and registers are as before when it ends, also after kill -9.
Exit code: 0 if all was measured, 1 if it ended early (the points until then are kept), 2 if it could not begin.

Examples:
  waytrace cache sweep --pid 4242                            every number of ways, three times
  waytrace cache sweep --pid 4242 --ways 1-4,8 --repeats 10  some of them, with narrower bands
  waytrace cache sweep --pid 4242 --max-slowdown 20%         end before the process loses more than that
  waytrace cache sweep --pid 4242 --every 5s                 again and again until Ctrl-C")]
pub struct Args {
    /// The process, with all its threads.
    #[arg(long, value_name = "PID")]
    pid: u32,
    /// Numbers of ways to visit, as 1-4,8 [default: every one]. All ways are always visited.
    #[arg(long, value_name = "LIST")]
    ways: Option<String>,
    /// Sweeps [default: 3; with --every, until Ctrl-C].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeats: Option<u32>,
    /// How long each number of ways is measured.
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = parse_duration_ns)]
    window: u64,
    /// Longest wait for a mask to take effect.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration_ns)]
    settle_cap: u64,
    /// Begin a sweep so often.
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    every: Option<u64>,
    /// Let a co-runner keep so many bytes busy in the ways the process has not.
    #[arg(long, value_name = "SIZE", value_parser = parse_size_bytes)]
    pressure: Option<u64>,
    /// Confine everything that is in no class to the ways the process has not.
    #[arg(long)]
    other_class: bool,
    /// End when the process makes so many fewer instructions a second than with all ways.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    max_slowdown: Option<f64>,
    /// End when this does not hold: conditions on ipc, mpki, miss_ratio, occupancy, bandwidth, ips and slowdown, as 'ipc > 0.5 && mpki < 20'.
    #[arg(long, value_name = "EXPR")]
    slo: Option<String>,
    /// Decides the order of the points [default: drawn].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..SEEDS))]
    seed: Option<u64>,
    /// With `--interface msr`: the CPUs the process runs on, as 0-3,8 [default: those it may run on].
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Name to find it by [default: the process's, with a number].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: &Args, host: &Host) -> Outcome {
    let request = request(args)?;
    let root = host.root();
    let exe = std::env::current_exe().context("finding waytrace itself")?;
    let corunners = Box::new(Processes { exe: exe.clone(), root: root.clone() });
    let sweep = Sweep::prepare(&request, Parts { root, allocation: host.open()?, corunners })?;
    let store = Store::open(args.store.db.as_deref())?;
    let mut keep = Keep::begin(&store, sweep.header())?;
    let mut clock = Clock::new()?;
    let end = sweep.run(&mut clock, &mut keep, Some(&exe));
    let kept = keep.end(&end);
    told(&end);
    curves::show(&curves::report(&store, keep.id())?, args.json)?;
    kept?;
    let is_whole = match end.reason {
        EndReason::Completed => true,
        // Without a number of sweeps, Ctrl-C is how it is meant to end.
        EndReason::Interrupted => request.repeats.is_none(),
        _ => false,
    };
    Ok(if is_whole && end.restored { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

fn request(args: &Args) -> anyhow::Result<Request> {
    ensure!(
        args.window >= SHORTEST_WINDOW_NS,
        "--window is shorter than 5ms, in which too little is counted"
    );
    ensure!(args.settle_cap > 0, "--settle-cap is 0, and nothing could take effect; write it like 2s");
    ensure!(args.every != Some(0), "--every is 0; leave it out to sweep without a pause");
    ensure!(args.pressure != Some(0), "--pressure is 0; leave it out to have no co-runner");
    let drawn = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) << 20 ^ now.as_secs()
    };
    Ok(Request {
        name: args.name.clone().unwrap_or_default(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        pid: args.pid,
        ways: args.ways.clone(),
        repeats: args.repeats.or(if args.every.is_some() { None } else { Some(REPEATS) }),
        window_ns: args.window,
        settle_cap_ns: args.settle_cap,
        every_ns: args.every,
        pressure_bytes: args.pressure,
        confine_others: args.other_class,
        max_slowdown: args.max_slowdown.map(|pct| pct / 100.0),
        slo: args.slo.clone(),
        seed: args.seed.unwrap_or_else(drawn) % SEEDS,
        cpus: args.cpus.as_deref().map(parse_list).transpose()?,
    })
}

/// What a person has to know besides the figures.
fn told(end: &SweepEnd) {
    let detail = end.detail.as_deref().map_or_else(String::new, |detail| format!(": {}", plain(detail)));
    let reason = match end.reason {
        EndReason::Completed => None,
        EndReason::Guard => Some("ended by the guard"),
        EndReason::Interrupted => Some("interrupted; the points until now are kept"),
        EndReason::TargetExited => Some("the process has ended; the points until now are kept"),
        EndReason::Disturbed => Some("somebody else changed what the sweep had set, and it ended"),
        EndReason::Failed => Some("the sweep failed"),
    };
    if let Some(reason) = reason {
        say(&format!("{reason}{detail}"));
    }
    for left in &end.left {
        say(&format!("left as it is: {}", plain(left)));
    }
    if !end.restored {
        say(
            "not all is as before; `waytrace doctor --restore` tries again, `waytrace cache show` tells what is there",
        );
    }
}
