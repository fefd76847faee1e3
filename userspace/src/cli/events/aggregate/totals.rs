//! What each event counted in each repetition: the total of an execution, or the rate where time has no beginning.

use std::collections::{BTreeMap, BTreeSet};

use super::measurement::{Measurement, Place};
use super::selection::SelectionArgs;

/// A value per event and repetition.
#[derive(Debug, Default)]
pub struct Totals {
    /// By event and repetition; those in which the event was multiplexed are missing.
    pub values: BTreeMap<String, BTreeMap<u32, f64>>,
    /// The repetitions there are.
    pub repetitions: BTreeSet<u32>,
    /// Repetitions of events left out because the event was multiplexed in them.
    pub flagged: u64,
}

/// What an event counted in one repetition.
#[derive(Default)]
struct Total {
    sum: f64,
    is_flagged: bool,
    /// Time it was counted, by place.
    ns: BTreeMap<Place, u64>,
}

impl Totals {
    /// Of what `selection` leaves of a measurement; says on stderr what was left out.
    ///
    /// # Errors
    /// The selection asks for what the measurement does not have.
    pub fn of(measurement: &Measurement, selection: &SelectionArgs) -> anyhow::Result<Self> {
        let mut all: BTreeMap<(&str, u32), Total> = BTreeMap::new();
        let mut totals = Self::default();
        let left_out = selection.visit(measurement, |value| {
            let Some(event) = measurement.events.get(value.event) else { return };
            let total = all.entry((event.name.as_str(), value.repetition)).or_default();
            total.sum += value.value;
            total.is_flagged |= !value.is_whole;
            *total.ns.entry(value.place).or_default() += value.end_ns.saturating_sub(value.start_ns);
            totals.repetitions.insert(value.repetition);
        })?;
        left_out.complain(&measurement.name);
        for ((name, repetition), total) in all {
            if total.is_flagged {
                totals.flagged += 1;
                continue;
            }
            let seconds = total.ns.values().copied().max().unwrap_or(0) as f64 / 1e9;
            let value = if measurement.is_repeatable { total.sum } else { total.sum / seconds };
            totals.values.entry(name.to_owned()).or_default().insert(repetition, value);
        }
        Ok(totals)
    }
}
