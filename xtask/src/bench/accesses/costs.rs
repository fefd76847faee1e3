//! What sampling costs at several rates, beside `perf record`: on one running program, intervals with and without.

use super::super::context::Context;
use super::super::cpus;
use super::super::figure::{Asked, Figure};
use super::super::profile::{Profile, Report};
use super::super::rounds::{rounds, slowdown_pct};
use super::perf::{Cost, Recording};
use super::targets::{Program, Target};
use anyhow::{Result, ensure};
use std::thread;
use std::time::Duration;

/// Random accesses to more than the caches hold, and a loop that never leaves them.
const SUBJECTS: [(&str, Program); 2] = [
    ("hotcold", Program::Known("access_arrays.c", "hotcold")),
    ("pointers", Program::Known("access_code.c", "pointers")),
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
    cpu_ns_per_round: f64,
    report: Option<Report>,
    perf: Option<Cost>,
}

pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
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
        let profile = Profile::attach(context, target.pid(), args)?;
        let cpu_ns_per_round = watch(context, target)?;
        Ok(Interval { cpu_ns_per_round, report: Some(profile.finish()?), perf: None })
    };
    match mode {
        Mode::Without => Ok(Interval { cpu_ns_per_round: watch(context, target)?, report: None, perf: None }),
        Mode::Default => profile(&["--collect", "accesses"]),
        Mode::At(rate_hz) => profile(&["--collect", "accesses", "--freq", rate_hz]),
        Mode::Perf(rate_hz) => {
            let recording = Recording::start(context, target.pid(), rate_hz)?;
            let cpu_ns_per_round = watch(context, target)?;
            Ok(Interval { cpu_ns_per_round, report: None, perf: Some(recording.finish(context)?) })
        }
    }
}

/// CPU time the target takes for a round.
fn watch(context: &Context, target: &Target) -> Result<f64> {
    thread::sleep(Duration::from_millis(200));
    let now = || Ok::<_, anyhow::Error>((cpus::process_cpu_ns(target.pid())?, target.rounds()?));
    let (cpu_before, rounds_before) = now()?;
    thread::sleep(context.seconds(5, 2));
    let (cpu_after, rounds_after) = now()?;
    ensure!(rounds_after > rounds_before, "the target does no rounds");
    Ok((cpu_after - cpu_before) as f64 / (rounds_after - rounds_before) as f64)
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
    let slowdown = |tool: &str| {
        let values = measured.iter().map(|round| {
            let pair =
                (round[0].as_ref().map_err(Clone::clone)?, round[place].as_ref().map_err(Clone::clone)?);
            Ok(slowdown_pct(pair.0.cpu_ns_per_round, pair.1.cpu_ns_per_round))
        });
        Figure::of_results(title(tool, "slowdown, CPU per round"), "%", values)
    };
    let ours = |tool: &str| {
        let report =
            |pointer: &'static str| move |interval: &Interval| interval.report.as_ref()?.number(pointer);
        let per_s = |interval: &Interval| {
            let report = interval.report.as_ref()?;
            Some(report.number("/accesses/samples")? * 1e9 / report.number("/run/duration_ns")?)
        };
        vec![
            slowdown(tool),
            of(title(tool, "waytrace's CPU, attached to end"), "% of a core", &|interval| {
                Some(interval.report.as_ref()?.steady_cpu_pct)
            }),
            of(title(tool, "samples per second"), "", &per_s),
            of(title(tool, "times throttled"), "", &report("/accesses/throttled")),
        ]
    };
    match mode {
        Mode::Without => {
            let cost = |interval: &Interval| Some(interval.cpu_ns_per_round / 1e3);
            vec![of(format!("{name}: CPU per round, no tool"), "us", &cost)]
        }
        Mode::Default => {
            let mut figures = ours("default rate").into_iter();
            let asked = figures.by_ref().take(2).map(|figure| figure.asked(Asked::AtMost(2.0)));
            let mut asked: Vec<Figure> = asked.collect();
            asked.extend(figures);
            asked
        }
        Mode::At(rate_hz) => ours(&format!("{rate_hz} Hz")),
        Mode::Perf(rate_hz) => {
            let tool = format!("perf at {rate_hz} Hz");
            let cost = |value: fn(&Cost) -> f64| move |interval: &Interval| interval.perf.as_ref().map(value);
            vec![
                slowdown(&tool),
                of(title(&tool, "CPU of perf record"), "% of a core", &cost(|cost| cost.record_pct)),
                of(title(&tool, "CPU of perf script"), "% of a core", &cost(|cost| cost.script_pct)),
                of(title(&tool, "written"), "KB/s", &cost(|cost| cost.bytes_per_s / 1e3)),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(cpu_ns_per_round: f64) -> Result<Interval, String> {
        Ok(Interval { cpu_ns_per_round, report: None, perf: None })
    }

    #[test]
    fn a_slowdown_is_within_its_round() {
        let perf = Cost { record_pct: 0.5, script_pct: 1.0, bytes_per_s: 2000.0 };
        let with = |ns| Ok(Interval { cpu_ns_per_round: ns, report: None, perf: Some(perf) });
        let measured = [vec![interval(100.0), with(110.0)], vec![interval(200.0), with(220.0)]];
        let figures = judge("x", Mode::Perf("100"), 1, &measured);
        let cells: Vec<_> = figures.iter().map(|figure| figure.cells(false)).collect();
        assert_eq!(cells[0][0], "x: perf at 100 Hz: slowdown, CPU per round");
        assert_eq!(cells[0][2], "10.0 % (10.0 .. 10.0, n=2)");
        assert_eq!(cells[3][2], "2.00 KB/s (2.00 .. 2.00, n=2)");
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
