//! One event over time: lines in SVG, and a row of blocks for a terminal.

use std::fmt::Write as _;
use std::io::Write;

use waytrace_model::units::format_count;

use crate::Error;
use crate::markup::escape;
use crate::text::{cut_middle, plain, wrap};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 66.0;
const TALL: f64 = 300.0;
const WIDE: f64 = WIDTH - LEFT - RIGHT;
/// Points of a line; of more, each is the mean of several.
const POINTS_MAX: usize = 1_600;
/// Lines named in the legend.
const NAMED_MAX: usize = 16;
/// Colours that readers who cannot tell red from green tell apart (Okabe & Ito 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c2430"];

/// An event's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the event, and of what was measured.
    pub title: String,
    /// What the event counts, in the words of its vendor; may be empty.
    pub description: String,
    /// What the values are: `per second`.
    pub unit: String,
    /// One per CPU or repetition.
    pub lines: Vec<Line>,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What tells it from the others.
    pub name: String,
    /// Time in seconds and value, by time; `None` where it was not measured.
    pub points: Vec<(f64, Option<f64>)>,
}

impl Series {
    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.lines.iter().flat_map(|line| &line.points).filter_map(|(_, value)| *value)
    }
}

/// Writes the picture.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn svg(series: &Series, out: &mut impl Write) -> Result<(), Error> {
    out.write_all(draw(series).as_bytes()).map_err(Error::writing("svg"))
}

fn draw(series: &Series) -> String {
    let most = series.values().fold(0.0, f64::max);
    let least = series.values().fold(0.0, f64::min);
    let step = round_step((most - least) / 5.0);
    let (top, bottom) = ((most / step).ceil().max(1.0) * step, (least / step).floor() * step);
    let times = series.lines.iter().flat_map(|line| &line.points).map(|(time, _)| *time);
    let end = times.clone().fold(0.0, f64::max);
    let start = times.fold(end, f64::min);
    let span = if end > start { end - start } else { 1.0 };
    let x = |time: f64| LEFT + WIDE * (time - start) / span;
    let y = |value: f64| TOP + TALL * (top - value) / (top - bottom);
    let description = wrap(&plain(&series.description), 120);
    let height = TOP + TALL + 56.0 + 18.0 * description.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#1c2430\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"14\" y=\"25\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
         <text x=\"14\" y=\"45\" fill=\"#5b6675\">{}</text>\n<g fill=\"#5b6675\">\n",
        escape(&series.title),
        escape(&cut_middle(&series.title, 96)),
        escape(&series.unit)
    );
    // A String takes everything, here and below.
    let ticks = ((top - bottom) / step).round() as u32;
    for tick in 0..=ticks {
        let value = bottom + f64::from(tick) * step;
        let _ = writeln!(
            svg,
            "<path stroke=\"#e4e8ed\" d=\"M{LEFT},{0:.1}h{WIDE}\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>",
            y(value),
            LEFT - 8.0,
            y(value) + 4.0,
            number(value)
        );
    }
    let seconds = round_step(span / 8.0);
    for tick in 0..=(span / seconds) as u32 {
        let time = (start / seconds).ceil() * seconds + f64::from(tick) * seconds;
        if time > end.max(start + span) + seconds * 1e-6 {
            break;
        }
        let _ = writeln!(
            svg,
            "<path stroke=\"#8b93a0\" d=\"M{0:.1},{1}v4\"/><text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"middle\">{3} s</text>",
            x(time),
            TOP + TALL,
            TOP + TALL + 18.0,
            number(time)
        );
    }
    svg.push_str("</g>\n");
    for (line, colour) in series.lines.iter().zip(COLOURS.iter().cycle()) {
        path(&mut svg, line, colour, x, y);
    }
    if series.lines.len() > 1 {
        legend(&mut svg, series);
    }
    for (at, text) in description.iter().enumerate() {
        let below = TOP + TALL + 48.0 + 18.0 * at as f64;
        let _ = writeln!(svg, "<text x=\"14\" y=\"{below}\" fill=\"#5b6675\">{}</text>", escape(text));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A stroke for each stretch without gaps, and a dot for a value that stands alone.
fn path(svg: &mut String, line: &Line, colour: &str, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
    let points = thinned(&line.points);
    let (mut stroke, mut dots, mut is_open) = (String::new(), String::new(), false);
    for (at, (time, value)) in points.iter().enumerate() {
        let Some(value) = value else {
            is_open = false;
            continue;
        };
        let has_next = points.get(at + 1).is_some_and(|(_, next)| next.is_some());
        let _ = match (is_open, has_next) {
            (true, _) => write!(stroke, "L{:.1},{:.1}", x(*time), y(*value)),
            (false, true) => write!(stroke, "M{:.1},{:.1}", x(*time), y(*value)),
            (false, false) => {
                write!(
                    dots,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\" fill=\"{colour}\"/>",
                    x(*time),
                    y(*value)
                )
            }
        };
        is_open = true;
    }
    let _ = writeln!(
        svg,
        "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.4\" stroke-linejoin=\"round\" d=\"{stroke}\"/>{dots}"
    );
}

fn legend(svg: &mut String, series: &Series) {
    let x = WIDTH - RIGHT + 14.0;
    let mut y = TOP + 8.0;
    for (line, colour) in series.lines.iter().zip(COLOURS.iter().cycle()).take(NAMED_MAX) {
        let _ = writeln!(
            svg,
            "<path stroke=\"{colour}\" stroke-width=\"3\" d=\"M{x},{0:.1}h14\"/><text x=\"{1}\" y=\"{y:.1}\">{2}</text>",
            y - 4.0,
            x + 20.0,
            escape(&cut_middle(&line.name, 16))
        );
        y += 17.0;
    }
    if let Some(more) = series.lines.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y:.1}\" fill=\"#5b6675\">and {more} more</text>");
    }
}

/// At most [`POINTS_MAX`] points, each the mean of those it stands for that were measured.
fn thinned(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    let of = points.len().div_ceil(POINTS_MAX).max(1);
    let mean = |some: &[(f64, Option<f64>)]| {
        let values: Vec<f64> = some.iter().filter_map(|(_, value)| *value).collect();
        let time = some.first().map_or(0.0, |(time, _)| *time);
        (time, (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64))
    };
    points.chunks(of).map(mean).collect()
}

/// The next of 1, 2 and 5 times a power of ten.
pub(crate) fn round_step(least: f64) -> f64 {
    if !(least.is_finite() && least > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(least.log10().floor());
    let of = least / power;
    let factor = if of <= 1.0 {
        1.0
    } else if of <= 2.0 {
        2.0
    } else if of <= 5.0 {
        5.0
    } else {
        10.0
    };
    factor * power
}

pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format_count(value),
        // Steps have one digit; sums of them round.
        _ => ((value * 1e6).round() / 1e6).to_string(),
    }
}

/// Values as blocks of a height from the least to the greatest, at most `width` of them; a space where nothing was measured.
pub fn spark(values: &[Option<f64>], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let of = values.len().div_ceil(width.max(1)).max(1);
    let means: Vec<Option<f64>> = values
        .chunks(of)
        .map(|some| {
            let there: Vec<f64> = some.iter().copied().flatten().collect();
            (!there.is_empty()).then(|| there.iter().sum::<f64>() / there.len() as f64)
        })
        .collect();
    let most = means.iter().copied().flatten().fold(f64::NEG_INFINITY, f64::max);
    let least = means.iter().copied().flatten().fold(f64::INFINITY, f64::min);
    let block = |value: &Option<f64>| {
        let Some(value) = value else { return ' ' };
        let part = if most > least { (value - least) / (most - least) } else { 0.0 };
        BLOCKS.get((part * 7.0).round() as usize).copied().unwrap_or('█')
    };
    means.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: Vec<(f64, Option<f64>)>) -> Series {
        Series {
            title: "a<b>".to_owned(),
            description: "Counts & counts".to_owned(),
            unit: "per second".to_owned(),
            lines: vec![Line { name: "cpu 0".to_owned(), points }],
        }
    }

    #[test]
    fn lines_break_where_nothing_was_measured() {
        let drawn = draw(&series(vec![
            (0.0, Some(0.0)),
            (1.0, Some(10.0)),
            (2.0, None),
            (3.0, Some(5.0)),
            (4.0, None),
        ]));
        // From 0 to 10 over 300 units, from 0 s to 4 s over 734.
        assert!(drawn.contains("d=\"M76.0,366.0L259.5,66.0\"/><circle cx=\"626.5\" cy=\"216.0\""), "{drawn}");
        assert!(drawn.contains("a&lt;b&gt;") && drawn.contains("Counts &amp; counts"));
    }

    #[test]
    fn nothing_constants_and_much_can_be_drawn() {
        for points in [vec![], vec![(0.5, Some(0.0))], vec![(0.0, None)], vec![(1.0, Some(-1e-300)); 3]] {
            let drawn = draw(&series(points));
            assert!(
                drawn.ends_with("</svg>\n") && !drawn.contains("NaN") && !drawn.contains("inf"),
                "{drawn}"
            );
        }
        let many = (0..1_000_000).map(|at| (f64::from(at), Some(1.0))).collect();
        assert!(draw(&series(many)).len() < 60_000);
    }

    #[test]
    fn axes_have_round_numbers() {
        for (least, step) in [(0.3, 0.5), (1.0, 1.0), (1.2, 2.0), (60.0, 100.0), (0.0, 1.0), (f64::NAN, 1.0)]
        {
            assert_eq!(round_step(least), step);
        }
    }

    #[test]
    fn blocks_rise_with_values() {
        assert_eq!(spark(&[Some(0.0), Some(7.0), None, Some(3.0)], 10), "▁█ ▄");
        assert_eq!(spark(&[Some(1.0), Some(3.0), Some(6.0), Some(6.0)], 2), "▁█");
        assert_eq!(spark(&[Some(5.0); 3], 10), "▁▁▁");
        assert_eq!(spark(&[], 10), "");
    }
}
