//! `redis`: what a server loses under load. The server has the targets' CPU; redis-benchmark and waytrace share the
//! other, so that waytrace's own CPU time takes from the load, as it would on a machine that is busy.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::process::Process;
use super::profile::{Profile, Report};
use super::rounds::{loss_pct, rounds, slowdown_pct};
use super::servers::Redis;
use super::{cpus, peers};
use anyhow::{Result, ensure};
use std::process::Command;
use std::time::Instant;

/// How requests come: commands per write, and how many of each kind make five to ten seconds.
struct Load {
    name: &'static str,
    pipeline: u32,
    requests: u64,
    requests_quick: u64,
}

const LOADS: [Load; 2] = [
    Load { name: "one by one", pipeline: 1, requests: 300_000, requests_quick: 100_000 },
    Load { name: "16 at once", pipeline: 16, requests: 2_500_000, requests_quick: 800_000 },
];

/// Kinds of requests, `-t set,get`.
const KINDS: u64 = 2;

#[derive(Clone, Copy)]
enum Mode {
    Without,
    With(&'static [&'static str]),
}

const MODES: [(&str, Mode); 4] = [
    ("no tool", Mode::Without),
    ("--budget 1%", Mode::With(&["--budget", "1%", "--collect", "allocations,counters"])),
    ("--budget 1%, accesses too", Mode::With(&["--budget", "1%"])),
    ("--exact", Mode::With(&["--exact", "--collect", "allocations,counters"])),
];

struct Sample {
    requests_per_s: f64,
    /// Of the server.
    cpu_us_per_request: f64,
    report: Option<Report>,
}

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    if let Some(why) = peers::missing("redis-benchmark").or_else(|| peers::missing("redis-server")) {
        return Ok(vec![Figure::unavailable("redis", "", why)]);
    }
    let redis = Redis::start(context)?;
    let mut figures = Vec::new();
    for load in &LOADS {
        // The first fills the keys.
        measure(context, &redis, load, Mode::Without)?;
        let modes = MODES.map(|(_, mode)| mode);
        let measured = rounds(context.pick(5, 2), &modes, |mode| measure(context, &redis, load, mode))?;
        figures.extend(judge(load, &measured));
    }
    Ok(figures)
}

fn measure(context: &Context, redis: &Redis, load: &Load, mode: Mode) -> Result<Sample> {
    let pid = redis.process.pid();
    let profile = match mode {
        Mode::Without => None,
        Mode::With(args) => Some(Profile::attach(context, pid, args)?),
    };
    let requests = context.pick(load.requests, load.requests_quick);
    let mut command = Command::new("redis-benchmark");
    command.arg("-s").arg(&redis.socket);
    let (requests_each, pipeline) = (requests.to_string(), load.pipeline.to_string());
    command.args(["-t", "set,get", "-q", "-d", "64", "-r", "100000"]);
    command.args(["-n", &requests_each, "-P", &pipeline]);
    let (start, cpu_start_ns) = (Instant::now(), cpus::process_cpu_ns(pid)?);
    let finished = Process::start(&mut command, context.cpus.tool)?.finish()?;
    let (wall, cpu_ns) = (start.elapsed(), cpus::process_cpu_ns(pid)? - cpu_start_ns);
    ensure!(finished.success, "redis-benchmark failed: {}", finished.complaint());
    let total = (requests * KINDS) as f64;
    Ok(Sample {
        requests_per_s: total / wall.as_secs_f64(),
        cpu_us_per_request: cpu_ns as f64 / 1e3 / total,
        report: profile.map(Profile::finish).transpose()?,
    })
}

fn judge(load: &Load, measured: &[Vec<Sample>]) -> Vec<Figure> {
    let title = |what: &str| format!("{}: {what}", load.name);
    let without = || measured.iter().map(|round| &round[0]);
    let mut figures = vec![
        Figure::new(
            title("requests per second, no tool"),
            "k/s",
            without().map(|one| one.requests_per_s / 1e3),
        ),
        Figure::new(
            title("server's CPU per request, no tool"),
            "us",
            without().map(|one| one.cpu_us_per_request),
        ),
    ];
    for (place, (name, _)) in MODES.iter().enumerate().skip(1) {
        let pairs = || measured.iter().map(|round| (&round[0], &round[place]));
        let cpu = pairs().map(|(off, on)| slowdown_pct(off.cpu_us_per_request, on.cpu_us_per_request));
        let rate = pairs().map(|(off, on)| loss_pct(off.requests_per_s, on.requests_per_s));
        let cpu = Figure::new(title(&format!("{name}: more CPU per request")), "%", cpu);
        let rate = Figure::new(title(&format!("{name}: throughput lost")), "%", rate);
        let is_budgeted = name.starts_with("--budget");
        let limited = |figure: Figure| if is_budgeted { figure.asked(Asked::AtMost(2.0)) } else { figure };
        figures.extend([limited(cpu), limited(rate)]);
        let reports = || pairs().filter_map(|(_, on)| on.report.as_ref());
        let own = Figure::new(
            title(&format!("{name}: stacks that reach redis's code")),
            "%",
            reports().filter_map(own_code_pct),
        );
        figures.push(own.asked(Asked::AtLeast(90.0)));
        figures.push(Figure::new(title(&format!("{name}: lost records")), "", reports().map(Report::lost)));
    }
    figures
}

fn own_code_pct(report: &Report) -> Option<f64> {
    let sampled = report.number("/allocations/stacks/sampled_count").filter(|count| *count > 0.0)?;
    Some(100.0 * report.number("/allocations/stacks/own_code_count")? / sampled)
}
