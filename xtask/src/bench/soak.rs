//! `soak`: `monitor` for half an hour, with 200 targets, 50 processes that begin and end each second, services under load and a reload each minute:
//! what it takes, whether that grows, and whom it misses.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::held::Held;
use super::process::Process;
use super::servers::{self, Redis};
use super::watching::{Monitor, name, targets};
use super::{cpus, peers};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Targets in all; most of them sleep, as most processes of a host do.
const TARGETS: usize = 200;
/// Processes that begin and end, a second.
const FORKS_HZ: u64 = 50;
const WINDOW: Duration = Duration::from_secs(10);
const RELOAD_EVERY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Copies of `true` and `sleep` under names that nothing else has.
const SHORT: &str = "wt-soak-short";
const IDLE: &str = "wt-soak-idle";

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    match peers::missing("redis-server").or_else(|| peers::missing("redis-benchmark")) {
        Some(why) => Ok(vec![Figure::unavailable("soak", "", why)]),
        None => long(context),
    }
}

/// waytrace at one moment.
struct Look {
    rss_mib: f64,
    files: f64,
    held: Held,
    cpu_ns: u64,
    at: Instant,
}

fn long(context: &Context) -> Result<Vec<Figure>> {
    let length = context.soak.unwrap_or_else(|| context.seconds(1800, 120));
    let host = Host::start(context)?;
    let monitor = Monitor::start(context, &host.config)?;
    let forked = || host.forked.load(Ordering::Relaxed);
    let forked_before = forked();
    let mut looks = Vec::new();
    let (start, mut reloaded) = (Instant::now(), Instant::now());
    while start.elapsed() < length {
        std::thread::sleep(LOOK_EVERY);
        looks.push(Look::of(&monitor)?);
        if reloaded.elapsed() >= RELOAD_EVERY {
            monitor.process.signal(libc::SIGHUP);
            reloaded = Instant::now();
        }
    }
    // Who begins while it ends may be in its last window or not.
    let forked = forked() - forked_before;
    let windows = monitor.finish()?;
    drop(host);
    Ok(judge(&looks, &windows, forked))
}

/// Figures of the long run.
fn judge(looks: &[Look], windows: &[Value], forked: u64) -> Vec<Figure> {
    // The first look is taken while attaching still shows.
    let looks = looks.get(1..).unwrap_or_default();
    let (first, second) = looks.split_at(looks.len() / 2);
    let most = |part: &[Look], of: fn(&Look) -> f64| part.iter().map(of).fold(f64::NAN, f64::max);
    let rss = |look: &Look| look.rss_mib;
    let files = |look: &Look| look.files;
    let links = |look: &Look| look.held.links as f64;
    let entries = |look: &Look| look.held.entries.map_or(f64::NAN, |entries| entries as f64);
    let growth = 100.0 * (most(second, rss) / most(first, rss) - 1.0);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let cpu = looks.windows(2).map(|pair| {
        let ns = pair[1].at.duration_since(pair[0].at).as_nanos() as f64;
        100.0 * pair[1].cpu_ns.saturating_sub(pair[0].cpu_ns) as f64 / ns / cpus
    });
    let cpu: Vec<f64> = cpu.collect();
    let mean = cpu.iter().sum::<f64>() / cpu.len().max(1) as f64;
    let seen: f64 = windows.iter().flat_map(|window| values(window, SHORT, "processes_count")).sum();
    // One of them may be in two windows.
    let missed = (forked as f64 - seen).max(0.0);
    let idle = windows
        .iter()
        .skip(1)
        .map(|window| targets(window).filter(|target| name(target).starts_with("idle-")).count());
    let least_idle = idle.min().unwrap_or(0) as f64;
    let missing: f64 = windows
        .iter()
        .skip(1)
        .map(|window| window.get("missing").and_then(Value::as_array).map_or(0, Vec::len) as f64)
        .sum();
    vec![
        Figure::new("waytrace's CPU, of the machine", "%", [mean]).asked(Asked::AtMost(1.0)),
        Figure::new("waytrace's CPU, of the machine, in 5 s", "%", cpu),
        Figure::new("resident memory, most", "MiB", [most(looks, rss)]).asked(Asked::AtMost(150.0)),
        Figure::new("resident memory, second half over the first", "%", [growth]).asked(Asked::AtMost(3.0)),
        Figure::new("open files, most: first half", "", [most(first, files)]),
        Figure::new("open files, most: second half", "", [most(second, files)]),
        Figure::new("links of programs, most: first half", "", [most(first, links)]),
        Figure::new("links of programs, most: second half", "", [most(second, links)]),
        by_bpftool("entries of maps, most: first half", most(first, entries)),
        by_bpftool("entries of maps, most: second half", most(second, entries)),
        Figure::new("short-lived processes that began", "", [forked as f64]),
        Figure::new("of them not seen", "", [missed]).asked(Asked::AtMost(FORKS_HZ as f64)),
        Figure::new("idle targets in a window, least", "", [least_idle]),
        Figure::new("windows in which a target was missing, times targets", "", [missing])
            .asked(Asked::AtMost(0.0)),
        Figure::new("losses", "", [losses(windows)]).asked(Asked::AtMost(0.0)),
        Figure::new(
            "closer looks of the redis-server, share of the time",
            "%",
            [100.0 * windows.iter().flat_map(|window| values(window, "redis", "probed_ratio")).sum::<f64>()
                / windows.len().max(1) as f64],
        ),
    ]
}

/// Entries of maps are told by a tool that may not be there.
fn by_bpftool(what: &str, count: f64) -> Figure {
    match peers::missing("bpftool") {
        Some(why) => Figure::unavailable(what, "", why),
        None => Figure::new(what, "", [count]),
    }
}

fn values<'a>(window: &'a Value, of: &'a str, metric: &'a str) -> impl Iterator<Item = f64> + 'a {
    targets(window)
        .filter(move |target| name(target) == of)
        .filter_map(move |target| target.get("values")?.get(metric)?.as_f64())
}

fn losses(windows: &[Value]) -> f64 {
    let of = |window: &Value| {
        window
            .get("loss")
            .and_then(Value::as_object)
            .map_or(0.0, |loss| loss.values().filter_map(Value::as_f64).sum())
    };
    windows.iter().map(of).sum()
}

/// A host with much to do.
struct Host {
    config: PathBuf,
    forked: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    _processes: Vec<Process>,
}

impl Host {
    fn start(context: &Context) -> Result<Self> {
        let copy = |program: &str, name: &str| -> Result<PathBuf> {
            let path = context.folder.join(name);
            fs::copy(program, &path).with_context(|| format!("cannot copy {program}"))?;
            Ok(path)
        };
        let (short, idle) = (copy("/bin/true", SHORT)?, copy("/bin/sleep", IDLE)?);
        let redis = Redis::start(context)?;
        let mut text = format!(
            "window = \"{}s\"\n[history]\npath = \"{}\"\n",
            WINDOW.as_secs(),
            context.folder.join("soak.db").display()
        );
        let mut target = |name: &str, how: &str| {
            let _ = write!(text, "[[target]]\nname = \"{name}\"\n{how}\n");
        };
        target("redis", &format!("pid = {}", redis.process.pid()));
        target(SHORT, &format!("comm = \"{SHORT}\""));
        let mut processes = Vec::new();
        let python = servers::python(context)?;
        target("python", &format!("pid = {}", python.pid()));
        if peers::missing("memcached").is_none() {
            let memcached = Process::start(
                Command::new("memcached")
                    .args(["-u", "root", "-p", "0", "-s"])
                    .arg(context.folder.join("memcached.sock")),
                None,
            )?;
            target("memcached", &format!("pid = {}", memcached.pid()));
            processes.push(memcached);
        }
        for number in 0..TARGETS - 3 - processes.len() {
            let process = Process::start(Command::new(&idle).arg("100000"), None)?;
            target(&format!("idle-{number}"), &format!("pid = {}", process.pid()));
            processes.push(process);
        }
        let config = context.folder.join("soak.toml");
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let (forked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let threads = vec![forks(short, &forked, &stop), load(redis.socket.clone(), &stop)];
        processes.extend([redis.process, python]);
        Ok(Self { config, forked, stop, threads, _processes: processes })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            // What it started has been waited for.
            let _ = thread.join();
        }
    }
}

/// Begins processes at their rate.
fn forks(program: PathBuf, forked: &Arc<AtomicU64>, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (forked, stop) = (Arc::clone(forked), Arc::clone(stop));
    std::thread::spawn(move || {
        let start = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let due = start.elapsed().as_millis() as u64 * FORKS_HZ / 1000;
            while forked.load(Ordering::Relaxed) < due {
                if Command::new(&program).status().is_err() {
                    return;
                }
                forked.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    })
}

/// Some thousand requests a second, in bursts.
fn load(socket: PathBuf, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let mut burst = Command::new("redis-benchmark");
            burst.arg("-s").arg(&socket).args([
                "-t",
                "set,get,lpush,lpop",
                "-n",
                "2000",
                "-q",
                "-d",
                "100",
                "-r",
                "10000",
            ]);
            if burst.output().is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    })
}

impl Look {
    fn of(monitor: &Monitor) -> Result<Self> {
        let pid = monitor.process.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("waytrace has gone")?;
        let kib = status.lines().find_map(|line| {
            line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
        });
        let files = fs::read_dir(format!("/proc/{pid}/fd")).context("waytrace has gone")?.count();
        Ok(Self {
            rss_mib: kib.context("no resident memory")? / 1024.0,
            files: files as f64,
            held: Held::of(pid)?,
            cpu_ns: cpus::process_cpu_ns(pid)?,
            at: Instant::now(),
        })
    }
}
