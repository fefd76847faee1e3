//! The second reading: items become accesses, and with the allocations windows.

use std::collections::{HashMap, HashSet};

use waytrace_model::access::{Access, AccessKind, AccessTotals, Source};
use waytrace_model::allocation::{AllocationTotals, TracedAllocation};
use waytrace_model::batch::{Batch, Epilogue, ThreadInfo};
use waytrace_model::collector::{CollectorReport, Loss, Overhead, Status};
use waytrace_model::counter::CounterReading;
use waytrace_model::run::EndedBy;
use waytrace_model::stack::StackQuality;

use super::Recording;
use super::allocations::{self, Change, Sums};
use super::clocks::Clocks;
use crate::Error;
use crate::heimdallr::{Blocks, Live};
use crate::item::{Item, Sample};
use crate::space::Spaces;
use crate::windows::Windows;

/// What is made of the items, window by window.
struct Maker<'a, E> {
    clocks: &'a Clocks,
    spaces: Spaces,
    windows: Windows,
    live: Live,
    sums: Option<Sums>,
    changes: std::iter::Peekable<std::vec::IntoIter<Change>>,
    ended: std::iter::Peekable<std::vec::IntoIter<TracedAllocation>>,
    threads: HashSet<u32>,
    comms: HashMap<u32, String>,
    take: &'a mut dyn FnMut(Batch) -> Result<(), E>,
    failure: Option<E>,
}

pub fn read<E: From<Error>>(
    mut recording: Recording,
    take: &mut dyn FnMut(Batch) -> Result<(), E>,
) -> Result<Epilogue, E> {
    let mut blocks = recording.directory.as_mut().and_then(|directory| directory.blocks.take());
    if recording.clocks.drops_blocks {
        blocks = None;
    }
    if let Some(blocks) = &mut blocks {
        allocations::rebase(blocks, recording.clocks.blocks_zero_ns);
    }
    let traced = blocks.as_ref().map(|blocks| blocks.traced.as_slice()).unwrap_or_default();
    let ended: Vec<TracedAllocation> = traced.iter().filter(|block| block.to_ns.is_some()).copied().collect();
    let mut maker = Maker {
        clocks: &recording.clocks,
        spaces: Spaces::default(),
        windows: Windows::new(recording.header.interval_ns, recording.duration_ns),
        live: Live::new(traced),
        sums: blocks.as_ref().map(|_| Sums::default()),
        changes: allocations::changes(traced).into_iter().peekable(),
        ended: ended.into_iter().peekable(),
        threads: HashSet::new(),
        comms: HashMap::new(),
        take,
        failure: None,
    };
    if let Some(source) = &recording.source {
        source.scan(&recording.directions, &mut |time_ns, item| maker.item(time_ns, item))?;
    }
    let readings = readings(&recording);
    let (spaces, sums) = maker.finish(recording.duration_ns, readings)?;
    Ok(epilogue(&recording, blocks, spaces, sums.as_ref()))
}

impl<E> Maker<'_, E> {
    fn item(&mut self, time_ns: u64, item: Item) {
        if self.failure.is_some() {
            return;
        }
        match item {
            Item::Sample(sample) => {
                let at_ns = time_ns.saturating_sub(self.clocks.samples_zero_ns);
                if let Err(error) = self.advance(at_ns) {
                    self.failure = Some(error);
                    return;
                }
                self.sample(at_ns, &sample);
            }
            Item::Mapped(mapped) => self.spaces.map(&mapped),
            Item::Named { tgid, tid, comm, exec } => {
                if exec {
                    self.spaces.exec(tgid);
                }
                self.comms.insert(tid, comm);
                // A name that comes when its thread has been announced is announced again.
                self.threads.remove(&tid);
            }
            Item::Forked { tgid, parent_tgid } => {
                self.spaces.fork(tgid, parent_tgid);
                if let Some(comm) = self.comms.get(&parent_tgid).cloned().filter(|_| tgid != parent_tgid) {
                    self.comms.insert(tgid, comm);
                }
            }
            Item::Lost(..) | Item::Throttled => {}
        }
    }

    /// Ends the windows before `at_ns`, with the allocations that fall into each.
    fn advance(&mut self, at_ns: u64) -> Result<(), E> {
        loop {
            let window = self.windows.batch().window;
            let until_ns = at_ns.min(window.end_ns);
            while let Some(block) =
                self.ended.next_if(|block| block.to_ns.is_some_and(|to_ns| to_ns < until_ns))
            {
                self.windows.traced(block);
            }
            if let Some(sums) = &mut self.sums {
                while let Some(change) = self.changes.next_if(|change| change.at_ns < until_ns) {
                    sums.add(change);
                }
            }
            if at_ns < window.end_ns || !self.windows.has_more() {
                return Ok(());
            }
            if let Some(sums) = &mut self.sums {
                self.windows.batch().allocations = Some(sums.end_window());
            }
            let batch = self.windows.next();
            (self.take)(batch)?;
        }
    }

    fn sample(&mut self, at_ns: u64, sample: &Sample) {
        let Some(address) = sample.address.filter(|_| !sample.in_kernel) else { return };
        if self.threads.insert(sample.tid) {
            let named = self.comms.get(&sample.tid).or_else(|| self.comms.get(&sample.tgid));
            let comm = named.cloned().unwrap_or_default();
            self.windows.batch().threads.push(ThreadInfo { tgid: sample.tgid, tid: sample.tid, comm });
        }
        let access = Access {
            at_ns,
            tid: sample.tid,
            cpu: sample.cpu,
            address,
            width_bytes: None,
            kind: sample.kind.unwrap_or(AccessKind::Load),
            code: self.spaces.code(sample.tgid, sample.ip, sample.place.as_ref()),
            region: self.spaces.region(sample.tgid, address),
            block: self.live.block(at_ns, address),
            weight: sample.period.unwrap_or(1).max(1),
            precise: sample.precise.clone(),
        };
        self.windows.batch().accesses.push(access);
    }

    /// Ends the last window, which has the readings.
    fn finish(mut self, end_ns: u64, readings: Vec<CounterReading>) -> Result<(Spaces, Option<Sums>), E> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.advance(end_ns)?;
        let batch = self.windows.batch();
        batch.readings = readings;
        // What was logged at the very end, or later than time said the program ran.
        batch.traced.extend(self.ended);
        if let Some(sums) = &mut self.sums {
            self.changes.for_each(|change| sums.add(change));
            batch.allocations = Some(sums.end_window());
        }
        (self.take)(self.windows.next())?;
        Ok((self.spaces, self.sums))
    }
}

/// Times and memory as GNU time told them, in the order of the run's events.
fn readings(recording: &Recording) -> Vec<CounterReading> {
    let Some(times) = recording.directory.as_ref().and_then(|directory| directory.times) else {
        return Vec::new();
    };
    let values = [times.elapsed_ns, times.user_ns, times.system_ns, times.max_rss_bytes];
    let reading = |(event, value)| CounterReading {
        tid: recording.header.target.tgid,
        event,
        value,
        time_enabled_ns: times.elapsed_ns,
        time_running_ns: times.elapsed_ns,
    };
    (0..).zip(values).map(reading).collect()
}

fn epilogue(recording: &Recording, blocks: Option<Blocks>, spaces: Spaces, sums: Option<&Sums>) -> Epilogue {
    let mut loss = Loss::default();
    for (kind, count) in &recording.survey.lost {
        loss.add(kind, *count);
    }
    let accesses = recording.source.is_some().then(|| access_totals(recording, spaces));
    let allocations = blocks.as_ref().zip(sums).map(|(blocks, sums)| allocations::totals(blocks, sums));
    let collectors = collectors(recording, accesses.as_ref(), blocks.as_ref(), allocations.as_ref());
    let (sites, traced) = blocks.map(|blocks| (blocks.sites, blocks.traced)).unwrap_or_default();
    Epilogue {
        duration_ns: recording.duration_ns,
        ended_by: EndedBy::TargetExit,
        exit_code: None,
        collectors,
        allocations,
        sites,
        remaining: traced.into_iter().filter(|block| block.to_ns.is_none()).collect(),
        accesses,
        stacks: StackQuality::default(),
        loss,
        overhead: Overhead::default(),
    }
}

fn access_totals(recording: &Recording, spaces: Spaces) -> AccessTotals {
    let (regions, code) = spaces.finish();
    let survey = &recording.survey;
    let missing = survey.samples - survey.addressed;
    let unresolved = (missing > 0).then(|| ("no address recorded".to_owned(), missing));
    AccessTotals {
        source: Source::Imported,
        rate_hz: recording.facts.rate_hz,
        samples: survey.samples,
        kernel_samples: survey.kernel_samples,
        resolved: survey.addressed,
        unresolved: unresolved.into_iter().collect(),
        checked: 0,
        confirmed: 0,
        throttled: survey.throttled,
        regions,
        code,
        footprints: Vec::new(),
        null_reason: Some(access_notes(recording).join("; ")).filter(|notes| !notes.is_empty()),
    }
}

/// What the samples do not say.
fn access_notes(recording: &Recording) -> Vec<String> {
    let (facts, survey) = (&recording.facts, &recording.survey);
    let mut notes = Vec::new();
    for (event, count) in &survey.undirected {
        let name = facts.events.get(*event).map_or("", String::as_str);
        notes.push(format!(
            "nothing tells whether the {count} samples of `{name}` are loads or stores: they count as loads (--write-event says otherwise)"
        ));
    }
    if survey.unweighted > 0 {
        notes.push(format!("{} samples have no period, so they count alike", survey.unweighted));
    }
    notes.extend(facts.notes.iter().cloned());
    notes
}

fn collectors(
    recording: &Recording,
    accesses: Option<&AccessTotals>,
    blocks: Option<&Blocks>,
    allocations: Option<&AllocationTotals>,
) -> Vec<CollectorReport> {
    let report = |name: &str, ran: bool, told: Option<String>, reasons: Vec<String>| {
        let status = match (ran, reasons.is_empty()) {
            (false, _) => Status::Skipped,
            (true, true) => Status::Ran,
            (true, false) => Status::Degraded,
        };
        let reason = told.into_iter().chain(reasons).collect::<Vec<_>>().join("; ");
        CollectorReport {
            name: name.to_owned(),
            status,
            reason: Some(reason).filter(|reason| !reason.is_empty()),
        }
    };
    let mut collectors = Vec::new();
    let of_directory = recording.directory.as_ref();
    let mut access_reasons: Vec<String> =
        accesses.and_then(|totals| totals.null_reason.clone()).into_iter().collect();
    if let Some(directory) = of_directory {
        access_reasons.extend(directory.notes.iter().cloned());
        let missing = "no time.log".to_owned();
        let reasons = if recording.events.is_empty() { vec![missing] } else { Vec::new() };
        collectors.push(report("counters", !recording.events.is_empty(), None, reasons));
        let mut reasons: Vec<String> = recording.clocks.note.iter().cloned().collect();
        reasons.extend(blocks.map(|blocks| blocks.notes.clone()).unwrap_or_default());
        reasons.extend(allocations.and_then(|totals| totals.null_reason.clone()));
        if reasons.is_empty() {
            reasons.push("no alloc_*.log: allocations were not traced".to_owned());
        }
        collectors.push(report("allocations", blocks.is_some(), None, reasons));
    }
    let recorded = recording.facts.command.as_ref().map(|command| format!("recorded by `{command}`"));
    collectors.push(report("accesses", accesses.is_some(), recorded, access_reasons));
    collectors
}
