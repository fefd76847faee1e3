//! `monitor-slowdown`: what a redis-server loses by being watched with the usual settings, in interleaved pairs.
//!
//! The client takes its CPU whole, the server half of the other one. waytrace runs where there is room, as in production; whatever it took
//! of the client's CPU would show as throughput, too. Neighbouring rounds without it are compared as well: what these differ by is no tool's doing.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::process::Process;
use super::rounds::{loss_pct, rounds, slowdown_pct};
use super::servers::Redis;
use super::watching::Monitor;
use super::{cpus, peers};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What begins a monitor is over by then: the first window, and names read for the first turns.
const WARM: Duration = Duration::from_secs(12);
/// Requests of each of two kinds: more than a window of them.
const REQUESTS: u64 = 800_000;

#[derive(Clone, Copy)]
enum Mode {
    Without,
    With,
}

struct Sample {
    requests_per_s: f64,
    /// Of the server.
    cpu_ns_per_request: f64,
    /// Of a core.
    tool_cpu_pct: Option<f64>,
}

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    if let Some(why) = peers::missing("redis-server").or_else(|| peers::missing("redis-benchmark")) {
        return Ok(vec![Figure::unavailable("monitor-slowdown", "", why)]);
    }
    let redis = Redis::start(context)?;
    let config = context.folder.join("slowdown.toml");
    let text = format!("[[target]]\nname = \"redis\"\npid = {}\n", redis.process.pid());
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    // The first fills the keys.
    measure(context, &redis, &config, Mode::Without)?;
    let modes = [Mode::Without, Mode::With];
    let measured = rounds(context.pick(20, 3), &modes, |mode| measure(context, &redis, &config, mode))?;
    let pairs: Vec<_> = measured.iter().map(|round| (&round[0], &round[1])).collect();
    // Every other round goes backwards, so the first modes of the second and the third have nothing between them.
    let alike: Vec<_> =
        measured.get(1..).unwrap_or_default().chunks_exact(2).map(|two| (&two[0][0], &two[1][0])).collect();
    let lost = |(off, on): &(&Sample, &Sample)| loss_pct(off.requests_per_s, on.requests_per_s);
    let more = |(off, on): &(&Sample, &Sample)| slowdown_pct(off.cpu_ns_per_request, on.cpu_ns_per_request);
    let rate = pairs.iter().map(|(off, _)| off.requests_per_s / 1e3);
    let tool = pairs.iter().filter_map(|(_, on)| on.tool_cpu_pct);
    Ok(vec![
        Figure::new("requests per second, not watched", "k/s", rate),
        Figure::new("throughput lost", "%", pairs.iter().map(lost)).asked(Asked::AtMost(1.0)),
        Figure::new("throughput lost: mean, its 95 % interval", "%", interval(pairs.iter().map(lost))),
        Figure::new("server: more CPU per request", "%", pairs.iter().map(more)).asked(Asked::AtMost(1.0)),
        Figure::new(
            "server: more CPU per request: mean, its 95 % interval",
            "%",
            interval(pairs.iter().map(more)),
        ),
        Figure::new("without it twice: throughput differs by", "%", alike.iter().map(lost)),
        Figure::new("waytrace's CPU, of one core", "%", tool),
    ])
}

fn measure(context: &Context, redis: &Redis, config: &Path, mode: Mode) -> Result<Sample> {
    let monitor = match mode {
        Mode::Without => None,
        Mode::With => Some(Monitor::start_on(None, context, config)?),
    };
    std::thread::sleep(if monitor.is_some() { WARM } else { Duration::from_secs(1) });
    let mut load = Command::new("redis-benchmark");
    load.arg("-s").arg(&redis.socket).args(["-t", "set,get", "-q", "-d", "64", "-r", "100000"]);
    let requests = context.pick(REQUESTS, 100_000);
    load.args(["-n", &requests.to_string()]);
    let pid = redis.process.pid();
    let tool_ns = || monitor.as_ref().map(|monitor| cpus::process_cpu_ns(monitor.process.pid())).transpose();
    let (start, server_ns, before_ns) = (Instant::now(), cpus::process_cpu_ns(pid)?, tool_ns()?);
    let finished = Process::start(&mut load, context.cpus.tool)?.finish()?;
    let (took, server_ns) = (start.elapsed().as_secs_f64(), cpus::process_cpu_ns(pid)? - server_ns);
    let taken = tool_ns()?.zip(before_ns).map(|(now, before)| now - before);
    ensure!(finished.success, "redis-benchmark failed: {}", finished.complaint());
    monitor.map(Monitor::finish).transpose()?;
    let total = (2 * requests) as f64;
    Ok(Sample {
        requests_per_s: total / took,
        cpu_ns_per_request: server_ns as f64 / total,
        tool_cpu_pct: taken.map(|ns| ns as f64 / 1e7 / took),
    })
}

/// The mean of pairs' differences with the ends of its 95 % interval (Student's t of 19 degrees of freedom).
fn interval(values: impl Iterator<Item = f64>) -> [f64; 3] {
    const T: f64 = 2.09;
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = T * (squares / (count - 1.0) / count).sqrt();
    [mean - half, mean, mean + half]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_about_the_mean_and_shrinks() {
        let [low, mean, high] = interval([1.0, 2.0, 3.0].into_iter());
        assert!(
            mean == 2.0
                && (high - 2.0 - 2.09 / 3f64.sqrt()).abs() < 1e-12
                && (low + high - 4.0).abs() < 1e-12
        );
        let [narrow, ..] = interval((0..300).map(|n| f64::from(n % 3) + 1.0));
        assert!(narrow > low);
    }
}
