//! `waytrace events list`: events with what counts them.

use std::process::ExitCode;

use serde::Serialize;
use waytrace_hw::catalogue::{Counters, Event, Precise, Rejected};

use super::super::Outcome;
use super::super::output::{print, print_json, say, terminal_columns};
use super::super::table::{Table, left};
use super::gather::{From, Gathered, Only, gather};
use super::metrics;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    only: Only,
    /// List metrics instead: what is computed of which events.
    #[arg(long)]
    metrics: bool,
    /// Print everything known about each event as one JSON object.
    #[arg(long)]
    json: bool,
}

const SCHEMA_VERSION: u32 = 1;
/// Columns a description gets at least.
const LEAST: usize = 20;

#[derive(Serialize)]
struct Listing<'a> {
    schema_version: u32,
    cpu: Option<String>,
    sources: &'a [String],
    missing: &'a [String],
    rejected: &'a [Rejected],
    events: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    event: &'a Event,
    /// The terms the kernel takes.
    terms: String,
    /// What to name it here, one per instance of its PMU; null where it is another machine's.
    perf_names: Option<Vec<String>>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let mut gathered = gather(&args.from)?;
    if args.metrics {
        return metrics::run(&gathered, &args.only, args.json);
    }
    let all = gathered.events.len();
    args.only.retain(&mut gathered.events);
    gathered.complain();
    if args.json {
        print_json(&listing(&gathered))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&render(&gathered, terminal_columns()))?;
    say(&format!(
        "{} of {all} events of {}, from {}",
        gathered.events.len(),
        gathered.cpu_name(),
        gathered.sources.join(" and ")
    ));
    Ok(ExitCode::SUCCESS)
}

fn listing(gathered: &Gathered) -> Listing<'_> {
    let row = |event| Row {
        event,
        terms: event.encoding(),
        perf_names: gathered.machine.as_ref().map(|machine| event.perf_names(machine)),
    };
    Listing {
        schema_version: SCHEMA_VERSION,
        cpu: gathered.cpu.as_ref().map(ToString::to_string),
        sources: &gathered.sources,
        missing: &gathered.missing,
        rejected: &gathered.rejected,
        events: gathered.events.iter().map(row).collect(),
    }
}

/// A description is cut to what a terminal has left of a line.
fn render(gathered: &Gathered, width: Option<usize>) -> String {
    let heads: Vec<[String; 4]> = gathered
        .events
        .iter()
        .map(|event| [event.name.clone(), pmu(event, gathered), counters(&event.counters), notes(event)])
        .collect();
    let used: usize =
        (0..4).map(|column| 2 + heads.iter().map(|head| head[column].len()).max().unwrap_or(8).max(8)).sum();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(used).max(LEAST));
    let mut table =
        Table::new(vec![left("EVENT"), left("PMU"), left("COUNTERS"), left("NOTES"), left("DESCRIPTION")]);
    for (head, event) in heads.into_iter().zip(&gathered.events) {
        let mut cells = head.to_vec();
        cells.push(event.description.chars().take(room).collect());
        table.row(&cells);
    }
    table.render(usize::MAX)
}

/// The PMU that counts it, marked where this machine has none of it.
fn pmu(event: &Event, gathered: &Gathered) -> String {
    match &gathered.machine {
        Some(machine) if event.perf_names(machine).is_empty() => format!("{} (not here)", event.pmu),
        _ => event.pmu.clone(),
    }
}

/// `0-3`, `0-7 (SMT off) 0-3`, `fixed 1`, `any`, `own`.
fn counters(counters: &Counters) -> String {
    let mut parts = Vec::new();
    if counters.fixed != 0 {
        parts.push(format!("fixed {}", bits(counters.fixed)));
    }
    if counters.general != 0 {
        parts.push(bits(counters.general));
    }
    if counters.unlimited {
        parts.push("own".to_owned());
    }
    if parts.is_empty() { "any".to_owned() } else { parts.join(", ") }
}

fn bits(mask: u64) -> String {
    let set: Vec<u32> = (0..64).filter(|bit| mask >> bit & 1 == 1).collect();
    waytrace_hw::topology::format_list(&set)
}

fn notes(event: &Event) -> String {
    let mut notes = Vec::new();
    let mut note = |is: bool, text: &str| {
        if is {
            notes.push(text.to_owned());
        }
    };
    note(event.taken_alone, "alone");
    note(event.precise == Precise::Only, "precise only");
    note(event.precise == Precise::Possible, "precise");
    note(event.fields.any_thread, "any thread");
    note(event.fields.msr.is_some(), "msr");
    note(event.filters.iter().any(waytrace_hw::catalogue::Filter::is_shared), "filter");
    note(!event.errata.is_empty(), "errata");
    note(event.deprecated, "deprecated");
    notes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_told_in_few_words() {
        for (general, fixed, unlimited, text) in [
            (0xf, 0, false, "0-3"),
            (0b1101, 0, false, "0,2-3"),
            (0, 2, false, "fixed 1"),
            (3, 1, false, "fixed 0, 0-1"),
            (0, 0, true, "own"),
            (0, 0, false, "any"),
        ] {
            assert_eq!(counters(&Counters { general, general_smt_off: general, fixed, unlimited }), text);
        }
    }
}
