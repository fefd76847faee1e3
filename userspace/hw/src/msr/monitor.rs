//! Monitors: an RMID for a CPU, and its counters.
//!
//! An RMID leaves the class of its CPU as it is: the register holds both, and only its own bits are changed.

use waytrace_model::cache::CacheId;

use super::registers::{PQR_ASSOC, QM_CTR, QM_EVTSEL, RMID_BITS};
use super::state::State;
use crate::rdt::{EventReading, RdtError, Reading};

/// Events by their numbers from 1.
pub const EVENTS: [&str; 3] = ["llc_occupancy", "mbm_total_bytes", "mbm_local_bytes"];
const OCCUPANCY: u32 = 1;
const ERROR: u64 = 1 << 63;
const UNAVAILABLE: u64 = 1 << 62;

/// Gives a CPU an RMID.
pub fn assign(state: &State, cpu: u32, rmid: u32) -> Result<(), RdtError> {
    let old = state.access.read(cpu, PQR_ASSOC)?;
    state.access.write(cpu, PQR_ASSOC, old & !RMID_BITS | u64::from(rmid) & RMID_BITS)
}

/// CPUs of an RMID get the default one.
pub fn release(state: &State, rmid: u32) -> Result<(), RdtError> {
    for (cpu, value) in state.of_cpus(PQR_ASSOC)? {
        if value & RMID_BITS == u64::from(rmid) {
            assign(state, cpu, 0)?;
        }
    }
    Ok(())
}

/// An RMID no CPU has: the lowest without lines in a cache, else that with the fewest. `None` where all are in use.
pub fn free(state: &State) -> Result<Option<u32>, RdtError> {
    let rmids = state.features.cmt.map_or(0, |cmt| cmt.rmids);
    let used: Vec<u64> = state.of_cpus(PQR_ASSOC)?.into_iter().map(|(_, value)| value & RMID_BITS).collect();
    let mut best: Option<(u64, u32)> = None;
    for rmid in (1..rmids).filter(|rmid| !used.contains(&u64::from(*rmid))) {
        let held = read(state, rmid)?.into_iter().filter(|reading| reading.event == EVENTS[0]);
        let held: u64 = held.map(|one| if let Reading::Value(bytes) = one.reading { bytes } else { 0 }).sum();
        if best.is_none_or(|(least, _)| held < least) {
            best = Some((held, rmid));
        }
        if held == 0 {
            break;
        }
    }
    Ok(best.map(|(_, rmid)| rmid))
}

/// All events of an RMID in every L3.
pub fn read(state: &State, rmid: u32) -> Result<Vec<EventReading>, RdtError> {
    let cmt = state.cmt()?;
    let mut readings = Vec::new();
    for cache in state.domains(3) {
        for (number, event) in (1..).zip(EVENTS).filter(|(number, _)| cmt.events & 1 << (number - 1) != 0) {
            let select = u64::from(rmid) << 32 | u64::from(number);
            let raw = state.on(cache, |cpu| {
                state.access.write(cpu, QM_EVTSEL, select)?;
                state.access.read(cpu, QM_CTR)
            })?;
            let bits = if number == OCCUPANCY { 62 } else { cmt.counter_bits };
            readings.extend(raw.map(|raw| reading(event, cache.id, raw, bits, cmt.upscale_bytes)));
        }
    }
    Ok(readings)
}

fn reading(event: &str, cache_id: CacheId, raw: u64, bits: u32, upscale_bytes: u32) -> EventReading {
    let count = raw & ((1 << bits) - 1);
    let reading = match raw {
        raw if raw & ERROR != 0 => Reading::Error,
        raw if raw & UNAVAILABLE != 0 => Reading::Unavailable,
        _ => count.checked_mul(u64::from(upscale_bytes)).map_or(Reading::Error, Reading::Value),
    };
    EventReading { event: event.to_owned(), cache_id, reading }
}
