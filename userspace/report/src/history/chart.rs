//! One metric over the range as a small picture: a line with its area, alerts behind it, and breaks where nothing was measured.

use std::fmt::Write as _;

use waytrace_model::monitor::{Alert, MetricHistory, TargetHistory, Unit};

use super::course;
use super::terminal::{quantity, time};
use crate::markup::escape;
use crate::series::plot::round_step;

const WIDTH: f64 = 580.0;
const HEIGHT: f64 = 168.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;
const WIDE: f64 = WIDTH - LEFT - RIGHT;
const TALL: f64 = HEIGHT - TOP - BOTTOM;
/// Parts of the range's time drawn one by one.
const PARTS: usize = 400;
/// Lines of the grid above the lowest, at most.
const LINES: u8 = 8;
/// Labels on the time axis.
const TIMES: u64 = 4;

/// Draws a metric of a history.
pub(super) fn chart(history: &TargetHistory, one: &MetricHistory) -> String {
    let parts = PARTS.min(history.points.len().max(1) * 4);
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    let values: Vec<Option<f64>> = course(history, one.metric, parts).into_iter().map(finite).collect();
    let most = values.iter().copied().flatten().fold(0.0, f64::max);
    let step = step(one.metric.unit(), most);
    let top = (most / step).ceil().max(1.0) * step;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape(&format!("{} over time", one.metric.name()))
    );
    for alert in &history.alerts {
        shade(&mut svg, history, alert);
    }
    for value in (0..=LINES).map(|at| f64::from(at) * step).take_while(|value| *value <= top * 1.001) {
        let y = TOP + TALL * (1.0 - value / top);
        let label = escape(&quantity(one.metric, value));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT},{y:.1}h{WIDE}\"/><text class=\"y\" x=\"{:.0}\" y=\"{:.1}\">{label}</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    times(&mut svg, history);
    for run in runs(&values) {
        line(&mut svg, &run, parts, top);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Between two lines of the grid: round in the unit it is told in.
fn step(unit: Unit, most: f64) -> f64 {
    // Below the smallest number with all its digits there are no round ones.
    // Below the smallest number with all its digits there are no round ones.
    let third = if most.is_finite() && most >= f64::MIN_POSITIVE * 1e3 { most / 3.0 } else { 1.0 / 3.0 };
    let mut factor = 1.0;
    while unit == Unit::Bytes && third >= 1024.0 * factor {
        factor *= 1024.0;
    }
    round_step(third / factor) * factor
}

/// Stretches without a break: position and value.
fn runs(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut runs: Vec<Vec<(usize, f64)>> = vec![Vec::new()];
    for (at, value) in values.iter().enumerate() {
        match (value, runs.last_mut()) {
            (Some(value), Some(run)) => run.push((at, *value)),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// A line of steps, for each value stands for its part of the time, and the area below it.
fn line(svg: &mut String, run: &[(usize, f64)], parts: usize, top: f64) {
    let x = |at: usize| LEFT + WIDE * at as f64 / parts as f64;
    let y = |value: f64| TOP + TALL * (1.0 - (value / top).clamp(0.0, 1.0));
    let Some(first) = run.first() else { return };
    let mut path = String::new();
    for (at, value) in run {
        let mark = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{mark}{:.1},{:.1}H{:.1}", x(*at), y(*value), x(at + 1));
    }
    let (bottom, from) = (TOP + TALL, x(first.0));
    let _ = writeln!(
        svg,
        "<path class=\"area\" d=\"{path}V{bottom}H{from:.1}Z\"/><path class=\"line\" d=\"{path}\"/>"
    );
}

fn shade(svg: &mut String, history: &TargetHistory, alert: &Alert) {
    let range = &history.range;
    let length = range.to_unix_ns.saturating_sub(range.from_unix_ns).max(1) as f64;
    let x = |ns: u64| LEFT + WIDE * (ns.saturating_sub(range.from_unix_ns) as f64 / length).min(1.0);
    let from = x(alert.began_unix_ns.max(range.from_unix_ns));
    let to = x(alert.ended.map_or(range.to_unix_ns, |end| end.at_unix_ns));
    let _ = writeln!(
        svg,
        "<rect class=\"alert\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{TALL}\"><title>{}</title></rect>",
        (to - from).max(1.5),
        escape(&format!("{}: {}", alert.rule, alert.detail))
    );
}

fn times(svg: &mut String, history: &TargetHistory) {
    let (from, to) = (history.range.from_unix_ns, history.range.to_unix_ns);
    let length = to.saturating_sub(from);
    for at in 0..=TIMES {
        let moment = from.saturating_add(length / TIMES * at);
        let text = time(moment);
        // Within a day the hour tells more than the date.
        let label = if length < 2 * 86_400_000_000_000 { text.get(11..16) } else { text.get(5..10) };
        let anchor = if at == 0 {
            "start"
        } else if at == TIMES {
            "end"
        } else {
            "middle"
        };
        let x = LEFT + WIDE * at as f64 / TIMES as f64;
        let _ = writeln!(
            svg,
            "<text class=\"t\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{}</text>",
            HEIGHT - 6.0,
            label.unwrap_or_default()
        );
    }
}

#[cfg(test)]
mod tests {
    use waytrace_model::monitor::{Metric, Point, RangeInfo, Values};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Windows of 10 s with these values of resident memory; `None`: no process.
    fn history(values: &[Option<f64>]) -> TargetHistory {
        let points = values.iter().enumerate().filter_map(|(at, value)| {
            Some(Point {
                start_unix_ns: at as u64 * 10 * SECOND,
                length_ns: 10 * SECOND,
                values: Values::from_iter([(Metric::Rss, (*value)?)]),
                ..Point::default()
            })
        });
        let range = RangeInfo { to_unix_ns: values.len() as u64 * 10 * SECOND, ..RangeInfo::default() };
        TargetHistory { range, points: points.collect(), ..TargetHistory::default() }
    }

    fn rss() -> MetricHistory {
        MetricHistory {
            metric: Metric::Rss,
            unit: "bytes".to_owned(),
            fold: "level".to_owned(),
            mean: 0.0,
            min: 0.0,
            max: 0.0,
            total: None,
            covered_ns: 1,
        }
    }

    #[test]
    fn a_line_breaks_where_there_was_nothing() {
        let whole = chart(&history(&[Some(1.0), Some(2.0), Some(4.0)]), &rss());
        assert_eq!(whole.matches("class=\"line\"").count(), 1, "{whole}");
        let broken = chart(&history(&[Some(1.0), None, Some(4.0)]), &rss());
        assert_eq!(broken.matches("class=\"line\"").count(), 2, "{broken}");
        for odd in
            [vec![], vec![None], vec![Some(0.0)], vec![Some(-1.0)], vec![Some(1e300)], vec![Some(5e-324)]]
        {
            let drawn = chart(&history(&odd), &rss());
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        }
    }

    #[test]
    fn a_point_stands_where_its_time_is() {
        let course = course(&history(&[Some(1.0), None, Some(4.0), Some(8.0)]), Metric::Rss, 4);
        assert_eq!(course, [Some(1.0), None, Some(4.0), Some(8.0)]);
        let halves = super::course(&history(&[Some(1.0), Some(3.0), Some(4.0), Some(8.0)]), Metric::Rss, 2);
        assert_eq!(halves, [Some(2.0), Some(6.0)]);
    }

    #[test]
    fn the_grid_is_round_in_its_unit() {
        let mib = 1_048_576.0;
        assert_eq!(step(Unit::Bytes, 454.0 * mib), 200.0 * mib);
        assert_eq!(step(Unit::Count, 4.0), 2.0);
        assert!(step(Unit::Bytes, 0.0) > 0.0);
    }
}
