//! `exact`: what a malloc/free pair costs the target when every call is seen, beside tools others wrote; and whether
//! every call is seen.
//!
//! The target does nothing but allocate, so nearly all of its CPU time is the tool's. Its allocator is glibc's or a
//! preloaded jemalloc.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::pairs::{Load, Pairs};
use super::peers;
use super::perf_probes::PerfProbes;
use super::profile::Profile;
use super::rounds::rounds;
use super::truth;
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// An allocator to measure.
struct Allocator {
    name: &'static str,
    /// How the name of its file begins.
    library: &'static str,
    preload: Option<&'static str>,
}

const ALLOCATORS: [Allocator; 2] = [
    Allocator { name: "glibc", library: "libc.so.6", preload: None },
    Allocator {
        name: "jemalloc",
        library: "libjemalloc.so.2",
        preload: Some("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"),
    },
];

#[derive(Clone, Copy)]
enum Tool {
    Nothing,
    Waytrace(&'static [&'static str]),
    /// Counting where waytrace probes: the traps, and the least a perf event does.
    PerfStat,
    Bpftrace,
    Heaptrack,
}

/// Each with what is asked of it, in microseconds per pair.
const TOOLS: [(&str, Tool, Option<f64>); 7] = [
    ("no tool", Tool::Nothing, None),
    (
        "waytrace --exact --detail counts",
        Tool::Waytrace(&["--exact", "--detail", "counts", "--collect", "allocations,counters"]),
        Some(1.0),
    ),
    ("waytrace --exact", Tool::Waytrace(&["--exact", "--collect", "allocations,counters"]), Some(1.4)),
    (
        "waytrace --exact --detail stacks",
        Tool::Waytrace(&["--exact", "--detail", "stacks", "--collect", "allocations,counters"]),
        Some(1.9),
    ),
    ("perf stat at the same points", Tool::PerfStat, None),
    ("bpftrace malloc, free", Tool::Bpftrace, None),
    ("heaptrack", Tool::Heaptrack, None),
];

/// Position of [`Tool::PerfStat`].
const TRAPS: usize = 4;

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for allocator in &ALLOCATORS {
        figures.extend(costs(context, allocator)?);
    }
    for detail in ["counts", "lifetimes"] {
        figures.extend(truth::figures(context, detail)?);
    }
    Ok(figures)
}

fn costs(context: &Context, allocator: &Allocator) -> Result<Vec<Figure>> {
    let names = TOOLS.map(|(tool, _, _)| format!("{}: {tool}", allocator.name));
    if let Some(library) = allocator.preload.filter(|library| !Path::new(library).is_file()) {
        let why = format!("{library} is not installed");
        return Ok(names.into_iter().map(|name| Figure::unavailable(name, "us/pair", &*why)).collect());
    }
    let measured = measure(context, allocator)?;
    let mut figures = Vec::new();
    for (place, (name, (_, tool, asked))) in names.into_iter().zip(TOOLS).enumerate() {
        let costs = measured.iter().map(|round| round[place].clone());
        let figure = Figure::of_results(&*name, "us/pair", costs);
        figures.push(asked.into_iter().fold(figure, |figure, limit| figure.asked(Asked::AtMost(limit))));
        if let Tool::Waytrace(_) = tool {
            // Against the traps in the same round: a ratio that a slow or busy machine hardly moves.
            let ratios = measured.iter().map(|round| Ok(round[place].clone()? / round[TRAPS].clone()?));
            let ratio = Figure::of_results(format!("{name}, over perf stat"), "times", ratios);
            let limit = asked.map(|us| Asked::AtMost(us / TRAPS_US));
            figures.push(limit.into_iter().fold(ratio, Figure::asked));
        }
    }
    Ok(figures)
}

/// What the two traps of a pair took on the machine that what is asked was set on: elsewhere it is asked in proportion.
const TRAPS_US: f64 = 0.84;

/// Microseconds of the target's CPU time per pair, or why there are none.
type Cost = Result<f64, String>;

fn measure(context: &Context, allocator: &Allocator) -> Result<Vec<Vec<Cost>>> {
    let target = Pairs::start(context, Load::default(), &[], allocator.preload.map(Path::new))?;
    target.run()?;
    let points = probe_points(context, &target)?;
    let tools = TOOLS.map(|(_, tool, _)| tool);
    let measured = rounds(context.pick(5, 2), &tools, |tool| {
        Ok(cost(context, allocator, &target, &points, tool).map_err(|error| format!("{error:#}")))
    })?;
    target.quit()?;
    Ok(measured)
}

/// Where waytrace probes this target.
fn probe_points(context: &Context, target: &Pairs) -> Result<Vec<String>> {
    let profile = Profile::attach(
        context,
        target.pid(),
        &["--exact", "--detail", "counts", "--collect", "allocations,counters"],
    )?;
    Ok(profile.finish()?.probes())
}

fn cost(
    context: &Context,
    allocator: &Allocator,
    target: &Pairs,
    points: &[String],
    tool: Tool,
) -> Result<f64> {
    let length = context.seconds(3, 1);
    let watched = |target: &Pairs| {
        std::thread::sleep(Duration::from_millis(200));
        Ok::<_, anyhow::Error>(target.watch(length)?.cpu_ns_per_pair / 1e3)
    };
    match tool {
        Tool::Nothing => watched(target),
        Tool::Waytrace(args) => {
            let profile = Profile::attach(context, target.pid(), args)?;
            let cost = watched(target)?;
            profile.finish()?;
            Ok(cost)
        }
        Tool::PerfStat => {
            ensure_there("perf")?;
            let probes = PerfProbes::add(target.pid(), allocator.library, points)?;
            let perf = peers::perf_stat(context, target.pid(), &probes.list())?;
            let cost = watched(target)?;
            perf.interrupt();
            perf.finish()?;
            Ok(cost)
        }
        Tool::Bpftrace => {
            ensure_there("bpftrace")?;
            let bpftrace = peers::bpftrace_count(context, target.pid(), allocator.library)?;
            let cost = watched(target)?;
            bpftrace.interrupt();
            bpftrace.finish()?;
            Ok(cost)
        }
        Tool::Heaptrack => heaptrack(context, allocator, watched),
    }
}

fn ensure_there(program: &str) -> Result<()> {
    peers::missing(program).map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
}

/// heaptrack starts its target itself, with a library preloaded: a process of its own.
fn heaptrack(
    context: &Context,
    allocator: &Allocator,
    watched: impl FnOnce(&Pairs) -> Result<f64>,
) -> Result<f64> {
    ensure_there("heaptrack")?;
    anyhow::ensure!(allocator.preload.is_none(), "preloads its own library, which wraps glibc's allocator");
    let output = context.folder.join("heaptrack");
    let through = ["heaptrack", "-o", &output.to_string_lossy()];
    let target = Pairs::start(context, Load::default(), &through, None)?;
    target.run()?;
    let cost = watched(&target)?;
    target.quit()?;
    for extension in ["zst", "gz"] {
        // It writes one of them, depending on what it was built with.
        let _ = fs::remove_file(output.with_extension(extension));
    }
    Ok(cost)
}
