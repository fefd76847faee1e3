//! What a measurement counted, value by value: from the store, or from a file of rows, gz/autoperf's among them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

use anyhow::Context;
use waytrace_measure::drift;
use waytrace_model::measured::{Epoch, EventCount, MeasuredEvent, MeasurementHeader, Scope};
use waytrace_report::series::{Row, csv};
use waytrace_store::Store;

use super::super::super::StoreArgs;

/// A measurement that can be gone through.
#[derive(Debug)]
pub struct Measurement {
    /// Its name, or the file's.
    pub name: String,
    /// CPU as event files name it, where it is known.
    pub cpu: Option<String>,
    /// Events counted, by instance of their PMU.
    pub events: Vec<Counted>,
    /// Events that could not be counted, and why.
    pub quarantined: Vec<(String, String)>,
    /// Whether each repetition began anew, so that its times compare with those of others; else all have one clock.
    pub is_repeatable: bool,
    /// Usual length of an interval in nanoseconds; `None` where it is not known.
    interval_ns: Option<u64>,
    source: Source,
}

/// An event of a measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its name in the catalogue; instances of a PMU have it in common.
    pub name: String,
    /// `cpu`, or the PMU, with the number of its instance.
    pub unit: String,
    /// Whether what is counted is a CPU's own.
    pub is_core: bool,
}

/// Where something was counted. What is `None` is unknown, or not of one CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub socket: Option<u32>,
    pub core: Option<u32>,
    pub cpu: Option<u32>,
    pub node: Option<u32>,
    /// The process, where events were counted by process.
    pub process: Option<u32>,
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// Place in [`Measurement::events`].
    pub event: usize,
    /// From 1.
    pub repetition: u32,
    /// What was counted at once: events of different epochs were not.
    pub epoch: u64,
    /// Number of the interval.
    pub slot: u32,
    /// Its start, in nanoseconds.
    pub start_ns: u64,
    /// Its end, in nanoseconds.
    pub end_ns: u64,
    pub place: Place,
    /// What was counted, never scaled.
    pub value: f64,
    /// Whether the event counted all the time, so that the value is whole.
    pub is_whole: bool,
    /// Whether the event is counted in other epochs of the same repetition, of which one will do.
    pub is_extra: bool,
    /// The target's pace in this epoch relative to its usual one, where it is known.
    pub pace: Option<f64>,
}

#[derive(Debug)]
enum Source {
    /// With the pace of each epoch.
    Stored {
        header: Box<MeasurementHeader>,
        epochs: Vec<(Epoch, Option<f64>)>,
    },
    File(Vec<Value>),
}

impl Measurement {
    /// Loads what `selector` names: a measurement of the store, or a file whose name ends in `.csv`.
    ///
    /// # Errors
    /// There is none of that name, or the file is no table of values.
    pub fn load(selector: &str, store: &StoreArgs) -> anyhow::Result<Self> {
        let measurement = if selector.ends_with(".csv") {
            let file = File::open(selector).with_context(|| format!("cannot read {selector}"))?;
            Self::of_rows(selector, csv::read(BufReader::new(file)).with_context(|| selector.to_owned())?)
                .with_context(|| selector.to_owned())?
        } else {
            let store = Store::open_existing(store.db.as_deref())?;
            let stored = store.measurement(selector)?;
            let epochs = store.epochs(stored.id, true)?;
            let name = |place: u32| stored.header.plan.events.get(place as usize).map(|one| one.name.clone());
            let quarantined = stored.quarantined.iter();
            let quarantined = quarantined.filter_map(|one| Some((name(one.event)?, one.reason.clone())));
            let quarantined = quarantined.collect();
            Self::of_epochs(stored.header, epochs, quarantined)
        };
        anyhow::ensure!(
            !measurement.is_empty(),
            "{selector} has counted nothing yet; finish it with `waytrace events measure --resume {selector}`, or name another"
        );
        Ok(measurement)
    }

    /// Of what the store has.
    pub fn of_epochs(
        header: MeasurementHeader,
        epochs: Vec<Epoch>,
        quarantined: Vec<(String, String)>,
    ) -> Self {
        let paces = drift::relative(&header.plan, &epochs.iter().collect::<Vec<_>>());
        let epochs = epochs.into_iter().zip(paces).collect();
        Self {
            name: header.name.clone(),
            cpu: header.circumstances.cpu_id.clone(),
            events: header.plan.events.iter().map(counted).collect(),
            quarantined,
            is_repeatable: matches!(header.plan.scope, Scope::Command { .. }),
            interval_ns: Some(header.plan.interval_ns),
            source: Source::Stored { header: Box::new(header), epochs },
        }
    }

    /// Of a file's rows.
    pub fn of_rows<E>(name: &str, rows: impl Iterator<Item = Result<Row, E>>) -> Result<Self, E> {
        let mut places: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut values = Vec::new();
        for row in rows {
            let row = row?;
            let next = places.len();
            let event = *places.entry((row.event.to_lowercase(), row.unit.clone())).or_insert(next);
            values.push(value(event, &row));
        }
        let mut events: Vec<(usize, Counted)> = places
            .into_iter()
            .map(|((name, unit), place)| (place, Counted { name, is_core: is_core(&unit), unit }))
            .collect();
        events.sort_by_key(|(place, _)| *place);
        Ok(Self {
            name: name.to_owned(),
            cpu: None,
            events: events.into_iter().map(|(_, event)| event).collect(),
            quarantined: Vec::new(),
            is_repeatable: true,
            interval_ns: None,
            source: Source::File(values),
        })
    }

    fn is_empty(&self) -> bool {
        match &self.source {
            Source::Stored { epochs, .. } => epochs.iter().all(|(epoch, _)| epoch.counts.is_empty()),
            Source::File(values) => values.is_empty(),
        }
    }

    /// Whether an interval is too short to compare with others: the last of an execution ends when that does.
    pub fn is_stub(&self, value: &Value) -> bool {
        self.interval_ns
            .is_some_and(|interval_ns| value.end_ns.saturating_sub(value.start_ns) < interval_ns / 2)
    }

    /// Whether the pace of any epoch is known, so that values can be normalised.
    pub fn has_pace(&self) -> bool {
        match &self.source {
            Source::Stored { epochs, .. } => epochs.iter().any(|(_, pace)| pace.is_some()),
            Source::File(_) => false,
        }
    }

    /// Gives every value to `take`, those that are 0 among them.
    pub fn each(&self, mut take: impl FnMut(&Value)) {
        match &self.source {
            Source::File(values) => values.iter().for_each(take),
            Source::Stored { header, epochs } => {
                let cpus: BTreeMap<u32, Place> = header.circumstances.cpus.iter().map(place).collect();
                for (epoch, pace) in epochs {
                    of_epoch(header, epoch, self.is_repeatable, &cpus, &mut |value| {
                        take(&Value { pace: *pace, ..*value });
                    });
                }
            }
        }
    }
}

fn counted(event: &MeasuredEvent) -> Counted {
    let instance = event.perf_name.split_once('/').map_or(event.pmu.as_str(), |(pmu, _)| pmu);
    let is_core = is_core(&event.pmu);
    let unit = if event.pmu.starts_with("cpu") { "cpu" } else { instance };
    Counted { name: event.name.clone(), unit: unit.to_owned(), is_core }
}

/// Whether a PMU counts what one CPU does.
fn is_core(pmu: &str) -> bool {
    pmu.starts_with("cpu") || ["software", "tracepoint", "msr", "breakpoint"].contains(&pmu)
}

fn place(cpu: &waytrace_model::measured::CpuPlace) -> (u32, Place) {
    let place =
        Place { socket: cpu.package, core: cpu.core, cpu: Some(cpu.cpu), node: cpu.node, process: None };
    (cpu.cpu, place)
}

fn value(event: usize, row: &Row) -> Value {
    let end_ns = (row.time_s.max(0.0) * 1e9) as u64;
    // Rows have ends only, of intervals of one length.
    let length_ns = end_ns / (u64::from(row.index) + 1);
    Value {
        event,
        repetition: row.repetition,
        epoch: u64::from(row.repetition),
        slot: row.index,
        start_ns: end_ns - length_ns,
        end_ns,
        place: Place { socket: row.socket, core: row.core, cpu: row.cpu, node: row.node, process: None },
        value: row.value,
        is_whole: true,
        is_extra: false,
        pace: None,
    }
}

fn of_epoch(
    header: &MeasurementHeader,
    epoch: &Epoch,
    is_repeatable: bool,
    cpus: &BTreeMap<u32, Place>,
    take: &mut impl FnMut(&Value),
) {
    let by_process = matches!(header.plan.scope, Scope::Process { .. });
    let interval_ns = header.plan.interval_ns.max(1);
    let after_ns = match is_repeatable {
        true => 0,
        false => epoch.started_at_unix_ns.saturating_sub(header.started_at_unix_ns),
    };
    let mut by_slot: BTreeMap<(u32, u32, u32), &EventCount> = BTreeMap::new();
    for one in &epoch.by_slot {
        by_slot.insert((one.count.event, one.count.place, one.slot), &one.count);
    }
    for total in &epoch.counts {
        let own = |run: &Vec<u32>| run.contains(&total.event);
        let home = header.plan.runs.iter().position(own);
        let is_extra = is_repeatable && home.is_some_and(|home| home != epoch.run as usize);
        let place = match by_process {
            true => Place { process: Some(total.place), ..Place::default() },
            false => cpus
                .get(&total.place)
                .copied()
                .unwrap_or(Place { cpu: Some(total.place), ..Place::default() }),
        };
        for (number, slot) in (0..).zip(&epoch.slots) {
            let count = by_slot.get(&(total.event, total.place, number));
            let (start_ns, end_ns) =
                (after_ns.saturating_add(slot.start_ns), after_ns.saturating_add(slot.end_ns));
            let since_start = u32::try_from(start_ns / interval_ns).unwrap_or(u32::MAX);
            take(&Value {
                event: total.event as usize,
                repetition: epoch.repetition,
                epoch: epoch.position,
                slot: if is_repeatable { number } else { since_start },
                start_ns,
                end_ns,
                place,
                value: count.map_or(0.0, |count| count.value as f64),
                is_whole: count.is_none_or(|count| count.is_whole()),
                is_extra,
                pace: None,
            });
        }
    }
}
