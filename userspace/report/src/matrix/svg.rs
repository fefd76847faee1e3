//! The matrix as SVG: a pixel per pair, names beside and below it as far as they can be read, and a legend.

use std::fmt::Write as _;
use std::io;

use super::{Matrix, SIGNIFICANT, colours, png};
use crate::base64;
use crate::markup::escape;
use crate::text::cut_middle;

/// Sides of the matrix, in units of the picture.
const SIDE_MAX: f64 = 900.0;
const SIDE_MIN: f64 = 220.0;
/// The largest cell.
const CELL_MAX: f64 = 26.0;
const TOP: f64 = 64.0;
/// Room for the legend, right of the matrix.
const RIGHT: f64 = 120.0;
/// Characters of a name that are shown, and what one takes at font size 1.
const NAME_MAX: usize = 44;
const CHARACTER: f64 = 0.62;
/// Names are no smaller than this; where they would be, only some are shown.
const FONT_MIN: f64 = 8.0;
const FONT_MAX: f64 = 12.0;

/// Where things are.
pub struct Layout {
    /// Left edge of the matrix.
    pub left: f64,
    /// Its upper edge.
    pub top: f64,
    /// Its width and height.
    pub side: f64,
    /// Of the whole picture.
    pub width: f64,
    /// Of the whole picture.
    pub height: f64,
    font: f64,
    /// Every so many names are shown.
    every: usize,
}

impl Layout {
    /// Of a matrix.
    pub fn of(matrix: &Matrix) -> Self {
        let size = matrix.events.len().max(1) as f64;
        let side = (size * CELL_MAX).clamp(SIDE_MIN, SIDE_MAX);
        let cell = side / size;
        let every = (FONT_MIN * 1.15 / cell).ceil().max(1.0);
        let font = (cell * every / 1.15).clamp(FONT_MIN, FONT_MAX);
        let longest = matrix.events.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(NAME_MAX);
        let names = longest as f64 * font * CHARACTER + 14.0;
        let left = names.max(40.0);
        let width = (left + side + RIGHT).max(560.0);
        Self { left, top: TOP, side, width, height: TOP + side + names, font, every: every as usize }
    }
}

/// The picture; `attributes` go into its first element.
///
/// # Errors
/// The compressor's.
pub fn draw(matrix: &Matrix, attributes: &[&str]) -> io::Result<String> {
    let layout = Layout::of(matrix);
    let Layout { left, top, side, width, height, font, .. } = layout;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#1c2430\"{}>\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"14\" y=\"25\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
         <text x=\"14\" y=\"45\" fill=\"#5b6675\">{}</text>\n",
        attributes.iter().map(|one| format!(" {one}")).collect::<String>(),
        escape(&matrix.title),
        escape(&cut_middle(&matrix.title, 90)),
        escape(&matrix.note)
    );
    let picture = base64::encode(&pixels(matrix)?);
    // A String takes everything.
    let _ = writeln!(
        svg,
        "<image x=\"{left:.1}\" y=\"{top}\" width=\"{side:.1}\" height=\"{side:.1}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{picture}\"/>\n\
         <rect x=\"{left:.1}\" y=\"{top}\" width=\"{side:.1}\" height=\"{side:.1}\" fill=\"none\" stroke=\"#8b93a0\"/>"
    );
    let _ = writeln!(
        svg,
        "<g font-size=\"{font:.1}\" font-family=\"ui-monospace, Consolas, 'DejaVu Sans Mono', monospace\" text-anchor=\"end\">"
    );
    names(&mut svg, matrix, &layout);
    svg.push_str("</g>\n");
    legend(&mut svg, &layout);
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn pixels(matrix: &Matrix) -> io::Result<Vec<u8>> {
    let size = matrix.events.len();
    let pixels: Vec<u8> =
        (0..size).flat_map(|row| (0..size).map(move |column| colours::index(matrix, row, column))).collect();
    png::encode(size as u32, &colours::palette(), &pixels)
}

fn names(svg: &mut String, matrix: &Matrix, layout: &Layout) {
    let cell = layout.side / matrix.events.len().max(1) as f64;
    for (at, name) in matrix.events.iter().enumerate().step_by(layout.every) {
        let name = escape(&cut_middle(name, NAME_MAX));
        let middle = (at as f64 + 0.5) * cell;
        let (x, y) = (layout.left - 6.0, layout.top + middle + layout.font * 0.35);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\">{name}</text>");
        let (x, y) = (layout.left + middle + layout.font * 0.35, layout.top + layout.side + 6.0);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" transform=\"rotate(-90 {x:.1} {y:.1})\">{name}</text>"
        );
    }
}

fn legend(svg: &mut String, layout: &Layout) {
    let (x, y) = (layout.left + layout.side + 18.0, layout.top);
    let (steps, tall) = (41, 4.0);
    for step in 0..steps {
        let coefficient = 1.0 - f64::from(step) / 20.0;
        let at = y + f64::from(step) * tall;
        let colour = colours::css(coefficient);
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{at:.1}\" width=\"14\" height=\"{tall}.5\" fill=\"{colour}\"/>"
        );
    }
    let bottom = y + f64::from(steps) * tall;
    for (text, at) in [("+1", y + 9.0), ("0", (y + bottom) / 2.0 + 4.0), ("−1", bottom)] {
        let _ = write!(svg, "<text x=\"{:.1}\" y=\"{at:.1}\">{text}</text>", x + 20.0);
    }
    let lines = [format!("pale: q ≥ {SIGNIFICANT}"), "grey: unknown".to_owned()];
    for (line, at) in lines.iter().zip([18.0, 34.0]) {
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"11\" fill=\"#5b6675\">{line}</text>",
            bottom + at
        );
    }
    svg.push('\n');
}
