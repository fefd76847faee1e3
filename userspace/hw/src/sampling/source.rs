//! Which PMU of a machine gives addresses of memory accesses, and by which events.
//!
//! Nothing is opened here, and everything comes from the machine's files. Not verified on hardware. Sources:
//! `Documentation/ABI/testing/sysfs-bus-event_source-devices-*`, `arch/x86/events/intel/core.c` (`mem-loads-aux`),
//! `arch/x86/events/amd/ibs.c`, `drivers/perf/arm_spe_pmu.c`, `arch/powerpc/perf/power9-pmu.c`.

use waytrace_model::access::{AccessKind, Source};

use super::error::NoSource;
use crate::events::{self, PerfAttr};
use crate::pmu::Pmu;
use crate::{Machine, topology};

const IBS: &str = "ibs_op";
const SPE: &str = "arm_spe_0";
const LOADS: &str = "mem-loads";
const STORES: &str = "mem-stores";
/// Where the PMU names it, the kernel refuses `mem-loads` outside a group that this event leads (`-ENODATA`).
const LOADS_AUX: &str = "mem-loads-aux";
/// Marked loads and stores of POWER9, where the kernel names none.
const POWER9_LOADS: &str = "r4003e";
const POWER9_STORES: &str = "r20016";
/// SPE samples no more often than every so many operations where sysfs tells no limit (`PMSIDR_EL1.Interval`).
const SPE_LEAST_PERIOD: u64 = 4096;
const TYPE_BREAKPOINT: u32 = 5;

/// How samples come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// As records in the ring.
    Ring,
    /// As SPE packets in the AUX area.
    Spe,
}

/// One event to sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledEvent {
    /// The event, with its modifiers.
    pub attr: PerfAttr,
    /// What it samples, where its samples do not tell.
    pub kind: Option<AccessKind>,
    /// Skid allowed, 0 (any) to 3 (none).
    pub precise_ip: u8,
    /// An event that has to lead its group.
    pub leader: Option<PerfAttr>,
    /// How samples come.
    pub transport: Transport,
    /// The PMU can be told to leave kernel code out.
    pub excludes_kernel: bool,
    /// Its period has to be at least this and a multiple of [`SampledEvent::period_step`].
    pub least_period: u64,
    /// 1, or what the PMU's counter is too coarse for.
    pub period_step: u64,
    /// The PMU holds a frequency by itself; else a period is made of it.
    pub takes_frequency: bool,
    /// `bp_type` of an address that is watched.
    pub(super) watch: Option<u32>,
}

/// A way to sample the accesses of this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingSource {
    /// Its name and bias.
    pub source: Source,
    /// What to open, all of it.
    pub events: Vec<SampledEvent>,
    /// What a user should know of it: one sentence each.
    pub notes: Vec<String>,
}

/// Said wherever such a source is shown.
pub const NOT_VERIFIED: &str = "not verified on hardware";

impl SampledEvent {
    fn new(attr: PerfAttr, kind: Option<AccessKind>, precise_ip: u8) -> Self {
        Self {
            attr,
            kind,
            precise_ip,
            leader: None,
            transport: Transport::Ring,
            excludes_kernel: true,
            least_period: 1,
            period_step: 1,
            takes_frequency: true,
            watch: None,
        }
    }

    /// The first `len` bytes (1, 2, 4 or 8) from `address` on, watched by a debug register: each access to them by a
    /// sampled thread is an event. Needs no PMU; four at most per thread. Without `stores_only` loads count too, and
    /// samples do not tell which they are.
    pub fn watch(address: u64, len: u64, stores_only: bool) -> Self {
        const WRITE: u32 = 2;
        const READ_WRITE: u32 = 3;
        let mut attr = PerfAttr::new(format!("mem:{address:#x}/{len}"), TYPE_BREAKPOINT, 0);
        for (_, encoding) in &mut attr.encodings {
            encoding.config = [0, address, len, 0];
        }
        let kind = stores_only.then_some(AccessKind::Store);
        Self { watch: Some(if stores_only { WRITE } else { READ_WRITE }), ..Self::new(attr, kind, 0) }
    }
}

impl SamplingSource {
    /// Finds the machine's own source. An event given by name takes the place of the machine's for its direction; with one
    /// alone only that direction is sampled.
    ///
    /// # Errors
    /// [`NoSource`]: there is none, or an event given is none to sample.
    pub fn find(
        machine: &Machine,
        read_event: Option<&str>,
        write_event: Option<&str>,
    ) -> Result<Self, NoSource> {
        if read_event.is_some() || write_event.is_some() {
            return named(machine, read_event, write_event);
        }
        ibs(machine)
            .or_else(|| spe(machine))
            .or_else(|| core(machine))
            .or_else(|| power9(machine))
            .ok_or_else(|| NoSource::Nothing { present: machine.pmu_names().to_vec() })
    }

    /// An address watched by a debug register, as a source of its own.
    pub fn watch(address: u64, len: u64, stores_only: bool) -> Self {
        let events = vec![SampledEvent::watch(address, len, stores_only)];
        Self { source: Source::PmuEvent, events, notes: Vec::new() }
    }
}

fn perf_attr(machine: &Machine, text: &str) -> Result<PerfAttr, NoSource> {
    match events::resolve(machine, text)?.source {
        events::Source::Perf(attr) if attr.per_task => Ok(attr),
        _ => Err(NoSource::NoAddresses { event: text.to_owned() }),
    }
}

fn highest_precision(machine: &Machine) -> u8 {
    machine.core_pmus().iter().filter_map(|pmu| pmu.max_precise).max().unwrap_or(0).min(3)
}

/// Events by name. Of IBS and SPE the samples tell what they are, whatever direction they were named for.
fn named(machine: &Machine, read: Option<&str>, write: Option<&str>) -> Result<SamplingSource, NoSource> {
    let asked = [(read, AccessKind::Load), (write, AccessKind::Store)];
    let asked = asked.into_iter().filter_map(|(text, kind)| Some((text?.trim(), kind)));
    let (mut events, mut source) = (Vec::<SampledEvent>::new(), None);
    for (text, kind) in asked {
        let (of, event) = named_event(machine, text, kind)?;
        // Two sources at once would need two answers to how their samples are biased.
        if *source.get_or_insert(of) != of {
            return Err(NoSource::Mixed);
        }
        if events.iter().all(|other| other.attr != event.attr) {
            events.push(event);
        }
    }
    Ok(SamplingSource { source: source.unwrap_or(Source::PmuEvent), events, notes: notes(&[]) })
}

fn named_event(machine: &Machine, text: &str, kind: AccessKind) -> Result<(Source, SampledEvent), NoSource> {
    let attr = perf_attr(machine, text)?;
    let own = match text.split_once('/') {
        Some((IBS, _)) => ibs(machine),
        Some((SPE, _)) => spe(machine),
        _ => None,
    };
    if let Some((of, event)) = own.and_then(|own| Some((own.source, own.events.into_iter().next()?))) {
        return Ok((of, SampledEvent { attr, ..event }));
    }
    let asked = attr.modifiers.precise_ip;
    let precise_ip = if asked > 0 { asked } else { highest_precision(machine) };
    let leader = leader_of(machine, text);
    let of = if is_intel(machine) { Source::IntelPebs } else { Source::PmuEvent };
    Ok((of, SampledEvent { leader, ..SampledEvent::new(attr, Some(kind), precise_ip) }))
}

fn notes(more: &[&str]) -> Vec<String> {
    std::iter::once(NOT_VERIFIED).chain(more.iter().copied()).map(str::to_owned).collect()
}

/// The leader that `mem-loads` of a PMU needs, if `text` is that event.
fn leader_of(machine: &Machine, text: &str) -> Option<PerfAttr> {
    let (pmu, rest) = text.split_once('/').unwrap_or(("cpu", text));
    let name = rest.split(['/', ',', ':']).next().unwrap_or(rest);
    let has_leader =
        machine.core_pmus().iter().any(|core| core.name == pmu && core.events.contains_key(LOADS_AUX));
    (name == LOADS && has_leader).then(|| perf_attr(machine, &format!("{pmu}/{LOADS_AUX}/")).ok()).flatten()
}

fn is_intel(machine: &Machine) -> bool {
    let cpuinfo = machine.root().read("proc/cpuinfo").unwrap_or_default();
    topology::cpuinfo_field(&cpuinfo, "vendor_id").is_some_and(|vendor| vendor == "GenuineIntel")
}

/// AMD: one event for loads and stores; the sample says which.
fn ibs(machine: &Machine) -> Option<SamplingSource> {
    let pmu = machine.pmu(IBS)?;
    let has = |format: &str| pmu.formats.contains_key(format);
    let terms: Vec<&str> = [("cnt_ctl", "cnt_ctl=1"), ("swfilt", "swfilt=1")]
        .into_iter()
        .filter_map(|(format, term)| has(format).then_some(term))
        .collect();
    let attr = match terms.as_slice() {
        [] => PerfAttr::new(format!("{IBS}//"), pmu.type_, 0),
        terms => perf_attr(machine, &format!("{IBS}/{}/", terms.join(","))).ok()?,
    };
    let event = SampledEvent {
        excludes_kernel: has("swfilt"),
        least_period: 0x90,
        period_step: 16,
        ..SampledEvent::new(attr, None, 0)
    };
    let mut more = Vec::new();
    if !has("cnt_ctl") {
        more.push("this CPU counts cycles instead of operations between samples: slow code is sampled more");
    }
    if has("l3missonly") {
        more.push("this CPU can sample misses of L3 alone: --read-event ibs_op/l3missonly=1/");
    }
    Some(SamplingSource { source: Source::AmdIbs, events: vec![event], notes: notes(&more) })
}

/// Arm: one event for loads and stores; the PMU writes packets into an area of its own.
fn spe(machine: &Machine) -> Option<SamplingSource> {
    let pmu = machine.pmu(SPE)?;
    let terms: Vec<String> = ["ts_enable", "jitter", "load_filter", "store_filter"]
        .into_iter()
        .filter(|format| pmu.formats.contains_key(*format))
        .map(|format| format!("{format}=1"))
        .collect();
    let attr = perf_attr(machine, &format!("{SPE}/{}/", terms.join(","))).ok()?;
    let least = machine.root().read_number(&format!("{}/{SPE}/caps/min_interval", crate::pmu::DEVICES));
    let event = SampledEvent {
        transport: Transport::Spe,
        least_period: least.and_then(|least| u64::try_from(least).ok()).unwrap_or(SPE_LEAST_PERIOD),
        takes_frequency: false,
        ..SampledEvent::new(attr, None, 0)
    };
    let more = ["samples are as late as the piece of memory that brings them"];
    Some(SamplingSource { source: Source::ArmSpe, events: vec![event], notes: notes(&more) })
}

/// Loads and stores the core PMUs name: Intel, newer POWER.
fn core(machine: &Machine) -> Option<SamplingSource> {
    let events: Vec<SampledEvent> =
        machine.core_pmus().iter().flat_map(|pmu| core_events(machine, pmu)).collect();
    if events.is_empty() {
        return None;
    }
    let source = if is_intel(machine) { Source::IntelPebs } else { Source::PmuEvent };
    let no_stores = events.iter().all(|event| event.kind == Some(AccessKind::Load));
    let more: &[&str] =
        if no_stores { &["this PMU names no event of stores: only loads are sampled"] } else { &[] };
    Some(SamplingSource { source, events, notes: notes(more) })
}

fn core_events(machine: &Machine, pmu: &Pmu) -> Vec<SampledEvent> {
    let event = |name: &str, kind: AccessKind| {
        pmu.events.get(name)?;
        let text = format!("{}/{name}/", pmu.name);
        let attr = perf_attr(machine, &text).ok()?;
        // A PMU that does not say how precise it can be takes no such request: POWER's events are exact by themselves.
        let precise_ip = pmu.max_precise.unwrap_or(0).min(3);
        Some(SampledEvent {
            leader: leader_of(machine, &text),
            ..SampledEvent::new(attr, Some(kind), precise_ip)
        })
    };
    [event(LOADS, AccessKind::Load), event(STORES, AccessKind::Store)].into_iter().flatten().collect()
}

/// POWER9 under a kernel that names none.
fn power9(machine: &Machine) -> Option<SamplingSource> {
    let cpuinfo = machine.root().read("proc/cpuinfo").unwrap_or_default();
    let is_power9 = topology::cpuinfo_field(&cpuinfo, "cpu").is_some_and(|cpu| cpu.starts_with("POWER9"));
    let event = |name: &str, kind| Some(SampledEvent::new(perf_attr(machine, name).ok()?, Some(kind), 0));
    let events = [event(POWER9_LOADS, AccessKind::Load)?, event(POWER9_STORES, AccessKind::Store)?];
    is_power9.then(|| SamplingSource { source: Source::PmuEvent, events: events.into(), notes: notes(&[]) })
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
