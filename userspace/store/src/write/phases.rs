//! The phases that ended in one window.

use rusqlite::{Connection, params};
use waytrace_model::phase::Phase;

use crate::codec::Quantity;
use crate::store::RunId;

/// Inserts phases with their readings. One of a thread and a start that is there already is not a phase of its own.
pub(super) fn insert(connection: &Connection, run: RunId, phases: &[Phase]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO phase (run_id, tid, start_ns, phase, end_ns, cpu_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )?;
    let mut insert_reading = connection.prepare_cached(
        "INSERT INTO phase_reading (run_id, tid, start_ns, event, value, time_enabled_ns, time_running_ns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO NOTHING",
    )?;
    for phase in phases {
        let start_ns = Quantity(phase.start_ns);
        let (end_ns, cpu_ns) = (Quantity(phase.end_ns), Quantity(phase.cpu_ns));
        insert.execute(params![run.0, phase.tid, start_ns, Quantity(phase.index), end_ns, cpu_ns])?;
        for reading in &phase.readings {
            insert_reading.execute(params![
                run.0,
                phase.tid,
                start_ns,
                reading.event,
                Quantity(reading.value),
                Quantity(reading.time_enabled_ns),
                Quantity(reading.time_running_ns),
            ])?;
        }
    }
    Ok(())
}
