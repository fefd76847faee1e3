//! `budgeted`: what `--budget 1%` costs a target that allocates all the time, and how far its estimates are off.
//!
//! One process runs throughout; intervals with and without waytrace alternate. Truth is what the target counted
//! between the attachment and the end of the run.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::pairs::{Interval, Load, Pairs};
use super::profile::{Profile, Report};
use super::rounds::{rounds, slowdown_pct};
use anyhow::Result;

/// A target, by the CPU time it spends between two pairs.
struct Target {
    name: &'static str,
    work_ns: u64,
    /// Totals are asked for; a loop that does nothing but allocate may have none.
    is_asked: bool,
}

const TARGETS: [Target; 3] = [
    Target { name: "1 M pairs/s", work_ns: 850, is_asked: true },
    Target { name: "300 k pairs/s", work_ns: 3200, is_asked: true },
    Target { name: "flat out", work_ns: 0, is_asked: false },
];

#[derive(Clone, Copy)]
enum Mode {
    Without,
    With,
}

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for target in &TARGETS {
        let pairs = measure(context, target.work_ns)?;
        figures.extend(judge(target, &pairs));
    }
    Ok(figures)
}

/// A pair of intervals, and what waytrace said of the second.
struct Pair {
    without: Interval,
    with: Interval,
    report: Report,
    attach_ms: f64,
}

fn measure(context: &Context, work_ns: u64) -> Result<Vec<Pair>> {
    let (long, short) = (context.seconds(30, 10), context.seconds(15, 5));
    let target = Pairs::start(context, Load { work_ns, ..Load::default() }, &[], None)?;
    target.run()?;
    let measured = rounds(context.pick(5, 2), &[Mode::Without, Mode::With], |mode| match mode {
        Mode::Without => Ok((target.watch(short)?, None)),
        Mode::With => {
            let profile = Profile::attach(
                context,
                target.pid(),
                &["--budget", "1%", "--collect", "allocations,counters"],
            )?;
            let attach_ms = 1e3 * profile.attached_after.as_secs_f64();
            let interval = target.watch(long)?;
            Ok((interval, Some((profile.finish()?, attach_ms))))
        }
    })?;
    target.quit()?;
    let pair = |round: Vec<(Interval, Option<(Report, f64)>)>| {
        let mut round = round.into_iter();
        let ((without, _), (with, said)) = (round.next()?, round.next()?);
        let (report, attach_ms) = said?;
        Some(Pair { without, with, report, attach_ms })
    };
    Ok(measured.into_iter().filter_map(pair).collect())
}

fn judge(target: &Target, pairs: &[Pair]) -> Vec<Figure> {
    let of = |what: &str, unit, value: &dyn Fn(&Pair) -> f64| {
        Figure::new(format!("{}: {what}", target.name), unit, pairs.iter().map(value))
    };
    let limit = Asked::AtMost;
    let mut figures = vec![
        of("pairs per second without", "k/s", &|pair| 1e6 / pair.without.wall_ns_per_pair),
        of("slowdown, CPU per pair", "%", &|pair| {
            slowdown_pct(pair.without.cpu_ns_per_pair, pair.with.cpu_ns_per_pair)
        })
        .asked(limit(2.0)),
        of("slowdown, time per pair", "%", &|pair| {
            slowdown_pct(pair.without.wall_ns_per_pair, pair.with.wall_ns_per_pair)
        })
        .asked(limit(2.0)),
    ];
    figures.extend(estimates(target, pairs));
    figures.extend([
        of("waytrace's CPU, attached to end", "% of a core", &|pair| pair.report.steady_cpu_pct)
            .asked(limit(1.0)),
        of("waytrace's CPU, start to exit", "% of a core", &|pair| {
            100.0 * pair.report.cpu_ns as f64 / pair.with.wall_ns
        })
        .asked(limit(1.0)),
        figure(target, "waytrace's CPU as it says, % of a core", pairs, &|pair| {
            pair.report.number("/overhead/tool_cpu_pct")
        }),
        of("waytrace's peak RSS", "MB", &|pair| pair.report.peak_rss_bytes as f64 / 1e6).asked(limit(100.0)),
        of("start to attached", "ms", &|pair| pair.attach_ms).asked(limit(500.0)),
    ]);
    figures
}

/// A total that waytrace estimates.
struct Total {
    name: &'static str,
    /// Where the report has it.
    estimate: &'static str,
    /// Where the report has its interval.
    interval: &'static str,
    truth: fn(&Interval) -> f64,
}

const TOTALS: [Total; 2] = [
    Total {
        name: "alloc_count",
        estimate: "/allocations/alloc_count",
        interval: "/allocations/alloc_count_ci95_pct",
        truth: |target| target.pairs,
    },
    Total {
        name: "alloc_bytes",
        estimate: "/allocations/alloc_bytes",
        interval: "/allocations/ci95_pct",
        truth: |target| target.bytes,
    },
];

fn estimates(target: &Target, pairs: &[Pair]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for Total { name, estimate, interval, truth } in TOTALS {
        let error = |pair: &Pair| Some(100.0 * (run_total(pair, estimate)? / truth(&pair.with) - 1.0));
        let off = figure(target, &format!("{name} against the truth"), pairs, &error);
        figures.push(if target.is_asked { off.asked(Asked::Within(5.0)) } else { off });
        let half_width = |pair: &Pair| pair.report.number(interval);
        figures.push(figure(target, &format!("{name}, its 95 % interval, +-"), pairs, &half_width));
        let holds = |pair: &Pair| {
            let holds_truth = error(pair)?.abs() <= half_width(pair)?;
            Some(if holds_truth { 100.0 } else { 0.0 })
        };
        figures.push(figure(target, &format!("{name}, runs whose interval holds the truth"), pairs, &holds));
    }
    figures.push(figure(target, "cost to the target as waytrace says", pairs, &|pair| {
        pair.report.number("/overhead/target_pct")
    }));
    figures
}

/// A total over the interval that was watched. The run is a few milliseconds longer; the rate is steady.
fn run_total(pair: &Pair, pointer: &str) -> Option<f64> {
    let run_ns = pair.report.number("/run/duration_ns")?;
    Some(pair.report.number(pointer)? * pair.with.wall_ns / run_ns)
}

/// A figure from the runs that have it; from none, the reason they give.
fn figure(target: &Target, what: &str, pairs: &[Pair], value: &dyn Fn(&Pair) -> Option<f64>) -> Figure {
    let what = format!("{}: {what}", target.name);
    let values: Vec<f64> = pairs.iter().filter_map(value).collect();
    if values.is_empty() {
        let reasons = pairs.first().map(|pair| pair.report.reasons()).unwrap_or_default();
        let of_totals = reasons.split("; ").find_map(|reason| reason.strip_prefix("totals: "));
        return Figure::unavailable(what, "%", of_totals.unwrap_or(&reasons));
    }
    let missing = pairs.len() - values.len();
    let note = if missing > 0 { format!("{what} ({missing} runs have none)") } else { what };
    Figure::new(note, "%", values)
}
