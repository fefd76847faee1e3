//! `waytrace events pair`: every two programs of a manifest side by side, pinned, and how much each is slowed down.
//!
//! [`manifest`] reads what there is to run, `waytrace_hw::placement` says on which CPUs, [`order`] when, and [`runner`] runs
//! it: each [`program`] in its seat, with a [`guard`] that ends it whichever way waytrace ends.

mod guard;
mod manifest;
mod order;
mod output;
mod program;
mod runner;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use waytrace_hw::placement::{Configuration, Layout, Seats};
use waytrace_hw::topology::format_list;
use waytrace_hw::{Machine, Root};
use waytrace_model::pairing::{PairHeader, PairPlan};
use waytrace_model::units::parse_duration_ns;
use waytrace_store::{PairSeries, Store};

use crate::cli::exit::INCOMPLETE;
use crate::cli::output::{now_unix_ns, print, say, terminal_columns};
use crate::cli::table::{Table, left, right};
use crate::cli::{Outcome, StoreArgs};
use order::Step;
use runner::Place;

/// Configurations the machine cannot do, with the reason.
type Skipped = BTreeMap<String, String>;

/// Seeds stay exact as JSON numbers everywhere.
const SEEDS: u64 = 1 << 53;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Configurations, as far as the machine can do them: L1-SMT (one core, its threads halved), L3-SMT (one L3, the threads of each core
halved), L3-SMT-cores and L3-cores (one L3, its cores halved; with one thread per core), Full-L3 and Full-SMT-L3 (L3s halved), Full-cores
and Full-SMT-cores (the cores of every L3 halved).

Exit code: 0 if every run was measured and every program succeeded, 1 if not.

Examples:
  waytrace events pair manifest.toml --dry-run             which program would run where, and when
  waytrace events pair manifest.toml --repeat 10 --svg interference.svg
  waytrace events pair manifest.toml --base 1 --step 3     the second of three identical machines
  waytrace events pair manifest.toml --resume              go on after Ctrl-C, or print the figures again")]
pub struct Args {
    /// TOML file with [programNAME] tables and [experiment]; docs/events.md describes every key.
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// Name of the series [default: the manifest's, without its extension].
    #[arg(long, value_name = "SERIES")]
    name: Option<String>,
    /// Repetitions of each pair in each configuration, and of each program alone.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// How long an antagonist runs before the measured program starts.
    #[arg(long, value_name = "TIME", default_value = "2s")]
    warmup: String,
    /// End a measured program that runs longer; it counts as failed [default: never].
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// The first pair this machine runs, counted over all configurations from 0.
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    base: u64,
    /// It runs every N-th from there.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    step: u64,
    /// What the order and the intervals are drawn from [default: drawn, and stored].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..SEEDS))]
    seed: Option<u64>,
    /// Go on with the series of this name where it was interrupted.
    #[arg(long)]
    resume: bool,
    /// Check the manifest against this machine and print the plan; run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: output::Files,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    // A measurement does not end with its reader, as commands that only print do.
    // SAFETY: ignoring a signal passes no pointers, and no other thread runs yet.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let manifest = manifest::read(&args.manifest)?;
    manifest.notes.iter().for_each(|note| say(note));
    let root = Machine::live().root().clone();
    let (seats, skipped) = places(&root, &manifest.configurations)?;
    for (configuration, reason) in &skipped {
        say(&format!("skipped {configuration}: {reason}"));
    }
    let path = std::path::absolute(&args.manifest).context("the manifest's directory")?;
    let folder = path.parent().context("the manifest has no directory")?;
    manifest.programs.iter().try_for_each(|program| program::check(program, folder))?;
    let plan = plan(args, manifest)?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => path
            .file_stem()
            .context("the manifest has no name to call the series by; use --name")?
            .to_string_lossy()
            .into_owned(),
    };
    let place = Place { root: &root, folder, seats: &seats };
    if args.dry_run {
        return dry_run(args, &place, &name, &plan, &skipped);
    }
    let store = Store::open(args.store.db.as_deref())?;
    let series = if args.resume {
        resumed(&store, &name, &plan, args.seed)?
    } else {
        let seed = args.seed.unwrap_or_else(|| now_unix_ns() % SEEDS);
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        let started_at_unix_ns = now_unix_ns();
        let header = PairHeader { name: name.clone(), started_at_unix_ns, command, seed, plan, skipped };
        let id = store.begin_pairs(&header)?;
        PairSeries { id, header, runs: Vec::new() }
    };
    let steps = steps(&series.header.plan, &series.header.skipped, series.header.seed)?;
    let complete = runner::run(&store, &place, &series, &steps)?;
    let series = store.pairs(&name).context("reading the series back")?;
    output::show(&series, &args.files, args.json)?;
    let succeeded = series.runs.iter().all(waytrace_model::pairing::PairRun::succeeded);
    Ok(if complete && succeeded { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

/// Where each configuration puts programs, and why it cannot.
fn places(
    root: &Root,
    configurations: &[Configuration],
) -> anyhow::Result<(BTreeMap<String, Vec<Seats>>, Skipped)> {
    let machine = Layout::read(root)?;
    let (mut seats, mut skipped) = (BTreeMap::new(), BTreeMap::new());
    for configuration in configurations {
        match configuration.places(&machine) {
            Ok(places) => drop(seats.insert(configuration.name().to_owned(), places)),
            Err(reason) => drop(skipped.insert(configuration.name().to_owned(), reason)),
        }
    }
    let reasons: Vec<String> = skipped.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    ensure!(!seats.is_empty(), "this machine can do none of the configurations: {}", reasons.join("; "));
    Ok((seats, skipped))
}

fn plan(args: &Args, manifest: manifest::Manifest) -> anyhow::Result<PairPlan> {
    if let Some(timeout) = &args.timeout {
        ensure!(
            parse_duration_ns(timeout).context("--timeout")? > 0,
            "--timeout 0 would end every program at once"
        );
    }
    Ok(PairPlan {
        configurations: manifest.configurations.iter().map(|one| one.name().to_owned()).collect(),
        programs: manifest.programs,
        measured: manifest.measured,
        antagonists: manifest.antagonists,
        alone: manifest.alone,
        repeat: args.repeat,
        warmup_ns: parse_duration_ns(&args.warmup).context("--warmup")?,
        timeout: args.timeout.clone(),
        base: args.base,
        step: args.step,
    })
}

/// The series of this name, which must be of the same plan.
fn resumed(store: &Store, name: &str, plan: &PairPlan, seed: Option<u64>) -> anyhow::Result<PairSeries> {
    let series = store.pairs(name)?;
    let before = &series.header.plan;
    ensure!(
        seed.is_none_or(|seed| seed == series.header.seed),
        "series `{name}` was begun with seed {}; leave --seed out",
        series.header.seed
    );
    let options = |plan: &PairPlan| {
        let timeout =
            plan.timeout.as_deref().map_or_else(String::new, |timeout| format!(" --timeout {timeout}"));
        let PairPlan { repeat, warmup_ns, base, step, .. } = plan;
        format!("--repeat {repeat} --warmup {warmup_ns}ns --base {base} --step {step}{timeout}")
    };
    ensure!(
        options(before) == options(plan),
        "series `{name}` was begun with other options; go on with {}",
        options(before)
    );
    ensure!(
        before == plan,
        "series `{name}` was begun with another manifest; begin a new one with --name, or restore the file"
    );
    Ok(series)
}

fn steps(plan: &PairPlan, skipped: &Skipped, seed: u64) -> anyhow::Result<Vec<Step>> {
    let steps = order::of(plan, |configuration| skipped.contains_key(configuration), seed);
    let pairs = (plan.configurations.len() - skipped.len()) * plan.measured.len() * plan.antagonists.len();
    ensure!(
        !steps.is_empty(),
        "--base {} leaves nothing to run: there are {pairs} pairs, counted from 0",
        plan.base
    );
    Ok(steps)
}

fn dry_run(args: &Args, place: &Place<'_>, name: &str, plan: &PairPlan, skipped: &Skipped) -> Outcome {
    let (seed, done) = if args.resume {
        let series = resumed(&Store::open_existing(args.store.db.as_deref())?, name, plan, args.seed)?;
        (Some(series.header.seed), series.runs)
    } else {
        (args.seed, Vec::new())
    };
    let mut columns =
        vec![right("#"), left("CONFIGURATION"), right("REPETITION"), left("PROGRAM"), left("CPUS")];
    columns.extend(["BESIDE", "CPUS", "COMMAND"].map(left));
    let mut table = Table::new(columns);
    for step in steps(plan, skipped, seed.unwrap_or(0))? {
        if done.iter().any(|one| one.position == step.position) {
            continue;
        }
        let seating = place.seat(plan, &step)?;
        let beside = seating.antagonist.as_ref();
        table.row(&[
            step.position.to_string(),
            step.configuration.clone(),
            step.repetition.to_string(),
            step.program.clone(),
            format_list(&seating.seats.measured),
            step.antagonist.clone().unwrap_or_else(|| "(alone)".to_owned()),
            beside.map_or_else(|| "-".to_owned(), |_| format_list(&seating.seats.antagonist)),
            beside.map_or_else(
                || seating.measured.command(),
                |beside| format!("{} | {}", seating.measured.command(), beside.command()),
            ),
        ]);
    }
    print(&table.render(terminal_columns().unwrap_or(usize::MAX)))?;
    say(&match seed {
        Some(seed) => format!("series `{name}`, seed {seed}; nothing was run"),
        None => format!("series `{name}`; nothing was run, and without --seed this is one order of many"),
    });
    Ok(ExitCode::SUCCESS)
}
