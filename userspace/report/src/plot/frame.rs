//! What surrounds the cells: size, title, axes, gaps, names of mappings, legend.

use std::fmt::Write as _;

use waytrace_model::units::{format_bytes, format_ns};

use super::cells::{colour, opacity};
use crate::View;
use crate::heat::Heat;
use crate::markup::escape;
use crate::text::cut_middle;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 620.0;
const LEFT: f64 = 108.0;
const RIGHT: f64 = 168.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 62.0;
const TALL: f64 = HEIGHT - TOP - BOTTOM;
const WIDE: f64 = WIDTH - LEFT - RIGHT;
/// Names closer than this would lie on one another.
const LINE: f64 = 13.0;
/// Marks of gaps closer than this would hide what is between them.
const GAP: f64 = 16.0;

/// Where things go.
pub struct Frame {
    from_ns: u64,
    span_ns: u64,
    height: u64,
    block: u64,
}

impl Frame {
    pub fn of(heat: &Heat, view: &View) -> Self {
        let span_ns = (heat.to_ns - heat.from_ns).max(1);
        Self {
            from_ns: heat.from_ns,
            span_ns,
            height: heat.space.height.max(1),
            block: 1 << view.block_bits.min(40),
        }
    }

    /// Position of an instant.
    pub fn x(&self, ns: u64) -> f64 {
        self.x_at(ns.saturating_sub(self.from_ns))
    }

    /// Position of a time since the picture's start; nothing is right of its end.
    pub fn x_at(&self, ns: u64) -> f64 {
        LEFT + WIDE * (ns as f64 / self.span_ns as f64).min(1.0)
    }

    /// Position of a height; nothing is above the top.
    pub fn y(&self, height: u64) -> f64 {
        TOP + TALL * (1.0 - (height as f64 / self.height as f64).min(1.0))
    }

    /// The opening of the picture.
    pub fn head(&self, [title, note]: &[String; 2]) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#1c2430\">\n\
             <title>{}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
             <text x=\"{LEFT}\" y=\"43\" fill=\"#5b6675\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{WIDE}\" height=\"{TALL}\" fill=\"#f7f8fa\"/>\n",
            escape(title),
            escape(&cut_middle(title, 76)),
            escape(note)
        )
    }

    /// Times below, addresses at the left, mappings at the right, gaps across.
    pub fn axes(&self, svg: &mut String, heat: &Heat) {
        svg.push_str("<g fill=\"#5b6675\">\n");
        self.times(svg);
        self.addresses(svg, heat);
        svg.push_str("</g>\n");
        self.gaps(svg, heat);
        self.regions(svg, heat);
    }

    fn times(&self, svg: &mut String) {
        let step = round_step(self.span_ns / 7);
        let mut at = self.from_ns.next_multiple_of(step);
        while at <= self.from_ns.saturating_add(self.span_ns) {
            let x = self.x(at);
            let _ = writeln!(
                svg,
                "<path stroke=\"#5b6675\" d=\"M{x:.1},{:.1}v4\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                TOP + TALL,
                TOP + TALL + 17.0,
                short_time(at)
            );
            let Some(next) = at.checked_add(step) else { break };
            at = next;
        }
    }

    fn addresses(&self, svg: &mut String, heat: &Heat) {
        let ticks = 11u64;
        for tick in 0..=ticks {
            let height = (u128::from(self.height) * u128::from(tick) / u128::from(ticks)) as u64;
            let height = height.min(self.height - 1);
            let Some(own) = heat.space.at(height) else { continue };
            let y = self.y(height);
            let _ = writeln!(
                svg,
                "<path stroke=\"#5b6675\" d=\"M{:.1},{y:.1}h4\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"11\" \
                 font-family=\"ui-monospace, Consolas, 'DejaVu Sans Mono', monospace\">{:x}</text>",
                LEFT - 4.0,
                LEFT - 8.0,
                y + 4.0,
                own.address(height) & !(self.block - 1)
            );
        }
    }

    /// The largest gaps, as many as do not lie on one another.
    fn gaps(&self, svg: &mut String, heat: &Heat) {
        let mut gaps: Vec<(u64, f64)> =
            heat.space.gaps().map(|(height, bytes)| (bytes, self.y(height))).collect();
        gaps.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
        let mut marked: Vec<f64> = Vec::new();
        svg.push_str("<path stroke=\"#8b93a0\" stroke-width=\"0.7\" stroke-dasharray=\"3 5\" d=\"");
        for (_, y) in gaps {
            if marked.iter().all(|own| (own - y).abs() >= GAP) {
                let _ = write!(svg, "M{LEFT},{y:.1}h{WIDE}");
                marked.push(y);
            }
        }
        svg.push_str("\"/>\n");
    }

    fn regions(&self, svg: &mut String, heat: &Heat) {
        let mut free = f64::INFINITY;
        for (at, own) in heat.regions.iter().enumerate() {
            let (y, bottom) = (self.y(own.to), self.y(own.from));
            let tall = (bottom - y - 1.0).max(0.7);
            let fill = if at % 2 == 0 { "#5b6675" } else { "#aab2bd" };
            let x = WIDTH - RIGHT + 7.0;
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y:.1}\" width=\"5\" height=\"{tall:.1}\" fill=\"{fill}\"/>"
            );
            if own.huge_bytes > 0 {
                let _ = write!(
                    svg,
                    "<rect x=\"{}\" y=\"{y:.1}\" width=\"3\" height=\"{tall:.1}\" fill=\"#a8831a\"/>",
                    x + 6.0
                );
            }
            let middle = ((y + bottom) / 2.0 + 4.0).min(free - LINE);
            if middle > (y + bottom) / 2.0 - 22.0 {
                free = middle;
                let huge = match own.huge_bytes {
                    0 => String::new(),
                    bytes => format!(", {} huge", format_bytes(bytes as f64)),
                };
                let label = escape(&cut_middle(&format!("{}{huge}", own.label), 23));
                let _ = write!(
                    svg,
                    "<text x=\"{}\" y=\"{middle:.1}\"><title>{}</title>{label}</text>",
                    x + 13.0,
                    escape(&own.name)
                );
            }
            svg.push('\n');
        }
    }

    /// What colours mean, in one line below.
    pub fn legend(&self, svg: &mut String, text: &str, has_blocks: bool) {
        let y = HEIGHT - 22.0;
        let mut x = LEFT;
        let mut word = |svg: &mut String, text: &str, wide: f64| {
            let _ = write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"#5b6675\">{}</text>",
                y + 10.0,
                escape(text)
            );
            x += wide;
        };
        word(svg, "loads", 36.0);
        let mut ramp = LEFT + 36.0;
        for step in 0..16 {
            let [r, g, b] = colour(f64::from(step) / 15.0);
            let _ = write!(
                svg,
                "<rect x=\"{ramp:.1}\" y=\"{y}\" width=\"5.2\" height=\"12\" fill=\"rgb({r},{g},{b})\"/>"
            );
            ramp += 5.0;
        }
        word(svg, "", 88.0);
        word(svg, "stores;", 46.0);
        let [r, g, b] = colour(0.0);
        let mut ramp = LEFT + 170.0;
        for step in 0..8 {
            let opacity = opacity(f64::from(step) / 7.0);
            let _ = write!(
                svg,
                "<rect x=\"{ramp:.1}\" y=\"{y}\" width=\"5.2\" height=\"12\" fill=\"rgb({r},{g},{b})\" fill-opacity=\"{opacity:.2}\"/>"
            );
            ramp += 5.0;
        }
        word(svg, "", 46.0);
        word(svg, text, 0.0);
        if has_blocks {
            let x = WIDTH - RIGHT + 7.0;
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"16\" height=\"12\" fill=\"#2a9c72\" fill-opacity=\"0.4\"/>\
                 <text x=\"{}\" y=\"{}\" fill=\"#5b6675\">life of a traced block</text>",
                x + 22.0,
                y + 10.0
            );
        }
        svg.push('\n');
    }
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(least: u64) -> u64 {
    let mut power = 1u64;
    loop {
        for times in [1, 2, 5] {
            match power.checked_mul(times) {
                Some(step) if step >= least => return step,
                Some(_) => {}
                None => return u64::MAX,
            }
        }
        let Some(next) = power.checked_mul(10) else { return u64::MAX };
        power = next;
    }
}

/// A tick's time without zeros that say nothing.
fn short_time(ns: u64) -> String {
    if ns == 0 {
        return "0".to_owned();
    }
    let text = format_ns(ns as f64);
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_never_overflow() {
        assert_eq!([0, 1, 3, 7_000, 60_000].map(round_step), [1, 1, 5, 10_000, 100_000]);
        assert_eq!(round_step(u64::MAX), u64::MAX);
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!([0, 5_000_000_000, 250_000_000, 1_500_000].map(short_time), ["0", "5s", "250ms", "1.5ms"]);
    }
}
