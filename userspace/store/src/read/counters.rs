//! Sums of raw readings per event, over all threads and per thread. Nothing is scaled.

use std::collections::BTreeMap;

use rusqlite::Connection;
use waytrace_model::counter::{EventInfo, Unit};
use waytrace_model::report::CounterTotal;

use crate::codec::quantity;
use crate::store::RunId;

/// Sum of the readings of one event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    value: u64,
    time_enabled_ns: u64,
    time_running_ns: u64,
    windows: u64,
    last_window: Option<u64>,
}

impl Sum {
    /// The sum, or `None` if the event never ran: what was not counted is not 0.
    pub(crate) fn value(&self) -> Option<u64> {
        (self.time_running_ns > 0).then_some(self.value)
    }

    /// Saturates: a damaged file must not bring the reader down.
    fn add(&mut self, window: u64, value: u64, enabled_ns: u64, running_ns: u64) {
        self.value = self.value.saturating_add(value);
        self.time_enabled_ns = self.time_enabled_ns.saturating_add(enabled_ns);
        self.time_running_ns = self.time_running_ns.saturating_add(running_ns);
        if self.last_window != Some(window) {
            self.windows += 1;
            self.last_window = Some(window);
        }
    }

    fn total(&self, event: &EventInfo) -> CounterTotal {
        CounterTotal {
            event: event.name.clone(),
            value: self.value(),
            unit: event.unit,
            time_enabled_ns: self.time_enabled_ns,
            time_running_ns: self.time_running_ns,
            windows: self.windows,
            multiplexed: self.time_running_ns < self.time_enabled_ns,
        }
    }
}

/// Sums by event number, over all threads and per thread.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) by_event: BTreeMap<i64, Sum>,
    pub(crate) by_thread: BTreeMap<u32, BTreeMap<i64, Sum>>,
}

/// The run's events in order.
pub(crate) fn events(connection: &Connection, run: RunId) -> rusqlite::Result<Vec<EventInfo>> {
    super::rows(connection, run, "SELECT name, unit FROM event WHERE run_id = ?1 ORDER BY event", |row| {
        Ok(EventInfo { name: row.get("name")?, unit: Unit::parse(&row.get::<_, String>("unit")?) })
    })
}

/// One pass over the readings in key order, which is also window order: counting windows needs no sorting.
pub(crate) fn sums(connection: &Connection, run: RunId) -> rusqlite::Result<Sums> {
    let mut sums = Sums::default();
    let mut statement = connection.prepare_cached(
        "SELECT window, tid, event, value, time_enabled_ns, time_running_ns FROM reading
         WHERE run_id = ?1 ORDER BY run_id, window, tid, event",
    )?;
    let mut rows = statement.query([run.0])?;
    while let Some(row) = rows.next()? {
        // Columns by position: a long run has millions of these rows, and a name costs a search each time.
        let (window, tid, event) = (quantity(row, 0)?, row.get(1)?, row.get(2)?);
        let (value, enabled, running) = (quantity(row, 3)?, quantity(row, 4)?, quantity(row, 5)?);
        let thread = sums.by_thread.entry(tid).or_default();
        for sum in [sums.by_event.entry(event).or_default(), thread.entry(event).or_default()] {
            sum.add(window, value, enabled, running);
        }
    }
    Ok(sums)
}

/// A total for every event, also for one without a single reading.
pub(crate) fn totals(events: &[EventInfo], sums: &Sums) -> Vec<CounterTotal> {
    let sum = |position: usize| sums.by_event.get(&(position as i64)).copied().unwrap_or_default();
    events.iter().enumerate().map(|(position, event)| sum(position).total(event)).collect()
}

/// Totals of one thread, for the events it has readings of.
pub(crate) fn thread_totals(events: &[EventInfo], sums: &BTreeMap<i64, Sum>) -> Vec<CounterTotal> {
    let known =
        |(position, sum): (&i64, &Sum)| Some(sum.total(events.get(usize::try_from(*position).ok()?)?));
    sums.iter().filter_map(known).collect()
}
