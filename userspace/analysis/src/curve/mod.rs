//! Curves of a way sweep: from its windows to miss ratio, MPKI and IPC over the number of ways, with bands.
//!
//! Reference windows stand in no curve. Disturbed windows do not either; those that never settled only where no other window had as
//! many ways. What the curves are and what is read off them: docs/curves.md.

mod drift;
mod estimate;
mod isotonic;
mod of_ways;
mod reading;
mod student;
mod window;

use waytrace_model::sweep::{MissSource, SweepHeader, SweepPoint};
use waytrace_model::sweep_curve::{CurveOf, CurvePoint, Curves, Knee, Least, LeftOut};

use drift::Mark;
use of_ways::{Cells, Figure};
use reading::{Enough, Place};

/// Miss ratio above that with all ways which is as good as it.
const TOLERANCE_RATIO: f64 = 0.01;
/// The same of MPKI, of its highest.
const TOLERANCE_MPKI: f64 = 0.02;
/// Share of the best IPC that is nearly the best.
const NEAR_PEAK: f64 = 0.95;

/// What the points of a sweep come to.
pub fn curves(header: &SweepHeader, points: &[SweepPoint]) -> Curves {
    let mut left_out = LeftOut::default();
    let marks = marks(points);
    let reference = drift::reference(&marks);
    let drifts = reference.is_some_and(|reference| reference.drifts);
    let cells = Cells::of(header, points, if drifts { &marks } else { &[] }, &mut left_out);
    let ways = cells.points(&header.cache);
    let mut curves = Curves {
        misses: header.misses,
        knee: knee(&cells, &ways, header),
        working_set: working_set(&ways, header),
        near_peak_ipc: near_peak(&ways, header),
        multiplexed: cells.multiplexed(),
        ways,
        left_out,
        reference,
        notes: Vec::new(),
    };
    curves.notes = notes(&curves, header);
    curves
}

/// Reference windows with cycles, in order of time.
fn marks(points: &[SweepPoint]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = points
        .iter()
        .filter(|point| point.reference && !point.disturbed)
        .filter_map(|point| {
            let (instructions, cycles) = window::Window::of(point, None).ipc?;
            Some(Mark { at_ns: point.at_ns, instructions, cycles }).filter(|mark| mark.instructions > 0.0)
        })
        .collect();
    marks.sort_by_key(|mark| mark.at_ns);
    marks
}

/// The curve things are read off: of miss ratios, else of MPKI, else of IPC.
fn best_known(ways: &[CurvePoint]) -> Option<CurveOf> {
    [CurveOf::MissRatio, CurveOf::Mpki, CurveOf::Ipc].into_iter().find(|of| places(ways, *of).len() > 1)
}

fn places(ways: &[CurvePoint], of: CurveOf) -> Vec<Place> {
    let value = |point: &CurvePoint| match of {
        CurveOf::MissRatio => point.miss_ratio_isotonic,
        CurveOf::Mpki => point.mpki_isotonic,
        CurveOf::Ipc => point.ipc_isotonic,
    };
    ways.iter().filter_map(|point| Some((point.ways, value(point)?))).collect()
}

fn knee(cells: &Cells, ways: &[CurvePoint], header: &SweepHeader) -> Option<Knee> {
    let of = best_known(ways)?;
    let ends = [ways.first()?, ways.last()?].map(|point| Figure::read_off(of).estimate(point));
    if !reading::is_sure(ends[0], ends[1]) {
        return None;
    }
    let (at, distance) = reading::knee(&places(ways, of), of)?;
    let without: Vec<u32> = cells
        .without_each(Figure::read_off(of))
        .iter()
        .filter_map(|curve| reading::knee(curve, of))
        .map(|(ways, _)| ways)
        .collect();
    let bytes = bytes(header, at);
    let (ways_low, ways_high) = (without.iter().min().copied(), without.iter().max().copied());
    Some(Knee { of, ways: at, bytes, distance, ways_low, ways_high })
}

/// The least with which it misses no more than with all ways, but for a tolerance.
fn working_set(ways: &[CurvePoint], header: &SweepHeader) -> Option<Least> {
    let of = best_known(ways).filter(|of| *of != CurveOf::Ipc)?;
    // Without all ways nothing is known about them.
    ways.last().filter(|last| last.ways == header.cache.ways)?;
    let curve = places(ways, of);
    let highest = curve.iter().map(|place| place.1).fold(0.0, f64::max);
    let tolerance = if of == CurveOf::MissRatio { TOLERANCE_RATIO } else { TOLERANCE_MPKI * highest };
    let all = curve.last()?.1;
    let bounds = band_of(ways, of, ways.len() - 1).map(|(low, high)| (high + tolerance, low + tolerance));
    let (fewest, enough) = (bounds.map(|own| Enough::AtMost(own.0)), bounds.map(|own| Enough::AtMost(own.1)));
    let ends = Ends { of, fewest, enough, curve: &curve };
    ends.least(ways, header, Enough::AtMost(all + tolerance), tolerance)
}

fn near_peak(ways: &[CurvePoint], header: &SweepHeader) -> Option<Least> {
    let curve = places(ways, CurveOf::Ipc);
    let (at, best) = curve.iter().enumerate().max_by(|one, other| one.1.1.total_cmp(&other.1.1))?;
    if curve.len() < 2 || best.1 <= 0.0 {
        return None;
    }
    let at = ways.iter().position(|point| point.ways == curve.get(at).map_or(0, |place| place.0))?;
    let bounds = band_of(ways, CurveOf::Ipc, at).map(|(low, high)| (NEAR_PEAK * low, NEAR_PEAK * high));
    let (fewest, enough) =
        (bounds.map(|own| Enough::AtLeast(own.0)), bounds.map(|own| Enough::AtLeast(own.1)));
    let ends = Ends { of: CurveOf::Ipc, fewest, enough, curve: &curve };
    ends.least(ways, header, Enough::AtLeast(NEAR_PEAK * best.1), (1.0 - NEAR_PEAK) * best.1)
}

/// What is enough if the best is at one end of its band, and if it is at the other.
struct Ends<'c> {
    of: CurveOf,
    fewest: Option<Enough>,
    enough: Option<Enough>,
    curve: &'c [Place],
}

impl Ends<'_> {
    fn least(
        &self,
        ways: &[CurvePoint],
        header: &SweepHeader,
        enough: Enough,
        tolerance: f64,
    ) -> Option<Least> {
        let (at, above_ways) = reading::least(self.curve, enough)?;
        // Where it needs fewest, each point is at the better end of its band; where most, at the worse.
        let ends = |better: bool| -> Option<Vec<Place>> {
            let rises = self.of == CurveOf::Ipc;
            let end = |band: (f64, f64)| if better == rises { band.1 } else { band.0 };
            (0..ways.len()).map(|at| Some((ways.get(at)?.ways, end(band_of(ways, self.of, at)?)))).collect()
        };
        let last = ways.last().map(|point| point.ways);
        let least = |curve: Option<Vec<Place>>, enough: Option<Enough>| {
            let (curve, enough) = curve.zip(enough)?;
            reading::least(&curve, enough).map(|(ways, _)| ways)
        };
        let ways_low = least(ends(true), self.fewest).map(|low| low.min(at));
        let ways_high = ways_low.and(least(ends(false), self.enough).or(last)).map(|high| high.max(at));
        Some(Least {
            of: self.of,
            ways: at,
            bytes: bytes(header, at),
            above_ways,
            ways_low,
            ways_high,
            tolerance,
            at_least: Some(at) == last && above_ways.is_some() && at == header.cache.ways,
        })
    }
}

fn band_of(ways: &[CurvePoint], of: CurveOf, at: usize) -> Option<(f64, f64)> {
    Figure::read_off(of).estimate(ways.get(at)?)?.band()
}

fn bytes(header: &SweepHeader, ways: u32) -> Option<u64> {
    Some(header.cache.way_bytes?.saturating_mul(ways.into()))
}

fn notes(curves: &Curves, header: &SweepHeader) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |applies: bool, text: &str| {
        if applies {
            notes.push(text.to_owned());
        }
    };
    note(
        header.simulated,
        "simulated: the caches are those of a simulated host, so no figure is of any machine",
    );
    note(curves.ways.is_empty(), "nothing was counted in any window, so there is no curve");
    note(
        header.misses.is_none() && !curves.ways.is_empty(),
        "misses are not known here: no PMU counts those of the last-level cache and no monitor its memory traffic",
    );
    note(
        header.misses == Some(MissSource::MemoryTraffic),
        "MPKI is lines of memory traffic (MBM) per 1000 instructions: prefetches and write-backs with it, and no miss ratio",
    );
    let singles = curves.ways.iter().filter(|point| point.windows.len() == 1).count();
    note(
        singles == curves.ways.len() && singles > 0,
        "each number of ways has one window, which does not tell how much windows differ: no bands; take --repeats 5",
    );
    note(singles > 0 && singles < curves.ways.len(), "some numbers of ways have one window, so no band");
    note(
        curves.reference.is_some_and(|reference| reference.drifts),
        "the target changes by itself: see the normalised IPC, which takes that out by the reference points",
    );
    let unsettled = curves.ways.iter().filter(|point| point.unsettled).count();
    note(
        unsettled > 0,
        "some numbers of ways never settled: the target may have hit lines in ways it no longer had",
    );
    note(curves.multiplexed > 0, "events had the counters part of the time only and are scaled up");
    notes
}

#[cfg(test)]
mod tests;
