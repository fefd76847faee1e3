//! `events-interval`: CPU time a reading of all events takes, of `events measure` and of `perf stat -I`, over the same events.
//!
//! Opening, closing and printing cost the same however long a measurement is: what a long one takes more than a short one
//! of the same events, over the readings it has more, is a reading's.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::process::Process;
use super::rounds::rounds;
use anyhow::{Result, bail};
use std::process::Command;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(250);
const DATABASE: &str = "events-interval.db";
/// What is counted: a name, waytrace's options and perf's. Both names stand for the same events.
const SETS: [(&str, [&str; 2], &str); 2] = [
    ("6 software events", ["-e", SOFTWARE], SOFTWARE),
    ("all system calls' entries", ["--filter", CALLS], CALLS),
];
const SOFTWARE: &str = "task-clock,page-faults,context-switches,cpu-migrations,minor-faults,major-faults";
const CALLS: &str = "syscalls:sys_enter_*";

#[derive(Debug, Clone, Copy)]
enum Tool {
    Waytrace,
    Perf,
}

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, ours, theirs) in SETS {
        let per_reading = |tool| per_reading_us(context, tool, ours, theirs);
        match rounds(context.pick(5, 1), &[Tool::Waytrace, Tool::Perf], per_reading) {
            Ok(measured) => figures.extend(of_set(name, &measured)),
            Err(why) => figures.push(Figure::unavailable(name, "µs", format!("{why:#}"))),
        }
    }
    Ok(figures)
}

/// Waytrace's, perf's, and one over the other, round by round.
fn of_set(name: &str, measured: &[Vec<f64>]) -> Vec<Figure> {
    let of = |tool: usize| measured.iter().filter_map(move |round| round.get(tool).copied());
    let ratio = of(0).zip(of(1)).filter(|(_, perf)| *perf > 0.0).map(|(waytrace, perf)| waytrace / perf);
    vec![
        Figure::new(format!("{name}: CPU time of a reading"), "µs", of(0)),
        Figure::new(format!("{name}: with perf stat -I 250"), "µs", of(1)),
        Figure::new(format!("{name}: over perf's"), "×", ratio).asked(Asked::AtMost(1.0)),
    ]
}

fn per_reading_us(context: &Context, tool: Tool, ours: [&str; 2], theirs: &str) -> Result<f64> {
    let (long, short) = (context.seconds(20, 4), context.seconds(2, 1));
    let cpu_ns = |time| cpu_ns(context, tool, ours, theirs, time);
    let more_ns = cpu_ns(long)?.saturating_sub(cpu_ns(short)?);
    Ok(more_ns as f64 / 1e3 / (readings(long) - readings(short)))
}

fn readings(time: Duration) -> f64 {
    time.as_secs_f64() / INTERVAL.as_secs_f64()
}

fn cpu_ns(context: &Context, tool: Tool, ours: [&str; 2], theirs: &str, time: Duration) -> Result<u64> {
    let (interval, seconds) = (INTERVAL.as_millis().to_string(), time.as_secs().to_string());
    let mut command = match tool {
        Tool::Waytrace => {
            let mut command = Command::new(&context.waytrace);
            command.args(["events", "measure", "--all-cpus", "--interval", &format!("{interval}ms")]);
            command.args(["--epoch", &format!("{seconds}s")]).args(ours);
            command.arg("--db").arg(context.folder.join(DATABASE));
            command
        }
        Tool::Perf => {
            let mut command = Command::new("perf");
            command.args(["stat", "-a", "-A", "-x", ";", "-I", &interval, "-e", theirs]);
            command.args(["sleep", &seconds]);
            command
        }
    };
    let finished = Process::start(&mut command, context.cpus.tool)?.finish()?;
    if !finished.success {
        bail!("{tool:?}: {}", finished.complaint());
    }
    Ok(finished.cpu_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_what_more_readings_take_more() {
        assert_eq!(readings(Duration::from_secs(2)), 8.0);
        let figures = of_set("x", &[vec![10.0, 20.0], vec![30.0, 30.0]]);
        assert_eq!(figures.len(), 3);
    }
}
