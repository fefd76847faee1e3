//! One target.

use ratatui::style::Style;
use waytrace_model::monitor::{HostWindow, Metric, ShareState, TargetWindow};
use waytrace_model::units::format_bytes;

use super::super::columns::By;
use super::super::state::{DEPTH, Frame, State, Tab};
use super::super::text::{bar, count, percent, width as columns_of};
use super::items;
use super::paper::{Paper, Side};
use super::spark::sparkline;

/// Draws its title, the tabs, and one of them.
pub fn draw(paper: &mut Paper<'_>, state: &mut State, frame: &Frame, name: &str, tab: Tab) {
    let theme = paper.theme;
    let width = paper.width();
    let end = paper.put(0, 0, width, name, theme.strong());
    let mut x = end + 1;
    for (one, key, title) in Tab::ALL {
        let style = if one == tab { theme.sorted() } else { theme.quiet() };
        // Narrow screens have room for the keys, and the name of the one that is seen.
        let all: usize = Tab::ALL.iter().map(|(.., title)| title.len() + 3).sum();
        let text =
            if one == tab || end + 1 + all <= width { format!("{key} {title}") } else { key.to_string() };
        x = paper.put(x + 1, 0, text.len(), &text, style);
    }
    let height = paper.height();
    let mut body = paper.rows(1, height);
    let Some(target) = frame.window.targets.iter().find(|target| target.target == name) else {
        body.put(0, 0, width, "no process of it in this window", theme.quiet());
        return;
    };
    let window = &frame.window;
    match tab {
        Tab::Processes => processes(&mut body, state, frame, target),
        Tab::Threads => threads(&mut body, state, window, target),
        Tab::Sites => sites(&mut body, state, window, target),
        Tab::Sizes => sizes(&mut body, state, window, target),
        Tab::Regions => regions(&mut body, state, window, target),
        Tab::Cache => cache(&mut body, state, frame, target),
        Tab::Values => values(&mut body, state, frame, target),
    }
}

/// Why a collector has nothing of a target.
fn reason(window: &HostWindow, target: &TargetWindow, collector: &str) -> String {
    if let Some(reason) = target.absent.get(collector) {
        return reason.clone();
    }
    let share =
        window.collectors.iter().find(|share| share.name == collector && share.state != ShareState::Full);
    match share {
        Some(share) => {
            let why = share.reason.as_deref().unwrap_or("no reason given");
            format!("{collector}: {} ({why})", share.state.as_str())
        }
        None => format!("{collector}: nothing in this window"),
    }
}

fn tell(paper: &mut Paper<'_>, what: &str, reason: &str) {
    let quiet = paper.theme.quiet();
    let width = paper.width();
    paper.put(0, 0, width, what, quiet);
    for (row, line) in wrapped(reason, width).iter().enumerate() {
        paper.put(0, row + 1, width, line, Style::new());
    }
}

/// Lines of whole words, where they fit.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut();
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if columns_of(line) + 1 + columns_of(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn processes(paper: &mut Paper<'_>, state: &mut State, frame: &Frame, target: &TargetWindow) {
    let items = state.processes(frame, target);
    let mut list = state.rows.clone();
    let rows = items::Rows { title: "    PID COMMAND", items: &items, frame, have_past: false };
    items::draw(paper, state, &mut list, &rows);
    state.rows = list;
}

/// Draws the rows that are seen, the marked one among them.
fn rows(
    paper: &mut Paper<'_>,
    state: &mut State,
    title: &str,
    len: usize,
    mut draw: impl FnMut(&mut Paper<'_>, usize, usize),
) {
    let theme = paper.theme;
    paper.put(0, 0, paper.width(), title, theme.title());
    let seen = state.rows.seen(paper.height().saturating_sub(1), len);
    for (row, at) in seen.enumerate() {
        draw(paper, row + 1, at);
        if at == state.rows.cursor {
            paper.paint(row + 1, theme.marked());
        }
    }
}

fn threads(paper: &mut Paper<'_>, state: &mut State, window: &HostWindow, target: &TargetWindow) {
    let threads: Vec<(u32, u32, String, u64)> =
        state.threads(target).iter().map(|one| (one.pid, one.tid, one.name.to_owned(), one.cpu_ns)).collect();
    if threads.is_empty() {
        return tell(paper, "no threads are told one by one", &reason(window, target, "counters"));
    }
    let title = format!("{:>7} {:>7} {:<16} {:>6}", "TID", "PID", "NAME", "CPU%");
    rows(paper, state, &title, threads.len(), |paper, y, at| {
        let Some((pid, tid, name, cpu_ns)) = threads.get(at) else { return };
        let share = *cpu_ns as f64 / window.length_ns.max(1) as f64;
        paper.put_at(Side::Right, 0, y, 7, &tid.to_string(), Style::new());
        paper.put_at(Side::Right, 8, y, 7, &pid.to_string(), Style::new());
        paper.put(16, y, 16, name, Style::new());
        paper.put_at(Side::Right, 33, y, 6, &percent(share * 100.0), Style::new());
        let (room, style) = (paper.width().saturating_sub(40), paper.theme.bar());
        paper.raw(40, y, &bar(share, room, paper.theme.full()), style);
    });
}

fn sites(paper: &mut Paper<'_>, state: &mut State, window: &HostWindow, target: &TargetWindow) {
    if target.sites.is_empty() {
        return tell(paper, "no allocation sites", &reason(window, target, "allocations"));
    }
    let title = format!("{:>9} {:>8} {:>6} {:>7}  SITE", "BYTES/S", "ALLOC/S", "SHARE%", "MEAN");
    let all = target.values.rate(Metric::AllocBytes, window.length_ns);
    let height = paper.height();
    let table = if height > 4 { height - 1 } else { height };
    rows(&mut paper.rows(0, table), state, &title, target.sites.len(), |paper, y, at| {
        let Some(site) = target.sites.get(at) else { return };
        let share = all.filter(|all| *all > 0.0).map(|all| percent(site.bytes_per_s / all * 100.0));
        let mean = if site.alloc_per_s > 0.0 {
            format_bytes(site.bytes_per_s / site.alloc_per_s)
        } else {
            "-".to_owned()
        };
        paper.put_at(Side::Right, 0, y, 9, &format_bytes(site.bytes_per_s), Style::new());
        paper.put_at(Side::Right, 10, y, 8, &count(site.alloc_per_s), Style::new());
        paper.put_at(Side::Right, 19, y, 6, share.as_deref().unwrap_or("-"), Style::new());
        paper.put_at(Side::Right, 26, y, 7, &mean, Style::new());
        paper.put(35, y, paper.width().saturating_sub(35), &site.name, Style::new());
    });
    // The marked one again, for names are long.
    if let (true, Some(site)) = (table < height, target.sites.get(state.rows.cursor)) {
        paper.put(0, table, paper.width(), &site.name, paper.theme.strong());
    }
}

fn sizes(paper: &mut Paper<'_>, state: &mut State, window: &HostWindow, target: &TargetWindow) {
    let sum: f64 = target.sizes.iter().sum();
    if target.sizes.is_empty() || sum <= 0.0 {
        return tell(paper, "no sizes of blocks", &reason(window, target, "allocations"));
    }
    let first = target.sizes.iter().position(|bytes| *bytes > 0.0).unwrap_or(0);
    let last = target.sizes.iter().rposition(|bytes| *bytes > 0.0).unwrap_or(0);
    let most = target.sizes.iter().copied().fold(0.0, f64::max);
    let title = format!("{:>7}    {:<8} {:>8} {:>6}", "FROM", "TO BELOW", "BYTES", "SHARE%");
    rows(paper, state, &title, last - first + 1, |paper, y, at| {
        let Some(bytes) = target.sizes.get(first + at) else { return };
        let edge = |power: usize| format_bytes(2f64.powi(i32::try_from(power).unwrap_or(i32::MAX)));
        paper.put_at(Side::Right, 0, y, 7, &edge(first + at), Style::new());
        paper.put_at(Side::Right, 11, y, 8, &edge(first + at + 1), Style::new());
        paper.put_at(Side::Right, 20, y, 8, &format_bytes(*bytes), Style::new());
        paper.put_at(Side::Right, 29, y, 6, &percent(bytes / sum * 100.0), Style::new());
        let (room, style) = (paper.width().saturating_sub(36), paper.theme.bar());
        paper.raw(36, y, &bar(bytes / most, room, paper.theme.full()), style);
    });
}

fn regions(paper: &mut Paper<'_>, state: &mut State, window: &HostWindow, target: &TargetWindow) {
    if target.regions.is_empty() {
        return tell(paper, "no sampled memory accesses", &reason(window, target, "accesses"));
    }
    let title = format!("{:>6} {:>6}  {:<20}  REGION", "SHARE%", "STORE%", "");
    rows(paper, state, &title, target.regions.len(), |paper, y, at| {
        let Some(region) = target.regions.get(at) else { return };
        paper.put_at(Side::Right, 0, y, 6, &percent(region.share_ratio * 100.0), Style::new());
        paper.put_at(Side::Right, 7, y, 6, &percent(region.store_ratio * 100.0), Style::new());
        let style = paper.theme.bar();
        paper.raw(15, y, &bar(region.share_ratio, 20, paper.theme.full()), style);
        paper.put(37, y, paper.width().saturating_sub(37), &region.name, Style::new());
    });
}

/// Metrics of the cache, and which collector has them.
const CACHE: [(Metric, &str); 6] = [
    (Metric::LlcOccupancy, "cache"),
    (Metric::MemoryTraffic, "cache"),
    (Metric::LocalTraffic, "cache"),
    (Metric::CacheMisses, "events"),
    (Metric::Instructions, "events"),
    (Metric::Cycles, "events"),
];

fn cache(paper: &mut Paper<'_>, state: &State, frame: &Frame, target: &TargetWindow) {
    let theme = paper.theme;
    let window = &frame.window;
    paper.put(0, 0, paper.width(), &format!("{:<26} {:>9}", "CACHE", "NOW"), theme.title());
    let mut y = 1;
    for (metric, collector) in CACHE {
        past_line(paper, y, state, frame, target, metric, &reason(window, target, collector));
        y += 1;
    }
    let per = |above, below| {
        let (above, below) = (target.values.get(above)?, target.values.get(below)?);
        (below > 0.0).then(|| above / below)
    };
    for (name, ratio) in [
        ("instructions per cycle", per(Metric::Instructions, Metric::Cycles)),
        (
            "misses per 1000 instr.",
            per(Metric::CacheMisses, Metric::Instructions).map(|ratio| ratio * 1000.0),
        ),
    ] {
        if let Some(ratio) = ratio {
            paper.put(0, y, 26, name, Style::new());
            paper.put_at(Side::Right, 27, y, 9, &format!("{ratio:.2}"), Style::new());
            y += 1;
        }
    }
}

/// A metric now and in the last windows, or why there is none.
fn past_line(
    paper: &mut Paper<'_>,
    y: usize,
    state: &State,
    frame: &Frame,
    target: &TargetWindow,
    metric: Metric,
    reason: &str,
) {
    let width = paper.width();
    let theme = paper.theme;
    paper.put(0, y, 26, metric.name(), Style::new());
    let by = By::Metric(metric);
    match target.values.rate(metric, frame.window.length_ns) {
        Some(rate) => {
            paper.put_at(Side::Right, 27, y, 9, &by.with_unit(rate), Style::new());
            let room = width.saturating_sub(38).min(DEPTH);
            let rates = state.history.rates(&target.target, metric, frame.number, room);
            paper.raw(38, y, &sparkline(&rates, theme), theme.bar());
        }
        None => {
            paper.put(38, y, width.saturating_sub(38), reason, theme.quiet());
        }
    }
}

/// The collector that would have a metric.
fn collector(metric: Metric) -> &'static str {
    match metric {
        Metric::MmapBytes | Metric::MunmapBytes => "mappings",
        Metric::AllocCount | Metric::AllocBytes | Metric::FreeCount | Metric::FreedBytes | Metric::Probed => {
            "allocations"
        }
        Metric::Samples | Metric::Stores | Metric::WorkingSet => "accesses",
        Metric::Cycles | Metric::Instructions | Metric::CacheMisses => "events",
        Metric::LlcOccupancy | Metric::MemoryTraffic | Metric::LocalTraffic => "cache",
        _ => "counters",
    }
}

fn values(paper: &mut Paper<'_>, state: &mut State, frame: &Frame, target: &TargetWindow) {
    let window = &frame.window;
    let theme = paper.theme;
    let others: Vec<(&String, &String)> = target.absent.iter().collect();
    let mut list = state.rows.clone();
    let len = Metric::ALL.len() + others.len();
    paper.put(0, 0, paper.width(), &format!("{:<26} {:>9}", "METRIC", "NOW"), theme.title());
    for (row, at) in list.seen(paper.height().saturating_sub(1), len).enumerate() {
        if let Some(&metric) = Metric::ALL.get(at) {
            past_line(
                paper,
                row + 1,
                state,
                frame,
                target,
                metric,
                &reason(window, target, collector(metric)),
            );
        } else if let Some((name, why)) = others.get(at - Metric::ALL.len()) {
            paper.put(0, row + 1, paper.width(), &format!("no {name}: {why}"), theme.quiet());
        }
        if at == list.cursor {
            paper.paint(row + 1, theme.marked());
        }
    }
    state.rows = list;
}
