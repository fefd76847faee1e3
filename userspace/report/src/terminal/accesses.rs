//! Sampled accesses of the summary: how far to trust them, then the mappings and functions with most, sites whose live
//! memory is hardly used, and lines that look falsely shared.

use waytrace_model::access_report::{AccessReport, SharedLine, SiteAccesses};
use waytrace_model::report::RunReport;
use waytrace_model::stack::Frame;
use waytrace_model::units::{format_bytes, format_count};

use super::{Page, padded};
use crate::access_words::{self, Judge, Temperature, share_pct, total};
use crate::text::{cells, cut_function, cut_middle, percent, plain};

const REGIONS_MAX: usize = 5;
const FUNCTIONS_MAX: usize = 5;
const IDLE_MAX: usize = 4;
const SUSPECTS_MAX: usize = 3;
const NAME_WIDTH: usize = 34;

pub fn section(page: &mut Page, report: &RunReport) {
    let Some(own) = &report.accesses else { return };
    page.blank();
    page.labelled("accesses", &format!("{}: {}", own.source.as_str(), access_words::trust(own)));
    page.labelled("  bias", &own.bias);
    unresolved(page, own);
    if let Some(counted) = &own.aggregate {
        page.labelled("  counted", &access_words::aggregate(counted));
    }
    if own.throttled > 0 {
        let times = format_count(own.throttled as f64);
        page.labelled("  held back", &format!("the kernel throttled sampling {times} times"));
    }
    if let Some(kept) = access_words::kept(own) {
        page.labelled("  kept", &kept);
    }
    if let Some(reason) = &own.null_reason {
        page.labelled("  not known", reason);
    }
    if total(own) == 0 {
        return;
    }
    let (pages, lines) = (own.working_set.pages, own.working_set.lines);
    page.labelled(
        "  seen",
        &format!(
            "{} stores; at least {} in pages, {} in lines in use",
            percent(share_pct(own.stores, total(own))),
            format_bytes(pages as f64 * 4096.0),
            format_bytes(lines as f64 * 64.0)
        ),
    );
    regions(page, own);
    functions(page, own);
    idle(page, own);
    suspects(page, own);
}

fn unresolved(page: &mut Page, own: &AccessReport) {
    let most = own.unresolved.iter().filter(|(_, count)| **count > 0).max_by_key(|(_, count)| **count);
    let Some((kind, count)) = most else { return };
    let pct = percent(share_pct(*count, own.samples));
    page.labelled("  unresolved", &format!("mostly ({pct}): {}", access_words::reason(kind)));
}

/// A line with a name, its share of accesses and how many of its own are stores.
fn row(page: &mut Page, own: &AccessReport, name: &str, (loads, stores): (u64, u64), rest: &str) {
    let made = loads.saturating_add(stores);
    page.line(&format!(
        "    {} {:>6} {:>7} stores  {rest}",
        padded(&cut_middle(name, NAME_WIDTH), NAME_WIDTH),
        percent(share_pct(made, total(own))),
        percent(share_pct(stores, made))
    ));
}

fn heading(page: &mut Page, name: &str, shown: usize, all: usize) {
    let more = if all > shown { format!(", {shown} of {all}") } else { String::new() };
    page.line(&format!("  {name}{more}"));
}

fn regions(page: &mut Page, own: &AccessReport) {
    let touched: Vec<_> = own.regions.iter().filter(|region| region.loads + region.stores > 0).collect();
    if touched.is_empty() {
        return;
    }
    heading(page, "mappings", touched.len().min(REGIONS_MAX), touched.len());
    for region in touched.into_iter().take(REGIONS_MAX) {
        let pages = region.working_set.pages;
        let seen = format!("{} page{}", format_count(pages as f64), if pages == 1 { "" } else { "s" });
        let huge = match region.huge_bytes.unwrap_or(0) {
            0 => String::new(),
            bytes => format!(", {} huge", format_bytes(bytes as f64)),
        };
        row(page, own, &plain(&region.name), (region.loads, region.stores), &format!("{seen}{huge}"));
    }
}

fn functions(page: &mut Page, own: &AccessReport) {
    if own.functions.is_empty() {
        return;
    }
    heading(page, "functions", own.functions.len().min(FUNCTIONS_MAX), own.functions.len());
    for function in own.functions.iter().take(FUNCTIONS_MAX) {
        let line = function.lines.first().map(|line| {
            let file = plain(line.file.rsplit('/').next().unwrap_or(&line.file));
            format!("{}:{}", cut_middle(&file, 14), line.line)
        });
        let made = (function.loads, function.stores);
        row(page, own, &name(&function.frames), made, &line.unwrap_or_default());
    }
}

fn name(frames: &[Frame]) -> String {
    frames.first().map_or_else(
        || "not known".to_owned(),
        |frame| cut_function(&plain(&access_words::frame_label(frame)), NAME_WIDTH),
    )
}

/// Sites with most live memory that is cold or was never touched.
fn idle(page: &mut Page, own: &AccessReport) {
    let judge = Judge::of(own);
    let mut idle: Vec<(&SiteAccesses, Temperature)> = own
        .sites
        .iter()
        .filter_map(|site| Some((site, judge.temperature(site)?)))
        .filter(|(_, heat)| matches!(heat, Temperature::Cold | Temperature::Untouched))
        .collect();
    if idle.is_empty() {
        return;
    }
    idle.sort_by_key(|(site, _)| std::cmp::Reverse(site.live_bytes));
    heading(page, "live but hardly used", idle.len().min(IDLE_MAX), idle.len());
    for (site, heat) in idle.into_iter().take(IDLE_MAX) {
        let bytes = site.live_bytes.unwrap_or(0);
        let live = format_bytes(bytes as f64);
        let untouched = match site.untouched_bytes {
            Some(untouched) if untouched >= bytes => ", all of it never touched".to_owned(),
            Some(untouched) if untouched > 0 => format!(", {} never touched", format_bytes(untouched as f64)),
            _ => String::new(),
        };
        page.line(&format!(
            "    {} {:<6} {live:>8}{untouched}",
            padded(&name(&site.frames), NAME_WIDTH),
            if heat == Temperature::Cold { "cold" } else { "unused" }
        ));
    }
}

fn suspects(page: &mut Page, own: &AccessReport) {
    if own.sharing.is_empty() {
        return;
    }
    heading(page, "false-sharing suspects", own.sharing.len().min(SUSPECTS_MAX), own.sharing.len());
    for line in own.sharing.iter().take(SUSPECTS_MAX) {
        let mut threads: Vec<u32> = line.words.iter().map(|word| word.tid).collect();
        threads.sort_unstable();
        threads.dedup();
        let made = (line.loads, line.stores);
        row(page, own, &place(line), made, &format!("{} threads", threads.len()));
    }
}

fn place(line: &SharedLine) -> String {
    let whose = match line.frames.first() {
        Some(_) => name(&line.frames),
        None => plain(&line.region),
    };
    let address = format!("{:#x}", line.address);
    let room = NAME_WIDTH.saturating_sub(cells(&address) + 1);
    format!("{address} {}", cut_middle(&whose, room))
}
