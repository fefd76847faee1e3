//! Runs a series, from its beginning or from where it was interrupted, and stores each repetition as it ends.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use waytrace_hw::Root;
use waytrace_model::bench::{Mode, Repetition, Workload};
use waytrace_model::units::format_ns;
use waytrace_store::{PruneRule, RunId, Series, Store};

use super::super::exit::Incomplete;
use super::super::output::{now_unix_ns, say};
use super::command::{Account, Process};
use super::frequency::Changed;
use super::order::{self, Step};
use super::placement::Placed;
use super::profiler::Profiler;
use super::signals::Signals;

/// What every repetition needs.
struct Runner<'s> {
    store: &'s mut Store,
    series: &'s Series,
    signals: Signals,
    total: usize,
}

/// A repetition that was measured.
struct Measured {
    account: Account,
    run: Option<RunId>,
    problem: Option<String>,
}

/// Runs what is not measured yet, in the modes that are `placed`. False if it was interrupted.
///
/// # Errors
/// A workload that cannot be started, waytrace that cannot attach, a store that cannot be written. What was measured before
/// is kept.
pub fn run(
    store: &mut Store,
    root: &Root,
    series: &Series,
    placed: &BTreeMap<String, Placed>,
) -> anyhow::Result<bool> {
    let signals = Signals::block().context("blocking signals")?;
    let matrix = &series.header.matrix;
    let done: BTreeSet<u64> = series.repetitions.iter().map(|one| one.position).collect();
    let mut steps = order::of(matrix, series.header.seed);
    let total = steps.len();
    steps.retain(|step| !done.contains(&step.position));
    let mut runner = Runner { store, series, signals, total };
    let (mut warm, mut set) = (BTreeSet::new(), None);
    for step in steps {
        let Some(mode) = matrix.modes.get(step.mode) else { continue };
        let Some(placed) = placed.get(&mode.name) else { continue };
        if !matches!(&set, Some((current, _)) if *current == step.mode) {
            // What one mode changed is set back before the next one changes it.
            drop(set.take());
            let frequency = mode.placement.frequency.as_ref();
            set = Some((step.mode, frequency.map(|wanted| Changed::set(root, wanted)).transpose()?));
        }
        let is_cold = warm.insert(step.mode);
        let runs = (!is_cold || runner.warm_up(placed).context(Incomplete)?)
            && runner.step(step, mode, placed).context(Incomplete)?;
        if !runs {
            say("interrupted; what was measured is kept, and --resume goes on");
            return Ok(false);
        }
    }
    Ok(true)
}

impl Runner<'_> {
    /// The runs before a mode's first that are not counted. False if somebody asked for the end.
    fn warm_up(&mut self, placed: &Placed) -> anyhow::Result<bool> {
        let matrix = &self.series.header.matrix;
        for workload in matrix.workloads.iter().flat_map(|one| (0..matrix.warmup).map(move |_| one)) {
            let mut process = Process::start(workload, placed, false)?;
            if process.wait(&mut self.signals)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One repetition. False if somebody asked for the end.
    fn step(&mut self, step: Step, mode: &Mode, placed: &Placed) -> anyhow::Result<bool> {
        let Some(workload) = self.series.header.matrix.workloads.get(step.workload) else { return Ok(true) };
        let started_at_unix_ns = now_unix_ns();
        let measured = if mode.profile {
            self.profiled(step, workload, mode, placed)?
        } else {
            let account = Process::start(workload, placed, false)?.wait(&mut self.signals)?;
            account.map(|account| Measured { account, run: None, problem: None })
        };
        let Some(Measured { account, run, problem }) = measured else { return Ok(false) };
        let repetition = Repetition {
            workload: workload.name.clone(),
            mode: mode.name.clone(),
            repetition: step.repetition,
            position: step.position,
            run_id: run.map(|run| run.0),
            started_at_unix_ns,
            wall_ns: account.wall_ns,
            user_ns: account.user_ns,
            system_ns: account.system_ns,
            max_rss_bytes: account.max_rss_bytes,
            ended_by: account.ended_by,
            exit_code: account.exit_code,
            problem,
        };
        self.store.add_repetition(self.series.id, &repetition)?;
        self.report(&repetition);
        Ok(true)
    }

    /// Held until waytrace has attached.
    fn profiled(
        &mut self,
        step: Step,
        workload: &Workload,
        mode: &Mode,
        placed: &Placed,
    ) -> anyhow::Result<Option<Measured>> {
        let name = self.free_name(step, workload, mode);
        let mut process = Process::start(workload, placed, true)?;
        let database = self.store.path().to_owned();
        let attached = Profiler::attach(process.pid(), mode, &name, &database, &mut self.signals)?;
        let Some(profiler) = attached else {
            drop(process);
            return self.discarded(&name);
        };
        process.release();
        let account = process.wait(&mut self.signals)?;
        let problem = profiler.finish()?;
        let Some(account) = account else { return self.discarded(&name) };
        let run = self.exactly(&name);
        let problem = problem.or_else(|| run.is_none().then(|| "its run was not stored".to_owned()));
        Ok(Some(Measured { account, run, problem }))
    }

    /// A repetition that was interrupted leaves no run: the same one is measured again.
    fn discarded(&mut self, name: &str) -> anyhow::Result<Option<Measured>> {
        if let Some(run) = self.exactly(name) {
            let rule = PruneRule { runs: vec![run], ..PruneRule::default() };
            self.store.prune(&rule, now_unix_ns())?;
        }
        Ok(None)
    }

    /// A name the run can have: that of its place in the series, unless an earlier try that was killed has it.
    fn free_name(&self, step: Step, workload: &Workload, mode: &Mode) -> String {
        let series = &self.series.header.name;
        let name = format!("{series}.{}.{}.{}", workload.name, mode.name, step.repetition);
        let mut free = name.clone();
        let mut tries = 1;
        while self.exactly(&free).is_some() {
            tries += 1;
            free = format!("{name}~{tries}");
        }
        free
    }

    /// The run of this name, and not one whose name begins with it.
    fn exactly(&self, name: &str) -> Option<RunId> {
        let run = self.store.find(name).ok()?;
        self.store.run(run).ok().filter(|row| row.name == name).map(|_| run)
    }

    fn report(&self, one: &Repetition) {
        let how = match (one.succeeded(), &one.problem) {
            (_, Some(problem)) => format!(", {problem}"),
            (true, None) => String::new(),
            (false, None) => format!(", {} ({})", one.ended_by.as_str(), one.exit_code),
        };
        let (position, wall) = (one.position + 1, format_ns(one.wall_ns as f64));
        let Repetition { workload, mode, repetition, .. } = one;
        say(&format!("{position}/{}: {workload}, {mode}, repetition {repetition}: {wall}{how}", self.total));
    }
}
