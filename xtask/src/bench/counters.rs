//! `counters`: what counting costs two threads that do nothing but wake each other on one CPU, beside `perf stat -p`.
//!
//! Every pass is a context switch, where per-task counters are saved: the worst a counting tool can meet.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::process::Process;
use super::profile::Profile;
use super::rounds::{loss_pct, rounds};
use super::stats::Spread;
use super::{compile, cpus, peers};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::process::Command;

/// Lists of events, the same for both tools.
const EVENTS: [(&str, &str); 2] = [
    ("4 software events", "task-clock,page-faults,context-switches,cpu-migrations"),
    ("the same and msr/tsc/", "task-clock,page-faults,context-switches,cpu-migrations,msr/tsc/"),
];

#[derive(Clone, Copy)]
enum Tool {
    Nothing,
    PerfStat,
    Waytrace,
}

/// Rates of one measurement.
#[derive(Clone, Copy)]
struct Sample {
    trips_per_s: f64,
    trips_per_cpu_s: f64,
}

type Rate = fn(&Sample) -> f64;

/// Two views of the same loss; the second does not mind who else had the CPU.
const RATES: [(&str, Rate); 2] =
    [("throughput", |sample| sample.trips_per_s), ("per CPU time", |sample| sample.trips_per_cpu_s)];

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, events) in EVENTS {
        let tools = [Tool::Nothing, Tool::PerfStat, Tool::Waytrace];
        let measured = rounds(context.pick(7, 3), &tools, |tool| {
            Ok(measure(context, events, tool).map_err(|error| format!("{error:#}")))
        })?;
        figures.extend(judge(name, &measured));
    }
    Ok(figures)
}

type Rounds = [Vec<Result<Sample, String>>];

fn judge(name: &str, measured: &Rounds) -> Vec<Figure> {
    let mut figures = vec![Figure::new(
        format!("{name}: round trips per second, no tool"),
        "k/s",
        measured.iter().filter_map(|round| round[0].as_ref().ok()).map(|sample| sample.trips_per_s / 1e3),
    )];
    for (view, rate) in RATES {
        let perf = losses(measured, 1, rate);
        let ours = losses(measured, 2, rate);
        let ratios = ratios(&perf, &ours);
        let figure = |what: &str, unit, results: Vec<Result<f64, String>>| {
            Figure::of_results(format!("{name}: {what}"), unit, results)
        };
        figures.push(figure(&format!("loss with perf stat, {view}"), "%", perf));
        figures.push(figure(&format!("loss with waytrace, {view}"), "%", ours));
        let ratio = figure(&format!("waytrace's loss over perf's, {view}"), "times", ratios);
        figures.push(ratio.asked(Asked::AtMost(0.5)));
    }
    figures
}

/// What a tool takes, round by round.
fn losses(measured: &Rounds, tool: usize, rate: Rate) -> Vec<Result<f64, String>> {
    let loss = |round: &Vec<Result<Sample, String>>| {
        let (without, with) = (round[0].clone()?, round[tool].clone()?);
        Ok(loss_pct(rate(&without), rate(&with)))
    };
    measured.iter().map(loss).collect()
}

/// Each of our losses over the median of perf's: a round's own loss of perf may be all noise.
fn ratios(perf: &[Result<f64, String>], ours: &[Result<f64, String>]) -> Vec<Result<f64, String>> {
    let median = || {
        let perf: Vec<f64> = perf.iter().cloned().collect::<Result<_, _>>()?;
        let median = Spread::of(perf).ok_or("perf stat was not measured")?.median();
        if median > 0.0 {
            Ok(median)
        } else {
            Err("perf stat cost nothing that could be measured".to_owned())
        }
    };
    ours.iter().map(|loss| Ok(loss.clone()? / median()?)).collect()
}

/// One run of the ping-pong, with the tool attached before its first pass and until after its last.
fn measure(context: &Context, events: &str, tool: Tool) -> Result<Sample> {
    let source = crate::workspace::root()?.join("tests/workloads/pingpong.c");
    let seconds = context.pick(5, 2).to_string();
    let mut command = Command::new(compile::program(&source, &context.folder, &[])?);
    let mut target = Process::start(command.args([&seconds, "threads"]), context.cpus.target)?;
    target.wait_for(|line| line.starts_with("ready"))?;
    match tool {
        Tool::Nothing => play(&mut target),
        Tool::PerfStat => {
            if let Some(why) = peers::missing("perf") {
                anyhow::bail!(why);
            }
            let perf = peers::perf_stat(context, target.pid(), events)?;
            let sample = play(&mut target);
            perf.interrupt();
            perf.finish()?;
            sample
        }
        Tool::Waytrace => {
            let args = ["--collect", "counters", "--interval", "100ms", "--events", events];
            let profile = Profile::attach(context, target.pid(), &args)?;
            let sample = play(&mut target);
            profile.finish()?;
            sample
        }
    }
}

fn play(target: &mut Process) -> Result<Sample> {
    let before_ns = cpus::process_cpu_ns(target.pid())?;
    target.enter()?;
    let (line, _) = target.wait_for(|line| line.starts_with("truth"))?;
    let cpu_ns = cpus::process_cpu_ns(target.pid())? - before_ns;
    let truth: Value = serde_json::from_str(line.trim_start_matches("truth "))?;
    let field = |name: &str| truth[name].as_f64().with_context(|| format!("the ping-pong tells no {name}"));
    let trips = field("round_trips")?;
    Ok(Sample {
        trips_per_s: trips * 1e9 / field("elapsed_ns")?,
        trips_per_cpu_s: trips * 1e9 / cpu_ns as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rate: f64) -> Result<Sample, String> {
        Ok(Sample { trips_per_s: rate, trips_per_cpu_s: rate })
    }

    #[test]
    fn losses_pair_within_rounds_and_ratios_with_the_median_of_perf() {
        let measured = vec![
            vec![sample(100.0), sample(60.0), sample(90.0)],
            vec![sample(200.0), sample(120.0), sample(180.0)],
        ];
        let rate = |sample: &Sample| sample.trips_per_s;
        let (perf, ours) = (losses(&measured, 1, rate), losses(&measured, 2, rate));
        let rounded = |values: &[Result<f64, String>]| -> Vec<i64> {
            values.iter().map(|value| (value.clone().unwrap() * 100.0).round() as i64).collect()
        };
        assert_eq!((rounded(&perf), rounded(&ours)), (vec![4000, 4000], vec![1000, 1000]));
        assert_eq!(rounded(&ratios(&perf, &ours)), [25, 25]);
    }

    #[test]
    fn a_tool_that_is_missing_leaves_a_reason() {
        let measured = vec![vec![sample(1.0), Err("perf is not installed".to_owned()), sample(1.0)]];
        let perf = losses(&measured, 1, |sample| sample.trips_per_s);
        assert_eq!(perf, [Err("perf is not installed".to_owned())]);
        assert_eq!(ratios(&perf, &[Ok(1.0)]), perf);
    }
}
