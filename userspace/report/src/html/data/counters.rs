//! Counters as rates per point: the busiest threads each, the rest together, and how much of the time they counted.

use std::collections::HashMap;

use serde::Serialize;
use waytrace_model::counter::{CounterReading, EventInfo, Unit};
use waytrace_model::detail::{RunDetail, WindowDetail};

use super::points::{Points, seconds};
use super::rounded;
use crate::text::plain;

/// Threads with a colour of their own; the others are drawn together.
const THREADS_MAX: usize = 7;

/// One event over time. Rates are per second and unscaled.
#[derive(Serialize)]
pub struct EventSeries {
    name: String,
    unit: Unit,
    /// Sum over the run; absent when the event never ran.
    total: Option<u64>,
    threads: Vec<ThreadSeries>,
    /// Lowest and highest window inside each point, all threads together; absent while points are windows.
    low: Option<Vec<f64>>,
    high: Option<Vec<f64>>,
    /// Share of the enabled time that was counted, per point; absent if that is all of it.
    running_ratio: Option<Vec<Option<f64>>>,
}

#[derive(Serialize)]
struct ThreadSeries {
    /// 0 for the threads that have no series of their own.
    tid: u32,
    name: String,
    rates: Vec<f64>,
}

/// All events of the run, in one pass over its readings.
pub fn series(detail: &RunDetail, points: &Points) -> Vec<EventSeries> {
    let names: HashMap<u32, &str> =
        detail.report.target.threads.iter().map(|thread| (thread.tid, thread.comm.as_str())).collect();
    let mut sums: Vec<Sum> = busiest(detail).into_iter().map(|tids| Sum::new(tids, points.count())).collect();
    let mut lasted = vec![0.0; points.count()];
    for (index, window) in detail.windows.iter().enumerate() {
        let point = index / points.merged;
        lasted[point] += seconds(window);
        for reading in &window.readings {
            if let Some(sum) = sums.get_mut(usize::from(reading.event)) {
                sum.add(point, reading);
            }
        }
        sums.iter_mut().for_each(|sum| sum.end_window(point, window));
    }
    let of = |(info, sum): (&EventInfo, Sum)| {
        let reported = detail.report.counters.iter().find(|counter| counter.event == info.name);
        sum.series(info, reported.map(|counter| counter.value), &lasted, &names, points.merged > 1)
    };
    detail.events.iter().zip(sums).map(of).collect()
}

/// Per event its threads, those that counted most first.
fn busiest(detail: &RunDetail) -> Vec<Vec<u32>> {
    let mut totals: Vec<HashMap<u32, u64>> = vec![HashMap::new(); detail.events.len()];
    for reading in detail.windows.iter().flat_map(|window| &window.readings) {
        if let Some(of_event) = totals.get_mut(usize::from(reading.event)) {
            let total = of_event.entry(reading.tid).or_default();
            *total = total.saturating_add(reading.value);
        }
    }
    let ranked = |of_event: HashMap<u32, u64>| {
        let mut tids: Vec<(u32, u64)> = of_event.into_iter().collect();
        tids.sort_by_key(|&(tid, total)| (std::cmp::Reverse(total), tid));
        tids.into_iter().map(|(tid, _)| tid).collect()
    };
    totals.into_iter().map(ranked).collect()
}

/// One event's values summed into points.
struct Sum {
    /// Threads with a slot of their own; the slot after them is for the others.
    slot_of: HashMap<u32, usize>,
    own: Vec<u32>,
    others: usize,
    slots: Vec<Vec<f64>>,
    total: u64,
    window: f64,
    /// Lowest and highest rate of a window inside each point.
    extremes: Vec<Option<(f64, f64)>>,
    /// Nanoseconds enabled and running.
    times: Vec<(u64, u64)>,
}

impl Sum {
    fn new(mut own: Vec<u32>, points: usize) -> Self {
        let others = own.len().saturating_sub(THREADS_MAX);
        own.truncate(THREADS_MAX);
        Self {
            slot_of: own.iter().enumerate().map(|(slot, tid)| (*tid, slot)).collect(),
            slots: vec![vec![0.0; points]; own.len() + usize::from(others > 0)],
            own,
            others,
            total: 0,
            window: 0.0,
            extremes: vec![None; points],
            times: vec![(0, 0); points],
        }
    }

    fn add(&mut self, point: usize, reading: &CounterReading) {
        let slot = self.slot_of.get(&reading.tid).copied().unwrap_or(self.own.len());
        self.slots[slot][point] += reading.value as f64;
        self.window += reading.value as f64;
        self.total = self.total.saturating_add(reading.value);
        let (enabled, running) = self.times[point];
        self.times[point] = (
            enabled.saturating_add(reading.time_enabled_ns),
            running.saturating_add(reading.time_running_ns),
        );
    }

    fn end_window(&mut self, point: usize, window: &WindowDetail) {
        let rate = per_second(std::mem::take(&mut self.window), seconds(window));
        let (low, high) = self.extremes[point].unwrap_or((rate, rate));
        self.extremes[point] = Some((low.min(rate), high.max(rate)));
    }

    fn series(
        self,
        info: &EventInfo,
        reported: Option<Option<u64>>,
        lasted: &[f64],
        names: &HashMap<u32, &str>,
        is_merged: bool,
    ) -> EventSeries {
        let extreme = |pick: fn((f64, f64)) -> f64| {
            is_merged.then(|| self.extremes.iter().map(|of| of.map_or(0.0, pick)).map(rounded).collect())
        };
        let (low, high) = (extreme(|(low, _)| low), extreme(|(_, high)| high));
        let ratio = |&(enabled, running): &(u64, u64)| {
            (enabled > 0).then(|| rounded(running as f64 / enabled as f64))
        };
        let ratios: Vec<Option<f64>> = self.times.iter().map(ratio).collect();
        let is_multiplexed = ratios.iter().flatten().any(|ratio| *ratio < 1.0);
        let total = reported.unwrap_or((!self.slots.is_empty()).then_some(self.total));
        EventSeries {
            name: plain(&info.name),
            unit: info.unit,
            total,
            threads: self.threads(lasted, names),
            low,
            high,
            running_ratio: is_multiplexed.then_some(ratios),
        }
    }

    fn threads(self, lasted: &[f64], names: &HashMap<u32, &str>) -> Vec<ThreadSeries> {
        let (own, others) = (self.own, self.others);
        let name = |tid: u32| match names.get(&tid) {
            Some(comm) => format!("{} {tid}", plain(comm)),
            None => tid.to_string(),
        };
        let series = |(slot, values): (usize, Vec<f64>)| {
            let rates = values.iter().zip(lasted).map(|(value, lasted)| rounded(per_second(*value, *lasted)));
            let tid = own.get(slot).copied();
            ThreadSeries {
                tid: tid.unwrap_or(0),
                name: tid.map_or_else(|| format!("{others} other threads"), name),
                rates: rates.collect(),
            }
        };
        self.slots.into_iter().enumerate().map(series).collect()
    }
}

fn per_second(value: f64, lasted: f64) -> f64 {
    if lasted > 0.0 { value / lasted } else { 0.0 }
}
