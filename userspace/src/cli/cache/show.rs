//! `waytrace cache show`: capabilities, classes and who belongs to them.

use std::process::ExitCode;

use waytrace_hw::rdt::{CacheAllocation, RdtError};
use waytrace_hw::topology::format_list;
use waytrace_model::cache_report::{
    AssignableCounters, BandwidthResource, CacheReport, CacheResource, Capabilities, Class, LimitUnit, Mode,
    SCHEMA_VERSION,
};
use waytrace_model::units::format_bytes;

use super::super::Outcome;
use super::super::output::{print, print_json, width};
use super::super::table::{Table, left, right};
use super::Host;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object, with every thread of every class but the default one.
    #[arg(long)]
    json: bool,
}

/// Threads named in the table before it only counts them.
const NAMED: usize = 8;

/// Runs the command.
pub fn run(args: &Args, host: &Host) -> Outcome {
    let report = report(host.open()?.as_ref())?;
    if args.json {
        print_json(&report)?;
    } else {
        print(&render(&report, width()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the machine for all of it.
pub fn report(allocation: &dyn CacheAllocation) -> Result<CacheReport, RdtError> {
    Ok(CacheReport {
        schema_version: SCHEMA_VERSION,
        interface: allocation.interface(),
        capabilities: allocation.capabilities()?,
        classes: allocation.classes()?,
    })
}

fn render(report: &CacheReport, width: usize) -> String {
    format!("{}\n{}", capabilities(&report.capabilities), classes(report, width))
}

fn capabilities(capabilities: &Capabilities) -> String {
    let mut text = String::new();
    for cache in &capabilities.caches {
        text += &format!("{}\n", cache_line(cache));
        for domain in &cache.caches {
            let size =
                domain.size_bytes.map_or_else(|| "size unknown".to_owned(), |size| format_bytes(size as f64));
            let parts = if domain.nodes > 1 {
                format!(", divided into {} nodes", domain.nodes)
            } else {
                String::new()
            };
            let cpus = format_list(&domain.cpus);
            text += &format!("  cache {}: {size}{parts}, CPUs {}\n", domain.id, or_unknown(&cpus));
        }
    }
    for bandwidth in &capabilities.bandwidth {
        text += &format!("{}\n", bandwidth_line(bandwidth));
    }
    text += &match &capabilities.monitoring {
        Some(monitoring) => {
            let events = monitoring.events.join(", ");
            format!(
                "monitoring: {events}; {} monitors{}\n",
                monitoring.max_rmids,
                counters(&monitoring.counters)
            )
        }
        None => "monitoring: not available, the CPU or the kernel has none\n".to_owned(),
    };
    if capabilities.max_classes == 0 {
        text += "allocation: not available, this machine only monitors\n";
    }
    text
}

/// Counters that groups have to be given.
fn counters(counters: &[AssignableCounters]) -> String {
    let one = |own: &AssignableCounters| {
        let free = own.free.map_or_else(String::new, |free| format!(", {free} free"));
        format!("{} on cache {}{free}", own.count, own.cache_id)
    };
    let all: Vec<String> = counters.iter().map(one).collect();
    if all.is_empty() {
        String::new()
    } else {
        format!("; bandwidth counters for groups: {}", all.join("; "))
    }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn cache_line(cache: &CacheResource) -> String {
    let way = cache.way_bytes.map_or_else(String::new, |way| format!(" of {}", format_bytes(way as f64)));
    let rules = &cache.rules;
    let mut line = format!(
        "{}: {} ways{way} ({:#}), at least {}, {}; {} classes",
        cache.name,
        cache.ways,
        rules.full_mask,
        rules.min_ways,
        if rules.sparse { "holes allowed" } else { "next to each other" },
        cache.classes
    );
    if !cache.shareable_mask.is_empty() {
        line += &format!("; devices share {:#}", cache.shareable_mask);
    }
    if let Some(io_alloc) = &cache.io_alloc {
        line += &format!("; class for devices: {io_alloc}");
    }
    line
}

fn bandwidth_line(bandwidth: &BandwidthResource) -> String {
    let BandwidthResource { name, min, step, classes, .. } = bandwidth;
    let mut line = match bandwidth.unit {
        LimitUnit::MibPerSecond => format!("{name}: MiB/s, held by the kernel; {classes} classes"),
        of => {
            format!("{name}: from {min}{unit} in steps of {step}{unit}; {classes} classes", unit = unit(of))
        }
    };
    if let Some(mode) = &bandwidth.throttle_mode {
        line += &format!("; threads of a core: {mode}");
    }
    line
}

fn limit(value: u32, of: LimitUnit) -> String {
    match of {
        // A number that says nothing to anybody.
        LimitUnit::MibPerSecond if value == of.unlimited() => "no limit".to_owned(),
        _ => format!("{value}{}", unit(of)),
    }
}

fn unit(unit: LimitUnit) -> &'static str {
    match unit {
        LimitUnit::Percent => "%",
        LimitUnit::MibPerSecond => " MiB/s",
        LimitUnit::EighthGbPerSecond => "/8 GB/s",
    }
}

/// A row for each cache of a class; what concerns the class as a whole stands in its first.
fn classes(report: &CacheReport, width: usize) -> String {
    let resources = &report.capabilities;
    let mut columns = vec![left("CLASS"), right("CACHE")];
    columns.extend(resources.caches.iter().map(|cache| right(&cache.name)));
    columns.extend(resources.bandwidth.iter().map(|bandwidth| right(&bandwidth.name)));
    columns.extend(["MODE", "CPUS", "THREADS", "MONITORS"].map(left));
    let mut table = Table::new(columns);
    for class in &report.classes {
        let mut ids: Vec<_> = class.masks.iter().map(|mask| mask.cache_id).collect();
        ids.extend(class.limits.iter().map(|limit| limit.cache_id));
        ids.sort_unstable();
        ids.dedup();
        let ids: Vec<_> = if ids.is_empty() { vec![None] } else { ids.into_iter().map(Some).collect() };
        for (row, id) in ids.into_iter().enumerate() {
            let mut cells = vec![
                if row == 0 { class.name.clone() } else { String::new() },
                id.map_or_else(String::new, |id| id.to_string()),
            ];
            cells.extend(resources.caches.iter().map(|cache| {
                let own =
                    class.masks.iter().find(|own| Some(own.cache_id) == id && own.resource == cache.name);
                own.map_or_else(String::new, |own| format!("{:#} {}w", own.mask, own.mask.ways()))
            }));
            cells.extend(resources.bandwidth.iter().map(|bandwidth| {
                let own = class.limits.iter();
                let own =
                    own.filter(|own| Some(own.cache_id) == id).find(|own| own.resource == bandwidth.name);
                own.map_or_else(String::new, |own| limit(own.value, bandwidth.unit))
            }));
            if row == 0 {
                cells.extend(members(class));
            }
            table.row(&cells);
        }
    }
    table.render(width)
}

fn members(class: &Class) -> [String; 4] {
    let mode = class.mode.map_or("", |mode| match mode {
        Mode::Shareable => "shareable",
        Mode::Exclusive => "exclusive",
        Mode::PseudoLocksetup => "pseudo-locksetup",
        Mode::PseudoLocked => "pseudo-locked",
    });
    let threads = match class.task_count {
        None => String::new(),
        Some(_) if !class.tasks.is_empty() && class.tasks.len() <= NAMED => format_list(&class.tasks),
        Some(1) => "1 thread".to_owned(),
        Some(count) => format!("{count} threads"),
    };
    let monitors: Vec<&str> = class.monitor_groups.iter().map(|group| group.name.as_str()).collect();
    [mode.to_owned(), format_list(&class.cpus), threads, monitors.join(",")]
}
