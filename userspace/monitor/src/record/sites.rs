//! Which sites a recording blames.

use waytrace_model::report::{RunReport, SiteReport};
use waytrace_model::units::format_bytes;

/// Functions of a path that are told, innermost first.
const FRAMES: usize = 4;

/// The sites with the most bytes live at the end, one line each: those a leak grows at. Where live bytes are not known (not
/// recorded exactly), those that allocated most, which says so.
pub fn named_sites(report: &RunReport, most: usize) -> Vec<String> {
    named(report.allocations.as_ref().map(|own| own.sites.as_slice()).unwrap_or_default(), most)
}

pub(super) fn named(sites: &[SiteReport], most: usize) -> Vec<String> {
    let is_exact = sites.iter().any(|site| site.live_bytes.is_some());
    let bytes = |site: &SiteReport| match site.live_bytes {
        Some(live) => live as f64,
        None if is_exact => 0.0,
        None => site.alloc_bytes,
    };
    let mut named: Vec<(f64, String)> =
        sites.iter().map(|site| (bytes(site), path(site))).filter(|(bytes, _)| *bytes > 0.0).collect();
    named.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    let what = if is_exact { "live" } else { "allocated" };
    named
        .into_iter()
        .take(most)
        .map(|(bytes, path)| format!("{} {what}: {path}", format_bytes(bytes)))
        .collect()
}

/// The immediate caller with its line, and who called it.
fn path(site: &SiteReport) -> String {
    let mut names: Vec<String> = Vec::new();
    for (position, frame) in site.frames.iter().enumerate().take(FRAMES) {
        let place = match (position, &frame.file, frame.line) {
            (0, Some(file), Some(line)) => format!(" ({}:{line})", file.rsplit('/').next().unwrap_or(file)),
            _ => String::new(),
        };
        names.push(format!("{}{place}", frame.label()));
    }
    if names.is_empty() { "unknown caller".to_owned() } else { names.join(" < ") }
}
