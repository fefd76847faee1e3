//! What a measurement comes to, so far: every event with its count per epoch, and everything that speaks against one.

use std::collections::BTreeMap;

use serde::Serialize;
use waytrace_measure::drift;
use waytrace_model::counter::Unit;
use waytrace_model::measured::{
    Epoch, EpochEnd, MeasuredEvent, MeasurementHeader, PmuUser, Precondition, Scope,
};
use waytrace_model::units::{format_count, format_ns};
use waytrace_store::Measurement;

use super::super::super::output::{plain, print, print_json, say, terminal_columns};
use super::super::super::table::{Table, left, right};

/// Version of the JSON object; fields are only ever added within one.
const SCHEMA_VERSION: u32 = 1;

/// The result, as it is printed.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    schema_version: u32,
    measurement: Summary<'a>,
    preconditions: &'a [Precondition],
    pmu_users: &'a [PmuUser],
    epochs: Vec<EpochRow>,
    events: Vec<EventRow<'a>>,
    quarantined: Vec<Refused<'a>>,
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    id: i64,
    name: &'a str,
    started_at_unix_ns: u64,
    command: &'a str,
    scope: &'a Scope,
    interval_ns: u64,
    epoch_ns: Option<u64>,
    runs: usize,
    epochs_planned: usize,
    epochs_measured: usize,
    interrupted: bool,
    complete: bool,
}

#[derive(Debug, Serialize)]
struct EpochRow {
    position: u64,
    attempt: u32,
    run: u32,
    repetition: u32,
    duration_ns: u64,
    slots: usize,
    ended_by: EpochEnd,
    exit_code: Option<i32>,
    /// Relative to the median of all; null where there is no anchor.
    pace: Option<f64>,
    drifted: bool,
}

#[derive(Debug, Serialize)]
struct EventRow<'a> {
    #[serde(flatten)]
    event: &'a MeasuredEvent,
    /// Epochs that counted it all the time; only these are in the figures.
    epochs: usize,
    /// Epochs that counted it for part of the time only.
    multiplexed_epochs: usize,
    /// Per epoch, over all CPUs; null where no epoch counted it all the time.
    mean: Option<f64>,
    min: Option<u64>,
    max: Option<u64>,
    per_second: Option<f64>,
    /// As if all epochs had gone at the usual pace; null without anchors.
    normalised_per_second: Option<f64>,
    /// Sums over the epochs, by CPU or process.
    by_place: BTreeMap<u32, u64>,
}

#[derive(Debug, Serialize)]
struct Refused<'a> {
    name: &'a str,
    perf_name: &'a str,
    reason: &'a str,
}

impl<'a> Report<'a> {
    /// Of what is stored.
    pub fn of(measurement: &'a Measurement, epochs: &[Epoch], interrupted: bool) -> Self {
        let MeasurementHeader { name, started_at_unix_ns, command, plan, circumstances, .. } =
            &measurement.header;
        let all: Vec<&Epoch> = epochs.iter().collect();
        let paces = drift::relative(plan, &all);
        let beyond = |pace: &Option<f64>| match (pace, plan.max_drift_pct) {
            (Some(pace), Some(most)) => drift::is_beyond(*pace, most),
            _ => false,
        };
        let epoch_row = |(epoch, pace): (&Epoch, &Option<f64>)| EpochRow {
            position: epoch.position,
            attempt: epoch.attempt,
            run: epoch.run,
            repetition: epoch.repetition,
            duration_ns: epoch.duration_ns,
            slots: epoch.slots.len(),
            ended_by: epoch.ended_by,
            exit_code: epoch.exit_code,
            pace: *pace,
            drifted: beyond(pace),
        };
        let quarantined = measurement.quarantined.iter().filter_map(|one| {
            let event = plan.events.get(one.event as usize)?;
            Some(Refused { name: &event.name, perf_name: &event.perf_name, reason: &one.reason })
        });
        let is_refused = |number: u32| measurement.quarantined.iter().any(|one| one.event == number);
        let sums = sums(epochs, &paces);
        let events = (0..).zip(&plan.events).filter(|(number, _)| !is_refused(*number));
        let none = Sum::default();
        let epochs_planned = plan.runs.len() * plan.repeat as usize;
        let rows: Vec<EpochRow> = epochs.iter().zip(&paces).map(epoch_row).collect();
        let events: Vec<EventRow<'_>> =
            events.map(|(number, event)| sums.get(&number).unwrap_or(&none).row(event)).collect();
        let quarantined: Vec<Refused<'_>> = quarantined.collect();
        let complete = rows.len() >= epochs_planned
            && quarantined.is_empty()
            && rows.iter().all(|row| !row.drifted && row.ended_by != EpochEnd::Timeout)
            && events.iter().all(|event| event.multiplexed_epochs == 0);
        Self {
            schema_version: SCHEMA_VERSION,
            measurement: Summary {
                id: measurement.id.0,
                name,
                started_at_unix_ns: *started_at_unix_ns,
                command,
                scope: &plan.scope,
                interval_ns: plan.interval_ns,
                epoch_ns: plan.epoch_ns,
                runs: plan.runs.len(),
                epochs_planned,
                epochs_measured: rows.len(),
                interrupted,
                complete,
            },
            preconditions: &circumstances.preconditions,
            pmu_users: &circumstances.pmu_users,
            epochs: rows,
            events,
            quarantined,
        }
    }

    /// Whether all was measured, and nothing speaks against it.
    pub fn is_complete(&self) -> bool {
        self.measurement.complete
    }

    /// Prints it.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn show(&self, json: bool, all: bool) -> anyhow::Result<()> {
        if json { print_json(self) } else { self.show_text(all) }
    }

    fn show_text(&self, all: bool) -> anyhow::Result<()> {
        let mut columns = vec![left("EVENT"), left("PMU")];
        columns.extend(["COUNT", "PER SECOND", "MIN", "MAX", "EPOCHS"].map(right));
        columns.push(left("NOTES"));
        let mut table = Table::new(columns);
        let is_silent = |event: &&EventRow<'_>| event.max.unwrap_or(0) == 0 && event.multiplexed_epochs == 0;
        let (silent, heard): (Vec<_>, Vec<_>) = self.events.iter().partition(is_silent);
        heard.iter().for_each(|event| table.row(&event.cells()));
        if all {
            silent.iter().for_each(|event| table.row(&event.cells()));
        }
        let mut text = table.render(terminal_columns().unwrap_or(usize::MAX));
        if !self.quarantined.is_empty() {
            text += "\nNot counted:\n";
            for one in &self.quarantined {
                text += &plain(&format!("  {}: {}", one.perf_name, one.reason));
                text.push('\n');
            }
        }
        print(&text)?;
        if !silent.is_empty() && !all {
            say(&format!("{} more events counted nothing; --all shows them", silent.len()));
        }
        self.say_drift();
        let Summary { name, id, epochs_measured, epochs_planned, .. } = &self.measurement;
        say(&plain(&format!("measurement {id} `{name}`: {epochs_measured} of {epochs_planned} epochs")));
        Ok(())
    }

    fn say_drift(&self) {
        let paces: Vec<f64> = self.epochs.iter().filter_map(|epoch| epoch.pace).collect();
        if let (Some(least), Some(most)) =
            (paces.iter().copied().reduce(f64::min), paces.iter().copied().reduce(f64::max))
            && paces.len() > 1
        {
            let drifted = self.epochs.iter().filter(|epoch| epoch.drifted).count();
            let drifted = if drifted > 0 { format!("; {drifted} beyond --max-drift") } else { String::new() };
            say(&format!(
                "the target's pace was {:.0} to {:.0} % of its usual one{drifted}",
                least * 100.0,
                most * 100.0
            ));
        }
    }
}

/// Of one event.
#[derive(Debug, Default)]
struct Sum {
    values: Vec<u64>,
    seconds: f64,
    normalised: Option<f64>,
    multiplexed: usize,
    by_place: BTreeMap<u32, u64>,
}

/// Of all events, by number.
fn sums(epochs: &[Epoch], paces: &[Option<f64>]) -> BTreeMap<u32, Sum> {
    let mut sums: BTreeMap<u32, Sum> = BTreeMap::new();
    for (epoch, pace) in epochs.iter().zip(paces) {
        let mut of_epoch: BTreeMap<u32, (u64, bool)> = BTreeMap::new();
        for count in &epoch.counts {
            let (value, is_whole) = of_epoch.entry(count.event).or_insert((0, true));
            *value = value.saturating_add(count.value);
            *is_whole &= count.is_whole();
        }
        for (event, (value, is_whole)) in of_epoch {
            let sum = sums.entry(event).or_default();
            if !is_whole {
                sum.multiplexed += 1;
                continue;
            }
            sum.values.push(value);
            sum.seconds += epoch.duration_ns as f64 / 1e9;
            if let Some(pace) = pace {
                *sum.normalised.get_or_insert(0.0) += value as f64 / pace;
            }
            for count in epoch.counts.iter().filter(|count| count.event == event) {
                let at = sum.by_place.entry(count.place).or_default();
                *at = at.saturating_add(count.value);
            }
        }
    }
    sums
}

impl Sum {
    fn row<'a>(&self, event: &'a MeasuredEvent) -> EventRow<'a> {
        let total: f64 = self.values.iter().map(|value| *value as f64).sum();
        let rate = |total: f64| (self.seconds > 0.0).then(|| total / self.seconds);
        EventRow {
            event,
            epochs: self.values.len(),
            multiplexed_epochs: self.multiplexed,
            mean: (!self.values.is_empty()).then(|| total / self.values.len() as f64),
            min: self.values.iter().min().copied(),
            max: self.values.iter().max().copied(),
            per_second: rate(total),
            normalised_per_second: self.normalised.and_then(rate),
            by_place: self.by_place.clone(),
        }
    }
}

impl EventRow<'_> {
    fn cells(&self) -> Vec<String> {
        let value = |value: Option<f64>| match value {
            Some(value) if self.event.unit == Unit::Ns => format_ns(value),
            Some(value) => format_count(value),
            None => "-".to_owned(),
        };
        let whole = |number: Option<u64>| value(number.map(|number| number as f64));
        let note = match (self.multiplexed_epochs, self.epochs) {
            (0, 0) => "not measured yet".to_owned(),
            (0, _) => String::new(),
            (some, 0) => format!("multiplexed in all {some} epochs: left out"),
            (some, _) => format!("multiplexed in {some} epochs: left out there"),
        };
        vec![
            self.event.perf_name.clone(),
            self.event.pmu.clone(),
            value(self.mean),
            value(self.per_second),
            whole(self.min),
            whole(self.max),
            self.epochs.to_string(),
            note,
        ]
    }
}

#[cfg(test)]
mod tests {
    use waytrace_model::measured::EventCount;

    use super::*;

    fn epoch(position: u64, value: u64, is_whole: bool) -> Epoch {
        let count = |place| EventCount {
            event: 0,
            place,
            value,
            time_enabled_ns: 10,
            time_running_ns: if is_whole { 10 } else { 5 },
        };
        Epoch {
            position,
            attempt: 1,
            run: 0,
            repetition: 1,
            started_at_unix_ns: 0,
            duration_ns: 2_000_000_000,
            ended_by: EpochEnd::Duration,
            exit_code: None,
            slots: Vec::new(),
            counts: vec![count(0), count(1)],
            by_slot: Vec::new(),
        }
    }

    #[test]
    fn what_was_multiplexed_is_left_out_and_said() {
        let epochs = [epoch(0, 10, true), epoch(1, 1000, false), epoch(2, 30, true)];
        let sums = sums(&epochs, &[Some(1.0), None, Some(2.0)]);
        let event = MeasuredEvent {
            name: "e".to_owned(),
            perf_name: "e".to_owned(),
            pmu: "software".to_owned(),
            unit: Unit::Count,
            scale: None,
        };
        let row = sums[&0].row(&event);
        assert_eq!((row.epochs, row.multiplexed_epochs), (2, 1));
        assert_eq!((row.mean, row.min, row.max), (Some(40.0), Some(20), Some(60)));
        assert_eq!((row.per_second, row.normalised_per_second), (Some(20.0), Some(12.5)));
        assert_eq!(row.by_place, BTreeMap::from([(0, 40), (1, 40)]));
        assert!(row.cells().last().unwrap().contains("multiplexed in 1"));
    }
}
