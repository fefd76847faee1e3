//! Advice on slow memory (CXL, persistent memory, a far node): the share of accesses that would go there against the
//! bytes that would lie there, coldest first. The curve is drawn here, so that it needs no JavaScript and prints.

use waytrace_model::access_report::{AccessReport, TierStep};
use waytrace_model::units::format_bytes;

use super::{cell, table};
use crate::markup::escape;
use crate::text::percent;

const ROWS_MAX: usize = 20;
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 50.0;
const BOTTOM: f64 = 26.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 16.0;

/// The curve, what it says in words, and its first steps.
pub fn advice(own: &AccessReport) -> String {
    let Some(last) = own.tiers.last().filter(|last| last.moved_bytes > 0) else { return String::new() };
    let mut html = String::from("<h3>What could lie in slow memory</h3>\n<ul class=\"advice\">\n");
    for limit_pct in [1, 5, 10] {
        let limit = f64::from(limit_pct) / 100.0;
        let moved = own.tiers.iter().take_while(|step| step.access_ratio <= limit).last();
        let bytes = moved.map_or(0, |step| step.moved_bytes);
        let exactly = moved.map(|step| format!(" ({})", interval(step))).unwrap_or_default();
        html += &format!(
            "<li><b>{}</b> of {} at no more than {limit_pct}% of the accesses{exactly}</li>\n",
            format_bytes(bytes as f64),
            format_bytes(last.moved_bytes as f64),
        );
    }
    html += "</ul>\n";
    html += &curve(&own.tiers, last.moved_bytes);
    let row = |step: &TierStep| {
        let at =
            step.start.map(|start| format!(" <span class=\"place\">{start:#x}</span>")).unwrap_or_default();
        vec![
            format!("<td><span class=\"mono\">{}</span>{at}</td>", escape(&step.name)),
            cell(&format_bytes(step.bytes as f64)),
            cell(&format_bytes(step.moved_bytes as f64)),
            cell(&interval(step)),
        ]
    };
    let rows: Vec<Vec<String>> = own.tiers.iter().take(ROWS_MAX).map(row).collect();
    html += "<details><summary>The first steps</summary>\n";
    html += &table(&["Would move", "Bytes", "All together", "Accesses to slow memory"], &rows);
    html += "</details>\n<p class=\"note\">The band is the 95 % interval from the number of samples. Accesses that caches \
             serve count like others, so the true cost is lower.</p>\n";
    html
}

fn interval(step: &TierStep) -> String {
    format!("{} ±{}", percent(100.0 * step.access_ratio), percent(100.0 * step.ci95_ratio))
}

fn curve(steps: &[TierStep], most: u64) -> String {
    let (wide, tall) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let x = |bytes: u64| LEFT + wide * bytes as f64 / most as f64;
    let y = |ratio: f64| TOP + tall * (1.0 - ratio.clamp(0.0, 1.0));
    let thinned: Vec<&TierStep> = steps.iter().step_by(steps.len().div_ceil(400).max(1)).collect();
    let ends = || thinned.iter().copied().chain(steps.last());
    let line: String = ends().map(|s| format!("L{:.1},{:.1}", x(s.moved_bytes), y(s.access_ratio))).collect();
    let edge = |sign: f64| {
        move |s: &TierStep| format!("{:.1},{:.1} ", x(s.moved_bytes), y(s.access_ratio + sign * s.ci95_ratio))
    };
    let start = format!("{:.1},{:.1} ", x(0), y(0.0));
    let upper: String = ends().map(edge(1.0)).collect();
    let lower: Vec<String> = ends().map(edge(-1.0)).collect();
    let lower: String = lower.into_iter().rev().collect();
    let mut axes = String::new();
    for pct in [0.0, 25.0, 50.0, 75.0, 100.0] {
        let at = y(pct / 100.0);
        axes += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{pct:.0}%</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for quarter in 0..=4u64 {
        let bytes = (u128::from(most) * u128::from(quarter) / 4) as u64;
        let anchor = if quarter == 4 { "end" } else { "middle" };
        axes += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x(bytes),
            HEIGHT - 8.0,
            format_bytes(bytes as f64)
        );
    }
    let dots: String = if steps.len() > 40 {
        String::new()
    } else {
        let dot = |s: &TierStep| {
            format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}: {} in slow memory, {} of the accesses</title></circle>",
                x(s.moved_bytes),
                y(s.access_ratio),
                escape(&s.name),
                format_bytes(s.moved_bytes as f64),
                interval(s)
            )
        };
        steps.iter().map(dot).collect()
    };
    format!(
        "<div class=\"chart tiers\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Share of accesses to slow \
         memory against bytes moved there, coldest first\">{axes}<polygon points=\"{start}{upper}{lower}\"/>\
         <path d=\"M{start}{line}\"/>{dots}</svg></div>\n"
    )
}
