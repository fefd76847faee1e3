//! The picture: misses above, instructions per cycle below, over ways and bytes. Bands behind, windows as dots, the measured curve
//! as a line with marks, the isotonic one dashed beside it.

use std::fmt::Write as _;

use waytrace_model::sweep_curve::{CurvePoint, SweepReport};

use super::{Drawn, ipc, misses, subtitle, title};
use crate::markup::escape;
use crate::series::plot::{number, round_step};
use crate::text::cut_middle;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 92.0;
const TALL: f64 = 250.0;
/// From a panel to the next: its axis of ways, that of bytes, and the next one's title.
const BETWEEN: f64 = 88.0;
const WIDE: f64 = WIDTH - LEFT - RIGHT;
/// Dots of single windows drawn of a number of ways; of more, every so many.
const DOTS_MAX: usize = 60;
/// Misses and IPC, told apart also by those who cannot tell red from green (Okabe & Ito 2008).
const COLOURS: [&str; 2] = ["#d55e00", "#0072b2"];

/// Draws the curves of a sweep, with a title.
pub fn svg(report: &SweepReport) -> String {
    draw(report, 0.0)
}

/// The same without the title, for where it stands already.
pub(super) fn untitled(report: &SweepReport) -> String {
    draw(report, TOP - 34.0)
}

/// The picture from so far below its upper edge on.
fn draw(report: &SweepReport, from: f64) -> String {
    let panels: Vec<(Drawn, &str)> = [misses(report), ipc(report)]
        .into_iter()
        .zip(COLOURS)
        .filter_map(|(drawn, colour)| Some((drawn?, colour)))
        .collect();
    let height = TOP + (TALL + BETWEEN) * panels.len().max(1) as f64 - BETWEEN + 44.0 - from;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 {from} {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#1c2430\">\n\
         <title>{0}</title>\n<rect y=\"{from}\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        escape(&title(report))
    );
    if from == 0.0 {
        let _ = writeln!(
            svg,
            "<text x=\"14\" y=\"26\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
             <text x=\"14\" y=\"46\" fill=\"#5b6675\">{}</text>",
            escape(&cut_middle(&title(report), 96)),
            escape(&subtitle(report))
        );
    }
    for (at, (drawn, colour)) in panels.iter().enumerate() {
        let top = TOP + (TALL + BETWEEN) * at as f64;
        Panel::of(report, drawn, colour, top).draw(&mut svg);
    }
    if panels.is_empty() {
        let _ = writeln!(svg, "<text x=\"14\" y=\"{TOP}\">Nothing was counted, so there is no curve.</text>");
    }
    svg.push_str("</svg>\n");
    svg
}

struct Panel<'r> {
    report: &'r SweepReport,
    drawn: &'r Drawn,
    colour: &'r str,
    top: f64,
    most: f64,
    step: f64,
    first: f64,
    last: f64,
}

impl<'r> Panel<'r> {
    fn of(report: &'r SweepReport, drawn: &'r Drawn, colour: &'r str, top: f64) -> Self {
        let ways = &report.curves.ways;
        let values = ways.iter().filter_map(drawn.estimate).map(|own| own.value);
        let single = ways.iter().flat_map(|point| &point.windows).filter_map(drawn.single);
        let highest = values.clone().chain(single).fold(0.0, f64::max);
        // Bands of two windows may be many times as wide as what is measured: they are cut off.
        let bands = ways.iter().filter_map(drawn.estimate).filter_map(|own| own.ci95_high);
        let most = bands.fold(highest, f64::max).min(highest * 1.25);
        let step = round_step(most / 6.0);
        let last = f64::from(report.sweep.cache.ways.max(ways.last().map_or(1, |point| point.ways)));
        let first = f64::from(ways.first().map_or(1, |point| point.ways));
        Self { report, drawn, colour, top, most: (most / step).ceil().max(1.0) * step, step, first, last }
    }

    fn x(&self, ways: f64) -> f64 {
        // A column alone stands in the middle; others keep off the frame.
        let span = self.last - self.first;
        if span > 0.0 { LEFT + 14.0 + (WIDE - 28.0) * (ways - self.first) / span } else { LEFT + WIDE / 2.0 }
    }

    fn y(&self, value: f64) -> f64 {
        self.top + TALL * (1.0 - (value / self.most).clamp(0.0, 1.0))
    }

    fn draw(&self, svg: &mut String) {
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"600\">{}</text>",
            self.top - 12.0,
            self.drawn.title
        );
        self.axes(svg);
        self.marks(svg);
        self.band(svg);
        self.windows(svg);
        self.lines(svg);
        self.legend(svg);
    }

    fn axes(&self, svg: &mut String) {
        svg.push_str("<g fill=\"#5b6675\">\n");
        for tick in 0..=((self.most / self.step).round() as u32) {
            let value = f64::from(tick) * self.step;
            let _ = writeln!(
                svg,
                "<path stroke=\"#e4e8ed\" d=\"M{LEFT},{0:.1}h{WIDE}\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>",
                self.y(value),
                LEFT - 8.0,
                self.y(value) + 4.0,
                number(value)
            );
        }
        let bottom = self.top + TALL;
        let (first, last) = (self.first as u32, self.last as u32);
        let every = |labels: f64| ((self.last - self.first + 1.0) / labels).ceil().max(1.0) as usize;
        for ways in (first..=last).step_by(every(24.0)) {
            let x = self.x(f64::from(ways));
            let _ = writeln!(
                svg,
                "<path stroke=\"#8b93a0\" d=\"M{x:.1},{bottom}v4\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{ways}</text>",
                bottom + 17.0
            );
        }
        // Labels of bytes are wider.
        let way_bytes = self.report.sweep.cache.way_bytes;
        for (ways, bytes) in (first..=last).step_by(every(12.0)).filter_map(|ways| Some((ways, way_bytes?))) {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#8b93a0\">{}</text>",
                self.x(f64::from(ways)),
                bottom + 32.0,
                mebibytes(bytes as f64 * f64::from(ways))
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{0}\" y=\"{1:.1}\" text-anchor=\"end\">ways</text>",
            LEFT - 8.0,
            bottom + 17.0
        );
        if self.report.sweep.cache.way_bytes.is_some() {
            let _ = writeln!(
                svg,
                "<text x=\"{0}\" y=\"{1:.1}\" text-anchor=\"end\" font-size=\"11\" fill=\"#8b93a0\">MiB</text>",
                LEFT - 8.0,
                bottom + 32.0
            );
        }
        svg.push_str("</g>\n");
    }

    /// Where the knee is and where what is needed begins, if they were read off this curve.
    fn marks(&self, svg: &mut String) {
        let curves = &self.report.curves;
        let knee = curves.knee.filter(|own| own.of == self.drawn.of).map(|own| (own.ways, "knee"));
        let set = curves.working_set.filter(|own| own.of == self.drawn.of && !own.at_least);
        let peak = curves.near_peak_ipc.filter(|own| own.of == self.drawn.of);
        let named =
            [knee, set.map(|own| (own.ways, "working set")), peak.map(|own| (own.ways, "95 % of best"))];
        let mut by_ways: Vec<(u32, String)> = Vec::new();
        for (ways, name) in named.into_iter().flatten() {
            match by_ways.iter_mut().find(|own| own.0 == ways) {
                Some(own) => own.1 = format!("{}, {name}", own.1),
                None => by_ways.push((ways, name.to_owned())),
            }
        }
        for (line, (ways, name)) in by_ways.iter().enumerate() {
            let x = self.x(f64::from(*ways));
            let is_right = x > LEFT + WIDE * 0.75;
            let (anchor, beside) = if is_right { ("end", x - 5.0) } else { ("start", x + 5.0) };
            let _ = writeln!(
                svg,
                "<path stroke=\"#5b6675\" stroke-dasharray=\"2 3\" d=\"M{x:.1},{0}v{TALL}\"/>\
                 <text x=\"{beside:.1}\" y=\"{1:.1}\" text-anchor=\"{anchor}\" fill=\"#5b6675\" {HALO}>{name}: {ways}</text>",
                self.top,
                self.top + 14.0 + 16.0 * line as f64
            );
        }
    }

    fn band(&self, svg: &mut String) {
        let banded =
            |point: &CurvePoint| Some((self.x(f64::from(point.ways)), (self.drawn.estimate)(point)?.band()?));
        let mut stretch: Vec<(f64, (f64, f64))> = Vec::new();
        for point in &self.report.curves.ways {
            match banded(point) {
                Some(own) => stretch.push(own),
                None => self.stretch(svg, &std::mem::take(&mut stretch)),
            }
        }
        self.stretch(svg, &stretch);
    }

    fn stretch(&self, svg: &mut String, points: &[(f64, (f64, f64))]) {
        let corner = |x: f64, value: f64| format!("{x:.1},{:.1}", self.y(value));
        let upper = points.iter().map(|(x, (_, high))| corner(*x, *high));
        let lower = points.iter().rev().map(|(x, (low, _))| corner(*x, *low));
        let outline: Vec<String> = upper.chain(lower).collect();
        if points.len() > 1 {
            let colour = self.colour;
            let _ = writeln!(
                svg,
                "<polygon fill=\"{colour}\" fill-opacity=\"0.16\" points=\"{}\"/>",
                outline.join(" ")
            );
        }
        // The ends themselves, for a band between two numbers of ways is only drawn, not measured.
        for (x, (low, high)) in points {
            let (y, bottom) = (self.y(*high), self.y(*low));
            let _ = writeln!(
                svg,
                "<path stroke=\"{}\" stroke-opacity=\"0.55\" d=\"M{x:.1},{y:.1}V{bottom:.1}M{1:.1},{y:.1}h6M{1:.1},{bottom:.1}h6\"/>",
                self.colour,
                x - 3.0
            );
        }
    }

    fn windows(&self, svg: &mut String) {
        let _ = writeln!(svg, "<g fill=\"{}\" fill-opacity=\"0.4\">", self.colour);
        for point in &self.report.curves.ways {
            let step = point.windows.len().div_ceil(DOTS_MAX).max(1);
            let x = self.x(f64::from(point.ways)) + 6.0;
            for value in point.windows.iter().step_by(step).filter_map(self.drawn.single) {
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"1.7\"/>", self.y(value));
            }
        }
        svg.push_str("</g>\n");
    }

    fn lines(&self, svg: &mut String) {
        let ways = &self.report.curves.ways;
        let at = |point: &CurvePoint, value: f64| {
            format!("{:.1},{:.1}", self.x(f64::from(point.ways)), self.y(value))
        };
        let measured: Vec<(&CurvePoint, f64)> =
            ways.iter().filter_map(|point| Some((point, (self.drawn.estimate)(point)?.value))).collect();
        let isotonic: Vec<String> =
            ways.iter().filter_map(|point| Some(at(point, (self.drawn.isotonic)(point)?))).collect();
        let corners: Vec<String> = measured.iter().map(|(point, value)| at(point, *value)).collect();
        let colour = self.colour;
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\" points=\"{}\"/>",
            corners.join(" ")
        );
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"#1c2430\" stroke-width=\"1.2\" stroke-dasharray=\"6 4\" points=\"{}\"/>",
            isotonic.join(" ")
        );
        for (point, value) in measured {
            let fill = if point.unsettled { "#fff" } else { colour };
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.6\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.4\"><title>{}</title></circle>",
                self.x(f64::from(point.ways)),
                self.y(value),
                escape(&self.told(point, value))
            );
        }
    }

    fn told(&self, point: &CurvePoint, value: f64) -> String {
        let band = (self.drawn.estimate)(point).and_then(|own| own.band());
        let band = band.map_or_else(
            || "no band".to_owned(),
            |(low, high)| format!("95 % band {} to {}", super::number(low), super::number(high)),
        );
        let unsettled = if point.unsettled { ", not settled" } else { "" };
        format!("{} ways: {} {}, {band}{unsettled}", point.ways, self.drawn.short, super::number(value))
    }

    fn legend(&self, svg: &mut String) {
        let y = self.top - 16.0;
        let has_bands =
            self.report.curves.ways.iter().filter_map(self.drawn.estimate).any(|own| own.band().is_some());
        let band = if has_bands { "measured, 95 % band" } else { "measured, no bands" };
        let x = LEFT + WIDE - 330.0;
        let colour = self.colour;
        let _ = writeln!(
            svg,
            "<g fill=\"#5b6675\"><rect x=\"{x}\" y=\"{0}\" width=\"22\" height=\"10\" fill=\"{colour}\" fill-opacity=\"0.16\"/>\
             <path stroke=\"{colour}\" stroke-width=\"1.8\" d=\"M{x},{y}h22\"/><text x=\"{1}\" y=\"{4}\">{band}</text>\
             <circle cx=\"{2}\" cy=\"{y}\" r=\"1.7\" fill=\"{colour}\" fill-opacity=\"0.6\"/><text x=\"{3}\" y=\"{4}\">windows</text>\
             <path stroke=\"#1c2430\" stroke-width=\"1.2\" stroke-dasharray=\"6 4\" d=\"M{5},{y}h22\"/><text x=\"{6}\" y=\"{4}\">isotonic</text></g>",
            y - 5.0,
            x + 27.0,
            x + 172.0,
            x + 179.0,
            y + 4.0,
            x + 250.0,
            x + 277.0
        );
    }
}

/// A rim that keeps words readable on lines.
const HALO: &str = "stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\"";

fn mebibytes(bytes: f64) -> String {
    let text = format!("{:.2}", bytes / 1_048_576.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
