//! Colours of coefficients: blue below 0, red above, which readers who cannot tell red from green tell apart; pale where a
//! pair is not significant, grey where there is no coefficient.

use super::{Matrix, SIGNIFICANT};

/// Colours from -1 to 1, at odd number so that 0 has one.
const STEPS: usize = 127;
const STOPS: [[f64; 3]; 5] = [
    [5.0, 70.0, 148.0],
    [107.0, 160.0, 207.0],
    [250.0, 250.0, 248.0],
    [226.0, 132.0, 101.0],
    [150.0, 18.0, 30.0],
];
/// What is not significant is so far on its way to white.
const PALE: f64 = 0.72;

/// Red, green and blue of every index: nothing known, significant ones, pale ones.
pub fn palette() -> Vec<[u8; 3]> {
    let of = |pale: f64| (0..STEPS).map(move |step| mix(step as f64 / (STEPS - 1) as f64, pale));
    std::iter::once([205, 209, 215]).chain(of(0.0)).chain(of(PALE)).collect()
}

/// Index of a place in the matrix.
pub fn index(matrix: &Matrix, row: usize, column: usize) -> u8 {
    let Some(coefficient) = matrix.coefficient(row, column) else { return 0 };
    let significant =
        row == column || matrix.get(row, column).and_then(|cell| cell.q).is_some_and(|q| q < SIGNIFICANT);
    let step = ((coefficient.clamp(-1.0, 1.0) + 1.0) / 2.0 * (STEPS - 1) as f64).round() as usize;
    // At most 1 + 126 + 127.
    (1 + step + if significant { 0 } else { STEPS }) as u8
}

/// The colour of a coefficient as CSS has it.
pub fn css(coefficient: f64) -> String {
    let [red, green, blue] = mix((coefficient + 1.0) / 2.0, 0.0);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn mix(at: f64, pale: f64) -> [u8; 3] {
    let place = at.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (place as usize).min(STOPS.len() - 2);
    let part = place - below as f64;
    let stop = |at: usize, channel: usize| STOPS.get(at).and_then(|stop| stop.get(channel)).copied();
    [0, 1, 2].map(|channel| {
        let (from, to) = (stop(below, channel).unwrap_or(0.0), stop(below + 1, channel).unwrap_or(0.0));
        let full = from + (to - from) * part;
        (full + (255.0 - full) * pale).round() as u8
    })
}
