//! Chrome's JSON trace events, which ui.perfetto.dev and chrome://tracing open.
//!
//! Counters become counter tracks (rate per second over each window, per thread and for the process), phases slices
//! on their threads' tracks, traced allocations async slices, changes of the address space instants. Source: the Trace
//! Event Format document of the Chromium project. Times there are microseconds; ours keep their nanoseconds as decimals.

mod phases;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;

use serde_json::{Value, json};
use waytrace_model::allocation::{Site, TracedAllocation};
use waytrace_model::counter::Unit;
use waytrace_model::detail::{RunDetail, WindowDetail};
use waytrace_model::run::Window;
use waytrace_model::units::format_bytes;

use crate::{Cause, Error};

/// Writes the trace.
///
/// # Errors
/// [`Error::Write`] when `out` fails, [`Error::Read`] when `traced` does.
pub fn write<E: Into<Cause>>(
    detail: &RunDetail,
    traced: impl Iterator<Item = Result<TracedAllocation, E>>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut trace = Trace { out, is_first: true };
    trace.raw("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    let threads = Threads::of(detail);
    threads.metadata(&mut trace)?;
    counters(&mut trace, detail, &threads)?;
    allocation_tracks(&mut trace, detail)?;
    working_set_tracks(&mut trace, detail)?;
    let sites: HashMap<u32, &Site> = detail.sites.iter().map(|site| (site.id, site)).collect();
    for (id, one) in traced.enumerate() {
        allocation(&mut trace, detail, &threads, &sites, id, &one.map_err(Error::reading)?)?;
    }
    phases::slices(&mut trace, &detail.phases, &detail.events, &threads)?;
    map_events(&mut trace, detail, &threads)?;
    let provenance = json!({
        "run": detail.report.run, "host": detail.report.host, "collectors": detail.report.collectors,
        "loss": detail.report.loss, "overhead": detail.report.overhead,
    });
    trace.raw(&format!("\n],\"otherData\":{provenance}}}\n"))
}

struct Trace<'w, W: Write> {
    out: &'w mut W,
    is_first: bool,
}

impl<W: Write> Trace<'_, W> {
    fn raw(&mut self, text: &str) -> Result<(), Error> {
        self.out.write_all(text.as_bytes()).map_err(Error::writing("perfetto"))
    }

    fn event(&mut self, event: &Value) -> Result<(), Error> {
        let separator = if std::mem::take(&mut self.is_first) { "\n" } else { ",\n" };
        self.raw(separator)?;
        serde_json::to_writer(&mut *self.out, event).map_err(Error::writing("perfetto"))
    }

    fn counter(&mut self, tgid: u32, name: &str, at_ns: u64, value: f64) -> Result<(), Error> {
        self.event(&json!({"ph": "C", "pid": tgid, "name": name, "ts": us(at_ns), "args": {"value": value}}))
    }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

fn per_second(value: f64, window: Window) -> f64 {
    let ns = window.end_ns.saturating_sub(window.start_ns);
    if ns == 0 { 0.0 } else { value * 1e9 / ns as f64 }
}

/// Which process a thread belongs to and what it is called.
struct Threads {
    target: u32,
    known: BTreeMap<u32, (u32, String)>,
    comm: String,
}

impl Threads {
    fn of(detail: &RunDetail) -> Self {
        let target = &detail.report.target;
        let known =
            target.threads.iter().map(|thread| (thread.tid, (thread.tgid, thread.comm.clone()))).collect();
        Self { target: target.tgid, known, comm: target.comm.clone() }
    }

    fn tgid(&self, tid: u32) -> u32 {
        self.known.get(&tid).map_or(self.target, |(tgid, _)| *tgid)
    }

    fn name(&self, tid: u32) -> String {
        match self.known.get(&tid) {
            Some((_, comm)) => format!("{comm} {tid}"),
            None => tid.to_string(),
        }
    }

    fn metadata<W: Write>(&self, trace: &mut Trace<'_, W>) -> Result<(), Error> {
        let others = self.known.values().map(|(tgid, _)| *tgid);
        let tgids: BTreeSet<u32> = others.chain([self.target]).collect();
        for tgid in tgids {
            let leader = self.known.get(&tgid).map_or(self.comm.as_str(), |(_, comm)| comm);
            trace
                .event(&json!({"ph": "M", "pid": tgid, "name": "process_name", "args": {"name": leader}}))?;
        }
        for (tid, (tgid, comm)) in &self.known {
            trace.event(
                &json!({"ph": "M", "pid": tgid, "tid": tid, "name": "thread_name", "args": {"name": comm}}),
            )?;
        }
        Ok(())
    }
}

/// Counter tracks. A track stays at its last value until told otherwise, so a thread that stops moving gets a zero.
fn counters<W: Write>(trace: &mut Trace<'_, W>, detail: &RunDetail, threads: &Threads) -> Result<(), Error> {
    let mut names: HashMap<(u16, Option<u32>), String> = HashMap::new();
    let mut last: BTreeMap<(u16, Option<u32>), f64> = BTreeMap::new();
    for window in &detail.windows {
        let mut current = rates(window);
        for key in last.keys() {
            current.entry(*key).or_insert(0.0);
        }
        for (key, rate) in current {
            if last.insert(key, rate) == Some(rate) {
                continue;
            }
            let name = names.entry(key).or_insert_with(|| track_name(detail, threads, key));
            let tgid = key.1.map_or(threads.target, |tid| threads.tgid(tid));
            trace.counter(tgid, name, window.window.start_ns, rate)?;
        }
    }
    let end_ns = detail.windows.last().map_or(0, |window| window.window.end_ns);
    for key in last.into_iter().filter(|(_, rate)| *rate != 0.0).map(|(key, _)| key) {
        let name = names.entry(key).or_insert_with(|| track_name(detail, threads, key));
        trace.counter(key.1.map_or(threads.target, |tid| threads.tgid(tid)), name, end_ns, 0.0)?;
    }
    Ok(())
}

/// Rates of one window per event and thread, and under `None` the sum of the threads.
fn rates(window: &WindowDetail) -> BTreeMap<(u16, Option<u32>), f64> {
    let mut rates = BTreeMap::new();
    for reading in &window.readings {
        let rate = per_second(reading.value as f64, window.window);
        for key in [(reading.event, None), (reading.event, Some(reading.tid))] {
            *rates.entry(key).or_default() += rate;
        }
    }
    rates
}

fn track_name(detail: &RunDetail, threads: &Threads, (event, tid): (u16, Option<u32>)) -> String {
    let event = detail.events.get(usize::from(event));
    let name = event.map_or("event", |event| event.name.as_str());
    let unit = match event.map_or(Unit::Count, |event| event.unit) {
        Unit::Count => "",
        other => other.as_str(),
    };
    match tid {
        None => format!("{name} {unit}/s"),
        Some(tid) => format!("{name} {unit}/s, {}", threads.name(tid)),
    }
}

fn allocation_tracks<W: Write>(trace: &mut Trace<'_, W>, detail: &RunDetail) -> Result<(), Error> {
    let tgid = detail.report.target.tgid;
    for window in &detail.windows {
        let Some(activity) = &window.allocations else { continue };
        let at_ns = window.window.start_ns;
        let rates = [
            ("allocated bytes/s", activity.alloc_bytes),
            ("allocations/s", activity.alloc_count),
            ("freed bytes/s", activity.freed_bytes),
            ("frees/s", activity.free_count),
        ];
        for (name, value) in rates {
            if let Some(value) = value {
                trace.counter(tgid, name, at_ns, per_second(value, window.window))?;
            }
        }
        if let Some(live) = activity.live_bytes {
            trace.counter(tgid, "live bytes", window.window.end_ns, live as f64)?;
        }
    }
    Ok(())
}

/// What the samples of each window fell on, constant over the window.
fn working_set_tracks<W: Write>(trace: &mut Trace<'_, W>, detail: &RunDetail) -> Result<(), Error> {
    let tgid = detail.report.target.tgid;
    for window in &detail.windows {
        let Some(own) = window.working_set else { continue };
        let at_ns = window.window.start_ns;
        trace.counter(tgid, "working set seen, bytes in pages", at_ns, own.pages as f64 * 4096.0)?;
        trace.counter(tgid, "working set seen, bytes in lines", at_ns, own.lines as f64 * 64.0)?;
    }
    Ok(())
}

/// One traced allocation: a slice from its birth to its end.
fn allocation<W: Write>(
    trace: &mut Trace<'_, W>,
    detail: &RunDetail,
    threads: &Threads,
    sites: &HashMap<u32, &Site>,
    id: usize,
    allocation: &TracedAllocation,
) -> Result<(), Error> {
    let site = allocation.site.and_then(|site| sites.get(&site));
    let caller = site.and_then(|site| site.frames.first()).map(|frame| frame.label());
    let name = match allocation.from_ns {
        Some(_) => format_bytes(allocation.size_bytes as f64),
        None => "allocated before the run".to_owned(),
    };
    let tgid = threads.tgid(allocation.tid);
    trace.event(&json!({
        "ph": "b", "cat": "allocation", "id": id, "pid": tgid, "tid": allocation.tid, "name": name,
        "ts": us(allocation.from_ns.unwrap_or(0)),
        "args": {
            "address": format!("{:#x}", allocation.address), "size_bytes": allocation.size_bytes,
            "caller": caller, "freed": allocation.to_ns.is_some(),
        },
    }))?;
    trace.event(&json!({
        "ph": "e", "cat": "allocation", "id": id, "pid": tgid, "tid": allocation.tid, "name": name,
        "ts": us(allocation.to_ns.unwrap_or(detail.report.run.duration_ns)),
    }))
}

fn map_events<W: Write>(
    trace: &mut Trace<'_, W>,
    detail: &RunDetail,
    threads: &Threads,
) -> Result<(), Error> {
    for event in &detail.map_events {
        let size = match (event.added_bytes, event.removed_bytes) {
            (added, 0) => format!("+{}", format_bytes(added as f64)),
            (0, removed) => format!("-{}", format_bytes(removed as f64)),
            (added, removed) => format!("+{} -{}", format_bytes(added as f64), format_bytes(removed as f64)),
        };
        trace.event(&json!({
            "ph": "i", "s": "t", "cat": "mapping", "pid": threads.tgid(event.tid), "tid": event.tid,
            "name": format!("{} {size}", event.kind.as_str()), "ts": us(event.at_ns),
            "args": {
                "address": format!("{:#x}", event.address),
                "added_bytes": event.added_bytes, "removed_bytes": event.removed_bytes,
            },
        }))?;
    }
    Ok(())
}
