//! The parts of the page that are plain text: who, where, how much, how good. They need no JavaScript.

use waytrace_model::allocation::Mode;
use waytrace_model::collector::Status;
use waytrace_model::report::{AllocationReport, RunReport};
use waytrace_model::run::EndedBy;
use waytrace_model::units::{format_bytes, format_count, format_ns};

use crate::markup::escape;
use crate::terminal::loss_meaning;
use crate::text::percent;

/// Title block: the run, its target, how it ended.
pub fn header(report: &RunReport) -> String {
    let (run, target) = (&report.run, &report.target);
    let ended = match run.ended_by {
        EndedBy::Duration => "the duration asked for was over".to_owned(),
        EndedBy::Interrupt => "interrupted".to_owned(),
        EndedBy::TargetExit => match run.exit_code {
            Some(code) => format!("the target exited with code {code}"),
            None => "the target exited".to_owned(),
        },
        EndedBy::StoreFailure => "the store could not be written any more".to_owned(),
        EndedBy::Unfinished => "unfinished: waytrace was killed".to_owned(),
    };
    format!(
        "<h1>{}</h1>\n<p class=\"target\"><b>{}</b> {} <code>{}</code></p>\n\
         <p class=\"when\">{} from <time>{}</time> in {} windows of {}; {}</p>",
        escape(&run.name),
        escape(&target.comm),
        target.tgid,
        escape(&target.cmdline),
        format_ns(run.duration_ns as f64),
        escape(&run.started_at),
        run.windows,
        format_ns(run.interval_ns as f64),
        escape(&ended),
    )
}

struct Tile {
    name: &'static str,
    value: String,
    note: String,
}

/// The six numbers to see first.
pub fn tiles(report: &RunReport) -> String {
    let seconds = report.run.duration_ns as f64 / 1e9;
    let allocations = report.allocations.as_ref();
    let mut tiles = Vec::new();
    if let Some(own) = allocations {
        tiles.extend(totals(own, seconds));
    }
    let overhead = &report.overhead;
    tiles.push(Tile {
        name: "Overhead",
        value: overhead.target_pct.map_or_else(|| "not measured".to_owned(), percent),
        note: match overhead.budget_pct {
            Some(pct) => format!("of its CPU; budget {pct}%"),
            None => "of its CPU; no budget".to_owned(),
        },
    });
    let lost = report.loss.total();
    tiles.push(Tile {
        name: "Lost",
        value: if lost == 0 { "nothing".to_owned() } else { format_count(lost as f64) },
        note: if lost == 0 { String::new() } else { "see quality".to_owned() },
    });
    let html = |tile: &Tile| {
        format!(
            "<div class=\"tile\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>",
            tile.name,
            escape(&tile.value),
            escape(&tile.note)
        )
    };
    tiles.iter().map(html).collect()
}

fn totals(own: &AllocationReport, seconds: f64) -> Vec<Tile> {
    let estimated = own.mode.is_some_and(Mode::is_estimate);
    let mark = if estimated { "~" } else { "" };
    let interval = |pct: Option<f64>| match pct {
        Some(pct) if estimated => format!("±{}, ", percent(pct)),
        _ => String::new(),
    };
    let rate = |value: f64, format: fn(f64) -> String| {
        if seconds > 0.0 { format!("{mark}{}/s", format(value / seconds)) } else { String::new() }
    };
    let tile = |name, value: Option<f64>, format: fn(f64) -> String, ci: Option<f64>| Tile {
        name,
        value: value.map_or_else(|| "not available".to_owned(), |value| format!("{mark}{}", format(value))),
        note: value.map(|value| format!("{}{}", interval(ci), rate(value, format))).unwrap_or_default(),
    };
    let live = Tile {
        name: "Live at the end",
        value: own.live_bytes.map_or_else(|| "not available".to_owned(), |live| format_bytes(live as f64)),
        note: own
            .peak_live_bytes
            .map(|peak| format!("peak {}", format_bytes(peak as f64)))
            .unwrap_or_default(),
    };
    let mapped = Tile {
        name: "Mapped",
        value: format!("+{}", format_bytes(own.mmap_bytes as f64)),
        note: format!("-{} unmapped", format_bytes(own.munmap_bytes as f64)),
    };
    let mut tiles = Vec::new();
    if own.mode.is_some() {
        tiles.push(tile("Allocated", own.alloc_bytes, format_bytes, own.ci95_pct));
        tiles.push(tile("Allocations", own.alloc_count, format_count, own.alloc_count_ci95_pct));
        tiles.push(live);
    }
    tiles.push(mapped);
    tiles
}

/// A line of a list of facts; nothing where there is no text.
pub fn definition(term: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("<dt>{}</dt><dd>{}</dd>\n", escape(term), escape(text))
}

/// Losses, overhead, stacks and collectors: how far to trust the rest.
pub fn quality(report: &RunReport) -> String {
    let mut html = String::from("<dl class=\"facts\">\n");
    if report.loss.total() == 0 {
        html += &definition("Lost", "nothing");
    }
    for (kind, count) in report.loss.0.iter().filter(|(_, count)| **count > 0) {
        let text = format!("{} {kind}: {}", format_count(*count as f64), loss_meaning(kind));
        html += &definition("Lost", text.trim_end_matches([':', ' ']));
    }
    html += &definition("Overhead", &overhead(report));
    if let Some(own) = &report.allocations {
        html += &definition("Allocations", mode(own));
        html += &definition("Not known", own.null_reason.as_deref().unwrap_or_default());
        html += &definition("Stacks", &stacks(own));
        html += &definition("Probes", &own.probes.join(", "));
    }
    html += "</dl>\n<ul class=\"collectors\">\n";
    for collector in &report.collectors {
        let (class, status) = match collector.status {
            Status::Ran => ("ran", "ran"),
            Status::Degraded => ("degraded", "degraded"),
            Status::Skipped => ("skipped", "skipped"),
            Status::Failed => ("failed", "failed"),
        };
        let reason = collector.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let (name, reason) = (escape(&collector.name), escape(&reason));
        html += &format!("<li class=\"{class}\"><b>{name}</b> {status}{reason}</li>\n");
    }
    html + "</ul>"
}

fn overhead(report: &RunReport) -> String {
    let own = &report.overhead;
    let cost = match (own.target_pct, own.probe_hit_ns) {
        (Some(pct), Some(ns)) => format!(
            "{} of the target's CPU time ({} probe hits of {} each)",
            percent(pct),
            format_count(own.probe_hits_count as f64),
            format_ns(ns)
        ),
        (Some(pct), None) => format!("{} of the target's CPU time", percent(pct)),
        (None, _) => "not measured on the target".to_owned(),
    };
    let cpu = own.tool_cpu_pct.map(|pct| format!("waytrace itself {} of a core", percent(pct)));
    let rss = own.tool_rss_bytes.map(|bytes| format!("{} resident", format_bytes(bytes as f64)));
    let attach = own.attach_ns.map(|ns| format!("first data after {}", format_ns(ns as f64)));
    std::iter::once(cost).chain(cpu).chain(rss).chain(attach).collect::<Vec<_>>().join("; ")
}

fn mode(own: &AllocationReport) -> &'static str {
    match own.mode {
        Some(Mode::Exact) => "exact: every call was seen",
        Some(Mode::Budgeted) => {
            "estimated (~) from sampled windows; ± is the 95% interval; mappings are exact"
        }
        Some(Mode::Sampled) => {
            "source: otel_memory (the allocator's own samples); estimated (~), ± is the 95% interval; mappings are exact"
        }
        None => "no allocator was probed; mappings only",
    }
}

fn stacks(own: &AllocationReport) -> String {
    let stacks = own.stacks;
    if stacks.sampled_count == 0 {
        return "none sampled".to_owned();
    }
    let share = |count: u64| percent(100.0 * count as f64 / stacks.sampled_count as f64);
    format!(
        "{} sampled; {} reach the program's own code, {} its outermost frame",
        format_count(stacks.sampled_count as f64),
        share(stacks.own_code_count),
        share(stacks.complete_count)
    )
}

/// Machine, target and command line.
pub fn provenance(report: &RunReport) -> String {
    let (run, host, target) = (&report.run, &report.host, &report.target);
    let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "not known".to_owned());
    let rows = [
        ("Command", run.command.clone()),
        ("Run", format!("{} (id {}) in schema {}", run.name, run.id, report.schema_version)),
        ("Executable", target.exe.clone()),
        ("Build id", or_unknown(&target.build_id)),
        ("Threads", target.threads.len().to_string()),
        ("Host", host.hostname.clone()),
        ("Kernel", format!("{} {}", host.kernel, host.arch)),
        ("CPU", format!("{}, {} online", host.cpu_model, host.cpus_online)),
        ("Microcode", or_unknown(&host.microcode)),
        ("Hypervisor", host.hypervisor.clone().unwrap_or_else(|| "none reported".to_owned())),
        ("Memory", format_bytes(host.memory_bytes as f64)),
        ("PMUs", host.pmus.join(", ")),
        ("waytrace", host.waytrace_version.clone()),
    ];
    let rows: String = rows.iter().map(|(term, text)| definition(term, text)).collect();
    format!("<dl class=\"facts\">\n{rows}</dl>")
}
