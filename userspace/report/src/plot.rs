//! The heat map as a picture that stands alone: time × address in SVG, readable on paper, and of bounded size whatever the
//! run. Cells lie on a grid of at most 240 × 160; what is drawn is what the page's heat map shows before anybody zooms.

mod cells;
mod frame;

use std::fmt::Write as _;
use std::io::Write;

use waytrace_model::access::Access;
use waytrace_model::allocation::TracedAllocation;
use waytrace_model::detail::RunDetail;
use waytrace_model::units::{format_bytes, format_count};

use crate::heat::Heat;
use crate::largest::Largest;
use crate::{Cause, Error, View, access_words};
use cells::Grid;
use frame::Frame;

/// The largest blocks are drawn; more make no picture.
const BLOCKS_MAX: usize = 2_000;
/// Samples kept for the grid.
const POINTS_MAX: usize = 1_000_000;

/// Draws what `view` shows of `accesses`, and behind it the lives of the traced allocations.
///
/// # Errors
/// [`Error::NoAccesses`] when `view` shows none, [`Error::Read`] when `traced` fails, [`Error::ReadAccesses`] when
/// `accesses` does, [`Error::Write`] when `out` does.
pub fn write<E: Into<Cause>, F: Into<Cause>>(
    detail: &RunDetail,
    traced: impl Iterator<Item = Result<TracedAllocation, E>>,
    accesses: impl Iterator<Item = Result<Access, F>>,
    view: &View,
    out: &mut impl Write,
) -> Result<(), Error> {
    let largest = Largest::of(traced, detail.report.run.duration_ns, BLOCKS_MAX)?;
    let nothing = || Error::NoAccesses { run: detail.report.run.name.clone() };
    let heat = Heat::of(detail, &largest.drawn, accesses, view, POINTS_MAX)?.ok_or_else(nothing)?;
    let frame = Frame::of(&heat, view);
    let grid = Grid::of(&heat, view);
    let mut svg = frame.head(&title(detail, &heat));
    blocks(&mut svg, &heat, &frame);
    grid.draw(&mut svg, &frame);
    frame.axes(&mut svg, &heat);
    frame.legend(&mut svg, &legend(&heat, &grid), !heat.blocks.is_empty());
    svg.push_str("</svg>\n");
    out.write_all(svg.as_bytes()).map_err(Error::writing("svg"))
}

/// What is shown, then where it comes from.
fn title(detail: &RunDetail, heat: &Heat) -> [String; 2] {
    let report = &detail.report;
    let shown = match heat.points.cuts {
        0 => format!("{} samples", format_count(heat.points.count as f64)),
        _ => format!(
            "{} of {} samples, chosen evenly",
            format_count(heat.points.list.len() as f64),
            format_count(heat.points.count as f64)
        ),
    };
    let source = report.accesses.as_ref().map(|own| format!("; {}", access_words::source_name(own.source)));
    [
        format!(
            "Memory accesses of {} [{}], run {}",
            report.target.comm, report.target.tgid, report.run.name
        ),
        format!(
            "{shown} over {} of addresses in use{}",
            format_bytes(heat.space.used_bytes() as f64),
            source.unwrap_or_default()
        ),
    ]
}

fn legend(heat: &Heat, grid: &Grid) -> String {
    let gaps = if heat.space.stretches.len() > 1 {
        format!("; gaps over {} cut out (dashed)", format_bytes(heat.space.gap_bytes as f64))
    } else {
        String::new()
    };
    format!(
        "a cell is {} × {}, up to {} accesses{gaps}",
        waytrace_model::units::format_ns(grid.wide_ns as f64),
        format_bytes(grid.tall as f64),
        format_count(grid.most)
    )
}

fn blocks(svg: &mut String, heat: &Heat, frame: &Frame) {
    svg.push_str("<g fill=\"#2a9c72\" fill-opacity=\"0.2\">\n");
    for block in &heat.blocks {
        let (x, right) = (frame.x(block.from_ns.max(heat.from_ns)), frame.x(block.to_ns.min(heat.to_ns)));
        let (y, bottom) = (frame.y(block.to), frame.y(block.from));
        let (wide, tall) = ((right - x).max(0.7), (bottom - y).max(0.7));
        // A String takes everything.
        let _ = writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>");
    }
    svg.push_str("</g>\n");
}
