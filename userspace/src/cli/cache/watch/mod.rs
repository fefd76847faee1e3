//! `waytrace cache watch`: occupancy and bandwidth of processes, classes, groups and CPUs, as they are.

mod render;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use waytrace_hw::rdt::Monitored;
use waytrace_hw::topology::parse_list;
use waytrace_model::units::parse_duration_ns;
use waytrace_occupancy::{Target, Watcher};

use super::super::Outcome;
use super::super::bench::signals::Signals;
use super::super::output::{print, say, terminal_columns};
use super::Host;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// All threads of a process, those born later too; may be given more than once.
    #[arg(long, value_name = "PID", num_args = 1..)]
    pid: Vec<u32>,
    /// A class, or a monitoring group in it (web, web/slow, default/slow); may be given more than once.
    #[arg(long, value_name = "CLASS[/MON]")]
    group: Vec<String>,
    /// What runs on CPUs, as 0-3,8, and is by resctrl in no other class; each LIST is watched as one.
    #[arg(long, value_name = "LIST")]
    cpus: Vec<String>,
    /// Time between readings.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration_ns)]
    interval: u64,
    /// Ends after so many readings [default: on Ctrl-C].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print a JSON object on a line for each reading.
    #[arg(long)]
    json: bool,
}

/// Shortest interval: reading takes time, too.
const SHORTEST: Duration = Duration::from_millis(10);
/// More than any cache moves, bytes per second: faster a counter does not go round.
const FASTEST: u64 = 500_000_000_000;
/// Code of a measurement that ended before its time.
const INCOMPLETE: u8 = 1;

/// Runs the command.
pub fn run(args: &Args, host: &Host) -> Outcome {
    let interval = Duration::from_nanos(args.interval);
    ensure!(interval >= SHORTEST, "--interval is too short; 10ms is the least");
    let targets = targets(args)?;
    // Before anything is made that has to be removed.
    let mut signals = Signals::block()?;
    let mut watcher = Watcher::new(host.root(), host.open()?, targets)?;
    let watched = watch(args, host, &mut watcher, &mut signals, interval);
    let undone = watcher.end();
    let restored = undone.restored;
    undone.left.iter().for_each(|line| say(line));
    let is_complete = watched?;
    if !restored {
        say("monitoring groups are left; `waytrace doctor --restore` removes them");
    }
    Ok(if is_complete && restored { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

fn targets(args: &Args) -> anyhow::Result<Vec<Target>> {
    let mut targets: Vec<Target> = args.pid.iter().map(|pid| Target::Pid(*pid)).collect();
    for name in &args.group {
        targets.push(Target::Group(match name.split_once('/') {
            Some((class, group)) => Monitored::Group { class: class.to_owned(), name: group.to_owned() },
            None => Monitored::Class(name.clone()),
        }));
    }
    for list in &args.cpus {
        let cpus = parse_list(list)?;
        ensure!(!cpus.is_empty(), "--cpus is empty; write it like 0-3,8");
        targets.push(Target::Cpus(cpus));
    }
    let mut once: Vec<Target> = Vec::new();
    for target in targets {
        if !once.contains(&target) {
            once.push(target);
        }
    }
    Ok(once)
}

/// Goes on until it is told to end, or all has ended. Whether it was not the latter.
fn watch(
    args: &Args,
    host: &Host,
    watcher: &mut Watcher,
    signals: &mut Signals,
    interval: Duration,
) -> anyhow::Result<bool> {
    let mut output = Output::new(args.json, !host.root().is_live());
    let pause = watcher.allocation().wrap_bytes().map_or(interval, |wrap| {
        let round = Duration::from_secs_f64(wrap as f64 / FASTEST as f64);
        round.clamp(SHORTEST, Duration::from_secs(1)).min(interval)
    });
    watcher.read()?;
    let started = Instant::now();
    let (mut last, mut due, mut count) = (started, started + interval, 0);
    loop {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            // Also where there is nothing to wait for: a round may take longer than the interval, again and again.
            signals.wait(left.min(pause));
            if signals.interrupted() {
                return Ok(true);
            }
            if left.is_zero() {
                break;
            }
            if left > pause {
                watcher.read()?;
            }
        }
        let ended = watcher.follow()?;
        watcher.read()?;
        let now = Instant::now();
        output.show(watcher, now - last, now - started)?;
        for line in ended {
            say(&line);
        }
        watcher.begin();
        count += 1;
        if args.count.is_some_and(|most| count >= most) {
            return Ok(true);
        }
        if watcher.rows.is_empty() {
            say("nothing is left to watch");
            return Ok(false);
        }
        last = now;
        // What was too slow to be read in time is left out.
        due = (due + interval).max(now);
    }
}

/// Where readings go.
struct Output {
    json: bool,
    simulated: bool,
    is_terminal: bool,
    begun: bool,
}

impl Output {
    fn new(json: bool, simulated: bool) -> Self {
        Self { json, simulated, is_terminal: terminal_columns().is_some(), begun: false }
    }

    fn show(&mut self, watcher: &Watcher, interval: Duration, since_start: Duration) -> anyhow::Result<()> {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let interface = watcher.allocation().interface();
        let sample = render::sample(&watcher.rows, interval_ns, interface, self.simulated);
        if self.json {
            return print(&(serde_json::to_string(&sample)? + "\n"));
        }
        let seconds = since_start.as_secs_f64();
        if let (true, Some(width)) = (self.is_terminal, terminal_columns()) {
            let simulated = if self.simulated { "simulated host: figures of no machine, " } else { "" };
            let text = format!("{simulated}{seconds:.1} s\n{}", render::table(&sample, width));
            // Home, each line to its end, and what is below.
            return print(&format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")));
        }
        let title = if self.begun { String::new() } else { render::title(self.simulated) };
        self.begun = true;
        print(&(title + &render::lines(&sample, seconds)))
    }
}
