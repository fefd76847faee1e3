//! The curves as a self-contained page without scripts: the picture, what is read off, all figures, and how they came about.

use waytrace_model::sweep_curve::{CurvePoint, Estimate, SweepReport};
use waytrace_model::units::{format_bytes, format_ns};

use super::svg::untitled;
use super::{number, readings, subtitle, title};
use crate::markup::escape;

const STYLE: &str = "body{font:14px/1.45 system-ui,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif;color:#1c2430;margin:24px;background:#fff;max-width:1100px}\
svg{max-width:100%;height:auto}h1{font-size:19px;margin:0}h2{font-size:15px;margin:24px 0 6px}p.s{color:#5b6675;margin:2px 0 12px}\
.sim{background:#fff3cd;border:1px solid #e0c36a;padding:8px 12px;margin:12px 0}\
table{border-collapse:collapse;margin:4px 0 20px}td,th{padding:2px 14px 2px 0;text-align:right;border-bottom:1px solid #eceff2;\
font-variant-numeric:tabular-nums;white-space:nowrap}th{color:#5b6675;font-weight:600}td.w,th.w{text-align:left;white-space:normal}\
small{color:#5b6675}li{margin:2px 0}code{font:12px ui-monospace,Consolas,'DejaVu Sans Mono',monospace}.t{overflow-x:auto}";

/// The page.
pub fn page(report: &SweepReport) -> String {
    let simulated = if report.sweep.simulated {
        "<div class=\"sim\"><b>Simulated.</b> The caches are those of a simulated host: no figure here is of any machine.</div>\n"
    } else {
        ""
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n<p class=\"s\">{}</p>\n{simulated}{}\
         <h2>Read off the curves</h2>\n{}<h2>Figures</h2>\n<div class=\"t\">{}</div>\n<h2>To be read with care</h2>\n{}\
         <h2>Provenance</h2>\n{}</html>\n",
        escape(&subtitle(report)),
        untitled(report),
        list(&readings(report), "Nothing."),
        figures(report),
        list(&report.curves.notes, "Nothing."),
        provenance(report),
        title = escape(&title(report)),
    )
}

fn list(items: &[String], none: &str) -> String {
    if items.is_empty() {
        return format!("<p>{none}</p>\n");
    }
    let items: String = items.iter().map(|item| format!("<li>{}\n", escape(item))).collect();
    format!("<ul>\n{items}</ul>\n")
}

/// A column of the table: its title, and what stands in it.
type Column = (&'static str, fn(&CurvePoint) -> Option<String>);

const COLUMNS: [Column; 11] = [
    ("Bytes", |point| point.bytes.map(|bytes| format_bytes(bytes as f64))),
    ("Miss ratio", |point| with_band(point.miss_ratio, number)),
    ("isotonic", |point| point.miss_ratio_isotonic.map(number)),
    ("MPKI", |point| with_band(point.mpki, number)),
    ("isotonic", |point| point.mpki_isotonic.map(number)),
    ("IPC", |point| with_band(point.ipc, number)),
    ("isotonic", |point| point.ipc_isotonic.map(number)),
    ("IPC, normalised", |point| with_band(point.ipc_normalised, number)),
    ("Held", |point| with_band(point.occupancy_bytes, format_bytes)),
    ("Memory traffic/s", |point| with_band(point.bandwidth_bytes_per_s, format_bytes)),
    ("Windows", |point| {
        Some(format!("{}{}", point.windows.len(), if point.unsettled { " (unsettled)" } else { "" }))
    }),
];

/// Columns in which nothing stands are left out.
fn figures(report: &SweepReport) -> String {
    let ways = &report.curves.ways;
    if ways.is_empty() {
        return "<p>Nothing was counted.</p>\n".to_owned();
    }
    let columns: Vec<Column> =
        COLUMNS.into_iter().filter(|column| ways.iter().any(|point| column.1(point).is_some())).collect();
    let heads: String = columns.iter().map(|column| format!("<th>{}", column.0)).collect();
    let row = |point: &CurvePoint| {
        let cell = |column: &Column| format!("<td>{}", column.1(point).unwrap_or_else(|| "–".to_owned()));
        format!("<tr><td>{}{}\n", point.ways, columns.iter().map(cell).collect::<String>())
    };
    format!("<table>\n<tr><th>Ways{heads}\n{}</table>\n", ways.iter().map(row).collect::<String>())
}

fn with_band(estimate: Option<Estimate>, format: fn(f64) -> String) -> Option<String> {
    let own = estimate?;
    let band = own.band().map(|(low, high)| format!(" <small>{}–{}</small>", format(low), format(high)));
    Some(format!("{}{}", format(own.value), band.unwrap_or_default()))
}

fn provenance(report: &SweepReport) -> String {
    let (sweep, plan) = (&report.sweep, &report.sweep.plan);
    let unsettled = "as long as occupancy and IPC took to rest, at most";
    let mut rows = vec![
        ("Command", format!("<code>{}</code>", escape(&sweep.command))),
        (
            "Masks set by",
            if sweep.interface == waytrace_model::cache_report::Interface::Msr {
                "registers (MSR)"
            } else {
                "resctrl"
            }
            .to_owned(),
        ),
        ("Numbers of ways asked for", plan.ways.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
        ("Order drawn from", plan.seed.to_string()),
        ("Settling", format!("{unsettled} {}", format_ns(plan.settle_cap_ns as f64))),
        ("Others confined to the other ways", if plan.others_confined { "yes" } else { "no" }.to_owned()),
    ];
    if let Some(bytes) = plan.pressure_bytes {
        rows.push(("Co-runner in the other ways", format_bytes(bytes as f64)));
    }
    if let Some(end) = &report.end {
        rows.push(("Own CPU time", format_ns(end.own_cpu_ns as f64)));
        rows.push(("Length", format_ns(end.elapsed_ns as f64)));
    }
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><th class=\"w\">{name}<td class=\"w\">{value}\n"))
        .collect();
    format!("<table>\n{rows}</table>\n")
}
