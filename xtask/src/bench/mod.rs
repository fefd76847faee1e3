//! `bench`: measures what waytrace costs and how right it is, one file per benchmark (`docs/benchmarks.md`).
//!
//! Timings are ratios of interleaved measurements, with their spread, and never pass or fail anything: a missed
//! figure is printed as such, and the task succeeds. It fails if something could not be measured.

mod accesses;
mod attach;
mod budgeted;
mod compile;
mod context;
mod counters;
mod cpus;
mod events_interval;
mod exact;
mod figure;
mod held;
mod kills;
mod machine;
mod pairs;
mod peers;
mod perf_probes;
mod planning;
mod process;
mod profile;
mod rates;
mod redis;
mod rounds;
mod servers;
mod slowdown;
mod soak;
mod stats;
mod sweep;
mod table;
mod truth;
mod watching;

use crate::privilege::Rights;
use crate::{FAILED, INCOMPLETE, packages, setup, workspace};
use anyhow::{Context as _, Result, bail};
use context::Context;
use cpus::Cpus;
use figure::Figure;
use machine::{Noise, Watch};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

type Bench = (&'static str, fn(&Context) -> Result<Vec<Figure>>);

const BENCHES: [Bench; 16] = [
    ("budgeted", budgeted::run),
    ("exact", exact::run),
    ("counters", counters::run),
    ("attach", attach::run),
    ("redis", redis::run),
    ("accesses", accesses::shares),
    ("access-ranks", accesses::ranks),
    ("access-costs", accesses::costs),
    ("events-interval", events_interval::run),
    ("planning", planning::run),
    ("kills", kills::changes),
    ("monitor-kills", kills::monitor),
    ("sweep", sweep::run),
    ("rates", rates::run),
    ("monitor-slowdown", slowdown::run),
    ("soak", soak::run),
];

/// Targets, and tools to compare with; what is missing is not available in the table.
const PACKAGES: [&str; 12] = [
    "gcc",
    "g++",
    "redis-server",
    "redis-tools",
    "sqlite3",
    "python3",
    "libjemalloc2",
    "linux-perf",
    "bpftrace",
    "bpftool",
    "heaptrack",
    "valgrind",
];

#[derive(clap::Args)]
pub struct Args {
    /// Which ones: budgeted, exact, counters, attach, redis, accesses, access-ranks, access-costs, events-interval, planning, kills, monitor-kills, sweep, rates, monitor-slowdown, soak [default: all]
    names: Vec<String>,
    /// Less of everything: to try a benchmark out, not for figures to quote
    #[arg(long)]
    quick: bool,
    /// Measure this waytrace instead of building one
    #[arg(long, value_name = "FILE")]
    waytrace: Option<PathBuf>,
    /// Plan for the CPUs of this directory of event files too (planning)
    #[arg(long, value_name = "DIR")]
    catalogue: Option<PathBuf>,
    /// How many to kill with -9, of the other ends a fifth each (kills, monitor-kills) [default: 1000, 200]
    #[arg(long, value_name = "N")]
    kills: Option<u64>,
    /// How many minutes to soak (soak) [default: 30]
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Write the results of all here too, beside target/bench/NAME.json
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The task. All that are asked for run even if one cannot be measured.
pub fn run(args: &Args) -> Result<ExitCode> {
    let chosen = choose(&args.names)?;
    if !Rights::mine()?.can_trace() {
        eprintln!("xtask: tracing needs root or the capabilities of docs/permissions.md");
        return Ok(ExitCode::from(INCOMPLETE));
    }
    if !setup::ensure()? {
        return Ok(ExitCode::from(INCOMPLETE));
    }
    packages::ensure(&PACKAGES)?;
    let context = prepare(args)?;
    let mut results = Vec::new();
    let mut outcome = ExitCode::SUCCESS;
    for bench in chosen {
        match measure(&context, bench) {
            Ok(result) => results.push(result),
            Err(error) => {
                eprintln!("xtask: {} could not be measured: {error:#}", bench.0);
                outcome = ExitCode::from(FAILED);
            }
        }
    }
    if let Some(path) = &args.json {
        write(path, &Value::Array(results))?;
    }
    Ok(outcome)
}

fn choose(names: &[String]) -> Result<Vec<Bench>> {
    if names.is_empty() {
        return Ok(BENCHES.to_vec());
    }
    let find = |name: &String| {
        let known = || BENCHES.map(|(name, _)| name).join(", ");
        let found = BENCHES.iter().find(|(known, _)| known == name).copied();
        found.with_context(|| format!("no benchmark `{name}`; there are {}", known()))
    };
    names.iter().map(find).collect()
}

fn prepare(args: &Args) -> Result<Context> {
    let cpus = Cpus::share()?;
    let provenance = machine::provenance(cpus, args.waytrace.as_deref());
    let folder = workspace::target_dir()?.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let waytrace = match &args.waytrace {
        Some(file) => file.canonicalize().with_context(|| format!("no program {}", file.display()))?,
        None => build(&folder)?,
    };
    for leftover in ["runs.db", "runs.db-wal", "runs.db-shm"] {
        match fs::remove_file(folder.join(leftover)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => bail!("{leftover}: {error}"),
            _ => {}
        }
    }
    let catalogue = args.catalogue.clone();
    Ok(Context {
        waytrace,
        folder,
        cpus,
        provenance,
        quick: args.quick,
        catalogue,
        kills: args.kills,
        soak: args.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
    })
}

/// Builds waytrace and copies it: another build meanwhile must not change what is measured.
fn build(folder: &Path) -> Result<PathBuf> {
    let built = workspace::build_release()?.join("waytrace");
    let copy = folder.join("waytrace");
    fs::copy(&built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(copy)
}

/// Runs one, prints its table and writes its file.
fn measure(context: &Context, (name, bench): Bench) -> Result<Value> {
    let _turn = turn()?;
    eprintln!("xtask: measuring {name}");
    let watch = Watch::start()?;
    let figures = bench(context)?;
    let noise = watch.finish()?;
    table::print(name, &figures, noise, context.quick);
    let result = record(context, name, &figures, noise);
    write(&context.folder.join(name).with_extension("json"), &result)?;
    Ok(result)
}

/// Waits until no live test measures, and keeps them waiting as long as the file is open: they take the same lock.
fn turn() -> Result<File> {
    let path = workspace::target_dir()?.join("live.lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

fn record(context: &Context, name: &str, figures: &[Figure], noise: Noise) -> Value {
    json!({
        "benchmark": name,
        "quick": context.quick,
        "machine": context.provenance,
        "noise": noise.json(),
        "figures": figures.iter().map(Figure::json).collect::<Vec<_>>(),
    })
}

fn write(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let names = |names: &[&str]| choose(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&[]).unwrap().len(), BENCHES.len());
        assert_eq!(names(&["redis"]).unwrap()[0].0, "redis");
        let error = names(&["speed"]).unwrap_err().to_string();
        assert!(error.contains("speed") && error.contains("budgeted"), "{error}");
    }
}
