//! The beginning of a session: what can be measured is found, the kernel part is loaded and aimed, collectors start.

use waytrace_abi::allocation::Peak;
use waytrace_abi::cookie::FreedSize;
use waytrace_abi::settings::Settings;
use waytrace_hw::Machine;
use waytrace_hw::clock;
use waytrace_hw::events::{EventSpec, PerfAttr, Source};
use waytrace_image::allocators::{self, AllocatorMap};
use waytrace_image::process;
use waytrace_model::collector::{CollectorReport, Loss, Status};

use super::samples::{MOST_LIVE, offers};
use super::sampling::Sampling;
use super::wrappers::{call_places, enter_wrappers};
use super::{AllocationMode, Gathered, Probes, Request, Session};
use crate::access::{Accesses, Prepared};
use crate::budget::{Budgeted, Past};
use crate::collect::allocations::Baseline;
use crate::collect::mappings::{self, Mappings};
use crate::collect::perf::{Events, Perf};
use crate::collect::phases::Phases;
use crate::collect::tasks::Tasks;
use crate::kernel::{Constants, HeatRoom, Kernel};
use crate::probes::{Detail, Placed, Plan, Prober};
use crate::stacks::Worker;
use crate::usdt::{self, Budget, Watch};
use crate::{Error, calibrate};

impl Session {
    /// Loads the kernel part and attaches every collector that can run.
    ///
    /// # Errors
    /// When nothing can be attached, or a collector asked for by name cannot run.
    pub fn attach(request: Request) -> Result<Self, Error> {
        let began_ns = clock::monotonic_ns();
        let own_cpu_start_ns = clock::own_cpu_ns();
        let mut collectors = Vec::new();
        let offers = offers(&request)?;
        let found = match &offers {
            Some(_) => {
                collectors.push(report("allocations", Status::Ran, Some(usdt::SOURCE.to_owned())));
                Found::new()
            }
            None => find_allocators(&request, &mut collectors)?,
        };
        let (task_events, perf_events) = split_events(request.events.as_deref().unwrap_or_default());
        let cpus = waytrace_hw::topology::cpus_online(Machine::live().root())?;
        let perf_events = Events::open(&perf_events, &cpus, request.events_named)?;
        if request.events.is_some() {
            collectors.push(perf_events.report.clone());
        }
        let positions = perf_events.positions().to_vec();
        let sampler =
            request.accesses.as_ref().map(|mode| Prepared::new(mode, request.sampled())).transpose()?;
        if let Some((status, reason)) = sampler.as_ref().map(Prepared::status) {
            collectors.push(report("accesses", status, reason));
        }
        let walks = sampler.as_ref().is_some_and(Prepared::is_walk);
        let mut kernel =
            Kernel::load(&constants(&request, &found, offers.is_some(), positions.len(), walks))?;
        if !kernel.sees_own_id()? {
            return Err(Error::PidNamespace);
        }
        let prober = request.allocations.map(|_| Prober::new(&mut kernel)).transpose()?;
        let costs = match &prober {
            Some(prober) if !found.is_empty() || offers.is_some() => {
                calibrate::run(&mut kernel, prober, request.detail(), freed_size(&found))?
            }
            _ => calibrate::Costs::default(),
        };
        let sampler = sampler.map(|sampler| sampler.calibrate(&mut kernel)).transpose();
        let sampler = unless_named(sampler, request.accesses_named, "accesses", &mut collectors)?;
        let mut ring = kernel.ring()?;
        while ring.next().is_some() {}
        let mut settings = Settings::default();
        aim(&mut kernel, &request, &mut settings)?;
        for tracepoint in ["fork", "exec", "exit"] {
            let program = match tracepoint {
                "fork" => "task_forked",
                "exec" => "task_executed",
                _ => "task_exited",
            };
            kernel.attach_raw_tracepoint(program, &format!("sched_process_{tracepoint}"))?;
        }
        let perf = start_perf(&mut kernel, &request, perf_events, &cpus)?;
        let mappings = start_mappings(&mut kernel, &request, prober.clone(), &mut collectors);
        let stacks = request.allocations.map(|_| Worker::start()).transpose();
        let mut stacks = stacks.map_err(Error::syscall("starting the stack worker"))?;
        if let Some(worker) = &mut stacks {
            request.tgids.iter().for_each(|&tgid| worker.sync(tgid));
        }
        settings.run_start_ns = clock::monotonic_ns();
        let sampling = request.allocations.map(|_| Sampling::new(&mut settings, offers.is_some()));
        kernel.configure(settings)?;
        let baseline = Baseline::take(&mut kernel)?;
        let loss_baseline = kernel.losses()?;
        kernel.clear_peak()?;
        let mut tasks = Tasks::new(task_events, request.only_tid);
        let threads = tasks.begin(&mut kernel, settings.run_start_ns)?;
        let phases = start_phases(&mut kernel, &request, positions)?;
        let accesses = sampler
            .map(|sampler| {
                Accesses::start(
                    &mut kernel,
                    sampler,
                    request.sampled(),
                    request.detail() >= Detail::Lifetimes,
                    settings.run_start_ns,
                    request.interval_ns,
                )
            })
            .transpose();
        let accesses = unless_named(accesses, request.accesses_named, "accesses", &mut collectors)?;
        let probes = match (offers, prober, request.allocations) {
            (Some(offers), Some(prober), Some(AllocationMode::Budgeted { budget_pct: pct })) => {
                let scope = |tgid| request.scope(tgid);
                let watch = Watch::start(&mut kernel, prober, Budget { pct, costs }, &offers, scope)?;
                Probes::Samples(Box::new(watch))
            }
            (_, prober, _) => place(&mut kernel, &request, found, prober, &costs)?,
        };
        let mut session = Self {
            last: baseline.sums,
            kernel,
            ring,
            start_ns: settings.run_start_ns,
            windows: 0,
            window_start_ns: settings.run_start_ns,
            tasks,
            perf,
            phases,
            sampling,
            accesses,
            mappings,
            probes,
            stacks,
            baseline,
            loss_baseline,
            gathered: Gathered::default(),
            pending: None,
            collectors,
            loss: Loss::default(),
            costs,
            own_cpu_start_ns,
            attach_ns: clock::monotonic_ns() - began_ns,
            request,
        };
        session.last.peak = Peak::default();
        session.gathered.brought.threads = threads;
        Ok(session)
    }
}

type Found = Vec<(u32, AllocatorMap, Vec<process::Mapping>)>;

fn find_allocators(request: &Request, collectors: &mut Vec<CollectorReport>) -> Result<Found, Error> {
    let mut found = Vec::new();
    if request.allocations.is_none() {
        return Ok(found);
    }
    let mut failure = None;
    for &tgid in &request.tgids {
        let mappings = process::mappings(tgid)?;
        let map = if request.starting {
            let program = process::inspect(tgid)?.exe;
            allocators::find_for_command(&program, &|name| std::env::var_os(name))
        } else {
            allocators::find(tgid, &mappings)
        };
        match map {
            Ok(map) => found.push((tgid, map, mappings)),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if found.is_empty() && request.explicit => Err(error.into()),
        Some(error) if found.is_empty() => {
            collectors.push(report("allocations", Status::Skipped, Some(error.to_string())));
            Ok(found)
        }
        _ => {
            collectors.push(report("allocations", Status::Ran, None));
            Ok(found)
        }
    }
}

/// How the targets' allocators tell the size of a freed block, where all tell it alike.
fn freed_size(found: &Found) -> FreedSize {
    let mut frees = found.iter().flat_map(|(_, map, _)| &map.probes).filter(|point| point.kind.is_free());
    let all_glibc = frees.all(|point| point.freed_size() == allocators::FreedSize::GlibcChunk);
    if all_glibc { FreedSize::GlibcChunk } else { FreedSize::Unknown }
}

/// What a collector came to. One that was not asked for by name is left out where it cannot run, and its line says why.
fn unless_named<T>(
    result: Result<Option<T>, Error>,
    is_named: bool,
    name: &str,
    collectors: &mut Vec<CollectorReport>,
) -> Result<Option<T>, Error> {
    match result {
        Err(error) if !is_named => {
            collectors.retain(|collector| collector.name != name);
            collectors.push(report(name, Status::Skipped, Some(error.to_string())));
            Ok(None)
        }
        result => result,
    }
}

fn report(name: &str, status: Status, reason: Option<String>) -> CollectorReport {
    CollectorReport { name: name.to_owned(), status, reason }
}

type TaskEvents = Vec<(waytrace_hw::events::TaskCounter, u16)>;
type PerfEvents = Vec<(PerfAttr, u16)>;

fn split_events(events: &[EventSpec]) -> (TaskEvents, PerfEvents) {
    let (mut task, mut perf) = (Vec::new(), Vec::new());
    for (position, event) in events.iter().enumerate() {
        match &event.source {
            Source::Task(counter) => task.push((*counter, position as u16)),
            Source::Perf(attr) => perf.push((attr.clone(), position as u16)),
        }
    }
    (task, perf)
}

fn constants(request: &Request, found: &Found, samples: bool, event_count: usize, walks: bool) -> Constants {
    let (lifetimes, min_traced_bytes) = match request.allocations {
        Some(AllocationMode::Exact { detail, min_traced_bytes }) => {
            (detail >= Detail::Lifetimes, min_traced_bytes)
        }
        _ => (false, u64::MAX),
    };
    Constants {
        everyone: false,
        follow_forks: request.follow_forks,
        lifetimes,
        every_stack: request.detail() >= Detail::Stacks,
        min_traced_bytes,
        wrappers_present: request.follow_forks
            || found.iter().any(|(_, map, _)| !call_places(map, request.detail()).is_empty()),
        event_count: event_count.min(Perf::MAX) as u32,
        interval_ns: request.interval_ns,
        phases: request.phases.is_some(),
        accesses: walks,
        heat: if walks || request.accesses.is_none() { HeatRoom::NONE } else { HeatRoom::USUAL },
        samples,
        max_live: match (lifetimes, samples) {
            (true, _) => request.max_live,
            (false, true) => request.max_live.min(MOST_LIVE),
            (false, false) => 1,
        },
        ring_bytes: request.ring_bytes,
    }
}

/// Tells the kernel part who the targets are, and what it needs to know of them.
fn aim(kernel: &mut Kernel, request: &Request, settings: &mut Settings) -> Result<(), Error> {
    settings.only_tid = request.only_tid.unwrap_or(0);
    if let ([tgid], false) = (&request.tgids[..], request.follow_forks) {
        settings.single_tgid = *tgid;
    }
    for &tgid in &request.tgids {
        kernel.add_target(tgid)?;
        let mappings = process::mappings(tgid)?;
        if let Some(end) = mappings::heap_end(tgid, &mappings) {
            kernel.set_heap_end(tgid, end)?;
        }
    }
    kernel.configure(*settings)
}

fn start_perf(
    kernel: &mut Kernel,
    request: &Request,
    events: Events,
    cpus: &[u32],
) -> Result<Option<Perf>, Error> {
    // The budget is in CPU time of the target, which the switch program keeps; so are phases.
    let budgeted = matches!(request.allocations, Some(AllocationMode::Budgeted { .. }));
    if events.positions().is_empty() && !budgeted && request.phases.is_none() {
        return Ok(None);
    }
    Perf::start(kernel, events, cpus, request.interval_ns, request.only_tid).map(Some)
}

fn start_phases(
    kernel: &mut Kernel,
    request: &Request,
    positions: Vec<u16>,
) -> Result<Option<Phases>, Error> {
    let Some(event) = &request.phases else { return Ok(None) };
    Phases::start(kernel, event, &request.tgids, request.only_tid, request.follow_forks, positions).map(Some)
}

fn start_mappings(
    kernel: &mut Kernel,
    request: &Request,
    prober: Option<Prober>,
    collectors: &mut Vec<CollectorReport>,
) -> Option<Mappings> {
    match Mappings::start(kernel, prober?, &request.tgids, request.starting, request.follow_forks) {
        Ok(mappings) => {
            collectors.push(report("mappings", Status::Ran, None));
            Some(mappings)
        }
        Err(error) => {
            collectors.push(report("mappings", Status::Skipped, Some(error.to_string())));
            None
        }
    }
}

fn place(
    kernel: &mut Kernel,
    request: &Request,
    found: Found,
    prober: Option<Prober>,
    costs: &calibrate::Costs,
) -> Result<Probes, Error> {
    let (Some(mode), Some(prober), false) = (request.allocations, prober, found.is_empty()) else {
        return Ok(Probes::None);
    };
    for (_, map, mappings) in &found {
        enter_wrappers(kernel, map, mappings, request.detail())?;
    }
    match mode {
        AllocationMode::Exact { detail, .. } => {
            let (mut plan, mut placed) = (Plan::default(), Placed::default());
            for (tgid, map, _) in &found {
                let own = Plan::new(map, detail);
                let fresh = if request.follow_forks { plan.add_missing(own) } else { plan.merge(own) };
                placed.extend(prober.place(&fresh, request.scope(*tgid))?);
            }
            Ok(Probes::Exact { detail, prober, plan, placed })
        }
        AllocationMode::Budgeted { budget_pct } => {
            let maps = found.into_iter().map(|(tgid, map, _)| (tgid, map)).collect();
            let past = Past::default();
            let budgeted = Budgeted::start(kernel, prober, maps, budget_pct, *costs, past)?;
            Ok(Probes::Budgeted(Box::new(budgeted)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_by_name_is_left_out_with_its_reason() {
        let failed = || Err::<Option<u8>, _>(Error::Missing("x".to_owned()));
        let mut collectors =
            vec![report("accesses", Status::Ran, None), report("counters", Status::Ran, None)];
        assert_eq!(unless_named(Ok(Some(7)), false, "accesses", &mut collectors).unwrap(), Some(7));
        assert!(unless_named(failed(), true, "accesses", &mut collectors).is_err());
        assert_eq!(collectors.len(), 2);
        assert_eq!(unless_named(failed(), false, "accesses", &mut collectors).unwrap(), None);
        let lines: Vec<_> = collectors.iter().map(|line| (line.name.as_str(), line.status)).collect();
        assert_eq!(lines, [("counters", Status::Ran), ("accesses", Status::Skipped)]);
        assert!(collectors[1].reason.as_ref().unwrap().contains('x'));
    }
}
