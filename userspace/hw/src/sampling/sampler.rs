//! A source at work: its open events, and what their rings hold turned into [`Event`]s.

use std::collections::HashSet;
use std::os::fd::{AsRawFd, BorrowedFd};

use waytrace_model::access::AccessKind;

use super::event::{Event, MemorySample, Sampling};
use super::open::{self, CpuRing, Opened, Rate, Scope};
use super::records::{Header, Record, Records, TaskChange, Trailer, kind};
use super::sample::Sample;
use super::source::{SampledEvent, SamplingSource, Transport};
use super::spe::{self, SpeRecord};
use crate::Error;
use crate::counter::open_error;

/// `PERF_AUX_FLAG_TRUNCATED | PARTIAL | COLLISION`: something is missing in the piece.
const AUX_INCOMPLETE: u64 = 1 | 4 | 8;
const AUX_HOLE: u64 = 1 | 4;

/// Samples the accesses of threads or CPUs through one source.
#[derive(Debug)]
pub struct Sampler {
    source: SamplingSource,
    opened: Opened,
    /// Processes whose samples count; `None` is everybody.
    tgids: Option<HashSet<u32>>,
    /// What the AUX area of each ring has brought of a record not yet whole.
    parts: Vec<spe::Records>,
    scratch: Vec<u8>,
}

impl Sampler {
    /// Opens the events of `source`, stopped. `ring_bytes` is the room for records of each CPU, a power of two of pages.
    ///
    /// # Errors
    /// [`Error::PerfPermission`], [`Error::EventUnsupported`], [`Error::PerfOpen`] (ESRCH: no such thread; EINVAL from IBS
    /// before Linux 6.2, which samples CPUs only).
    pub fn open(source: SamplingSource, scope: &Scope, rate: Rate, ring_bytes: usize) -> Result<Self, Error> {
        let opened = open::open(&source, scope, rate, ring_bytes)?;
        let tgids = match scope {
            Scope::Cpus { tgids } if !tgids.is_empty() => Some(tgids.iter().copied().collect()),
            _ => None,
        };
        let parts = opened.rings.iter().map(|_| spe::Records::default()).collect();
        Ok(Self { source, opened, tgids, parts, scratch: Vec::new() })
    }

    /// What is sampled.
    pub fn source(&self) -> &SamplingSource {
        &self.source
    }

    /// Whether samples say what their page is in physical memory, which needs a privilege.
    pub fn has_physical_addresses(&self) -> bool {
        self.opened.layout.has(super::layout::PHYS_ADDR)
    }

    /// Has the kernel run a program at each sample whose record is to come through the ring: `program` says which, by the
    /// direction of the event. Those that have an AUX area have no such moment.
    ///
    /// # Errors
    /// The kernel's refusal of a program.
    pub fn run_at_samples<'p>(
        &mut self,
        mut program: impl FnMut(Option<AccessKind>) -> BorrowedFd<'p>,
    ) -> Result<(), Error> {
        let Self { source, opened, .. } = self;
        for (counter, event) in &mut opened.counters {
            let Some(sampled) = source.events.get(*event) else { continue };
            if sampled.transport == Transport::Ring {
                counter.set_bpf(program(sampled.kind).as_raw_fd()).map_err(|source| {
                    open_error(format!("a program at event `{}`", sampled.attr.name()), source)
                })?;
            }
        }
        Ok(())
    }

    /// Accesses all threads have made to what is watched, whether they were sampled or not; `None` where something else is
    /// sampled, of which the last events of a thread make no sample.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn watched(&mut self) -> Result<Option<u64>, Error> {
        let mut sum = 0;
        for (counter, event) in &mut self.opened.counters {
            if self.source.events.get(*event).is_none_or(|event| event.watch.is_none()) {
                return Ok(None);
            }
            sum += counter.read().map_err(|source| open_error("a sampled event".to_owned(), source))?;
        }
        Ok(Some(sum))
    }

    fn all(&mut self, act: impl Fn(&mut perf_event::Counter) -> std::io::Result<()>) -> Result<(), Error> {
        let opened = &mut self.opened;
        for counter in opened.leaders.iter_mut().chain(opened.counters.iter_mut().map(|(counter, _)| counter))
        {
            act(counter).map_err(|source| open_error("a sampled event".to_owned(), source))?;
        }
        Ok(())
    }
}

impl Sampling for Sampler {
    fn enable(&mut self) -> Result<(), Error> {
        self.all(perf_event::Counter::enable)
    }

    fn disable(&mut self) -> Result<(), Error> {
        self.all(perf_event::Counter::disable)
    }

    fn drain(&mut self, take: &mut dyn FnMut(Event)) {
        let Self { source, opened, tgids, parts, scratch } = self;
        let mut filter = Filter { tgids };
        for (ring, part) in opened.rings.iter().zip(parts) {
            scratch.clear();
            ring.ring.take(scratch);
            let mut records = Records::new(scratch);
            for (header, body) in records.by_ref() {
                let mut take = |event| filter.pass(event, take);
                decode(source, opened, ring, part, header, body, &mut take);
            }
            if !records.rest().is_empty() {
                take(Event::Damaged(records.rest().len() as u64));
            }
        }
    }
}

/// Lets through what belongs to the target, and follows it over forks.
struct Filter<'a> {
    tgids: &'a mut Option<HashSet<u32>>,
}

impl Filter<'_> {
    fn pass(&mut self, event: Event, take: &mut dyn FnMut(Event)) {
        let Some(tgids) = self.tgids else { return take(event) };
        let is_ours = match &event {
            Event::Sample(sample) => tgids.contains(&sample.tgid),
            Event::Task(TaskChange::Mapped(mapped)) => tgids.contains(&mapped.tgid),
            Event::Task(TaskChange::Named { tgid, .. } | TaskChange::Exited { tgid, .. }) => {
                tgids.contains(tgid)
            }
            Event::Task(TaskChange::Forked { tgid, parent_tgid, .. }) => {
                let is_ours = tgids.contains(parent_tgid);
                if is_ours {
                    tgids.insert(*tgid);
                }
                is_ours
            }
            // Whose these are, the kernel did not say.
            Event::InKernel | Event::NoAddress => false,
            Event::Lost(_) | Event::Throttled | Event::Unthrottled | Event::Damaged(_) => true,
        };
        if is_ours {
            take(event);
        }
    }
}

fn decode(
    source: &SamplingSource,
    opened: &Opened,
    ring: &CpuRing,
    part: &mut spe::Records,
    header: Header,
    body: &[u8],
    take: &mut dyn FnMut(Event),
) {
    let id = match header.kind {
        kind::SAMPLE => opened.layout.id_of_sample(body),
        _ => opened.layout.id_of_other(body),
    };
    let meaning = id.and_then(|id| opened.meanings.get(&id));
    let layout = meaning.map_or(&opened.layout, |meaning| &meaning.layout);
    let event = source.events.get(meaning.map_or(ring.event, |meaning| meaning.event));
    let Some(record) = Record::decode(header, layout, body) else {
        return take(Event::Damaged(header.size.into()));
    };
    match record {
        Record::Sample(sample) => take(sampled(&sample, header, event)),
        Record::Lost(count) | Record::LostSamples(count) => take(Event::Lost(count)),
        Record::Throttled => take(Event::Throttled),
        Record::Unthrottled => take(Event::Unthrottled),
        Record::Task(change) => take(Event::Task(change)),
        Record::Aux { offset, size, flags } => {
            let trailer = Trailer::decode(layout, body);
            from_aux(ring, part, (offset, size, flags), trailer, take);
        }
        Record::Other(_) => {}
    }
}

/// A sample as an event. `event` is what was opened; without it only the sample tells its direction.
pub(super) fn sampled(sample: &Sample, header: Header, event: Option<&SampledEvent>) -> Event {
    if !header.is_user() {
        return Event::InKernel;
    }
    let told = sample.data_source.filter(|word| word.is_known());
    let is_none = told.is_some_and(|word| {
        word.is_no_access() || (word.kind().is_none() && event.is_none_or(|event| event.kind.is_none()))
    });
    let Some(address) = sample.address.filter(|address| *address != 0 && !is_none) else {
        return Event::NoAddress;
    };
    Event::Sample(MemorySample {
        time_ns: sample.time_ns.unwrap_or(0),
        tgid: sample.tgid.unwrap_or(0),
        tid: sample.tid.unwrap_or(0),
        cpu: sample.cpu,
        ip: sample.ip,
        stack_pointer: sample.stack_pointer,
        address,
        kind: told.and_then(|word| word.kind()).or(event.and_then(|event| event.kind)),
        weight: sample.period.unwrap_or(1).max(1),
        precise: sample.precise(),
    })
}

fn from_aux(
    ring: &CpuRing,
    part: &mut spe::Records,
    (offset, size, flags): (u64, u64, u64),
    trailer: Trailer,
    take: &mut dyn FnMut(Event),
) {
    let mut piece = Vec::new();
    let there = ring.aux.as_ref().is_some_and(|aux| ring.ring.take_aux(aux, offset, size, &mut piece));
    if !there || flags & AUX_INCOMPLETE != 0 {
        // The PMU does not count what it had no room for: one loss stands for at least one sample.
        take(Event::Lost(1));
    }
    let damaged = part.damaged_bytes;
    part.read(&piece, &mut |record| from_spe(&record, ring.cpu, trailer, take));
    if part.damaged_bytes > damaged {
        take(Event::Damaged(part.damaged_bytes - damaged));
    }
    if !there || flags & AUX_HOLE != 0 {
        part.forget();
    }
}

/// One operation as events: an atomic one is a load and a store.
pub(super) fn from_spe(record: &SpeRecord, cpu: u32, trailer: Trailer, take: &mut dyn FnMut(Event)) {
    let address = record.address.filter(|address| *address != 0);
    let kinds = record.operation.kinds();
    let Some(address) = address.filter(|_| !kinds.is_empty()) else { return take(Event::NoAddress) };
    let precise = waytrace_model::access::Precise {
        latency_cycles: record.latency_cycles.map(u32::from),
        served_by: record.served_by().map(str::to_owned),
        page_bytes: None,
        physical_address: record.physical_address,
    };
    for kind in kinds {
        take(Event::Sample(MemorySample {
            time_ns: trailer.time_ns.unwrap_or(0),
            tgid: trailer.tgid.unwrap_or(0),
            tid: record.context.or(trailer.tid).unwrap_or(0),
            cpu: Some(cpu),
            ip: record.ip,
            stack_pointer: None,
            address,
            kind: Some(*kind),
            weight: 1,
            precise: Some(precise.clone()),
        }));
    }
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
