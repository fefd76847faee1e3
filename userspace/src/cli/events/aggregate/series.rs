//! Values of events as time series: one per name, over the intervals that any event has, as rates.
//!
//! Repetitions that began anew are one behind the other. What was measured on a living process has one clock, and events
//! of different epochs have no interval in common: nothing says how they went together.

use std::collections::{BTreeMap, BTreeSet};

use waytrace_analysis::correlate::{Presence, Series};

use super::measurement::Measurement;
use super::selection::{LeftOut, SelectionArgs};

/// What is made of the values of all CPUs and instances of a PMU in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Over {
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// Their standard deviation, of the population.
    Std,
    /// The greatest.
    Max,
    /// The least.
    Min,
}

/// Series of the same intervals.
#[derive(Debug, Default)]
pub struct Lined {
    /// Names of the events.
    pub names: Vec<String>,
    /// Their rates per second, in the same order.
    pub series: Vec<Series>,
    /// Repetition and end in seconds of each interval.
    pub times: Vec<(u32, f64)>,
}

/// Sums over places in one interval.
#[derive(Debug, Clone, Copy)]
struct Sums {
    values: f64,
    sum: f64,
    squares: f64,
    max: f64,
    min: f64,
    /// False if any is not whole.
    is_whole: bool,
    seconds: f64,
}

impl Sums {
    fn rate(&self, over: Over) -> Option<f64> {
        let mean = self.sum / self.values;
        let value = match over {
            Over::Sum => self.sum,
            Over::Avg => mean,
            Over::Std => (self.squares / self.values - mean * mean).max(0.0).sqrt(),
            Over::Max => self.max,
            Over::Min => self.min,
        };
        (self.is_whole && self.seconds > 0.0).then(|| value / self.seconds)
    }
}

/// The series of a measurement.
///
/// # Errors
/// As [`SelectionArgs::visit`].
pub fn line_up(
    measurement: &Measurement,
    selection: &SelectionArgs,
    over: Over,
) -> anyhow::Result<(Lined, LeftOut)> {
    let mut by_name: BTreeMap<&str, BTreeMap<(u32, u32), Sums>> = BTreeMap::new();
    let mut times: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    let left_out = selection.visit(measurement, |value| {
        let Some(event) = measurement.events.get(value.event).filter(|_| !measurement.is_stub(value)) else {
            return;
        };
        let lane = if measurement.is_repeatable { value.repetition } else { 0 };
        let at = (lane, value.slot);
        times.entry(at).or_insert(value.end_ns as f64 / 1e9);
        let seconds = value.end_ns.saturating_sub(value.start_ns) as f64 / 1e9;
        let sums = by_name.entry(event.name.as_str()).or_default().entry(at).or_insert(Sums {
            values: 0.0,
            sum: 0.0,
            squares: 0.0,
            max: f64::NEG_INFINITY,
            min: f64::INFINITY,
            is_whole: true,
            seconds,
        });
        sums.values += 1.0;
        sums.sum += value.value;
        sums.squares += value.value * value.value;
        sums.max = sums.max.max(value.value);
        sums.min = sums.min.min(value.value);
        sums.is_whole &= value.is_whole;
    })?;
    let mut lined =
        Lined { times: times.iter().map(|((lane, _), end)| (*lane, *end)).collect(), ..Lined::default() };
    for (name, sums) in by_name {
        lined.names.push(name.to_owned());
        lined.series.push(times.keys().map(|at| sums.get(at).and_then(|sums| sums.rate(over))).collect());
    }
    Ok((lined, left_out))
}

/// An event whose series says nothing of how it goes with others.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Silent {
    /// Its name.
    pub event: String,
    /// Why.
    pub reason: &'static str,
    /// Intervals it was measured in.
    pub samples: usize,
    /// Those in which it occurred.
    pub nonzero: usize,
}

/// Never occurred.
pub const ZERO: &str = "zero";
/// Occurred in too few intervals.
pub const SPARSE: &str = "sparse";
/// Was the same in all intervals.
pub const CONSTANT: &str = "constant";
/// Was not measured without multiplexing.
pub const UNMEASURED: &str = "unmeasured";

impl Lined {
    /// Takes out what says nothing: what occurs in fewer than `least` intervals, or never changes.
    pub fn take_silent(&mut self, least: usize) -> Vec<Silent> {
        let mut silent = Vec::new();
        let mut kept = BTreeSet::new();
        for (at, (name, series)) in self.names.iter().zip(&self.series).enumerate() {
            let Presence { samples, nonzero, constant } = Presence::of(series);
            let reason = match (samples, nonzero) {
                (0, _) => UNMEASURED,
                (_, 0) => ZERO,
                (_, nonzero) if nonzero < least => SPARSE,
                _ if constant => CONSTANT,
                _ => {
                    kept.insert(at);
                    continue;
                }
            };
            silent.push(Silent { event: name.clone(), reason, samples, nonzero });
        }
        let mut at = 0;
        self.names.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
        at = 0;
        self.series.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
        silent
    }
}
