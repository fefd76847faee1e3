//! Reading measurements back: the whole of one, or its epochs one by one, of which each may be large.

use rusqlite::{Connection, Row};
use serde::{Deserialize, Serialize};
use waytrace_model::measured::{
    Epoch, EpochEnd, EventCount, MeasurementHeader, Quarantined, Slot, SlotCount,
};

use crate::codec::{json, quantity};
use crate::error::{OnPath, Result, StoreError};
use crate::select::{fitting, there_are};
use crate::store::Store;

/// A measurement's id: unique in its database, from 1, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeasurementId(pub i64);

/// A measurement, without what its epochs counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Its id.
    pub id: MeasurementId,
    /// As it was begun.
    pub header: MeasurementHeader,
    /// Events left out until now.
    pub quarantined: Vec<Quarantined>,
    /// Position and attempt of each epoch stored, ascending.
    pub epochs: Vec<(u64, u32)>,
}

impl Store {
    /// The measurement that `selector` means, as [`Store::find`] has it of runs.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMeasurement`] and [`StoreError::Ambiguous`] list the candidates; or the failure of reading.
    pub fn measurement(&self, selector: &str) -> Result<Measurement> {
        let snapshot = self.snapshot()?;
        let selector = selector.trim();
        match fitting(&snapshot, TABLE, selector).on(&self.path)?.as_slice() {
            [] => {
                let names = there_are(&snapshot, TABLE).on(&self.path)?;
                let none = || "it holds none yet; `waytrace events measure` makes one".to_owned();
                let (path, name) = (self.path.clone(), selector.to_owned());
                Err(StoreError::NoSuchMeasurement { path, name, candidates: names.unwrap_or_else(none) })
            }
            [id] => load(&snapshot, MeasurementId(*id)).on(&self.path),
            several => Err(self.ambiguous(&snapshot, TABLE, selector, several)?),
        }
    }

    /// The epochs of a measurement, the last attempt of each position, in order. With `slots` they hold what was counted slot
    /// by slot, else totals only.
    ///
    /// # Errors
    /// The failure of reading.
    pub fn epochs(&self, id: MeasurementId, slots: bool) -> Result<Vec<Epoch>> {
        epochs(&*self.snapshot()?, id, slots).on(&self.path)
    }
}

const TABLE: &str = "measurement";

fn load(connection: &Connection, id: MeasurementId) -> rusqlite::Result<Measurement> {
    let header = connection.query_row("SELECT * FROM measurement WHERE id = ?1", [id.0], header)?;
    let mut refused = connection.prepare_cached(
        "SELECT event, quarantined FROM measured_event
         WHERE measurement_id = ?1 AND quarantined IS NOT NULL ORDER BY event",
    )?;
    let quarantined = refused
        .query_map([id.0], |row| Ok(Quarantined { event: row.get(0)?, reason: row.get(1)? }))?
        .collect::<rusqlite::Result<_>>()?;
    let mut stored = connection.prepare_cached(
        "SELECT position, attempt FROM measured_epoch WHERE measurement_id = ?1 ORDER BY position, attempt",
    )?;
    let epochs = stored
        .query_map([id.0], |row| Ok((quantity(row, 0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Measurement { id, header, quarantined, epochs })
}

fn header(row: &Row<'_>) -> rusqlite::Result<MeasurementHeader> {
    Ok(MeasurementHeader {
        name: row.get("name")?,
        started_at_unix_ns: quantity(row, "started_at_unix_ns")?,
        command: row.get("command")?,
        seed: quantity(row, "seed")?,
        plan: json(row, "plan")?,
        host: json(row, "host")?,
        circumstances: json(row, "circumstances")?,
    })
}

fn epochs(connection: &Connection, id: MeasurementId, slots: bool) -> rusqlite::Result<Vec<Epoch>> {
    let mut all = connection.prepare_cached(
        "SELECT * FROM measured_epoch e WHERE measurement_id = ?1 AND attempt =
             (SELECT max(attempt) FROM measured_epoch o WHERE o.measurement_id = ?1 AND o.position = e.position)
         ORDER BY position",
    )?;
    let mut epochs = all
        .query_map([id.0], |row| Ok((row.get::<_, i64>("id")?, epoch(row)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (row, epoch) in &mut epochs {
        epoch.counts = rows(connection, *row, "SELECT * FROM measured_count WHERE epoch_id = ?1", count)?;
        epoch.slots =
            rows(connection, *row, "SELECT * FROM measured_slot WHERE epoch_id = ?1 ORDER BY slot", slot)?;
        if slots {
            let sql = "SELECT * FROM measured_slot_count WHERE epoch_id = ?1 ORDER BY slot, event, place";
            epoch.by_slot = rows(connection, *row, sql, |row| {
                Ok(SlotCount { slot: row.get("slot")?, count: count(row)? })
            })?;
        }
    }
    Ok(epochs.into_iter().map(|(_, epoch)| epoch).collect())
}

fn rows<T>(
    connection: &Connection,
    epoch: i64,
    sql: &str,
    make: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map([epoch], make)?.collect()
}

fn epoch(row: &Row<'_>) -> rusqlite::Result<Epoch> {
    Ok(Epoch {
        position: quantity(row, "position")?,
        attempt: row.get("attempt")?,
        run: row.get("run")?,
        repetition: row.get("repetition")?,
        started_at_unix_ns: quantity(row, "started_at_unix_ns")?,
        duration_ns: quantity(row, "duration_ns")?,
        ended_by: EpochEnd::parse(&row.get::<_, String>("ended_by")?),
        exit_code: row.get("exit_code")?,
        slots: Vec::new(),
        counts: Vec::new(),
        by_slot: Vec::new(),
    })
}

fn slot(row: &Row<'_>) -> rusqlite::Result<Slot> {
    Ok(Slot { start_ns: quantity(row, "start_ns")?, end_ns: quantity(row, "end_ns")? })
}

fn count(row: &Row<'_>) -> rusqlite::Result<EventCount> {
    Ok(EventCount {
        event: row.get("event")?,
        place: row.get("place")?,
        value: quantity(row, "value")?,
        time_enabled_ns: quantity(row, "time_enabled_ns")?,
        time_running_ns: quantity(row, "time_running_ns")?,
    })
}
