//! Shares of sampled accesses against programs that know what they did; of other programs, how many samples are good
//! for anything.

use super::super::context::Context;
use super::super::figure::{Asked, Figure};
use super::sampled::{self, Sampled};
use super::samples;
use super::targets::{Program, Target};
use super::truth::{Comparison, Truth};
use anyhow::Result;
use serde_json::Value;

const ARRAYS: &str = "access_arrays.c";
const CODE: &str = "access_code.c";
const THREADS: &str = "access_threads.c";

/// A program and its name in the table.
struct Subject {
    name: &'static str,
    program: Program,
}

const fn known(name: &'static str, file: &'static str) -> Subject {
    Subject { name, program: Program::Known(file, name) }
}

const SUBJECTS: [Subject; 28] = [
    known("seq", ARRAYS),
    known("stride", ARRAYS),
    known("chase", ARRAYS),
    known("hotcold", ARRAYS),
    known("zipf", ARRAYS),
    known("two_arrays", ARRAYS),
    known("phases", ARRAYS),
    known("stack", CODE),
    known("pointers", CODE),
    known("memcpy", CODE),
    known("memset", CODE),
    known("rep", CODE),
    known("vector_sse", CODE),
    known("vector_avx", CODE),
    known("switch_table", CODE),
    known("indirect", CODE),
    known("threads", THREADS),
    known("false_sharing", THREADS),
    known("true_sharing", THREADS),
    known("padded", THREADS),
    known("never_touched", "access_heap.c"),
    known("virtual", "access_virtual.cpp"),
    Subject { name: "Rust", program: Program::Known("access_rust.rs", "lookup") },
    Subject { name: "Go", program: Program::Known("access_go.go", "lookup") },
    Subject { name: "redis", program: Program::Redis },
    Subject { name: "sqlite3", program: Program::Sqlite },
    Subject { name: "python3", program: Program::Python },
    Subject { name: "gzip", program: Program::Gzip },
];

/// Enough walks that chance is a fraction of what is asked: 10,000 in 10 s, so a half is known to +-1 point. Samples of one walk may be
/// alike.
const RATE_HZ: &str = "4000";

/// A run, and for a known program how far it is off.
struct Measured {
    sampled: Sampled,
    known: Option<(Truth, Comparison)>,
}

pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for subject in &SUBJECTS {
        eprintln!("xtask: accesses of {}", subject.name);
        let repeats = 0..context.pick(3, 1);
        match repeats.map(|_| measure(context, subject)).collect::<Result<Vec<_>>>() {
            Ok(runs) => figures.extend(judge(context, subject, &runs)?),
            Err(error) => {
                let name = format!("{}: samples", subject.name);
                figures.push(Figure::unavailable(name, "", format!("{error:#}")));
            }
        }
    }
    Ok(figures)
}

fn measure(context: &Context, subject: &Subject) -> Result<Measured> {
    let length = context.seconds(10, 3);
    let mut target = Target::start(context, subject.program, length.as_secs() + 1)?;
    let collect: &[&str] = if subject.name == "never_touched" {
        &["--collect", "accesses,allocations", "--exact", "--freq", RATE_HZ]
    } else {
        &["--collect", "accesses", "--freq", RATE_HZ]
    };
    let sampled = sampled::run(context, &mut target, collect, length)?;
    let known = match subject.program {
        Program::Known(..) => {
            let truth = target.truth()?;
            let comparison = Comparison::new(&truth, &sampled.samples);
            Some((truth, comparison))
        }
        _ => None,
    };
    Ok(Measured { sampled, known })
}

fn judge(context: &Context, subject: &Subject, runs: &[Measured]) -> Result<Vec<Figure>> {
    for run in runs {
        eprintln!("xtask: {}, unresolved: {}", subject.name, Sampled::unresolved(context, run.sampled.run)?);
    }
    let of = |what: &str, unit, value: &dyn Fn(&Measured) -> Option<f64>| {
        Figure::new(format!("{}: {what}", subject.name), unit, runs.iter().filter_map(value))
    };
    let is_ours = matches!(subject.program, Program::Known(file, _) if !file.ends_with(".rs") && !file.ends_with(".go"));
    let least_resolved = if is_ours { 95.0 } else { 85.0 };
    let mut figures = vec![
        of("samples", "", &|run| run.sampled.report.number("/accesses/samples")),
        of("resolved", "%", &|run| run.sampled.pct("/accesses/resolved"))
            .asked(Asked::AtLeast(least_resolved)),
        of("walks the processor confirms", "%", &|run| {
            Some(100.0 * run.sampled.report.number("/accesses/confirmed_ratio")?)
        })
        .asked(Asked::AtLeast(95.0)),
        of("walks checked", "", &|run| run.sampled.report.number("/accesses/checked")),
        of("addresses outside of mappings", "", &|run| Some(run.sampled.outside()))
            .asked(Asked::Exactly(0.0)),
    ];
    if !matches!(subject.program, Program::Known(..)) {
        return Ok(figures);
    }
    let compared = |value: fn(&Comparison) -> Option<f64>| {
        move |run: &Measured| run.known.as_ref().and_then(|(_, comparison)| value(comparison))
    };
    figures.extend([
        of("largest error of a region's share", "points", &compared(Comparison::region_error))
            .asked(Asked::Within(2.0)),
        of("error of the share of stores", "points", &compared(Comparison::store_error))
            .asked(Asked::Within(5.0)),
        of("samples in no region", "%", &compared(Comparison::elsewhere)),
        of("twice the standard error of a half", "points", &|run| Some(by_chance(run.sampled.samples.len()))),
    ]);
    if subject.name == "hotcold" {
        let off = of(
            "cold share, off 10 %",
            "points",
            &compared(|comparison| comparison.share("cold").map(|share| share - 10.0)),
        );
        figures.push(off.asked(Asked::Within(1.5)));
    }
    if subject.name == "never_touched" {
        figures.push(untouched(context, runs)?);
    }
    Ok(figures)
}

/// How far chance alone takes a share of one half, in points, at two standard errors.
fn by_chance(samples: usize) -> f64 {
    100.0 / (samples as f64).sqrt()
}

/// Bytes nobody has touched, by site, against the program's own.
fn untouched(context: &Context, runs: &[Measured]) -> Result<Figure> {
    let mut errors = Vec::new();
    for Measured { sampled, known } in runs {
        let report = samples::report(context, sampled.run)?;
        for (site, truth) in known.iter().flat_map(|(truth, _)| &truth.untouched_bytes) {
            let told =
                untouched_of(&report, site).ok_or(format!("the report has no untouched bytes of {site}"));
            errors.push(told.map(|bytes| (bytes - truth) / 1024.0));
        }
    }
    let figure = Figure::of_results("never_touched: untouched bytes of a site, off the truth", "KiB", errors);
    Ok(figure.asked(Asked::Exactly(0.0)))
}

/// Of all sites in a function of that name.
fn untouched_of(report: &Value, function: &str) -> Option<f64> {
    let is_in = |site: &&Value| {
        let frames = site["frames"].as_array().into_iter().flatten();
        frames.filter_map(|frame| frame["function"].as_str()).any(|name| name == function)
    };
    let sites = report["accesses"]["sites"].as_array()?;
    let bytes: Vec<f64> =
        sites.iter().filter(is_in).map(|site| site["untouched_bytes"].as_f64()).collect::<Option<_>>()?;
    (!bytes.is_empty()).then(|| bytes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn untouched_bytes_are_those_of_the_function() {
        let site = |function: &str, bytes: Value| json!({"frames": [{"function": function}, {"function": "main"}], "untouched_bytes": bytes});
        let report = |sites: Vec<Value>| json!({"accesses": {"sites": sites}});
        let all = report(vec![site("a", json!(10)), site("b", json!(20)), site("a", json!(5))]);
        assert_eq!(untouched_of(&all, "a"), Some(15.0));
        assert_eq!(untouched_of(&all, "c"), None);
        assert_eq!(untouched_of(&report(vec![site("a", Value::Null)]), "a"), None);
        assert_eq!(untouched_of(&json!({"accesses": null}), "a"), None);
    }

    #[test]
    fn chance_shrinks_with_the_root_of_the_samples() {
        assert_eq!((by_chance(10_000), by_chance(100)), (1.0, 10.0));
    }
}
