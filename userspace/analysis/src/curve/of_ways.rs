//! Windows sorted by their number of ways, and the figures of each.

use std::collections::BTreeMap;

use waytrace_model::sweep::{Settled, SweepHeader, SweepPoint, SweptCache};
use waytrace_model::sweep_curve::{CurveOf, CurvePoint, Estimate, LeftOut, WindowFigures};

use super::drift::{self, Mark};
use super::estimate::{Kind, Part, quotient, ratios};
use super::isotonic;
use super::reading::Place;
use super::window::Window;

/// A figure of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    MissRatio,
    Mpki,
    Ipc,
    NormalisedIpc,
    Occupancy,
    Bandwidth,
}

impl Figure {
    /// The measured figure of an isotonic curve.
    pub fn read_off(of: CurveOf) -> Self {
        match of {
            CurveOf::MissRatio => Self::MissRatio,
            CurveOf::Mpki => Self::Mpki,
            CurveOf::Ipc => Self::Ipc,
        }
    }

    pub fn estimate(self, point: &CurvePoint) -> Option<Estimate> {
        match self {
            Self::MissRatio => point.miss_ratio,
            Self::Mpki => point.mpki,
            Self::Ipc => point.ipc,
            Self::NormalisedIpc => point.ipc_normalised,
            Self::Occupancy => point.occupancy_bytes,
            Self::Bandwidth => point.bandwidth_bytes_per_s,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::MissRatio => Kind::Share,
            Self::Mpki => Kind::Count,
            _ => Kind::Quantity,
        }
    }
}

/// A window with the factor by which the target was better than usual.
#[derive(Debug, Clone, Copy)]
struct Sorted {
    window: Window,
    factor: Option<f64>,
}

impl Sorted {
    fn part(&self, figure: Figure) -> Option<Part> {
        let (upper, lower) = match figure {
            Figure::MissRatio => self.window.miss_ratio,
            Figure::Mpki => self.window.mpki,
            Figure::Ipc => self.window.ipc,
            Figure::NormalisedIpc => {
                self.window.ipc.zip(self.factor).map(|((upper, lower), factor)| (upper / factor, lower))
            }
            Figure::Occupancy => self.window.occupancy,
            Figure::Bandwidth => self.window.bandwidth,
        }?;
        (lower > 0.0).then_some(Part { sweep: self.window.sweep, upper, lower })
    }

    fn value(&self, figure: Figure) -> Option<f64> {
        self.part(figure).map(|part| part.upper / part.lower)
    }
}

/// The windows of one number of ways.
#[derive(Debug)]
struct Cell {
    ways: u32,
    unsettled: bool,
    windows: Vec<Sorted>,
}

/// All windows that are in the curves, by number of ways.
#[derive(Debug)]
pub(super) struct Cells(Vec<Cell>);

impl Cells {
    /// Sorts the points; the others are counted in `left_out`. With `marks`, also says how the target was around each.
    pub fn of(header: &SweepHeader, points: &[SweepPoint], marks: &[Mark], left_out: &mut LeftOut) -> Self {
        let mut by_ways: BTreeMap<u32, [Vec<Sorted>; 2]> = BTreeMap::new();
        let mut ordered: Vec<&SweepPoint> = points.iter().filter(|point| !point.reference).collect();
        ordered.sort_by_key(|point| point.position);
        for point in ordered {
            let window = Window::of(point, header.misses);
            if point.disturbed {
                left_out.disturbed += 1;
            } else if window.is_empty() {
                left_out.uncounted += 1;
            } else {
                let [settled, not] = by_ways.entry(point.ways).or_default();
                let of = if point.settled == Settled::Not { not } else { settled };
                of.push(Sorted { window, factor: drift::factor(marks, point.at_ns) });
            }
        }
        let mut cells = Vec::new();
        for (ways, [settled, not]) in by_ways {
            let unsettled = settled.is_empty();
            if !unsettled {
                left_out.unsettled += not.len() as u64;
            }
            cells.push(Cell { ways, unsettled, windows: if unsettled { not } else { settled } });
        }
        Self(cells)
    }

    /// Windows whose events had the counters part of the time.
    pub fn multiplexed(&self) -> u64 {
        self.0.iter().flat_map(|cell| &cell.windows).filter(|own| own.window.multiplexed).count() as u64
    }

    /// The curves.
    pub fn points(&self, cache: &SweptCache) -> Vec<CurvePoint> {
        let of = |figure| self.estimates(figure);
        let (miss_ratio, mpki) = (of(Figure::MissRatio), of(Figure::Mpki));
        let (ipc, normalised) = (of(Figure::Ipc), of(Figure::NormalisedIpc));
        let (occupancy, bandwidth) = (of(Figure::Occupancy), of(Figure::Bandwidth));
        let [miss_fit, mpki_fit, ipc_fit] =
            [Figure::MissRatio, Figure::Mpki, Figure::Ipc].map(|figure| self.fitted(figure, None));
        let fit = |curve: &[Place], ways| curve.iter().find(|place| place.0 == ways).map(|place| place.1);
        let point = |(at, cell): (usize, &Cell)| CurvePoint {
            ways: cell.ways,
            bytes: cache.way_bytes.map(|bytes| bytes.saturating_mul(cell.ways.into())),
            unsettled: cell.unsettled,
            miss_ratio: miss_ratio.get(at).copied().flatten(),
            mpki: mpki.get(at).copied().flatten(),
            ipc: ipc.get(at).copied().flatten(),
            ipc_normalised: normalised.get(at).copied().flatten(),
            occupancy_bytes: occupancy.get(at).copied().flatten(),
            bandwidth_bytes_per_s: bandwidth.get(at).copied().flatten(),
            miss_ratio_isotonic: fit(&miss_fit, cell.ways),
            mpki_isotonic: fit(&mpki_fit, cell.ways),
            ipc_isotonic: fit(&ipc_fit, cell.ways),
            windows: cell.windows.iter().map(figures).collect(),
        };
        self.0.iter().enumerate().map(point).collect()
    }

    fn estimates(&self, figure: Figure) -> Vec<Option<Estimate>> {
        let parts: Vec<Vec<Part>> = self.0.iter().map(|cell| cell.parts(figure, None)).collect();
        ratios(&parts, figure.kind())
    }

    /// The isotonic curve of a figure, of all sweeps or without one.
    fn fitted(&self, figure: Figure, without: Option<u32>) -> Vec<Place> {
        let (mut ways, mut values) = (Vec::new(), Vec::new());
        for cell in &self.0 {
            if let Some(value) = quotient(&cell.parts(figure, without)) {
                ways.push(cell.ways);
                values.push(value);
            }
        }
        let fit = if figure == Figure::Ipc { isotonic::rising(&values) } else { isotonic::falling(&values) };
        ways.into_iter().zip(fit).collect()
    }

    /// The isotonic curve without the first sweep, without the second, and so on; none of a single sweep, and of very many only so
    /// many evenly chosen ones are left out.
    pub fn without_each(&self, figure: Figure) -> Vec<Vec<Place>> {
        const MOST: usize = 200;
        let mut sweeps: Vec<u32> =
            self.0.iter().flat_map(|cell| &cell.windows).map(|own| own.window.sweep).collect();
        sweeps.sort_unstable();
        sweeps.dedup();
        if sweeps.len() < 2 {
            return Vec::new();
        }
        let step = sweeps.len().div_ceil(MOST);
        sweeps.iter().step_by(step).map(|sweep| self.fitted(figure, Some(*sweep))).collect()
    }
}

impl Cell {
    fn parts(&self, figure: Figure, without: Option<u32>) -> Vec<Part> {
        let kept = |part: &Part| without != Some(part.sweep);
        self.windows.iter().filter_map(|own| own.part(figure)).filter(kept).collect()
    }
}

fn figures(own: &Sorted) -> WindowFigures {
    WindowFigures {
        sweep: own.window.sweep,
        miss_ratio: own.value(Figure::MissRatio),
        mpki: own.value(Figure::Mpki),
        ipc: own.value(Figure::Ipc),
    }
}
