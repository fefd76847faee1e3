//! The sites that allocated most bytes, with their frames innermost first.

use waytrace_model::allocation::Mode;
use waytrace_model::report::{AllocationReport, RunReport, SiteReport};
use waytrace_model::stack::Frame;
use waytrace_model::units::{format_bytes, format_count};

use super::Page;
use crate::text::{cut_function, cut_middle, flow, percent, plain};

const SITES_MAX: usize = 8;
const FRAME_LINES_MAX: usize = 2;
const FUNCTION_WIDTH: usize = 38;
const INDENT: usize = 6;

pub fn section(page: &mut Page, report: &RunReport) {
    let Some(allocations) = report.allocations.as_ref().filter(|own| !own.sites.is_empty()) else { return };
    page.blank();
    let shown = allocations.sites.len().min(SITES_MAX);
    page.line(&format!(
        "top sites     bytes   share      calls       live  {shown} of {}; innermost first",
        allocations.sites.len()
    ));
    for (index, site) in allocations.sites.iter().take(SITES_MAX).enumerate() {
        entry(page, allocations, index, site);
    }
}

fn entry(page: &mut Page, allocations: &AllocationReport, index: usize, site: &SiteReport) {
    let mark = if allocations.mode.is_some_and(Mode::is_estimate) { "~" } else { "" };
    let share =
        allocations.alloc_bytes.filter(|total| *total > 0.0).map(|total| 100.0 * site.alloc_bytes / total);
    let bytes = format!("{mark}{}", format_bytes(site.alloc_bytes));
    let count = format!("{mark}{}", format_count(site.alloc_count));
    let live = site.live_bytes.map_or_else(|| "-".to_owned(), |live| format_bytes(live as f64));
    let share = share.map_or_else(|| "-".to_owned(), percent);
    page.line(&format!("{:>4}. {bytes:>13} {share:>7} {count:>10} {live:>10}  {}", index + 1, place(site)));
    let names: Vec<String> =
        site.frames.iter().map(|frame| cut_function(&plain(&frame.label()), FUNCTION_WIDTH)).collect();
    if names.is_empty() {
        page.line(&format!("{:INDENT$}caller not known", ""));
    }
    for line in flow(&names, " ← ", page.width - INDENT, FRAME_LINES_MAX) {
        page.line(&format!("{:INDENT$}{line}", ""));
    }
}

/// Where the immediate caller is: source line if known, else its module.
fn place(site: &SiteReport) -> String {
    let Some(Frame { module, file, line, .. }) = site.frames.first() else { return String::new() };
    let base = |path: &str| plain(path.rsplit('/').next().unwrap_or(path));
    match (file, line, module) {
        (Some(file), Some(line), _) => format!("{}:{line}", cut_middle(&base(file), 20)),
        (Some(file), None, _) => cut_middle(&base(file), 26),
        (None, _, Some(module)) => cut_middle(&base(module), 26),
        _ => String::new(),
    }
}
