//! From what is asked to a sweep that can be run: everything wrong with a request shows here, before anything is changed.

use waytrace_hw::Root;
use waytrace_hw::clock::unix_ns;
use waytrace_hw::rdt::{CacheAllocation, DEFAULT_CLASS, Monitored};
use waytrace_hw::topology::format_list;
use waytrace_hw::topology_cache::{caches, smt_siblings};
use waytrace_model::cache::WayMask;
use waytrace_model::cache_report::{CacheResource, Capabilities, Class, Interface, Mode, Use};
use waytrace_model::sweep::{MissSource, SweepHeader, SweepPlan, SweepTarget, SweptCache};

use crate::control::{Control, Masks, Swept};
use crate::corunner::{Corunners, Order};
use crate::counters::{self, Counters};
use crate::guard::Guard;
use crate::plan::{REFERENCE_EVERY, ways};
use crate::position::Positions;
use crate::slo::{Metric, Slo};
use crate::target::Target;
use crate::{Sweep, SweepError};

/// Bytes of a line where sysfs does not tell.
const LINE_BYTES: u64 = 64;
/// Caches a co-runner walks before it comes to the same line again.
const CACHES_WALKED: u64 = 2;

/// What is asked of a sweep.
#[derive(Debug, Clone)]
pub struct Request {
    /// Name it is kept under.
    pub name: String,
    /// The command line.
    pub command: String,
    /// Whose curve.
    pub pid: u32,
    /// Numbers of ways, as `1-4,8`; all of them without.
    pub ways: Option<String>,
    /// Sweeps; `None`: until ended.
    pub repeats: Option<u32>,
    /// Length of a window, nanoseconds.
    pub window_ns: u64,
    /// Longest wait for a mask to take effect, nanoseconds.
    pub settle_cap_ns: u64,
    /// From the beginning of a sweep to that of the next, nanoseconds.
    pub every_ns: Option<u64>,
    /// Bytes a co-runner keeps busy in the ways the target has not.
    pub pressure_bytes: Option<u64>,
    /// Whether what is in no class is confined to the ways the target has not.
    pub confine_others: bool,
    /// Loss of instructions a second (0–1) at which it ends.
    pub max_slowdown: Option<f64>,
    /// Condition at whose breach it ends.
    pub slo: Option<String>,
    /// From what the order is drawn.
    pub seed: u64,
    /// CPUs whose class is changed, where only CPUs have classes.
    pub cpus: Option<Vec<u32>>,
}

/// What a sweep works with.
pub struct Parts {
    /// The machine.
    pub root: Root,
    /// Its cache allocation.
    pub allocation: Box<dyn CacheAllocation>,
    /// Who starts co-runners.
    pub corunners: Box<dyn Corunners>,
}

impl Sweep {
    /// Looks at the machine and the target. Nothing is changed.
    ///
    /// # Errors
    /// What cannot be done as asked, and why.
    pub fn prepare(request: &Request, parts: Parts) -> Result<Self, SweepError> {
        let Parts { root, allocation, corunners } = parts;
        let slo = request.slo.as_deref().map(Slo::parse).transpose()?;
        let target = Target::find(&root, request.pid)?;
        let capabilities = allocation.capabilities()?;
        let classes = allocation.classes()?;
        let of_l3: Vec<&CacheResource> =
            capabilities.caches.iter().filter(|cache| cache.level == 3).collect();
        let main = of_l3.iter().find(|cache| cache.used_for != Use::Code).ok_or_else(|| {
            SweepError::NoL3 { present: capabilities.caches.iter().map(|cache| cache.name.clone()).collect() }
        })?;
        let cpus = target_cpus(request, &target, allocation.interface())?;
        let swept = swept(&of_l3, main, &cpus);
        if let Some(nodes) = main.caches.iter().map(|cache| cache.nodes).find(|nodes| *nodes > 1) {
            return Err(SweepError::Divided { nodes });
        }
        let positions = Positions::new(main.rules, taken(&classes, &swept));
        if positions.most() == 0 {
            return Err(SweepError::NoWays { resource: main.name.clone() });
        }
        let ways = ways(request.ways.as_deref(), positions.least(), positions.most())?;
        let mut counters = counters::open(&root, request.pid);
        let (misses, reason) = told(&mut counters, allocation.as_ref(), &capabilities);
        if misses.is_none() {
            return Err(SweepError::NothingTold { reason });
        }
        if misses == Some(MissSource::MemoryTraffic) {
            has_counters(&capabilities, &swept)?;
        }
        check_guard(request, slo.as_ref(), counters.is_ok(), misses, &capabilities)?;
        let plan = SweepPlan {
            ways,
            repeats: request.repeats,
            window_ns: request.window_ns,
            settle_cap_ns: request.settle_cap_ns,
            every_ns: request.every_ns,
            reference_every: REFERENCE_EVERY,
            pressure_bytes: request.pressure_bytes,
            others_confined: request.confine_others,
            seed: request.seed,
            max_slowdown: request.max_slowdown,
            slo: request.slo.clone(),
        };
        let by_cpu = allocation.interface() == Interface::Msr;
        let line_bytes =
            caches(&root)?.iter().find(|cache| cache.level == 3).and_then(|cache| cache.line_bytes);
        let orders = orders(&root, main, &swept, &cpus, &plan, by_cpu)?;
        let header = SweepHeader {
            name: request.name.clone(),
            started_at_unix_ns: unix_ns(),
            command: request.command.clone(),
            simulated: !root.is_live(),
            interface: allocation.interface(),
            target: SweepTarget {
                pid: target.pid,
                comm: target.comm.clone(),
                cpus: if by_cpu { cpus.clone() } else { Vec::new() },
            },
            cache: SweptCache {
                resource: main.name.clone(),
                ids: swept.ids.clone(),
                ways: main.ways,
                way_bytes: main.way_bytes,
                full_mask: main.rules.full_mask,
            },
            plan,
            misses,
        };
        let masks = masks(&positions, &header.plan);
        Ok(Self {
            control: Control::new(&root, allocation, swept, masks)?,
            counters: counters.ok(),
            corunners,
            orders,
            positions,
            target,
            cpus: if by_cpu { cpus } else { Vec::new() },
            line_bytes: line_bytes.map_or(LINE_BYTES, u64::from),
            guard: Guard::new(request.max_slowdown, slo),
            root,
            header,
        })
    }
}

/// CPUs the target may run on; of registers, those whose class is to be changed.
fn target_cpus(request: &Request, target: &Target, interface: Interface) -> Result<Vec<u32>, SweepError> {
    let allowed = target.allowed_cpus()?;
    match (interface, &request.cpus) {
        (Interface::Resctrl, Some(_)) => Err(SweepError::CpusNotNeeded),
        (Interface::Resctrl, None) => Ok(allowed),
        (Interface::Msr, Some(cpus)) if allowed.iter().all(|cpu| cpus.contains(cpu)) => Ok(cpus.clone()),
        (Interface::Msr, Some(cpus)) => Err(SweepError::NotConfined {
            pid: target.pid,
            target: format_list(&allowed),
            cpus: format_list(cpus),
        }),
        (Interface::Msr, None) => Ok(allowed),
    }
}

/// The caches of the CPUs; all of them where sysfs does not tell whose they are.
fn swept(of_l3: &[&CacheResource], main: &CacheResource, cpus: &[u32]) -> Swept {
    let of_cpus = main.caches.iter().filter(|cache| cache.cpus.iter().any(|cpu| cpus.contains(cpu)));
    let mut ids: Vec<_> = of_cpus.map(|cache| cache.id).collect();
    if ids.is_empty() {
        ids = main.caches.iter().map(|cache| cache.id).collect();
    }
    Swept { resources: of_l3.iter().map(|cache| cache.name.clone()).collect(), ids }
}

/// Ways that others have to themselves.
fn taken(classes: &[Class], swept: &Swept) -> WayMask {
    let held = classes.iter().filter(|class| {
        matches!(class.mode, Some(Mode::Exclusive | Mode::PseudoLocked | Mode::PseudoLocksetup))
    });
    let masks = held.flat_map(|class| &class.masks);
    let masks =
        masks.filter(|mask| swept.resources.contains(&mask.resource) && swept.ids.contains(&mask.cache_id));
    masks.fold(WayMask::default(), |all, mask| all.or(mask.mask))
}

/// From where misses are known, and why not from events.
fn told(
    counters: &mut Result<Box<dyn Counters>, SweepError>,
    allocation: &dyn CacheAllocation,
    capabilities: &Capabilities,
) -> (Option<MissSource>, String) {
    let (events, reason) = match counters {
        Ok(counters) => match counters.read() {
            Ok(reading) => {
                let total = counters::total(&reading);
                let told = total.references.is_some() && total.misses.is_some();
                (told, "this CPU's PMU has none that waytrace knows to be of it".to_owned())
            }
            Err(error) => (false, error.to_string()),
        },
        Err(error) => (false, error.to_string()),
    };
    if events {
        return (Some(MissSource::LlcEvents), reason);
    }
    let has_traffic = capabilities
        .monitoring
        .as_ref()
        .is_some_and(|monitoring| monitoring.events.iter().any(|event| event == "mbm_total_bytes"));
    let default = Monitored::Class(DEFAULT_CLASS.to_owned());
    let reads = has_traffic
        && crate::monitors::read(allocation, &default, &all_ids(capabilities))
            .is_ok_and(|sample| sample.has_traffic());
    (reads.then_some(MissSource::MemoryTraffic), reason)
}

/// Whether the target's group will get a bandwidth counter on each cache.
fn has_counters(capabilities: &Capabilities, swept: &Swept) -> Result<(), SweepError> {
    let counters = capabilities.monitoring.iter().flat_map(|monitoring| &monitoring.counters);
    match counters.into_iter().find(|own| own.free == Some(0) && swept.ids.contains(&own.cache_id)) {
        Some(none) => Err(SweepError::NoCounterLeft { cache: none.cache_id.0 }),
        None => Ok(()),
    }
}

fn all_ids(capabilities: &Capabilities) -> Vec<waytrace_model::cache::CacheId> {
    let l3 = capabilities.caches.iter().filter(|cache| cache.level == 3);
    l3.flat_map(|cache| cache.caches.iter().map(|cache| cache.id)).collect()
}

fn check_guard(
    request: &Request,
    slo: Option<&Slo>,
    counts: bool,
    misses: Option<MissSource>,
    capabilities: &Capabilities,
) -> Result<(), SweepError> {
    let no_counts = "it has no PMU that can be used, or no right to it";
    if request.max_slowdown.is_some() && !counts {
        return Err(SweepError::NotTold {
            option: "--max-slowdown",
            metric: "instructions a second",
            reason: no_counts,
        });
    }
    let uses = |metric| slo.is_some_and(|slo| slo.uses(metric));
    let not_told = |metric, reason| Err(SweepError::NotTold { option: "--slo", metric, reason });
    let monitors = |event: &str| {
        let monitoring = capabilities.monitoring.as_ref();
        monitoring.is_some_and(|monitoring| monitoring.events.iter().any(|known| known == event))
    };
    if !counts && [Metric::Ipc, Metric::Mpki, Metric::InstructionRate, Metric::Slowdown].into_iter().any(uses)
    {
        return not_told("instructions", no_counts);
    }
    if uses(Metric::MissRatio) && misses != Some(MissSource::LlcEvents) {
        return not_told("miss_ratio", "references to the last-level cache are not counted here");
    }
    if uses(Metric::Occupancy) && !monitors("llc_occupancy") {
        return not_told("occupancy", "it has no cache monitoring (CMT)");
    }
    if uses(Metric::Bandwidth) && !monitors("mbm_total_bytes") {
        return not_told("bandwidth", "it has no monitoring of memory traffic (MBM)");
    }
    Ok(())
}

/// What co-runners are to be, one for each cache.
fn orders(
    root: &Root,
    main: &CacheResource,
    swept: &Swept,
    target_cpus: &[u32],
    plan: &SweepPlan,
    by_cpu: bool,
) -> Result<Vec<Order>, SweepError> {
    let rounds = crate::press::rounds(main.rules.min_ways);
    let way_bytes = main.way_bytes.unwrap_or(4 << 20);
    let mut orders = Vec::new();
    for cache in main.caches.iter().filter(|cache| swept.ids.contains(&cache.id)) {
        let mut beside: Vec<u32> =
            cache.cpus.iter().copied().filter(|cpu| !target_cpus.contains(cpu)).collect();
        if beside.is_empty() && by_cpu {
            return Err(SweepError::NoCpuLeft { cache: cache.id.0, cpus: format_list(target_cpus) });
        }
        if beside.is_empty() {
            beside.clone_from(&cache.cpus);
        }
        if by_cpu {
            beside = vec![apart(root, &beside, target_cpus)];
        }
        orders.push(Order {
            cpus: beside,
            bytes: CACHES_WALKED * way_bytes * u64::from(main.ways),
            window_bytes: way_bytes * u64::from(rounds),
            rounds,
            hold_bytes: plan.pressure_bytes.unwrap_or(0),
        });
    }
    Ok(orders)
}

/// The last of the CPUs whose core the target does not use, if there is one.
fn apart(root: &Root, cpus: &[u32], target_cpus: &[u32]) -> u32 {
    let is_apart = |cpu: &&u32| {
        let siblings = smt_siblings(root, **cpu).unwrap_or_default();
        !siblings.iter().any(|sibling| target_cpus.contains(sibling))
    };
    cpus.iter().rev().find(is_apart).or(cpus.last()).copied().unwrap_or(0)
}

/// Every mask the sweep may set.
fn masks(positions: &Positions, plan: &SweepPlan) -> Masks {
    let target: Vec<WayMask> = plan.ways.iter().filter_map(|ways| positions.mask(*ways)).collect();
    let others: Vec<WayMask> = target.iter().map(|mask| crate::press::for_others(positions, *mask)).collect();
    let all = positions.mask(positions.most()).unwrap_or_default();
    let everywhere = positions.complement(WayMask::default());
    let mut corunner = others.clone();
    corunner.push(all);
    for mask in &target {
        corunner.extend(positions.pieces(everywhere.without(*mask), *mask));
    }
    // Stale ways are a part of those outside of a mask, which pieces may cut otherwise.
    corunner.extend((0..64).flat_map(|way| positions.pieces(WayMask::from_bits(1 << way), all)));
    for mask in &target {
        corunner.extend((0..64).flat_map(|way| positions.pieces(WayMask::from_bits(1 << way), *mask)));
    }
    corunner.sort_unstable();
    corunner.dedup();
    Masks { target, corunner, others }
}
