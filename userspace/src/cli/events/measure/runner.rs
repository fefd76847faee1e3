//! Goes through the epochs of a measurement that are not stored yet, and stores each as it ends.
//!
//! Groups stay open while the same run comes again: opening and above all closing tracepoints takes the kernel tens of
//! milliseconds each.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant as Wake, MissedTickBehavior};
use waytrace_hw::counter::Counter;
use waytrace_hw::{Machine, topology};
use waytrace_measure::groups::{Groups, open};
use waytrace_measure::order::{self, Step};
use waytrace_measure::places::{self, PerfEvents};
use waytrace_measure::{Recorder, closing, drift, limits};
use waytrace_model::measured::{Epoch, EpochEnd, Quarantined, Scope};
use waytrace_store::{Measurement, Store};

use super::super::super::exit::Resumable;
use super::super::super::output::{now_unix_ns, plain, say};
use super::choose;
use super::command::{Execution, end};
use super::progress::Progress;

/// Tries of an epoch that drifts.
const MOST_ATTEMPTS: u32 = 3;
/// So many take seconds to close.
const MANY_TRACEPOINTS: usize = 50;
/// Epochs it takes to know what is usual.
const LEAST_TO_COMPARE: usize = 3;

/// How it went.
pub struct Finished {
    /// The command's first code that is not 0, else 0; `None` without a command.
    pub exit_code: Option<i32>,
    /// Somebody asked for the end.
    pub interrupted: bool,
    /// Tracepoints that the kernel goes on closing.
    pub tracepoints: usize,
}

struct Open {
    run: usize,
    groups: Groups<Counter>,
}

struct Runner<'a> {
    machine: &'a Machine,
    measurement: &'a Measurement,
    events: PerfEvents,
    cpus: Vec<u32>,
    open: Option<Open>,
    interrupt: Signal,
    terminate: Signal,
}

/// How an epoch ended, with the command's code.
type Ended = (EpochEnd, Option<i32>);

/// Measures what is missing.
///
/// # Errors
/// Perf events that cannot be opened at all, a command that cannot be started, a store that cannot be written. What was
/// measured before is kept.
pub async fn run(
    machine: &Machine,
    store: &mut Store,
    measurement: &Measurement,
) -> anyhow::Result<Finished> {
    let mut runner = Runner {
        machine,
        measurement,
        events: PerfEvents::of(&measurement.header.plan.scope).context("opening the control group")?,
        cpus: topology::cpus_online(machine.root())?,
        open: None,
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    };
    let finished = runner.all(store).await;
    // Whatever happened is told before the kernel has closed the last tracepoint.
    let tracepoints = runner.leave();
    finished.map(|finished| Finished { tracepoints, ..finished })
}

impl Runner<'_> {
    /// All epochs that are missing.
    async fn all(&mut self, store: &mut Store) -> anyhow::Result<Finished> {
        let measurement = self.measurement;
        let plan = &measurement.header.plan;
        let mut steps = order::of(plan.runs.len(), plan.repeat, measurement.header.seed);
        steps.retain(|step| measurement.epochs.iter().all(|(position, _)| *position != step.position));
        let mut progress = Progress::new(steps.len());
        let is_command = matches!(plan.scope, Scope::Command { .. });
        let mut gone = false;
        let mut finished =
            Finished { exit_code: is_command.then_some(0), interrupted: false, tracepoints: 0 };
        if is_command && !steps.is_empty() {
            progress.show("warming up");
            match self.warm_up().await? {
                Some(0) => {}
                Some(code) => say(&format!("the command ends with {code}; it is measured all the same")),
                None => finished.interrupted = true,
            }
        }
        while !steps.is_empty() && !finished.interrupted {
            for step in std::mem::take(&mut steps) {
                progress.show(&format!("run {}", step.run + 1));
                let measured = self.step(store, step).await;
                let Some(epoch) = measured.with_context(|| Resumable(measurement.header.name.clone()))?
                else {
                    finished.interrupted = true;
                    break;
                };
                let code = epoch.exit_code.filter(|code| *code != 0);
                if finished.exit_code == Some(0) && code.is_some() {
                    finished.exit_code = code;
                }
                progress.done();
                if epoch.ended_by == EpochEnd::TargetExit {
                    say("the process has ended");
                    gone = true;
                    break;
                }
            }
            if !gone && !finished.interrupted {
                steps = drifted(store, measurement)?;
                progress.more(steps.len());
            }
        }
        drop(progress);
        if finished.interrupted {
            let name = &measurement.header.name;
            say(&plain(&format!("interrupted; what was measured is kept, and --resume {name} goes on")));
        }
        Ok(finished)
    }

    /// An execution that nothing is counted of. `None` if somebody asked for the end.
    async fn warm_up(&mut self) -> anyhow::Result<Option<i32>> {
        let (_, ended) = self.watch(None).await?;
        Ok(ended.and_then(|(_, code)| code))
    }

    /// One epoch. `None` if somebody asked for the end.
    async fn step(&mut self, store: &mut Store, step: Step) -> anyhow::Result<Option<Epoch>> {
        let refused = self.open(step)?;
        let Some(open) = &mut self.open else { return Ok(None) };
        let mut recorder = Recorder::new(&open.groups);
        recorder.begin_at(open.groups.read(&mut self.events));
        let started_at_unix_ns = now_unix_ns();
        let (recorder, ended) = self.watch(Some(recorder)).await?;
        let (Some(recorder), Some((ended_by, exit_code))) = (recorder, ended) else { return Ok(None) };
        let recorded = recorder.finish();
        let stored = store.measurement(&self.measurement.id.0.to_string())?.epochs;
        let epoch = Epoch {
            position: step.position,
            attempt: 1 + attempts(&stored, step.position),
            run: u32::try_from(step.run).unwrap_or(u32::MAX),
            repetition: step.repetition,
            started_at_unix_ns,
            duration_ns: recorded.slots.last().map_or(0, |slot| slot.end_ns),
            ended_by,
            exit_code,
            slots: recorded.slots,
            counts: recorded.counts,
            by_slot: recorded.by_slot,
        };
        store.add_epoch(self.measurement.id, &epoch, &refused)?;
        Ok(Some(epoch))
    }

    /// Closes what is open; of many tracepoints that is left to the kernel. How many these are.
    fn leave(&mut self) -> usize {
        let Some(mut open) = self.open.take() else { return 0 };
        // After a failure they may still count.
        open.groups.stop(&mut self.events);
        let tracepoints = tracepoints(self.measurement, open.run);
        if tracepoints < MANY_TRACEPOINTS {
            return 0;
        }
        match closing::leave(open.groups.into_counters()) {
            Ok(()) => tracepoints,
            Err(error) => {
                tracing::debug!("closed here: {error}");
                0
            }
        }
    }

    /// Opens a step's run, unless it is open. Says who was refused, and why.
    fn open(&mut self, step: Step) -> anyhow::Result<Vec<Quarantined>> {
        if self.open.as_ref().is_some_and(|open| open.run == step.run) {
            return Ok(Vec::new());
        }
        self.open = None;
        let plan = &self.measurement.header.plan;
        let (mut attrs, mut unknown) = (Vec::new(), Vec::new());
        for number in plan.runs.get(step.run).into_iter().flatten() {
            let Some(event) = plan.events.get(*number as usize) else { continue };
            match choose::attr(self.machine, &event.perf_name) {
                Ok(attr) => attrs.push((*number, attr)),
                Err(error) => unknown.push(Quarantined { event: *number, reason: error.to_string() }),
            }
        }
        let places = places::of(&plan.scope, &self.cpus).context("the process has gone")?;
        limits::descriptors((attrs.len() * places.len()) as u64).context("the limit of open files")?;
        let groups = open(&mut self.events, &attrs, &places)?;
        let refused = unknown.into_iter().chain(groups.refused.iter().cloned()).collect();
        self.open = Some(Open { run: step.run, groups });
        Ok(refused)
    }

    /// Counts until the epoch is over, reading at every interval; without a recorder nothing is counted. No end: somebody asked
    /// for that of everything.
    async fn watch(
        &mut self,
        mut recorder: Option<Recorder>,
    ) -> anyhow::Result<(Option<Recorder>, Option<Ended>)> {
        let plan = &self.measurement.header.plan;
        let began = Instant::now();
        if recorder.is_some()
            && let Some(open) = &mut self.open
        {
            open.groups.start(&mut self.events).context("starting the groups")?;
        }
        let mut execution = match &plan.scope {
            Scope::Command { command } => Some(Execution::start(command)?),
            _ => None,
        };
        let mut tick = tokio::time::interval_at(
            Wake::now() + Duration::from_nanos(plan.interval_ns),
            Duration::from_nanos(plan.interval_ns),
        );
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let limit_ns = if execution.is_some() { plan.timeout_ns } else { plan.epoch_ns };
        let limit = tokio::time::sleep(limit_ns.map_or(Duration::MAX / 4, Duration::from_nanos));
        tokio::pin!(limit);
        let mut timed_out = false;
        let ended = loop {
            tokio::select! {
                biased;
                _ = self.interrupt.recv() => break None,
                _ = self.terminate.recv() => break None,
                status = wait(&mut execution) => {
                    let (how, code) = end(status.context("waiting for the command")?, timed_out);
                    break Some((how, Some(code)));
                }
                () = &mut limit, if !timed_out => match &execution {
                    Some(execution) => {
                        timed_out = true;
                        execution.kill();
                    }
                    None => break Some((EpochEnd::Duration, None)),
                },
                _ = tick.tick() => {
                    if let Some(recorder) = &mut recorder {
                        read(&mut self.open, &mut self.events, recorder, began);
                    }
                    if has_ended(&plan.scope) {
                        break Some((EpochEnd::TargetExit, None));
                    }
                }
            }
        };
        if let Some(recorder) = &mut recorder {
            if let Some(open) = &mut self.open {
                open.groups.stop(&mut self.events);
            }
            read(&mut self.open, &mut self.events, recorder, began);
        }
        Ok((recorder, ended))
    }
}

fn read(open: &mut Option<Open>, events: &mut PerfEvents, recorder: &mut Recorder, began: Instant) {
    let Some(open) = open else { return };
    let at_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    recorder.add(at_ns, open.groups.read(events));
}

/// The end of the execution, which never comes where there is none.
async fn wait(execution: &mut Option<Execution>) -> std::io::Result<std::process::ExitStatus> {
    match execution {
        Some(execution) => execution.wait().await,
        None => std::future::pending().await,
    }
}

fn has_ended(scope: &Scope) -> bool {
    match scope {
        Scope::Process { tgid, start_time_ticks, .. } => !waytrace_image::process::inspect(*tgid)
            .is_ok_and(|info| info.start_time_ticks == *start_time_ticks),
        _ => false,
    }
}

/// Tries there were at a position.
fn attempts(stored: &[(u64, u32)], position: u64) -> u32 {
    stored.iter().filter(|(other, _)| *other == position).map(|(_, attempt)| *attempt).max().unwrap_or(0)
}

/// Epochs that went at another pace than the others and have not been tried often enough. All are known by then, so that the
/// first is judged like the last.
fn drifted(store: &Store, measurement: &Measurement) -> anyhow::Result<Vec<Step>> {
    let plan = &measurement.header.plan;
    let Some(most) = plan.max_drift_pct else { return Ok(Vec::new()) };
    let epochs = store.epochs(measurement.id, false)?;
    if epochs.len() < LEAST_TO_COMPARE {
        return Ok(Vec::new());
    }
    let all: Vec<&Epoch> = epochs.iter().collect();
    let paces = drift::relative(plan, &all);
    let far = |(epoch, pace): (&Epoch, Option<f64>)| {
        let is_far = epoch.attempt < MOST_ATTEMPTS && pace.is_some_and(|pace| drift::is_beyond(pace, most));
        is_far.then_some(epoch.position)
    };
    let far: Vec<u64> = epochs.iter().zip(paces).filter_map(far).collect();
    let mut steps = order::of(plan.runs.len(), plan.repeat, measurement.header.seed);
    steps.retain(|step| far.contains(&step.position));
    Ok(steps)
}

fn tracepoints(measurement: &Measurement, run: usize) -> usize {
    let plan = &measurement.header.plan;
    let is_tracepoint =
        |event: &&u32| plan.events.get(**event as usize).is_some_and(|event| event.pmu == "tracepoint");
    plan.runs.get(run).into_iter().flatten().filter(is_tracepoint).count()
}
