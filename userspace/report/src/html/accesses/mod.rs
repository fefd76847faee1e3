//! The section on sampled memory accesses: where samples come from and how far to trust them, then what they say of
//! mappings, sites, code, shared lines and slow memory. Its tables need no JavaScript.

mod code;
mod sharing;
mod tables;
mod tiers;

use waytrace_model::access::Source;
use waytrace_model::access_report::AccessReport;
use waytrace_model::allocation::Mode;
use waytrace_model::report::RunReport;
use waytrace_model::stack::Frame;
use waytrace_model::units::{format_bytes, format_count};

use crate::access_words::{frame_label, kept, reason, resolved_pct, share_pct, source_name, total};
use crate::markup::escape;
use crate::text::percent;

/// Links to the sections; nothing where accesses were not sampled.
pub fn links(own: Option<&AccessReport>) -> &'static str {
    if own.is_some() { "<a href=\"#heat\">Heat map</a><a href=\"#accesses\">Accesses</a>" } else { "" }
}

/// The sections; nothing where accesses were not sampled.
pub fn section(report: &RunReport) -> String {
    let Some(own) = &report.accesses else { return String::new() };
    let is_exact = report.allocations.as_ref().and_then(|own| own.mode) == Some(Mode::Exact);
    format!(
        "<section id=\"heat\"><h2>Accesses over time and addresses</h2><div class=\"body\"></div></section>\n\
         <section id=\"accesses\"><h2>Memory accesses</h2>\n{}{}<h3>Working set over time</h3>\n\
         <div class=\"body\"></div>\n{}{}{}{}</section>",
        facts(own),
        tables::regions(own),
        tables::sites(own, is_exact),
        code::functions(own),
        sharing::suspects(own),
        tiers::advice(own),
    )
}

fn facts(own: &AccessReport) -> String {
    let rate = own.rate_hz.map(|hz| format!("; {} a second of CPU time asked for", format_count(hz)));
    let mut rows = vec![
        ("Source", format!("{}{}", source_name(own.source), rate.unwrap_or_default())),
        ("Bias", own.bias.clone()),
        ("Samples", format!("{} of user code", format_count(own.samples as f64))),
    ];
    if own.kernel_samples > 0 {
        let kernel = format_count(own.kernel_samples as f64);
        rows.push(("In the kernel", format!("{kernel} more ticks, where no user code accesses anything")));
    }
    if let Some(pct) = resolved_pct(own) {
        let text = format!("{} ({}): the access is known", format_count(own.resolved as f64), percent(pct));
        rows.push(("Resolved", text));
    }
    if own.source == Source::ForwardWalk {
        rows.push(("Confirmed", confirmed(own)));
    }
    let mut unresolved: Vec<(&String, &u64)> =
        own.unresolved.iter().filter(|(_, count)| **count > 0).collect();
    unresolved.sort_by_key(|(kind, count)| (std::cmp::Reverse(**count), *kind));
    for (at, (kind, count)) in unresolved.into_iter().enumerate() {
        let pct = percent(share_pct(*count, own.samples));
        let term = if at == 0 { "Unresolved" } else { "" };
        rows.push((term, format!("{} ({pct}): {}", format_count(*count as f64), reason(kind))));
    }
    if own.throttled > 0 {
        let times = format_count(own.throttled as f64);
        rows.push(("Held back", format!("the kernel throttled sampling {times} times")));
    }
    rows.extend(kept(own).map(|text| ("Kept", text)));
    let seen = own.working_set;
    let (pages, lines) = (seen.pages.saturating_mul(4096), seen.lines.saturating_mul(64));
    rows.push((
        "Seen in use",
        format!(
            "{} in {} pages and {} in {} lines at least: what no sample fell on is not counted",
            format_bytes(pages as f64),
            format_count(seen.pages as f64),
            format_bytes(lines as f64),
            format_count(seen.lines as f64)
        ),
    ));
    rows.push(("Accesses", format!("{} are stores", percent(share_pct(own.stores, total(own))))));
    rows.extend(own.null_reason.clone().map(|text| ("Not known", text)));
    let rows: String = rows.iter().map(|(term, text)| super::facts::definition(term, text)).collect();
    format!("<dl class=\"facts\">\n{rows}</dl>\n")
}

fn confirmed(own: &AccessReport) -> String {
    match own.confirmed_ratio {
        Some(ratio) => format!(
            "{} of {} walks that were compared with the processor",
            percent(100.0 * ratio),
            format_count(own.checked as f64)
        ),
        None => "no walk was compared with the processor".to_owned(),
    }
}

/// A table with named columns; the first is text, the others numbers. Cells are HTML.
fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    let rows: String = rows.iter().map(|cells| format!("<tr>{}</tr>\n", cells.concat())).collect();
    format!(
        "<div class=\"scroll\"><table class=\"rows\">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn cell(text: &str) -> String {
    format!("<td>{}</td>", escape(text))
}

/// A share with a bar behind it.
fn share_cell(pct: f64) -> String {
    format!("<td class=\"share\" style=\"--share:{:.2}%\">{}</td>", pct.clamp(0.0, 100.0), percent(pct))
}

/// The innermost function, where it is, and what it was inlined into.
fn frames_html(frames: &[Frame]) -> String {
    let Some(first) = frames.first() else { return "<span class=\"place\">not known</span>".to_owned() };
    let place = match (&first.file, first.line) {
        (Some(file), Some(line)) => Some(format!("{file}:{line}")),
        (file, _) => file.clone(),
    };
    let into = frames.get(1).filter(|_| first.inlined).map(|outer| format!("inlined into {}", outer.label()));
    let rest: Vec<String> = place.into_iter().chain(first.module.clone()).chain(into).collect();
    format!(
        "<span class=\"mono\">{}</span> <span class=\"place\">{}</span>",
        escape(&frame_label(first)),
        escape(&rest.join(" · "))
    )
}

/// What a cut list leaves out.
fn omitted(all: usize, shown: usize, what: &str) -> String {
    if all <= shown {
        return String::new();
    }
    format!("<p class=\"note\">{} {what} with fewer accesses are not shown.</p>\n", all - shown)
}
