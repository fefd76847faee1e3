//! Writing a measurement: begun once, then one transaction per epoch.

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use waytrace_model::measured::{Epoch, EventCount, MeasurementHeader, Quarantined};

use crate::codec::{Quantity, to_json};
use crate::error::{OnPath, Result, StoreError};
use crate::read::measured::MeasurementId;
use crate::select::is_valid_name;
use crate::store::Store;

impl Store {
    /// Begins a measurement. An empty name becomes `<stem>-<n>` with the first free n.
    ///
    /// # Errors
    /// [`StoreError::MeasurementTaken`], [`StoreError::BadName`], or the failure of writing.
    pub fn begin_measurement(&mut self, header: &mut MeasurementHeader, stem: &str) -> Result<MeasurementId> {
        let path = self.path.clone();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).on(&path)?;
        if header.name.is_empty() {
            header.name = free_name(&transaction, stem).on(&path)?;
        }
        if !is_valid_name(&header.name) {
            return Err(StoreError::BadName { name: header.name.clone() });
        }
        let id = match insert(&transaction, header) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                return Err(StoreError::MeasurementTaken { path, name: header.name.clone() });
            }
            inserted => inserted.on(&path)?,
        };
        transaction.commit().on(&path)?;
        Ok(id)
    }

    /// Adds an epoch, and what was found to be uncountable in it, in one transaction.
    ///
    /// # Errors
    /// The failure of writing; the epochs before are intact.
    pub fn add_epoch(&mut self, id: MeasurementId, epoch: &Epoch, refused: &[Quarantined]) -> Result<()> {
        let path = self.path.clone();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).on(&path)?;
        add(&transaction, id, epoch).on(&path)?;
        quarantine(&transaction, id, refused).on(&path)?;
        transaction.commit().on(&path)
    }
}

fn insert(connection: &Connection, header: &MeasurementHeader) -> rusqlite::Result<MeasurementId> {
    connection.execute(
        "INSERT INTO measurement (name, started_at_unix_ns, command, seed, plan, host, circumstances)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            header.name,
            Quantity(header.started_at_unix_ns),
            header.command,
            Quantity(header.seed),
            to_json(&header.plan)?,
            to_json(&header.host)?,
            to_json(&header.circumstances)?,
        ],
    )?;
    let id = MeasurementId(connection.last_insert_rowid());
    let mut insert = connection.prepare_cached(
        "INSERT INTO measured_event (measurement_id, event, name, perf_name, pmu, unit) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (number, event) in header.plan.events.iter().enumerate() {
        let number = number as i64;
        insert.execute(params![id.0, number, event.name, event.perf_name, event.pmu, event.unit.as_str()])?;
    }
    Ok(id)
}

fn add(connection: &Connection, id: MeasurementId, epoch: &Epoch) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO measured_epoch (measurement_id, position, attempt, run, repetition, started_at_unix_ns,
                                         duration_ns, ended_by, exit_code)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            id.0,
            Quantity(epoch.position),
            epoch.attempt,
            epoch.run,
            epoch.repetition,
            Quantity(epoch.started_at_unix_ns),
            Quantity(epoch.duration_ns),
            epoch.ended_by.as_str(),
            epoch.exit_code,
        ])?;
    let row = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached(
        "INSERT INTO measured_slot (epoch_id, slot, start_ns, end_ns) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (number, slot) in epoch.slots.iter().enumerate() {
        insert.execute(params![row, number as i64, Quantity(slot.start_ns), Quantity(slot.end_ns)])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO measured_count (epoch_id, event, place, value, time_enabled_ns, time_running_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for EventCount { event, place, value, time_enabled_ns, time_running_ns } in &epoch.counts {
        let times = (Quantity(*time_enabled_ns), Quantity(*time_running_ns));
        insert.execute(params![row, event, place, Quantity(*value), times.0, times.1])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO measured_slot_count (epoch_id, event, place, slot, value, time_enabled_ns, time_running_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for one in &epoch.by_slot {
        let EventCount { event, place, value, time_enabled_ns, time_running_ns } = one.count;
        let times = (Quantity(time_enabled_ns), Quantity(time_running_ns));
        insert.execute(params![row, event, place, one.slot, Quantity(value), times.0, times.1])?;
    }
    Ok(())
}

/// The first reason stays.
fn quarantine(connection: &Connection, id: MeasurementId, refused: &[Quarantined]) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE measured_event SET quarantined = ?3 WHERE measurement_id = ?1 AND event = ?2 AND quarantined IS NULL",
    )?;
    for one in refused {
        update.execute(params![id.0, one.event, one.reason])?;
    }
    Ok(())
}

fn free_name(connection: &Connection, stem: &str) -> rusqlite::Result<String> {
    let plain = |c: char| if c.is_alphanumeric() || "._+-".contains(c) { c } else { '_' };
    let stem: String = stem.chars().map(plain).collect();
    let prefix = format!("{}-", if stem.is_empty() { "measurement" } else { &stem });
    let mut names =
        connection.prepare_cached("SELECT name FROM measurement WHERE substr(name, 1, length(?1)) = ?1")?;
    let mut highest = 0;
    for name in names.query_map([&prefix], |row| row.get::<_, String>(0))? {
        let number = name?.strip_prefix(&prefix).and_then(|number| number.parse::<u32>().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(format!("{prefix}{}", u64::from(highest) + 1))
}
