//! `waytrace events stats`: figures of every CPU's events, of one CPU's by PMU, or what differs between two CPUs.

use std::process::ExitCode;

use serde::Serialize;
use waytrace_hw::catalogue::{Changed, CpuId, Differences, Stats};

use super::super::Outcome;
use super::super::output::{print, print_json, say, terminal_columns};
use super::super::table::{Table, left, right};
use super::gather::{From, gather};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Two CPUs: what the second has that the first has not, and the other way round.
    #[arg(value_name = "CPU", num_args = 0..=2, conflicts_with = "cpu")]
    cpus: Vec<CpuId>,
    #[command(flatten)]
    from: From,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a, T> {
    schema_version: u32,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct All {
    cpus: Vec<One>,
}

#[derive(Serialize)]
struct One {
    cpu: String,
    source: String,
    #[serde(flatten)]
    stats: Stats,
}

#[derive(Serialize)]
struct Two {
    from: String,
    to: String,
    #[serde(flatten)]
    differences: Differences,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match args.cpus.as_slice() {
        [from, to] => between(args, from, to),
        [cpu] => one(args, &From { cpu: Some(cpu.clone()), ..args.from.clone() }),
        _ if args.from.cpu.is_some() => one(args, &args.from),
        _ => all(args),
    }
}

fn show<T: Serialize>(args: &Args, body: &T, text: impl FnOnce() -> String) -> Outcome {
    if args.json {
        print_json(&Report { schema_version: SCHEMA_VERSION, body })?;
    } else {
        print(&text())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn all(args: &Args) -> Outcome {
    let own = gather(&From { cpu: None, ..args.from.clone() });
    let mut cpus = Vec::new();
    if let Ok(own) = own {
        let cpu = format!("this machine ({})", own.cpu_name());
        cpus.push(One { cpu, source: own.sources.join(" and "), stats: Stats::of(&own.events) });
    }
    args.from.sources.open()?.each(|cpu, source, events| match events {
        Ok(events) => cpus.push(One { cpu, source: source.to_owned(), stats: Stats::of(&events) }),
        Err(error) => say(&error.to_string()),
    });
    let all = All { cpus };
    show(args, &all, || overview(&all.cpus))
}

fn overview(cpus: &[One]) -> String {
    let mut columns = vec![left("CPU")];
    columns.extend(["EVENTS", "CORE", "OTHER", "PMUS", "FIXED", "ALONE", "MSR", "FILTER"].map(right));
    columns.extend(["ERRATA", "PRECISE", "DEPRECATED"].map(right));
    columns.push(left("SOURCE"));
    let mut table = Table::new(columns);
    for One { cpu, source, stats } in cpus {
        let figures = [
            stats.events,
            stats.core,
            stats.uncore,
            stats.pmus.len(),
            stats.fixed,
            stats.taken_alone,
            stats.with_msr,
            stats.with_filter,
            stats.with_errata,
            stats.precise,
            stats.deprecated,
        ];
        let mut cells = vec![cpu.clone()];
        cells.extend(figures.iter().map(ToString::to_string));
        cells.push(source.clone());
        table.row(&cells);
    }
    table.render(terminal_columns().unwrap_or(usize::MAX))
}

fn one(args: &Args, from: &From) -> Outcome {
    let gathered = gather(from)?;
    gathered.complain();
    let one = One {
        cpu: gathered.cpu_name(),
        source: gathered.sources.join(" and "),
        stats: Stats::of(&gathered.events),
    };
    show(args, &one, || {
        let mut table = Table::new(vec![left("PMU"), right("EVENTS"), right("COUNTERS"), right("ON FEWER")]);
        for pmu in &one.stats.pmus {
            let counters = if pmu.counters == 0 { "-".to_owned() } else { pmu.counters.to_string() };
            table.row(&[pmu.pmu.clone(), pmu.events.to_string(), counters, pmu.restricted.to_string()]);
        }
        format!("{}\n{}", overview(std::slice::from_ref(&one)), table.render(usize::MAX))
    })
}

fn between(args: &Args, from: &CpuId, to: &CpuId) -> Outcome {
    let sources = args.from.sources.open()?;
    let (before, after) = (sources.load(from)?, sources.load(to)?);
    let differences = Differences::between(&before.events, &after.events);
    let two = Two { from: from.to_string(), to: to.to_string(), differences };
    show(args, &two, || changes(&two))
}

fn changes(two: &Two) -> String {
    let found = &two.differences;
    let mut text = format!(
        "{} → {}: {} added, {} removed, {} described otherwise, {} encoded otherwise, {} the same\n",
        two.from,
        two.to,
        found.added.len(),
        found.removed.len(),
        found.described_otherwise.len(),
        found.encoded_otherwise.len(),
        found.same
    );
    let list = |title: &str, names: &[String]| {
        let lines: Vec<String> = names.iter().map(|name| format!("  {name}\n")).collect();
        if lines.is_empty() { String::new() } else { format!("\n{title}\n{}", lines.concat()) }
    };
    text += &list("Added", &found.added);
    text += &list("Removed", &found.removed);
    text += &pairs("Described otherwise, most different first", &found.described_otherwise);
    text += &pairs("Encoded otherwise", &found.encoded_otherwise);
    text
}

fn pairs(title: &str, changed: &[Changed]) -> String {
    if changed.is_empty() {
        return String::new();
    }
    let pair = |one: &Changed| format!("  {}\n    - {}\n    + {}\n", one.name, one.from, one.to);
    format!("\n{title}\n{}", changed.iter().map(pair).collect::<String>())
}
