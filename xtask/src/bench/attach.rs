//! `attach`: how long waytrace takes to be in place, and the memory it takes.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::pairs::{Load, Pairs};
use super::profile::Profile;
use super::servers::{self, Redis};
use anyhow::Result;

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = of_target(context, "redis-server", |context| {
        let redis = Redis::start(context)?;
        repeat(context, redis.process.pid())
    });
    figures.extend(of_target(context, "python3", |context| {
        let python = servers::python(context)?;
        repeat(context, python.pid())
    }));
    figures.extend(of_target(context, "static program", |context| {
        let load = Load { work_ns: 10_000, is_static: true, ..Load::default() };
        let target = Pairs::start(context, load, &[], None)?;
        target.run()?;
        let samples = repeat(context, target.pid());
        target.quit()?;
        samples
    }));
    Ok(figures)
}

struct Sample {
    /// From the start of the program to its word that it is attached.
    attached_ms: f64,
    /// The same as the run records it, without the start of the program.
    recorded_ms: Option<f64>,
    peak_rss_mb: f64,
}

fn repeat(context: &Context, pid: u32) -> Result<Vec<Sample>> {
    // The first finds files not yet in the page cache.
    (0..=context.pick(10, 4)).map(|_| sample(context, pid)).skip(1).collect()
}

fn sample(context: &Context, pid: u32) -> Result<Sample> {
    let profile = Profile::attach(context, pid, &[])?;
    let attached_ms = 1e3 * profile.attached_after.as_secs_f64();
    std::thread::sleep(context.seconds(1, 1));
    let report = profile.finish()?;
    Ok(Sample {
        attached_ms,
        recorded_ms: report.number("/overhead/attach_ns").map(|ns| ns / 1e6),
        peak_rss_mb: report.peak_rss_bytes as f64 / 1e6,
    })
}

fn of_target(
    context: &Context,
    name: &str,
    measure: impl FnOnce(&Context) -> Result<Vec<Sample>>,
) -> Vec<Figure> {
    let samples = match measure(context) {
        Ok(samples) => samples,
        Err(why) => return vec![Figure::unavailable(name, "ms", format!("{why:#}"))],
    };
    let each = || samples.iter();
    vec![
        Figure::new(format!("{name}: start to attached"), "ms", each().map(|one| one.attached_ms))
            .asked(Asked::AtMost(500.0)),
        Figure::new(format!("{name}: attach_ns"), "ms", each().filter_map(|one| one.recorded_ms))
            .asked(Asked::AtMost(500.0)),
        Figure::new(format!("{name}: waytrace's peak RSS"), "MB", each().map(|one| one.peak_rss_mb))
            .asked(Asked::AtMost(100.0)),
    ]
}
