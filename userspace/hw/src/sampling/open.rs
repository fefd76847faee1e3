//! Opens the events of a source: per CPU and thread, into one ring per CPU.
//!
//! The kernel maps no ring for an event that is inherited and follows its thread over all CPUs (`perf_mmap`), so each
//! event is opened on every CPU, as perf does. Source: `perf_event_open(2)`.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use perf_event::{Builder, Clock, Counter};
use perf_event_open_sys::ioctls;

use super::layout::{self, Layout};
use super::ring::{Aux, Ring};
use super::source::{SampledEvent, SamplingSource, Transport};
use crate::counter::{self, Inherit, open_error};
use crate::events::PerfAttr;
use crate::{Error, Root, topology};

/// Whom to sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// These threads, 0 being the calling one, and those `inherit` says.
    Threads {
        /// Thread ids.
        tids: Vec<u32>,
        /// Who is sampled with them from its start.
        inherit: Inherit,
    },
    /// Everything that runs on all CPUs; of processes other than these, samples are dropped. Empty is no filter.
    Cpus {
        /// Processes, and those they fork.
        tgids: Vec<u32>,
    },
}

/// How often to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// So many samples a second of a thread's time on a CPU; the kernel adapts the period.
    Frequency(u64),
    /// A sample each so many events.
    Period(u64),
}

/// What a core can dispatch in a second, to make a period of a frequency where the PMU takes only periods.
const OPERATIONS_HZ: u64 = 2_000_000_000;

impl Rate {
    /// The rate as `event` can have it.
    fn for_event(self, event: &SampledEvent) -> Self {
        let period = match self {
            Self::Frequency(hz) if event.takes_frequency => return Self::Frequency(hz.max(1)),
            Self::Frequency(hz) => OPERATIONS_HZ / hz.max(1),
            Self::Period(period) => period,
        };
        let step = event.period_step.max(1);
        Self::Period(period.max(event.least_period).max(1).next_multiple_of(step))
    }
}

/// Sets of fields, the richest first: kernels before 5.12 have no weights as a structure, those before 5.11 no page
/// sizes, and physical addresses need CAP_SYS_ADMIN (`perf_allow_kernel`).
const FIELDS: [u64; 4] = [
    LEAST | PRECISE | layout::WEIGHT_STRUCT | layout::DATA_PAGE_SIZE | layout::PHYS_ADDR,
    LEAST | PRECISE | layout::WEIGHT_STRUCT | layout::DATA_PAGE_SIZE,
    LEAST | PRECISE | layout::WEIGHT,
    LEAST,
];
const LEAST: u64 = layout::IDENTIFIER
    | layout::IP
    | layout::TID
    | layout::TIME
    | layout::ADDR
    | layout::CPU
    | layout::PERIOD;
const PRECISE: u64 = layout::DATA_SRC | if layout::STACK_POINTER == 0 { 0 } else { layout::REGS_USER };

/// What an open event's records are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning {
    pub layout: Layout,
    /// Position in the source's events.
    pub event: usize,
}

/// One CPU's rings.
#[derive(Debug)]
pub(super) struct CpuRing {
    pub cpu: u32,
    pub ring: Ring,
    pub aux: Option<Aux>,
    /// The event whose ring it is.
    owner: RawFd,
    /// Position of that event, for records without an id.
    pub event: usize,
}

/// Everything open.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Each with its position in the source's events.
    pub counters: Vec<(Counter, usize)>,
    /// Events that have to lead the groups of others.
    pub leaders: Vec<Counter>,
    pub rings: Vec<CpuRing>,
    pub meanings: HashMap<u64, Meaning>,
    /// `sample_type` that the kernel took.
    pub layout: Layout,
}

/// What is asked of the kernel for all events alike.
#[derive(Clone, Copy)]
struct Asked<'a> {
    source: &'a SamplingSource,
    scope: &'a Scope,
    rate: Rate,
    ring_bytes: usize,
    layout: Layout,
}

/// Where one event is opened, and for whom.
#[derive(Clone, Copy)]
struct Place {
    event: usize,
    cpu: u32,
    tid: Option<u32>,
}

/// Opens all events of a source, stopped. A thread that has gone meanwhile is left out if there are others.
///
/// # Errors
/// The kernel's refusal of the least it is asked for.
pub(super) fn open(
    source: &SamplingSource,
    scope: &Scope,
    rate: Rate,
    ring_bytes: usize,
) -> Result<Opened, Error> {
    let online = topology::cpus_online(&Root::default())?;
    let mut sets = FIELDS.iter().peekable();
    loop {
        let fields = *sets.next().unwrap_or(&LEAST);
        let sample_regs_user = if fields & layout::REGS_USER == 0 { 0 } else { layout::STACK_POINTER };
        let layout =
            Layout { sample_type: fields, sample_regs_user, sample_id_all: true, ..Layout::default() };
        match open_with(Asked { source, scope, rate, ring_bytes, layout }, &online) {
            Err(error) if sets.peek().is_some() && may_be_the_fields(&error) => {}
            opened => return opened,
        }
    }
}

/// ENODATA is a raw `mem-loads` without its leader, which the kernel asks for only where the data source is wanted.
fn may_be_the_fields(error: &Error) -> bool {
    match error {
        Error::PerfPermission { .. } => true,
        Error::PerfOpen { source, .. } | Error::EventUnsupported { source, .. } => {
            matches!(source.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENODATA))
                || source.raw_os_error().is_none()
        }
        _ => false,
    }
}

fn open_with(asked: Asked<'_>, online: &[u32]) -> Result<Opened, Error> {
    let threads: Vec<Option<u32>> = match asked.scope {
        Scope::Threads { tids, .. } => tids.iter().copied().map(Some).collect(),
        Scope::Cpus { .. } => vec![None],
    };
    let mut opened = Opened { layout: asked.layout, ..Opened::default() };
    let mut gone = None;
    for (event, sampled) in asked.source.events.iter().enumerate() {
        for &cpu in online.iter().filter(|cpu| sampled.attr.for_cpu(**cpu).is_some()) {
            for &tid in &threads {
                match opened.add(asked, sampled, Place { event, cpu, tid }) {
                    Err(error) if has_gone(&error) => gone = Some(error),
                    added => added?,
                }
            }
        }
    }
    match gone {
        Some(error) if opened.counters.is_empty() => Err(error),
        _ => Ok(opened),
    }
}

fn has_gone(error: &Error) -> bool {
    matches!(error, Error::PerfOpen { source, .. } if source.raw_os_error() == Some(libc::ESRCH))
}

impl Opened {
    fn add(&mut self, asked: Asked<'_>, event: &SampledEvent, place: Place) -> Result<(), Error> {
        let failed = |error| {
            let mut what = counter::describe(&event.attr, place.cpu);
            if let Some(tid) = place.tid {
                what = format!("{what} of thread {tid}");
            }
            open_error(what, error)
        };
        let mut leader = match &event.leader {
            Some(leader) => Some(on(leader, place, asked.scope)?.build().map_err(failed)?),
            None => None,
        };
        let mut builder = on(&event.attr, place, asked.scope)?;
        prepare(&mut builder, event, asked);
        // Mappings and threads are told once for each CPU, by the first of its events.
        let here = |event: &SampledEvent| event.attr.for_cpu(place.cpu).is_some();
        if asked.source.events.iter().position(here) == Some(place.event) {
            builder.mmap(true).mmap2(true).comm(true).comm_exec(true).task(true);
        }
        let counter = match &mut leader {
            Some(leader) => builder.build_with_group(leader),
            None => builder.build(),
        };
        let counter = counter.map_err(failed)?;
        self.give_ring(asked, event, place, counter.as_raw_fd()).map_err(failed)?;
        self.meanings.insert(counter.id(), Meaning { layout: self.layout, event: place.event });
        self.leaders.extend(leader);
        self.counters.push((counter, place.event));
        Ok(())
    }

    /// Into the CPU's ring, or a new one if it is the first there. What writes an AUX area has a ring of its own.
    fn give_ring(
        &mut self,
        asked: Asked<'_>,
        event: &SampledEvent,
        place: Place,
        fd: RawFd,
    ) -> io::Result<()> {
        let is_aux = event.transport == Transport::Spe;
        let is_shared = |ring: &CpuRing| match &ring.aux {
            Some(_) => is_aux && ring.event == place.event,
            None => !is_aux,
        };
        if let Some(ring) = self.rings.iter().find(|ring| ring.cpu == place.cpu && is_shared(ring)) {
            // SAFETY: both are descriptors of open events, and the call passes numbers only.
            let result = unsafe { ioctls::SET_OUTPUT(fd, ring.owner) };
            return if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        }
        let ring = Ring::map(fd, asked.ring_bytes)?;
        let aux = if is_aux { Some(ring.map_aux(fd, asked.ring_bytes)?) } else { None };
        self.rings.push(CpuRing { cpu: place.cpu, ring, aux, owner: fd, event: place.event });
        Ok(())
    }
}

/// The event on a CPU, for whom the scope says.
fn on(attr: &PerfAttr, place: Place, scope: &Scope) -> Result<Builder<'static>, Error> {
    let mut builder = counter::builder(attr, place.cpu)?;
    if let (Some(tid), Scope::Threads { inherit, .. }) = (place.tid, scope) {
        builder
            .observe_pid(tid as libc::pid_t)
            .inherit(*inherit != Inherit::Nobody)
            .inherit_thread(*inherit == Inherit::Threads);
    }
    Ok(builder)
}

fn prepare(builder: &mut Builder<'static>, event: &SampledEvent, asked: Asked<'_>) {
    match asked.rate.for_event(event) {
        Rate::Frequency(hz) => builder.sample_frequency(hz),
        Rate::Period(period) => builder.sample_period(period),
    };
    builder
        .clockid(Clock::MONOTONIC)
        .sample_id_all(asked.layout.sample_id_all)
        .wakeup_watermark(asked.ring_bytes / 4);
    let attrs = builder.attrs_mut();
    attrs.sample_type = asked.layout.sample_type;
    attrs.sample_regs_user = asked.layout.sample_regs_user;
    attrs.set_precise_ip(event.precise_ip.into());
    if event.excludes_kernel {
        attrs.set_exclude_kernel(1);
        attrs.set_exclude_hv(1);
    }
    if let Some(kind) = event.watch {
        attrs.bp_type = kind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_made_one_the_pmu_takes() {
        let mut event = SampledEvent::watch(8, 8, true);
        assert_eq!(Rate::Period(1).for_event(&event), Rate::Period(1));
        assert_eq!(Rate::Frequency(0).for_event(&event), Rate::Frequency(1));
        (event.least_period, event.period_step) = (0x90, 16);
        assert_eq!(Rate::Period(1000).for_event(&event), Rate::Period(1008));
        assert_eq!(Rate::Period(0).for_event(&event), Rate::Period(0x90));
        event.takes_frequency = false;
        assert_eq!(Rate::Frequency(1000).for_event(&event), Rate::Period(2_000_000));
    }
}
