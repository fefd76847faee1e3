//! What the page's scripts draw from: the run, cut down to what a screen can show and a browser can hold.

mod activity;
mod counters;
mod flames;
mod frames;
mod heat;
mod packed;
mod points;
mod sites;
mod traced;
mod tree;
mod working;

use serde::Serialize;
use waytrace_model::access::Access;
use waytrace_model::allocation::{Mode, TracedAllocation};
use waytrace_model::detail::RunDetail;
use waytrace_model::histogram::Bucket;

use activity::Activity;
use counters::EventSeries;
use frames::Frames;
use heat::Heat;
use points::Points;
use sites::Sites;
use traced::Traced;
use tree::Tree;
use working::Working;

use crate::flame::accesses::{self as flame, Sums};
use crate::largest::Largest;
use crate::text::plain;
use crate::{Cause, Error, View, heat as picture};

/// The largest rectangles that are drawn; a browser canvas stays fluid with these.
const RECTANGLES_MAX: usize = 20_000;
/// The most samples a page holds: some megabytes, drawn within a frame or two.
const POINTS_MAX: usize = 1_000_000;

/// The page's data. Lists are columns where they are long.
#[derive(Serialize)]
pub struct Data<'a> {
    duration_ns: u64,
    mode: Option<&'static str>,
    /// Whether the numbers of allocations are estimates.
    estimated: bool,
    null_reason: Option<String>,
    points: Points,
    events: Vec<EventSeries>,
    activity: Option<Activity>,
    sizes: &'a [Bucket],
    lifetimes: &'a [Bucket],
    sites: Sites,
    flame: Tree,
    flame_accesses: Option<Tree>,
    traced: Option<Traced>,
    working: Option<Working>,
    heat: Option<Heat>,
    frames: Frames,
}

impl<'a> Data<'a> {
    /// Everything the page draws of `detail`, `traced` and what `view` shows of `accesses`.
    ///
    /// # Errors
    /// [`Error::Read`] when `traced` fails, [`Error::ReadAccesses`] when `accesses` does.
    pub fn of<E: Into<Cause>, F: Into<Cause>>(
        detail: &'a RunDetail,
        traced: impl Iterator<Item = Result<TracedAllocation, E>>,
        accesses: impl Iterator<Item = Result<Access, F>>,
        view: &View,
    ) -> Result<Self, Error> {
        let largest = Largest::of(traced, detail.report.run.duration_ns, RECTANGLES_MAX)?;
        let mut sums = Sums::new();
        let accesses = accesses.inspect(|access| {
            if let Ok(access) = access {
                flame::add(&mut sums, access);
            }
        });
        let seen = picture::Heat::of(detail, &largest.drawn, accesses, view, POINTS_MAX)?;
        let allocations = detail.report.allocations.as_ref();
        let points = Points::of(&detail.windows);
        let mut frames = Frames::default();
        let sites = Sites::of(detail, &mut frames);
        let flame = flames::allocations(&detail.sites, &mut frames);
        let flame_accesses = flames::accesses(detail, &sums, &mut frames);
        Ok(Self {
            duration_ns: detail.report.run.duration_ns,
            mode: allocations.and_then(|own| own.mode).map(|mode| mode.as_str()),
            estimated: allocations.and_then(|own| own.mode).is_some_and(Mode::is_estimate),
            null_reason: allocations.and_then(|own| own.null_reason.as_deref()).map(plain),
            events: counters::series(detail, &points),
            activity: Activity::of(&detail.windows, &points),
            sizes: allocations.map_or(&[], |own| &own.sizes),
            lifetimes: allocations.map_or(&[], |own| &own.lifetimes),
            traced: Traced::of(&largest, &sites),
            working: Working::of(&detail.windows, &points),
            heat: Heat::of(seen.as_ref(), detail, view, &sites, &mut frames),
            points,
            sites,
            flame,
            flame_accesses,
            frames,
        })
    }
}

/// Five significant digits: more than a screen shows, and half the bytes.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 4 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits.clamp(-300, 300));
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn five_digits_are_kept() {
        assert_eq!(rounded(1_234_567.0), 1_234_600.0);
        assert_eq!(rounded(0.001_234_567), 0.001_234_6);
        assert_eq!(rounded(0.0), 0.0);
        assert_eq!(rounded(-99_999.9), -100_000.0);
    }
}
