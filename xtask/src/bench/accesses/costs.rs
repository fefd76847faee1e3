//! What sampling costs at several rates, beside `perf record`: on one running program, intervals with and without.

use super::super::context::Context;
use super::super::cpus;
use super::super::figure::{Asked, Figure};
use super::super::profile::{Profile, Report};
use super::super::rounds::{rounds, slowdown_pct};
use super::perf::{Cost, Recording};
use super::steps;
use super::targets::{Program, Target};
use anyhow::{Result, ensure};
use std::thread;
use std::time::Duration;

/// Random accesses to more than the caches hold, a loop that never leaves them, and one that has to wait for walks.
const SUBJECTS: [(&str, Program); 3] = [
    ("hotcold", Program::Known("access_arrays.c", "hotcold")),
    ("pointers", Program::Known("access_code.c", "pointers")),
    ("changing", Program::Known("access_trouble.c", "changing")),
];

const RATES_HZ: [&str; 5] = ["100", "300", "1000", "2000", "4000"];

#[derive(Clone, Copy)]
enum Mode {
    Without,
    /// At the rate that the budget pays for.
    Default,
    At(&'static str),
    Perf(&'static str),
}

/// One interval.
struct Interval {
    pace: Pace,
    report: Option<Report>,
    perf: Option<Cost>,
}

/// What the target takes for a round, in nanoseconds.
#[derive(Clone, Copy)]
struct Pace {
    cpu_ns: f64,
    /// With what it waited for a CPU.
    elapsed_ns: f64,
}

pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = steps::run(context)?;
    for (name, program) in SUBJECTS {
        eprintln!("xtask: cost to {name}");
        let mut target = Target::start(context, program, 0)?;
        target.go()?;
        let modes = modes();
        let measured = rounds(context.pick(5, 2), &modes, |mode| {
            Ok(measure(context, &target, mode).map_err(|error| format!("{error:#}")))
        })?;
        for (place, mode) in modes.iter().enumerate() {
            figures.extend(judge(name, *mode, place, &measured));
        }
    }
    Ok(figures)
}

fn modes() -> Vec<Mode> {
    let ours = RATES_HZ.map(Mode::At);
    let perf = RATES_HZ.map(Mode::Perf);
    [Mode::Without, Mode::Default].into_iter().chain(ours).chain(perf).collect()
}

type Rounds = [Vec<Result<Interval, String>>];

fn measure(context: &Context, target: &Target, mode: Mode) -> Result<Interval> {
    let profile = |args: &[&str]| {
        let profile = Profile::attach_anywhere(context, target.pid(), args)?;
        let pace = watch(context, target)?;
        Ok(Interval { pace, report: Some(profile.finish()?), perf: None })
    };
    match mode {
        Mode::Without => Ok(Interval { pace: watch(context, target)?, report: None, perf: None }),
        Mode::Default => profile(&["--collect", "accesses"]),
        Mode::At(rate_hz) => profile(&["--collect", "accesses", "--freq", rate_hz]),
        Mode::Perf(rate_hz) => {
            let recording = Recording::start(context, target.pid(), rate_hz)?;
            let pace = watch(context, target)?;
            Ok(Interval { pace, report: None, perf: Some(recording.finish(context)?) })
        }
    }
}

/// What the target takes for a round, over an interval.
fn watch(context: &Context, target: &Target) -> Result<Pace> {
    thread::sleep(Duration::from_millis(200));
    let now = || {
        let used_ns = cpus::process_cpu_ns(target.pid())?;
        Ok::<_, anyhow::Error>((used_ns, cpus::monotonic_ns()?, target.rounds()?))
    };
    let before = now()?;
    thread::sleep(context.seconds(5, 2));
    let after = now()?;
    ensure!(after.2 > before.2, "the target does no rounds");
    let per_round = |of: u64| of as f64 / (after.2 - before.2) as f64;
    Ok(Pace { cpu_ns: per_round(after.0 - before.0), elapsed_ns: per_round(after.1 - before.1) })
}

fn judge(name: &str, mode: Mode, place: usize, measured: &Rounds) -> Vec<Figure> {
    let title = |tool: &str, what: &str| format!("{name}: {tool}: {what}");
    let of = |what: String, unit, value: &dyn Fn(&Interval) -> Option<f64>| {
        let values = measured.iter().map(|round| {
            let interval = round[place].as_ref().map_err(Clone::clone)?;
            value(interval).ok_or_else(|| "the report does not say".to_owned())
        });
        Figure::of_results(what, unit, values)
    };
    let slower = |tool: &str, what: &str, time: fn(&Pace) -> f64| {
        let values = measured.iter().map(|round| {
            let pair =
                (round[0].as_ref().map_err(Clone::clone)?, round[place].as_ref().map_err(Clone::clone)?);
            Ok(slowdown_pct(time(&pair.0.pace), time(&pair.1.pace)))
        });
        Figure::of_results(title(tool, what), "%", values)
    };
    let slowdown = |tool: &str| {
        [
            slower(tool, "slowdown, CPU per round", |pace| pace.cpu_ns),
            slower(tool, "slowdown, time per round", |pace| pace.elapsed_ns),
        ]
    };
    let ours = |tool: &str| {
        let report =
            |pointer: &'static str| move |interval: &Interval| interval.report.as_ref()?.number(pointer);
        let per_s = |interval: &Interval| {
            let report = interval.report.as_ref()?;
            Some(report.number("/accesses/samples")? * 1e9 / report.number("/run/duration_ns")?)
        };
        let more = [
            of(title(tool, "waytrace's CPU, attached to end"), "% of a core", &|interval| {
                Some(interval.report.as_ref()?.steady_cpu_pct)
            }),
            of(title(tool, "samples per second"), "", &per_s),
            of(title(tool, "times throttled"), "", &report("/accesses/throttled")),
            of(title(tool, "walks confirmed"), "", &report("/accesses/confirmed_ratio")),
        ];
        slowdown(tool).into_iter().chain(more).collect::<Vec<_>>()
    };
    match mode {
        Mode::Without => {
            let cost = |interval: &Interval| Some(interval.pace.cpu_ns / 1e3);
            vec![of(format!("{name}: CPU per round, no tool"), "us", &cost)]
        }
        Mode::Default => {
            let mut figures = ours("default rate").into_iter();
            let asked = figures.by_ref().take(3).map(|figure| figure.asked(Asked::AtMost(2.0)));
            let mut asked: Vec<Figure> = asked.collect();
            asked.extend(figures);
            asked
        }
        Mode::At(rate_hz) => ours(&format!("{rate_hz} Hz")),
        Mode::Perf(rate_hz) => {
            let tool = format!("perf at {rate_hz} Hz");
            let cost = |value: fn(&Cost) -> f64| move |interval: &Interval| interval.perf.as_ref().map(value);
            let more = [
                of(title(&tool, "CPU of perf record"), "% of a core", &cost(|cost| cost.record_pct)),
                of(title(&tool, "CPU of perf script"), "% of a core", &cost(|cost| cost.script_pct)),
                of(title(&tool, "written"), "KB/s", &cost(|cost| cost.bytes_per_s / 1e3)),
            ];
            slowdown(&tool).into_iter().chain(more).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(cpu_ns: f64) -> Pace {
        Pace { cpu_ns, elapsed_ns: cpu_ns * cpu_ns }
    }

    fn interval(cpu_ns: f64) -> Result<Interval, String> {
        Ok(Interval { pace: pace(cpu_ns), report: None, perf: None })
    }

    #[test]
    fn a_slowdown_is_within_its_round() {
        let perf = Cost { record_pct: 0.5, script_pct: 1.0, bytes_per_s: 2000.0 };
        let with = |ns| Ok(Interval { pace: pace(ns), report: None, perf: Some(perf) });
        let measured = [vec![interval(100.0), with(110.0)], vec![interval(200.0), with(220.0)]];
        let figures = judge("x", Mode::Perf("100"), 1, &measured);
        let cells: Vec<_> = figures.iter().map(|figure| figure.cells(false)).collect();
        assert_eq!(cells[0][0], "x: perf at 100 Hz: slowdown, CPU per round");
        assert_eq!(cells[0][2], "10.0 % (10.0 .. 10.0, n=2)");
        assert_eq!(cells[1][2], "21.0 % (21.0 .. 21.0, n=2)");
        assert_eq!(cells[4][2], "2.00 KB/s (2.00 .. 2.00, n=2)");
    }

    #[test]
    fn a_tool_that_is_missing_leaves_a_reason() {
        let measured = [vec![interval(100.0), Err("perf is not installed".to_owned())]];
        let figures = judge("x", Mode::Perf("100"), 1, &measured);
        assert!(figures.iter().all(|figure| figure.cells(false)[2] == "perf is not installed"));
        assert_eq!(judge("x", Mode::Without, 0, &measured)[0].cells(false)[2], "0.10 us");
    }

    #[test]
    fn every_rate_is_measured_with_both_tools_after_the_reference() {
        let modes = modes();
        assert!(matches!(modes[0], Mode::Without));
        assert_eq!(modes.len(), 2 + 2 * RATES_HZ.len());
    }
}
