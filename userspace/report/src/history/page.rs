//! The history as a self-contained page without scripts: figures, a chart for each metric, sites, alerts, gaps.

use waytrace_model::monitor::{Metric, MetricHistory, RecordingLink, TargetHistory};
use waytrace_model::units::{format_bytes, format_ns};

use super::chart::chart;
use super::terminal::{quantity, span, time};
use crate::markup::escape;

const STYLE: &str = include_str!("../html/page/style.css");
const OWN_STYLE: &str = "\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:14px 22px}\
figure{margin:0;max-width:720px}figcaption{display:flex;gap:.8em;justify-content:space-between;align-items:baseline}\
figcaption small{color:var(--soft)}figure svg{width:100%;height:auto;display:block}\
figure p{margin:0;color:var(--soft);font-size:.84rem}\
svg text{font-size:11px;fill:var(--soft)}svg .y{text-anchor:end}.grid{stroke:var(--grid);fill:none}\
.line{stroke:var(--c0);stroke-width:1.6;fill:none}.area{fill:var(--c0);opacity:.13}.alert{fill:var(--bad);opacity:.16}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}\
td,th{padding:3px 14px 3px 0;text-align:right;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums;white-space:nowrap}\
th{color:var(--soft);font-weight:600}td.w,th.w{text-align:left;white-space:normal;overflow-wrap:break-word;min-width:5em}";

/// Charts stand in groups: a title, and which metrics.
const GROUPS: [(&str, &[Metric]); 5] = [
    (
        "CPU",
        &[
            Metric::Cpu,
            Metric::RunQueue,
            Metric::OffCpu,
            Metric::VoluntarySwitches,
            Metric::InvoluntarySwitches,
            Metric::Migrations,
        ],
    ),
    (
        "Memory",
        &[
            Metric::Rss,
            Metric::Mapped,
            Metric::MmapBytes,
            Metric::MunmapBytes,
            Metric::MinorFaults,
            Metric::MajorFaults,
        ],
    ),
    (
        "Allocations",
        &[Metric::AllocBytes, Metric::FreedBytes, Metric::AllocCount, Metric::FreeCount, Metric::Probed],
    ),
    (
        "Accesses and caches",
        &[
            Metric::WorkingSet,
            Metric::Stores,
            Metric::Samples,
            Metric::LlcOccupancy,
            Metric::MemoryTraffic,
            Metric::LocalTraffic,
            Metric::CacheMisses,
            Metric::Cycles,
            Metric::Instructions,
        ],
    ),
    ("The target", &[Metric::Processes, Metric::Threads, Metric::Overhead]),
];

/// The page.
pub fn page(history: &TargetHistory) -> String {
    let title = format!("{} – history", history.target);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>{STYLE}{OWN_STYLE}</style>\n\
         <header class=\"page\"><h1>{}</h1>\n<p class=\"when\">{}</p>\n{}</header>\n<main>\n{}{}{}{}{}{}{}</main>\n</html>\n",
        escape(&title),
        escape(&history.target),
        escape(&span(&history.range, history.windows)),
        tiles(history),
        alerts(history),
        GROUPS.iter().map(|(name, metrics)| group(history, name, metrics)).collect::<String>(),
        figures(history),
        sites(history),
        regions(history),
        processes(history),
        missing(history),
    )
}

fn tiles(history: &TargetHistory) -> String {
    let mean = |metric: Metric| history.metrics.iter().find(|one| one.metric == metric);
    let mut tiles = vec![("Measured", format_ns(history.covered_ns as f64), String::new())];
    for (name, metric) in [
        ("CPU", Metric::Cpu),
        ("Resident", Metric::Rss),
        ("Allocated", Metric::AllocBytes),
        ("Waiting for a CPU", Metric::RunQueue),
    ] {
        if let Some(one) = mean(metric) {
            let most = format!("at most {}", quantity(metric, one.max));
            tiles.push((name, quantity(metric, one.mean), most));
        }
    }
    tiles.push(("Alerts", history.alerts.len().to_string(), String::new()));
    let tile = |(name, value, note): &(&str, String, String)| {
        format!(
            "<div class=\"tile\"><dt>{name}</dt><dd>{}<small>{}</small></dd></div>",
            escape(value),
            escape(note)
        )
    };
    format!("<dl class=\"tiles\">{}</dl>\n", tiles.iter().map(tile).collect::<String>())
}

fn section(title: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<section><h2>{title}</h2>\n{content}</section>\n")
}

fn group(history: &TargetHistory, name: &str, metrics: &[Metric]) -> String {
    let figure = |one: &MetricHistory| {
        format!(
            "<figure><figcaption><h3>{}</h3><small>mean {}, {} to {}</small></figcaption>\n{}<p>{}</p></figure>\n",
            one.metric.name(),
            escape(&quantity(one.metric, one.mean)),
            escape(&quantity(one.metric, one.min)),
            escape(&quantity(one.metric, one.max)),
            chart(history, one),
            escape(one.metric.help())
        )
    };
    let there = metrics.iter().filter_map(|metric| history.metrics.iter().find(|one| one.metric == *metric));
    let figures: String = there.map(figure).collect();
    if figures.is_empty() {
        return String::new();
    }
    section(name, &format!("<div class=\"charts\">\n{figures}</div>\n"))
}

fn alerts(history: &TargetHistory) -> String {
    let row = |alert: &waytrace_model::monitor::Alert| {
        let until = alert.ended.map_or_else(|| "holds".to_owned(), |end| time(end.at_unix_ns));
        let recording = match &alert.recording {
            RecordingLink::None => "–".to_owned(),
            RecordingLink::Running => "under way".to_owned(),
            RecordingLink::Run(name) => format!("<code>{}</code>", escape(name)),
            RecordingLink::Failed(why) => escape(why),
        };
        format!(
            "<tr><td class=\"w\">{}<td class=\"w\">{}<td class=\"w\">{until}<td class=\"w\"><code>{}</code><br>{}<td class=\"w\">{recording}\n",
            escape(&alert.rule),
            time(alert.began_unix_ns),
            escape(&alert.when),
            escape(&alert.detail)
        )
    };
    let rows: String = history.alerts.iter().map(row).collect();
    let head = ["Rule", "Began", "Ended", "Condition", "Recording"];
    section("Alerts", &table(&head.map(|name| (name, true)), &rows))
}

/// A table; of each column its title, and whether it is of words.
fn table(columns: &[(&str, bool)], rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head: String = columns
        .iter()
        .map(|(name, words)| format!("<th{}>{name}", if *words { " class=\"w\"" } else { "" }))
        .collect();
    format!("<div class=\"scroll\"><table>\n<tr>{head}\n{rows}</table></div>\n")
}

fn figures(history: &TargetHistory) -> String {
    let row = |one: &MetricHistory| {
        let [mean, min, max] = [one.mean, one.min, one.max].map(|value| escape(&quantity(one.metric, value)));
        let measured = format_ns(one.covered_ns as f64);
        format!(
            "<tr><td class=\"w\"><code>{}</code><td>{mean}<td>{min}<td>{max}<td>{measured}\n",
            one.metric.name()
        )
    };
    let rows: String = history.metrics.iter().map(row).collect();
    let columns = [("Metric", true), ("Mean", false), ("Least", false), ("Most", false), ("Measured", false)];
    section("Figures", &table(&columns, &rows))
}

fn sites(history: &TargetHistory) -> String {
    let row = |site: &waytrace_model::monitor::SiteTotal| {
        let name = site
            .name
            .as_deref()
            .map_or_else(|| "all others".to_owned(), |name| format!("<code>{}</code>", escape(name)));
        let (rate, bytes) = (format_bytes(site.bytes_per_s), format_bytes(site.alloc_bytes));
        format!("<tr><td class=\"w\">{name}<td>{rate}/s<td>{bytes}\n")
    };
    let rows: String = history.sites.iter().map(row).collect();
    let columns = [("Allocated by", true), ("Rate", false), ("Bytes", false)];
    section("Allocation sites", &table(&columns, &rows))
}

fn regions(history: &TargetHistory) -> String {
    let row = |region: &waytrace_model::monitor::RegionTotal| {
        let name = region
            .name
            .as_deref()
            .map_or_else(|| "all others".to_owned(), |name| format!("<code>{}</code>", escape(name)));
        let (share, stores) = (region.share_ratio * 100.0, region.store_ratio * 100.0);
        format!("<tr><td class=\"w\">{name}<td>{share:.1}%<td>{stores:.1}%\n")
    };
    let rows: String = history.regions.iter().map(row).collect();
    let columns = [("Region", true), ("Of accesses", false), ("Of these, stores", false)];
    section("Memory accessed", &table(&columns, &rows))
}

fn processes(history: &TargetHistory) -> String {
    let row = |one: &waytrace_model::monitor::ProcessSeen| {
        let (first, last) = (time(one.first_seen_unix_ns), time(one.last_seen_unix_ns));
        format!(
            "<tr><td>{}<td class=\"w\">{}<td class=\"w\">{first}<td class=\"w\">{last}\n",
            one.pid,
            escape(&one.comm)
        )
    };
    let rows: String = history.processes.iter().take(50).map(row).collect();
    let columns = [("PID", false), ("Command", true), ("First seen", true), ("Last seen", true)];
    section("Processes", &table(&columns, &rows))
}

fn missing(history: &TargetHistory) -> String {
    let gap = |gap: &waytrace_model::monitor::Gap| {
        let length = format_ns(gap.to_unix_ns.saturating_sub(gap.from_unix_ns) as f64);
        format!("<li>{} for {length}: {}\n", time(gap.from_unix_ns), gap.why.as_str())
    };
    let mut items: Vec<String> = history.gaps.iter().take(50).map(gap).collect();
    let more = history.gaps.len().saturating_sub(items.len());
    if more > 0 {
        items.push(format!("<li>and {more} more gaps\n"));
    }
    let absent = history.absent.iter();
    items.extend(absent.map(|(name, why)| format!("<li>{}: {}\n", escape(name), escape(why))));
    if items.is_empty() {
        return String::new();
    }
    section("Not measured", &format!("<ul>\n{}</ul>\n", items.concat()))
}
