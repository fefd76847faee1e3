//! `waytrace prune`: deletes old runs, or old history, and gives their room back.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use waytrace_model::units::{ParseError, format_bytes, format_ns, parse_duration_ns, parse_size_bytes};
use waytrace_store::{PruneRule, Pruned, RunId, Store, StoreError};

use super::output::{now_unix_ns, plain, print, print_json};
use super::{Outcome, StoreArgs, history};

const RULES: &str = "\
With several rules a run stays if any of --older-than and --keep keeps it; --max-size then deletes the oldest of the \
rest, but never those --keep protects (the newest one if there is no --keep). A run that is being recorded goes only \
by --run.

Examples:
  waytrace prune --older-than 30d --keep 10    what is older than a month, but never the newest ten
  waytrace prune --run last --run redis-3      these two
  waytrace prune --sweep redis-sweep-1         a way sweep; --older-than takes those that ended before, too
  waytrace prune --history --older-than 7d     what `waytrace monitor` kept of the time before, and no run";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = RULES)]
pub struct Args {
    /// Delete runs that started longer ago than this (12h, 30d).
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Keep the newest N runs.
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Delete the oldest runs until the rest fits (500MiB).
    #[arg(long, value_name = "SIZE", value_parser = parse_size_bytes)]
    max_size: Option<u64>,
    /// Delete this run: an id, a name, `last`; may be given several times.
    #[arg(long = "run", value_name = "RUN")]
    runs: Vec<String>,
    /// Delete this way sweep: a name, `last`; may be given several times.
    #[arg(long = "sweep", value_name = "SWEEP")]
    sweeps: Vec<String>,
    /// Delete of the history of `waytrace monitor` what is older than --older-than, of every step, instead of runs.
    #[arg(long, requires = "older_than", conflicts_with_all = ["keep", "max_size", "runs", "sweeps"])]
    history: bool,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
    /// Print what went as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

fn age(text: &str) -> Result<Duration, ParseError> {
    parse_duration_ns(text).map(Duration::from_nanos)
}

/// Runs the command. Where there is no store there is nothing to delete, which is no error unless a run was named.
pub fn run(args: &Args) -> Outcome {
    if let (true, Some(older_than)) = (args.history, args.older_than) {
        history::prune(args.store.db.as_deref(), older_than, args.dry_run, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let by_rule = args.older_than.is_some() || args.keep.is_some() || args.max_size.is_some();
    let by_name = !args.runs.is_empty() || !args.sweeps.is_empty();
    if !by_rule && !by_name {
        bail!("nothing to delete by: give --older-than, --keep, --max-size, --run or --sweep");
    }
    let pruned = match Store::open_existing_writable(args.store.db.as_deref()) {
        Ok(mut store) => {
            let rule = rule(args, &store)?;
            store.prune(&rule, now_unix_ns())?
        }
        Err(StoreError::Absent { .. }) if !by_name => Pruned {
            runs: Vec::new(),
            series: Vec::new(),
            sweeps: Vec::new(),
            freed_bytes: 0,
            dry_run: args.dry_run,
        },
        Err(error) => return Err(error.into()),
    };
    if args.json {
        print_json(&pruned)?;
    } else {
        print(&sentences(&pruned))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All selectors are resolved before anything is deleted: `last` must not move.
fn rule(args: &Args, store: &Store) -> Result<PruneRule, StoreError> {
    let runs = args.runs.iter().map(|selector| store.find(selector)).collect::<Result<Vec<RunId>, _>>()?;
    let named = |selector: &String| store.sweep(selector).map(|sweep| sweep.id);
    let sweeps = args.sweeps.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    Ok(PruneRule {
        older_than: args.older_than,
        keep: args.keep,
        max_bytes: args.max_size,
        runs,
        sweeps,
        dry_run: args.dry_run,
    })
}

fn sentences(pruned: &Pruned) -> String {
    let (deleted, freed) = if pruned.dry_run { ("would delete", "would free") } else { ("deleted", "freed") };
    let mut text = String::new();
    for run in &pruned.runs {
        let (name, length) = (plain(&run.name), format_ns(run.duration_ns as f64));
        text.push_str(&format!("{deleted} {name} (id {}, {}, {length})\n", run.id, run.started_at));
    }
    for series in &pruned.series {
        text.push_str(&format!("{deleted} series {}\n", plain(series)));
    }
    for sweep in &pruned.sweeps {
        text.push_str(&format!("{deleted} sweep {}\n", plain(sweep)));
    }
    let besides = !pruned.series.is_empty() || !pruned.sweeps.is_empty();
    let freed_bytes = format_bytes(pruned.freed_bytes as f64);
    match pruned.runs.len() {
        0 if besides => text.push_str(&format!("{freed} {freed_bytes}\n")),
        0 => text.push_str("nothing to delete\n"),
        1 => text.push_str(&format!("{freed} {freed_bytes}\n")),
        count => text.push_str(&format!("{count} runs, {freed} {freed_bytes}\n")),
    }
    text
}
