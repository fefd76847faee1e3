//! How much longer programs take beside one another: a table for other programs, and a heat map per configuration with the
//! measured program in the row and its antagonist in the column.
//!
//! Not the matrix of correlations: it is not symmetric, has no upper end, and shows an interval with each number.

use std::fmt::Write as _;
use std::io::Write;

use crate::Error;
use crate::markup::escape;
use crate::text::cut_middle;

const LEFT: usize = 170;
const TOP: usize = 60;
const HEAD: usize = 52;
const WIDE: usize = 104;
const TALL: usize = 40;
/// Characters of a name that fit beside a row, and above a column.
const ROW_NAME: usize = 24;
const COLUMN_NAME: usize = 15;

/// A program beside an antagonist, or alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Name of the configuration.
    pub configuration: String,
    /// Name of the measured program.
    pub program: String,
    /// Name of the one beside it; `None`: alone.
    pub antagonist: Option<String>,
    /// Runs that succeeded, and that did not.
    pub runs: [u64; 2],
    /// Median time by the clock, nanoseconds.
    pub wall_ns: Option<f64>,
    /// Against the program alone.
    pub slowdown: Option<f64>,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
    /// How often the antagonist was started again.
    pub restarts: u64,
}

/// Writes a row per cell, so that what several machines measured can be put together. What is not known is empty.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn csv(cells: &[Cell], out: &mut impl Write) -> Result<(), Error> {
    let mut table = csv::Writer::from_writer(out);
    let header = [
        "configuration",
        "program",
        "antagonist",
        "n",
        "failed",
        "wall_median_ns",
        "slowdown",
        "ci95_low",
        "ci95_high",
        "restarts",
    ];
    table.write_record(header).map_err(Error::writing("csv"))?;
    let shown = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for cell in cells {
        let [n, failed] = cell.runs;
        let row = [
            cell.configuration.clone(),
            cell.program.clone(),
            cell.antagonist.clone().unwrap_or_default(),
            n.to_string(),
            failed.to_string(),
            shown(cell.wall_ns),
            shown(cell.slowdown),
            shown(cell.ci95.map(|[low, _]| low)),
            shown(cell.ci95.map(|[_, high]| high)),
            cell.restarts.to_string(),
        ];
        table.write_record(row).map_err(Error::writing("csv"))?;
    }
    table.flush().map_err(Error::writing("csv"))
}

/// Draws a heat map per configuration, in the order of the cells.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn svg(title: &str, cells: &[Cell], out: &mut impl Write) -> Result<(), Error> {
    let configurations = distinct(cells.iter().map(|cell| cell.configuration.as_str()));
    let programs = distinct(cells.iter().map(|cell| cell.program.as_str()));
    let mut antagonists: Vec<Option<&str>> = vec![None];
    antagonists
        .extend(distinct(cells.iter().filter_map(|cell| cell.antagonist.as_deref())).into_iter().map(Some));
    let most = cells.iter().filter_map(|cell| cell.slowdown).fold(1.0, f64::max);
    let map_tall = HEAD + programs.len() * TALL + 16;
    let (wide, tall) = (LEFT + antagonists.len() * WIDE + 24, TOP + configurations.len() * map_tall + 30);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {tall}\" width=\"{wide}\" height=\"{tall}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#1c2430\">\n\
         <rect width=\"{wide}\" height=\"{tall}\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\">Slowdown of {}</text>\n\
         <text x=\"16\" y=\"45\" fill=\"#5b6573\">time beside the column's program, against alone in the same place; \
         below it the 95 % interval</text>\n",
        escape(title)
    );
    for (index, configuration) in configurations.iter().enumerate() {
        let top = TOP + index * map_tall;
        text(&mut svg, [16, top + 20], "font-weight=\"600\"", configuration);
        for (column, antagonist) in antagonists.iter().enumerate() {
            let name = cut_middle(antagonist.unwrap_or("(alone)"), COLUMN_NAME);
            text(
                &mut svg,
                [LEFT + column * WIDE + WIDE / 2, top + HEAD - 8],
                "text-anchor=\"middle\"",
                &name,
            );
        }
        for (row, program) in programs.iter().enumerate() {
            let y = top + HEAD + row * TALL;
            text(
                &mut svg,
                [LEFT - 8, y + TALL / 2 + 4],
                "text-anchor=\"end\"",
                &cut_middle(program, ROW_NAME),
            );
            for (column, antagonist) in antagonists.iter().enumerate() {
                let cell = cells.iter().find(|cell| {
                    cell.configuration == *configuration
                        && cell.program == *program
                        && cell.antagonist.as_deref() == *antagonist
                });
                place(&mut svg, [LEFT + column * WIDE, y], cell, most);
            }
        }
    }
    svg.push_str("</svg>\n");
    out.write_all(svg.as_bytes()).map_err(Error::writing("svg"))
}

fn place(svg: &mut String, [x, y]: [usize; 2], cell: Option<&Cell>, most: f64) {
    let slowdown = cell.and_then(|cell| cell.slowdown);
    let (fill, dark) = slowdown.map_or_else(|| ("#e8eaee".to_owned(), false), |value| colour(value, most));
    // A String takes everything.
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"/>",
        WIDE - 2,
        TALL - 2
    );
    let Some(cell) = cell else { return };
    let ink = if dark { "text-anchor=\"middle\" fill=\"#fff\"" } else { "text-anchor=\"middle\"" };
    let middle = x + WIDE / 2 - 1;
    let [n, failed] = cell.runs;
    let number = match slowdown {
        Some(slowdown) => format!("{slowdown:.2}×"),
        None if n == 0 => format!("{failed} failed"),
        None => "not alone".to_owned(),
    };
    text(svg, [middle, y + 17], ink, &number);
    if let Some([low, high]) = cell.ci95 {
        let small = format!("{ink} font-size=\"10\"");
        text(svg, [middle, y + 31], &small, &format!("{low:.2}–{high:.2}"));
    }
}

/// White at 1, red at the most, blue below 1; and whether white text reads better on it.
fn colour(slowdown: f64, most: f64) -> (String, bool) {
    let (full, part) = if slowdown >= 1.0 {
        // A tenth more is not a deep red because nothing else is slower.
        ([150.0, 18.0, 30.0], (slowdown - 1.0) / (most - 1.0).max(0.5))
    } else {
        ([5.0, 70.0, 148.0], 1.0 - slowdown)
    };
    let part = part.clamp(0.0, 1.0);
    let [red, green, blue] = full.map(|channel: f64| (250.0 + (channel - 250.0) * part).round() as u8);
    (format!("#{red:02x}{green:02x}{blue:02x}"), part > 0.55)
}

fn text(svg: &mut String, [x, y]: [usize; 2], attributes: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" {attributes}>{}</text>", escape(text));
}

fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen = Vec::new();
    names.for_each(|name| {
        if !seen.contains(&name) {
            seen.push(name);
        }
    });
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(program: &str, antagonist: Option<&str>, slowdown: Option<f64>) -> Cell {
        Cell {
            configuration: "L3-cores".to_owned(),
            program: program.to_owned(),
            antagonist: antagonist.map(str::to_owned),
            runs: [3, 0],
            wall_ns: Some(5e8),
            slowdown,
            ci95: slowdown.map(|slowdown| [slowdown - 0.125, slowdown + 0.125]),
            restarts: 2,
        }
    }

    fn cells() -> Vec<Cell> {
        vec![cell("a", None, Some(1.0)), cell("a", Some("<b,\">"), Some(1.5)), cell("b", Some("a"), None)]
    }

    #[test]
    fn the_table_has_a_row_per_cell() {
        let mut out = Vec::new();
        csv(&cells(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "configuration,program,antagonist,n,failed,wall_median_ns,slowdown,ci95_low,ci95_high,restarts\n\
             L3-cores,a,,3,0,500000000,1,0.875,1.125,2\n\
             L3-cores,a,\"<b,\"\">\",3,0,500000000,1.5,1.375,1.625,2\n\
             L3-cores,b,a,3,0,500000000,,,,2\n"
        );
    }

    /// Two programs by (alone), the hostile name and `a`: six places, of which three were measured.
    #[test]
    fn the_picture_has_a_place_per_pair() {
        let mut out = Vec::new();
        svg("x<y", &cells(), &mut out).unwrap();
        let svg = String::from_utf8(out).unwrap();
        assert_eq!(svg.matches("<rect").count(), 1 + 6, "{svg}");
        assert!(svg.contains("1.50×") && svg.contains("1.38–1.62") && svg.contains("not alone"), "{svg}");
        assert!(svg.contains("x&lt;y") && !svg.contains("<b"), "{svg}");
    }

    #[test]
    fn colours_say_slower_and_faster() {
        assert_eq!(colour(1.0, 3.0).0, "#fafafa");
        assert_eq!(colour(3.0, 3.0), ("#96121e".to_owned(), true));
        let red = |slowdown, most| u8::from_str_radix(&colour(slowdown, most).0[1..3], 16).unwrap();
        assert!(red(0.7, 3.0) < 0xb4, "blue");
        assert!(red(1.1, 1.1) > 0xe0, "a tenth is pale whatever the rest");
    }
}
