//! Correlations of events as a matrix: for a table program, as a picture, and as a page that says which pair is under the
//! pointer. Events stand in the order given, which puts alike ones side by side.

mod colours;
mod page;
mod png;
mod svg;

use std::io::Write;

use crate::Error;

/// A pair of events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The coefficient, -1 to 1.
    pub coefficient: f64,
    /// The share of false discoveries among pairs at least as significant, 0–1; `None` of too few samples to say.
    pub q: Option<f64>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// What was measured, for the title.
    pub title: String,
    /// How, for the line below it.
    pub note: String,
    /// Names of the events, in the order of rows and columns.
    pub events: Vec<String>,
    /// Pairs (row, column) with row > column, row by row; `None` where there is no coefficient. Missing ones are `None`.
    pub cells: Vec<Option<Cell>>,
    /// Events that are not in the matrix, and why.
    pub left_out: Vec<(String, String)>,
}

/// A `q` below this is shown as significant.
pub const SIGNIFICANT: f64 = 0.05;

impl Matrix {
    /// A pair of two different events, in either order.
    pub fn get(&self, one: usize, other: usize) -> Option<Cell> {
        let (row, column) = (one.max(other), one.min(other));
        if row == column {
            return None;
        }
        self.cells.get(row * (row - 1) / 2 + column).copied().flatten()
    }

    /// The coefficient of a place in the matrix, 1 on its diagonal.
    fn coefficient(&self, row: usize, column: usize) -> Option<f64> {
        if row == column { Some(1.0) } else { self.get(row, column).map(|cell| cell.coefficient) }
    }
}

/// Writes the coefficients: a column of names, then a column per event. What there is no coefficient of is empty.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn csv(matrix: &Matrix, out: &mut impl Write) -> Result<(), Error> {
    let mut table = csv::Writer::from_writer(out);
    let names = std::iter::once("event").chain(matrix.events.iter().map(String::as_str));
    table.write_record(names).map_err(Error::writing("csv"))?;
    for (row, name) in matrix.events.iter().enumerate() {
        let value = |column| matrix.coefficient(row, column).map_or_else(String::new, |one| one.to_string());
        let values = (0..matrix.events.len()).map(value);
        let cells = std::iter::once(name.clone()).chain(values);
        table.write_record(cells).map_err(Error::writing("csv"))?;
    }
    table.flush().map_err(Error::writing("csv"))
}

/// Writes the picture: its size is bounded by the pixels of the matrix, one per pair.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn svg(matrix: &Matrix, out: &mut impl Write) -> Result<(), Error> {
    let picture = svg::draw(matrix, &[]).map_err(Error::writing("svg"))?;
    out.write_all(picture.as_bytes()).map_err(Error::writing("svg"))
}

/// Writes the page: the picture, what is under the pointer, the strongest pairs, and the events left out.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn html(matrix: &Matrix, out: &mut impl Write) -> Result<(), Error> {
    let page = page::page(matrix).map_err(Error::writing("html"))?;
    out.write_all(page.as_bytes()).map_err(Error::writing("html"))
}

#[cfg(test)]
mod tests;
