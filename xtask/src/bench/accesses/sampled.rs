//! One run of `waytrace profile --collect accesses` on a target, with all that is known of its samples.

use super::super::context::Context;
use super::super::profile::{Profile, Report};
use super::places::{self, Mapping};
use super::samples::{self, Sample};
use super::targets::Target;
use anyhow::Result;
use std::thread;
use std::time::Duration;

/// What a run gave.
pub struct Sampled {
    pub run: u64,
    pub report: Report,
    pub samples: Vec<Sample>,
    /// `/proc/PID/maps` at its end.
    pub maps: String,
    /// Where its stack began.
    pub stack_start: Option<u64>,
    /// The mappings at its beginning and its end.
    mappings: Vec<Mapping>,
}

/// Samples for `length`, from before a known program begins its work.
pub fn run(context: &Context, target: &mut Target, args: &[&str], length: Duration) -> Result<Sampled> {
    let profile = Profile::attach_anywhere(context, target.pid(), args)?;
    target.go()?;
    let mut mappings = places::mappings(&target.maps()?);
    thread::sleep(length);
    let (maps, stack_start) = (target.maps()?, target.stack_start());
    mappings.extend(places::mappings(&maps));
    let report = profile.finish()?;
    let run = report.expect("/run/id")? as u64;
    Ok(Sampled { run, samples: samples::of_run(context, run)?, report, maps, stack_start, mappings })
}

impl Sampled {
    /// A share of the samples in percent; `None` without any.
    pub fn pct(&self, pointer: &str) -> Option<f64> {
        let all = self.report.number("/accesses/samples").filter(|all| *all > 0.0)?;
        Some(100.0 * self.report.number(pointer)? / all)
    }

    /// Samples whose address was in no mapping when the run began, nor when it ended.
    pub fn outside(&self) -> f64 {
        let is_mapped = |address: u64| {
            self.mappings.iter().any(|mapping| (mapping.start..mapping.end).contains(&address))
        };
        self.samples.iter().filter(|sample| !is_mapped(sample.address)).count() as f64
    }

    /// Why samples were not resolved, most first: `unknown register 12, unmapped 3`.
    pub fn unresolved(context: &Context, run: u64) -> Result<String> {
        let report = samples::report(context, run)?;
        let reasons = report["accesses"]["unresolved"].as_object().into_iter().flatten();
        let mut reasons: Vec<_> =
            reasons.filter_map(|(reason, count)| Some((count.as_u64()?, reason))).collect();
        reasons.sort_unstable_by(|a, b| b.cmp(a));
        Ok(reasons.iter().map(|(count, reason)| format!("{reason} {count}")).collect::<Vec<_>>().join(", "))
    }
}
