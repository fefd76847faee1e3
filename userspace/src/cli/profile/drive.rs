//! Runs a session: drains, closes windows, hands batches to the writer, and ends for the first reason there is.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use waytrace_hw::clock;
use waytrace_model::run::{EndedBy, RunHeader, TargetInfo};
use waytrace_store::{RunId, RunWriter, Store};
use waytrace_trace::session::{Request, Session};

use super::super::exit::Incomplete;
use super::super::output::say;
use super::Args;
use super::plan::Plan;
use super::progress::Progress;
use super::target::Target;
use super::writer::Writer;

/// How often the ring is drained; twice a window where that is more often.
const DRAIN: Duration = Duration::from_millis(50);
const LEAST_DRAIN: Duration = Duration::from_millis(1);
/// How often the progress line changes.
const PROGRESS_NS: u64 = 500_000_000;

/// A finished run.
pub struct Finished {
    /// Where it is stored.
    pub run: RunId,
    /// Why it ended.
    pub ended_by: EndedBy,
    /// The code of the command waytrace started and that ended.
    pub exit_code: Option<i32>,
}

/// Attaches, measures and stores.
pub async fn run(args: &Args, plan: Plan, store: &Store, target: Target) -> anyhow::Result<Finished> {
    let signals = Signals::new()?;
    let events = plan.event_infos();
    let request = Request {
        tgids: target.tgids(),
        only_tid: target.only_tid,
        starting: target.child.is_some(),
        follow_forks: args.target.follow_forks,
        interval_ns: plan.interval_ns,
        events: plan.events.clone(),
        events_named: plan.events_named,
        phases: plan.phases.as_ref().map(|phases| phases.event.clone()),
        allocations: plan.allocations,
        alloc_source: args.measure.alloc_source.into(),
        accesses: plan.accesses.clone(),
        accesses_named: plan.accesses_named,
        budget_pct: plan.budget_pct,
        explicit: plan.explicit,
        max_live: plan.max_live,
        ring_bytes: plan.ring_bytes,
    };
    let started_at_unix_ns = clock::unix_ns();
    let session = Session::attach(request)?;
    let header = header(args, &plan, &target, started_at_unix_ns, session.start_ns());
    let mut run = store.begin_run(&header, &events)?;
    run.keep_accesses(plan.max_samples);
    measure(args.duration, session, target, run, signals).await.context(Incomplete)
}

/// From the beginning of the run to its end.
async fn measure(
    duration_ns: Option<u64>,
    mut session: Session,
    mut target: Target,
    run: RunWriter,
    mut signals: Signals,
) -> anyhow::Result<Finished> {
    let mut writer = Writer::start(run).context("starting the store thread")?;
    announce(&session, &target);
    if let Some(child) = &mut target.child {
        if child.run_to_entry() {
            session.look_again()?;
        }
        child.release()?;
    }
    let mut progress = Progress::new(duration_ns);
    let mut ended_by =
        watch(duration_ns, &mut session, &mut target, &mut writer, &mut signals, &mut progress).await?;
    progress.clear();
    let (batches, mut epilogue) = session.finish(ended_by)?;
    for batch in batches {
        writer.append(batch);
    }
    epilogue.exit_code = target.child.as_mut().and_then(super::child::Child::exit_code);
    let (run, failure) = writer.finish(epilogue)?;
    let exit_code = target.child.as_mut().and_then(|child| {
        child.conclude(ended_by != EndedBy::Interrupt);
        child.exit_code()
    });
    if let Some(error) = failure {
        say(&error.to_string());
        ended_by = EndedBy::StoreFailure;
    }
    Ok(Finished { run, ended_by, exit_code })
}

/// Until the run ends, and why it does.
async fn watch(
    duration_ns: Option<u64>,
    session: &mut Session,
    target: &mut Target,
    writer: &mut Writer,
    signals: &mut Signals,
    progress: &mut Progress,
) -> anyhow::Result<EndedBy> {
    let end_ns = duration_ns.map(|duration_ns| session.start_ns().saturating_add(duration_ns));
    let mut next_progress_ns = 0;
    let drain = Duration::from_nanos(session.interval_ns() / 2).clamp(LEAST_DRAIN, DRAIN);
    let mut tick = tokio::time::interval(drain);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = signals.any() => return Ok(EndedBy::Interrupt),
            _ = tick.tick() => {}
        }
        session.drain()?;
        let now_ns = clock::monotonic_ns();
        if now_ns >= session.next_window_ns()
            && let Some(batch) = session.close_window()?
            && !writer.append(batch)
        {
            return Ok(EndedBy::StoreFailure);
        }
        let child_ended = target.child.as_mut().is_some_and(super::child::Child::has_ended);
        if child_ended && !session.has_other_targets(target.processes[0].tgid) || session.targets_gone() {
            return Ok(EndedBy::TargetExit);
        }
        if end_ns.is_some_and(|end_ns| now_ns >= end_ns) {
            return Ok(EndedBy::Duration);
        }
        if now_ns >= next_progress_ns {
            next_progress_ns = now_ns + PROGRESS_NS;
            progress.show(now_ns - session.start_ns(), session.progress()?);
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let watch = |kind| signal(kind).context("watching for signals");
        Ok(Self { interrupt: watch(SignalKind::interrupt())?, terminate: watch(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn header(
    args: &Args,
    plan: &Plan,
    target: &Target,
    started_at_unix_ns: u64,
    started_at_ns: u64,
) -> RunHeader {
    let first = &target.processes[0];
    RunHeader {
        name: args.name.clone().unwrap_or_default(),
        started_at_unix_ns,
        started_at_ns,
        interval_ns: plan.interval_ns,
        command: std::env::args().collect::<Vec<_>>().join(" "),
        host: waytrace_hw::topology::host(waytrace_hw::Machine::live().root()),
        target: TargetInfo {
            tgid: first.tgid,
            comm: first.comm.clone(),
            cmdline: first.cmdline.clone(),
            exe: first.exe.to_string_lossy().into_owned(),
            build_id: waytrace_image::symbols::build_id(format!("/proc/{}/exe", first.tgid).as_ref()),
            start_time_ticks: first.start_time_ticks,
        },
        budget_pct: plan.budget_pct,
        phases: plan.phases.as_ref().map(|phases| phases.rule.clone()),
    }
}

/// One line when everything is in place: people and scripts wait for it.
fn announce(session: &Session, target: &Target) {
    let first = &target.processes[0];
    let others = match target.processes.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let probes = session.probe_names().len();
    say(&format!("attached to {} (pid {}){others}, {probes} probes", first.comm, first.tgid));
    for collector in session.collectors() {
        if let Some(reason) = &collector.reason {
            say(&format!("{} {:?}: {reason}", collector.name, collector.status));
        }
    }
}
