//! The records, one after the other: those of the kernel, and those perf puts between them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use waytrace_hw::sampling::bytes::Bytes;
use waytrace_hw::sampling::data_source::DataSource;
use waytrace_hw::sampling::layout::{self, Layout};
use waytrace_hw::sampling::records::{HEADER_BYTES, Header, Record, TaskChange, Trailer, kind};
use waytrace_hw::sampling::sample::Sample as PerfSample;
use waytrace_model::access::AccessKind;

use super::attr::Attr;
use super::header::{Event, FileHeader};
use crate::item::{Facts, Item, Sample};
use crate::order::Order;
use crate::{Directions, Error};

const MEND: &str =
    "record them with `perf record -d` and an event that has them (`perf mem record`, `-e mem:ADDRESS:rw`)";

/// `enum perf_user_event_type` of `tools/lib/perf/include/perf/event.h`.
mod user {
    pub const ATTR: u32 = 64;
    pub const EVENT_TYPE: u32 = 65;
    pub const TRACING_DATA: u32 = 66;
    pub const FINISHED_ROUND: u32 = 68;
    pub const AUXTRACE: u32 = 71;
    pub const FEATURE: u32 = 80;
    pub const COMPRESSED: u32 = 81;
    pub const COMPRESSED_2: u32 = 83;
}

/// Events and how to read their records.
#[derive(Default)]
struct Events {
    attrs: Vec<(Attr, Option<AccessKind>)>,
    by_id: HashMap<u64, usize>,
}

/// Reads a file, item by item in the order of time.
pub fn scan(path: &Path, directions: &Directions, take: &mut dyn FnMut(u64, Item)) -> Result<Facts, Error> {
    let mut file = File::open(path).map_err(Error::read(path))?;
    let header = FileHeader::read(&mut file, path)?;
    file.seek(SeekFrom::Start(header.data_start)).map_err(Error::read(path))?;
    let left = header.data_end.map_or(u64::MAX, |end| end.saturating_sub(header.data_start));
    let mut reader = Reader {
        path,
        directions,
        input: BufReader::with_capacity(1 << 18, file).take(left),
        at: header.data_start,
        events: Events::default(),
        facts: Facts { mend: MEND, ..Facts::default() },
        order: Order::default(),
        damaged: 0,
        aux_bytes: 0,
    };
    if header.is_unfinished {
        reader.facts.note("the recording was cut off: names of its events and of the machine are missing");
    }
    reader.facts.host = header.features.host;
    reader.facts.command = header.features.command;
    let mut names: HashMap<u64, String> = HashMap::new();
    for (name, _, ids) in &header.features.events {
        names.extend(ids.iter().map(|id| (*id, name.clone())));
    }
    for (position, event) in header.events.into_iter().enumerate() {
        let by_id = event.ids.iter().find_map(|id| names.get(id).cloned());
        let by_position = || header.features.events.get(position).map(|(name, ..)| name.clone());
        reader.add(event, by_id.or_else(by_position));
    }
    reader.read_all(take)?;
    let Reader { mut facts, order, damaged, aux_bytes, .. } = reader;
    order.end(take);
    if damaged > 0 {
        facts.note(format!("{damaged} records are damaged and were passed over"));
    }
    if aux_bytes > 0 {
        facts.note(format!("{aux_bytes} bytes of an AUX area (Arm SPE, Intel PT) were not decoded"));
    }
    Ok(facts)
}

struct Reader<'a> {
    path: &'a Path,
    directions: &'a Directions,
    input: std::io::Take<BufReader<File>>,
    /// Position in the file.
    at: u64,
    events: Events,
    facts: Facts,
    order: Order,
    damaged: u64,
    aux_bytes: u64,
}

impl Reader<'_> {
    fn add(&mut self, event: Event, name: Option<String>) {
        let name = name.unwrap_or_else(|| event.attr.name.clone());
        let position = self.events.attrs.len();
        self.events.by_id.extend(event.ids.iter().map(|id| (*id, position)));
        if position == 0 {
            self.facts.clock = event.attr.clock;
        }
        self.facts.rate_hz = self.facts.rate_hz.or(event.attr.rate_hz.map(|hz| hz as f64));
        self.events.attrs.push((event.attr, self.directions.of(&name)));
        self.facts.events.push(name);
    }

    /// Fills `bytes` if the file goes on that far; false at its end.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<bool, Error> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => return Ok(false),
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::read(self.path)(error)),
            }
        }
        self.at += bytes.len() as u64;
        Ok(true)
    }

    fn read_all(&mut self, take: &mut dyn FnMut(u64, Item)) -> Result<(), Error> {
        let mut head = [0; HEADER_BYTES];
        let mut body = Vec::new();
        loop {
            let start = self.at;
            if !self.fill(&mut head)? {
                return Ok(());
            }
            let Some(header) = Header::parse(&head) else {
                return Err(self.damage(start, "a record without a size"));
            };
            body.resize(usize::from(header.size) - HEADER_BYTES, 0);
            if !self.fill(&mut body)? {
                self.facts.note("its last record is cut short");
                return Ok(());
            }
            if header.kind < user::ATTR {
                self.kernel_record(header, &body, take);
            } else {
                self.user_record(header, &body, start, take)?;
            }
        }
    }

    fn damage(&self, at: u64, what: &'static str) -> Error {
        Error::Damaged { path: self.path.to_owned(), at, what }
    }

    /// What perf itself writes between the kernel's records.
    fn user_record(
        &mut self,
        header: Header,
        body: &[u8],
        start: u64,
        take: &mut dyn FnMut(u64, Item),
    ) -> Result<(), Error> {
        let mut bytes = Bytes::new(body);
        match header.kind {
            user::FINISHED_ROUND => self.order.round(take),
            user::ATTR => {
                let event =
                    attr_record(body).ok_or_else(|| self.damage(start, "an attribute is cut short"))?;
                self.add(event, None);
            }
            user::FEATURE => {
                if let Some(number) = bytes.u64().and_then(|number| u32::try_from(number).ok()) {
                    self.feature(number, bytes.rest());
                }
            }
            user::AUXTRACE => {
                let size = bytes.u64().unwrap_or(0);
                self.aux_bytes += self.pass_over(size)?;
            }
            user::TRACING_DATA => {
                let size = bytes.u32().unwrap_or(0);
                self.pass_over(u64::from(size).next_multiple_of(8))?;
            }
            user::COMPRESSED | user::COMPRESSED_2 => {
                let what = "compressed (`perf record -z`)".to_owned();
                return Err(Error::Form { path: self.path.to_owned(), what });
            }
            user::EVENT_TYPE.. => {}
            _ => self.damaged += 1,
        }
        Ok(())
    }

    /// Passes over raw bytes behind a record.
    fn pass_over(&mut self, size: u64) -> Result<u64, Error> {
        let passed = std::io::copy(&mut (&mut self.input).take(size), &mut std::io::sink());
        let passed = passed.map_err(Error::read(self.path))?;
        self.at += passed;
        Ok(passed)
    }

    /// A feature of a stream: it may come behind the samples it names.
    fn feature(&mut self, number: u32, body: &[u8]) {
        let mut features = super::features::Features { host: self.facts.host.clone(), ..Default::default() };
        features.take(number, body);
        self.facts.host = features.host;
        self.facts.command = features.command.or(self.facts.command.take());
        for (name, _, ids) in features.events {
            let Some(position) = ids.iter().find_map(|id| self.events.by_id.get(id).copied()) else {
                continue;
            };
            if let (Some(known), Some((_, kind))) =
                (self.facts.events.get_mut(position), self.events.attrs.get_mut(position))
            {
                *kind = self.directions.of(&name);
                *known = name;
            }
        }
    }

    fn kernel_record(&mut self, header: Header, body: &[u8], take: &mut dyn FnMut(u64, Item)) {
        let position = self.events.position(header, body);
        let Some((attr, kind)) = self.events.attrs.get(position) else {
            self.damaged += 1;
            return;
        };
        let Some(record) = Record::decode(header, &attr.layout, body) else {
            self.damaged += 1;
            return;
        };
        let time_ns = match &record {
            Record::Sample(sample) => sample.time_ns,
            _ => Trailer::decode(&attr.layout, body).time_ns,
        };
        let item = match record {
            Record::Sample(sample) => {
                if !attr.layout.has(layout::TIME) {
                    self.facts.note("its samples have no times (`perf record -T` records them)");
                }
                Item::Sample(Box::new(access(&sample, header, attr, *kind, position)))
            }
            Record::Task(TaskChange::Mapped(mapped)) => Item::Mapped(mapped),
            Record::Task(TaskChange::Named { tgid, tid, comm }) => {
                Item::Named { tgid, tid, comm, exec: header.is_exec() }
            }
            Record::Task(TaskChange::Forked { tgid, parent_tgid, .. }) => Item::Forked { tgid, parent_tgid },
            Record::Lost(count) => Item::Lost("ring_full", count),
            Record::LostSamples(count) => Item::Lost("samples_dropped", count),
            Record::Throttled => Item::Throttled,
            Record::Unthrottled
            | Record::Task(TaskChange::Exited { .. })
            | Record::Aux { .. }
            | Record::Other(_) => return,
        };
        // What perf found out about running processes before it began has the time 0.
        self.order.push(time_ns, item, take);
    }
}

impl Events {
    /// Position of the event a record is of.
    fn position(&self, header: Header, body: &[u8]) -> usize {
        if self.attrs.len() < 2 {
            return 0;
        }
        // All events of a file keep their ids in the same place.
        let layout = self.attrs.first().map_or(Layout::default(), |(attr, _)| attr.layout);
        let id =
            if header.kind == kind::SAMPLE { layout.id_of_sample(body) } else { layout.id_of_other(body) };
        id.and_then(|id| self.by_id.get(&id).copied()).unwrap_or(0)
    }
}

/// `perf_record_header_attr`: an attribute that says its own size, and its ids.
fn attr_record(body: &[u8]) -> Option<Event> {
    let size = body.get(4..8)?.try_into().map(u32::from_le_bytes).ok()?;
    let (attr, ids) = body.split_at_checked(usize::try_from(size).ok()?)?;
    let ids = ids.as_chunks::<8>().0.iter().map(|id| u64::from_le_bytes(*id)).collect();
    Some(Event { attr: Attr::parse(attr)?, ids })
}

fn access(
    sample: &PerfSample,
    header: Header,
    attr: &Attr,
    kind: Option<AccessKind>,
    event: usize,
) -> Sample {
    let no_access = sample.data_source.is_some_and(DataSource::is_no_access);
    Sample {
        time_ns: sample.time_ns.unwrap_or(0),
        tgid: sample.tgid.unwrap_or(0),
        tid: sample.tid.unwrap_or(0),
        cpu: sample.cpu,
        ip: sample.ip,
        place: None,
        address: sample.address.filter(|address| *address != 0 && !no_access),
        kind: sample.data_source.and_then(DataSource::kind).or(kind),
        period: sample.period.or(attr.period),
        event,
        in_kernel: !header.is_user(),
        precise: sample.precise(),
    }
}
