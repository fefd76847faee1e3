//! Samples summed up in the cells of a grid, and the cells as paths of one colour each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::frame::Frame;
use crate::View;
use crate::heat::Heat;

const COLUMNS_MAX: u64 = 240;
const ROWS_MAX: u64 = 160;
/// Steps of the colour from loads to stores, and of its strength.
const STEPS: usize = 8;
/// A reader who cannot tell red from green tells these apart: loads, both, stores.
const STOPS: [[f64; 3]; 3] = [[31.0, 95.0, 196.0], [139.0, 111.0, 156.0], [217.0, 95.0, 2.0]];

/// Sums of the cells that have any.
pub struct Grid {
    /// Width of a cell, nanoseconds.
    pub wide_ns: u64,
    /// Height of a cell, bytes.
    pub tall: u64,
    /// Weight of the heaviest cell.
    pub most: f64,
    /// Loads and stores by row and column.
    sums: BTreeMap<(u64, u64), (f64, f64)>,
}

impl Grid {
    /// The cells of `heat`, none finer than `view` has it.
    pub fn of(heat: &Heat, view: &View) -> Self {
        let span_ns = heat.to_ns - heat.from_ns;
        let unit_ns = view.time_unit_ns.max(1);
        let wide_ns = span_ns.div_ceil(COLUMNS_MAX).max(1).div_ceil(unit_ns).saturating_mul(unit_ns);
        let block = 1 << view.block_bits.min(40);
        let tall = heat.space.height.div_ceil(ROWS_MAX).max(1).next_multiple_of(block);
        let mut sums: BTreeMap<(u64, u64), (f64, f64)> = BTreeMap::new();
        for point in &heat.points.list {
            let Some(place) = heat.space.place(point.process, point.address) else { continue };
            let column = point.at_ns.saturating_sub(heat.from_ns) / wide_ns;
            let (loads, stores) = sums.entry((place / tall, column)).or_default();
            *if point.is_store { stores } else { loads } += point.weight as f64;
        }
        let most = sums.values().map(|(loads, stores)| loads + stores).fold(1.0, f64::max);
        Self { wide_ns, tall, most, sums }
    }

    /// A path for each colour: cells beside one another in a row are one stroke of it.
    pub fn draw(&self, svg: &mut String, frame: &Frame) {
        let mut paths: BTreeMap<(usize, usize), String> = BTreeMap::new();
        let mut cells = self.sums.iter().map(|(at, sum)| (*at, self.shade(*sum))).peekable();
        while let Some(((row, first), shade)) = cells.next() {
            let mut last = first;
            while let Some(((_, next), _)) =
                cells.next_if(|(at, own)| *at == (row, last + 1) && *own == shade)
            {
                last = next;
            }
            let (x, right) = (frame.x_at(first * self.wide_ns), frame.x_at((last + 1) * self.wide_ns));
            let (y, bottom) = (frame.y((row + 1) * self.tall), frame.y(row * self.tall));
            let path = paths.entry(shade).or_default();
            // A String takes everything.
            let _ = write!(path, "M{x:.1},{y:.1}H{right:.1}V{bottom:.1}H{x:.1}z");
        }
        for ((share, strength), path) in paths {
            let [r, g, b] = colour(share as f64 / (STEPS - 1) as f64);
            let opacity = opacity(strength as f64 / (STEPS - 1) as f64);
            let _ =
                writeln!(svg, "<path fill=\"rgb({r},{g},{b})\" fill-opacity=\"{opacity:.2}\" d=\"{path}\"/>");
        }
    }

    /// Steps by share of stores, and by number on a logarithmic scale.
    fn shade(&self, (loads, stores): (f64, f64)) -> (usize, usize) {
        let step = |part: f64| (part * (STEPS - 1) as f64).round() as usize;
        let sum = loads + stores;
        let strength = if self.most <= 1.0 { 1.0 } else { (1.0 + sum).log2() / (1.0 + self.most).log2() };
        (step(stores / sum.max(1.0)), step(strength))
    }
}

/// Colour by share of stores, 0–1.
pub fn colour(share: f64) -> [u8; 3] {
    let at = share.clamp(0.0, 1.0) * 2.0;
    let (from, to, part) = if at < 1.0 { (STOPS[0], STOPS[1], at) } else { (STOPS[1], STOPS[2], at - 1.0) };
    [0, 1, 2].map(|i| (from[i] + (to[i] - from[i]) * part).round() as u8)
}

/// Opacity by strength, 0–1.
pub fn opacity(strength: f64) -> f64 {
    0.34 + 0.66 * strength
}
