//! `waytrace events list --metrics`: what vendors compute of events, and of which.

use std::process::ExitCode;

use serde::Serialize;
use waytrace_hw::catalogue::{Book, Metric};

use super::super::Outcome;
use super::super::output::{plain, print, print_json, say};
use super::super::table::{Table, left};
use super::gather::{Gathered, Only};

const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Listing<'a> {
    schema_version: u32,
    cpu: Option<String>,
    sources: &'a [String],
    metrics: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    metric: &'a Metric,
    /// Events it counts, with those of the metrics it is computed from.
    events: Vec<&'a str>,
    /// Names in it that the catalogue does not know.
    unknown: Vec<String>,
    /// Events it counts with further terms.
    altered: Vec<String>,
}

/// Prints those `only` leaves.
pub fn run(gathered: &Gathered, only: &Only, json: bool) -> Outcome {
    let mut chosen = gathered.metrics.clone();
    only.retain_metrics(&mut chosen);
    gathered.complain();
    let book = Book::new(&gathered.events, &gathered.metrics);
    let row = |metric| {
        let counted = book.counted(metric);
        let name = |place: &usize| gathered.events.get(*place).map(|event| event.name.as_str());
        let events = counted.events.iter().filter_map(name).collect();
        Row { metric, events, unknown: counted.unknown, altered: counted.altered }
    };
    let rows: Vec<Row<'_>> = chosen.iter().map(row).collect();
    if json {
        let cpu = gathered.cpu.as_ref().map(ToString::to_string);
        print_json(&Listing {
            schema_version: SCHEMA_VERSION,
            cpu,
            sources: &gathered.sources,
            metrics: rows,
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&render(&rows))?;
    say(&format!("{} of {} metrics of {}", rows.len(), gathered.metrics.len(), gathered.cpu_name()));
    if gathered.metrics.is_empty() {
        say(
            "files of metrics lie beside those of events: `metrics` of Intel's perfmon repository, and the kernel's own",
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn render(rows: &[Row<'_>]) -> String {
    let mut table = Table::new(vec![left("METRIC"), left("GROUPS"), left("EVENTS"), left("DESCRIPTION")]);
    for row in rows {
        let unknown = row.unknown.iter().map(|name| format!("{} (unknown)", plain(name)));
        let events: Vec<String> = row.events.iter().map(|name| (*name).to_owned()).chain(unknown).collect();
        let cells =
            [&row.metric.name, &row.metric.groups.join(";"), &events.join(","), &row.metric.description];
        table.row(&cells.map(|cell| plain(cell)));
    }
    table.render(usize::MAX)
}
