//! Phases as slices on their thread's track, one after the other, with what they counted.

use std::io::Write;

use serde_json::{Map, Value, json};
use waytrace_model::counter::EventInfo;
use waytrace_model::phase::{Phase, PhaseReading};

use super::{Threads, Trace, us};
use crate::Error;

/// A slice for each phase.
pub(super) fn slices<W: Write>(
    trace: &mut Trace<'_, W>,
    phases: &[Phase],
    events: &[EventInfo],
    threads: &Threads,
) -> Result<(), Error> {
    for phase in phases {
        trace.event(&json!({
            "ph": "X", "cat": "phase", "pid": threads.tgid(phase.tid), "tid": phase.tid,
            "name": format!("phase {}", phase.index), "ts": us(phase.start_ns),
            "dur": us(phase.end_ns.saturating_sub(phase.start_ns)), "args": counted(phase, events),
        }))?;
    }
    Ok(())
}

/// CPU time and readings. A multiplexed one is as counted, and says which share of the time that was; one that never ran
/// is left out, for it is not 0.
fn counted(phase: &Phase, events: &[EventInfo]) -> Map<String, Value> {
    let mut args = Map::from_iter([("cpu_ns".to_owned(), json!(phase.cpu_ns))]);
    for PhaseReading { event, value, time_enabled_ns, time_running_ns } in &phase.readings {
        let Some(info) = events.get(usize::from(*event)).filter(|_| *time_running_ns > 0) else { continue };
        args.insert(info.name.clone(), json!(value));
        if time_running_ns < time_enabled_ns {
            let ratio = *time_running_ns as f64 / *time_enabled_ns as f64;
            args.insert(format!("{} running_ratio", info.name), json!(ratio));
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use waytrace_model::counter::Unit;

    use super::*;

    #[test]
    fn a_phase_is_a_slice_of_its_thread() {
        let reading = |event, value, time_running_ns| PhaseReading {
            event,
            value,
            time_enabled_ns: 20,
            time_running_ns,
        };
        let readings = vec![reading(0, 31, 20), reading(1, 7, 5), reading(2, 0, 0), reading(9, 1, 20)];
        let phase = Phase { tid: 43, index: 6, start_ns: 1_500, end_ns: 4_000, cpu_ns: 2_400, readings };
        let first = phase.clone();
        let next = Phase { index: 7, start_ns: 4_000, end_ns: 6_001, readings: Vec::new(), ..phase };
        let events = ["cycles", "branches", "never"]
            .map(|name| EventInfo { name: name.to_owned(), unit: Unit::Count });
        let known = BTreeMap::from([(43, (42, "worker".to_owned()))]);
        let threads = Threads { target: 1, known, comm: String::new() };
        let mut out = Vec::new();
        let mut trace = Trace { out: &mut out, is_first: true };
        slices(&mut trace, &[first, next], &events, &threads).unwrap();
        let written: Value = serde_json::from_str(&format!("[{}]", String::from_utf8(out).unwrap())).unwrap();
        assert_eq!(
            written,
            json!([
                {
                    "ph": "X", "cat": "phase", "pid": 42, "tid": 43, "name": "phase 6", "ts": 1.5, "dur": 2.5,
                    "args": {"cpu_ns": 2_400, "cycles": 31, "branches": 7, "branches running_ratio": 0.25},
                },
                {
                    "ph": "X", "cat": "phase", "pid": 42, "tid": 43, "name": "phase 7", "ts": 4.0, "dur": 2.001,
                    "args": {"cpu_ns": 2_400},
                },
            ])
        );
    }
}
