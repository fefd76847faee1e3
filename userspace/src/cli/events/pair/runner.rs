//! Runs a series of pairs, from its beginning or from where it was interrupted, and stores each run as it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use waytrace_hw::Root;
use waytrace_hw::placement::Seats;
use waytrace_hw::topology::format_list;
use waytrace_model::pairing::{PairPlan, PairRun};
use waytrace_model::units::format_ns;
use waytrace_store::{PairSeries, Store};

use super::guard::Guard;
use super::order::{Step, find};
use super::program::{Antagonist, Running, Seated};
use crate::cli::bench::command::Account;
use crate::cli::bench::signals::Signals;
use crate::cli::exit::Incomplete;
use crate::cli::output::{now_unix_ns, say};

/// What is needed to seat a program.
pub struct Place<'p> {
    /// The machine.
    pub root: &'p Root,
    /// The manifest's directory.
    pub folder: &'p Path,
    /// Places of each configuration this machine can do.
    pub seats: &'p BTreeMap<String, Vec<Seats>>,
}

/// A step with its programs in their seats.
pub struct Seating<'p> {
    /// CPUs of both.
    pub seats: &'p Seats,
    /// The measured program.
    pub measured: Seated,
    /// The one beside it.
    pub antagonist: Option<Seated>,
}

impl<'p> Place<'p> {
    /// Seats the programs of a step. Repetitions take the places of a configuration in turn, so that no part of the
    /// machine stands for all, and the same repetition has the same place alone and beside anybody.
    ///
    /// # Errors
    /// A CPU has gone.
    pub fn seat(&self, plan: &PairPlan, step: &Step) -> anyhow::Result<Seating<'p>> {
        let places = self.seats.get(&step.configuration).map(Vec::as_slice).unwrap_or_default();
        let turn = (step.repetition as usize).saturating_sub(1).checked_rem(places.len()).unwrap_or(0);
        let seats = places.get(turn).ok_or_else(|| anyhow!("{} has no place here", step.configuration))?;
        let named = |name: &str| find(plan, name).ok_or_else(|| anyhow!("there is no program `{name}`"));
        let program = named(&step.program)?;
        let measured = Seated::new(self.root, program, &program.arguments, &seats.measured, self.folder)?;
        let antagonist = step.antagonist.as_deref().map(|name| {
            let program = named(name)?;
            Seated::new(self.root, program, &program.antagonist_arguments, &seats.antagonist, self.folder)
        });
        let measured = measured.with_timeout(plan.timeout.clone());
        Ok(Seating { seats, measured, antagonist: antagonist.transpose()? })
    }
}

/// How a run came out.
enum Measured {
    Ended(Account, u64),
    Spoilt(String),
    Interrupted,
}

/// Runs the steps that are not measured yet. False if it was interrupted.
///
/// # Errors
/// A program that cannot be started, a store that cannot be written. What was measured before is kept.
pub fn run(store: &Store, place: &Place<'_>, series: &PairSeries, steps: &[Step]) -> anyhow::Result<bool> {
    let mut signals = Signals::block().context("blocking signals")?;
    // The signals are blocked in it as well: Ctrl-C is waytrace's to answer.
    let guard = Guard::start().context("starting the process that ends programs after kill -9")?;
    let plan = &series.header.plan;
    let done: BTreeSet<u64> = series.runs.iter().map(|run| run.position).collect();
    let mut warm = BTreeSet::new();
    for step in steps.iter().filter(|step| !done.contains(&step.position)) {
        let seating = place.seat(plan, step)?;
        let is_cold = warm.insert(&step.program);
        let is_warm = !is_cold || warm_up(&seating, &guard, &mut signals).context(Incomplete)?;
        let started_at_unix_ns = now_unix_ns();
        let measured = if is_warm {
            measure(plan, &seating, &guard, &mut signals).context(Incomplete)?
        } else {
            Measured::Interrupted
        };
        let (account, restarts, problem) = match measured {
            Measured::Ended(account, restarts) => (Some(account), restarts, None),
            Measured::Spoilt(problem) => (None, 0, Some(problem)),
            Measured::Interrupted => {
                say("interrupted; what was measured is kept, and --resume goes on");
                return Ok(false);
            }
        };
        let run = PairRun {
            position: step.position,
            configuration: step.configuration.clone(),
            program: step.program.clone(),
            antagonist: step.antagonist.clone(),
            repetition: step.repetition,
            cpus: format_list(&seating.seats.measured),
            antagonist_cpus: step.antagonist.as_ref().map(|_| format_list(&seating.seats.antagonist)),
            started_at_unix_ns,
            wall_ns: account.map(|account| account.wall_ns),
            user_ns: account.map(|account| account.user_ns),
            system_ns: account.map(|account| account.system_ns),
            ended_by: account.map(|account| account.ended_by),
            exit_code: account.map(|account| account.exit_code),
            restarts,
            problem,
        };
        store.add_pair_run(series.id, &run).context(Incomplete)?;
        report(&run, steps.len());
    }
    Ok(true)
}

/// A program's first run is not counted: it finds its files not in memory. False if somebody asked for the end.
fn warm_up(seating: &Seating<'_>, guard: &Guard, signals: &mut Signals) -> anyhow::Result<bool> {
    let process = seating.measured.start(guard)?;
    Ok(!matches!(until_end(process, None, signals)?, Measured::Interrupted))
}

/// The measured program beside an antagonist that has run for a while, or alone.
fn measure(
    plan: &PairPlan,
    seating: &Seating<'_>,
    guard: &Guard,
    signals: &mut Signals,
) -> anyhow::Result<Measured> {
    let beside = seating.antagonist.clone();
    let mut antagonist = beside.map(|seated| Antagonist::start(seated, guard)).transpose()?;
    if let Some(antagonist) = &mut antagonist {
        match antagonist.warm_up(Duration::from_nanos(plan.warmup_ns), signals)? {
            Some(None) => {}
            Some(Some(problem)) => return Ok(Measured::Spoilt(problem)),
            None => return Ok(Measured::Interrupted),
        }
    }
    let process = seating.measured.start(guard)?;
    until_end(process, antagonist.as_mut(), signals)
}

fn until_end(
    mut process: Running<'_>,
    mut antagonist: Option<&mut Antagonist<'_>>,
    signals: &mut Signals,
) -> anyhow::Result<Measured> {
    loop {
        // Before looking, for it may take the signal that says that one of them has ended.
        if signals.interrupted() {
            return Ok(Measured::Interrupted);
        }
        if let Some(account) = process.poll()? {
            let restarts = antagonist.map_or(0, |antagonist| antagonist.restarts());
            return Ok(Measured::Ended(account, restarts));
        }
        if let Some(antagonist) = antagonist.as_deref_mut()
            && let Some(problem) = antagonist.keep()?
        {
            return Ok(Measured::Spoilt(problem));
        }
        signals.wait(process.look());
    }
}

fn report(run: &PairRun, total: usize) {
    let how = match (&run.problem, run.ended_by, run.exit_code) {
        (Some(problem), ..) => format!("not measured: {problem}"),
        (None, Some(ended_by), Some(code)) => {
            let wall = format_ns(run.wall_ns.unwrap_or(0) as f64);
            if run.succeeded() { wall } else { format!("{wall}, {} ({code})", ended_by.as_str()) }
        }
        _ => String::new(),
    };
    let beside = match (&run.antagonist, run.restarts) {
        (None, _) => "alone".to_owned(),
        (Some(name), 0) => format!("beside {name}"),
        (Some(name), restarts) => format!("beside {name} (restarted {restarts}×)"),
    };
    let PairRun { position, program, configuration, repetition, .. } = run;
    say(&format!(
        "{}/{total}: {configuration}, {program} {beside}, repetition {repetition}: {how}",
        position + 1
    ));
}
