//! Measurements that tests make themselves, so that all their values are known.

use waytrace_model::counter::Unit;
use waytrace_model::measured::{
    Circumstances, CpuPlace, MeasuredEvent, MeasurementHeader, MeasurementPlan, Scope,
};
use waytrace_model::run::Host;

/// The header of one on two CPUs, of these software events in one run, read at each interval, once. The rest of its plan is
/// for the test to set.
pub fn header(name: &str, scope: Scope, events: &[&str], interval_ns: u64) -> MeasurementHeader {
    let event = |name: &&str| MeasuredEvent {
        name: (*name).to_owned(),
        perf_name: (*name).to_owned(),
        pmu: "software".to_owned(),
        unit: Unit::Count,
        scale: None,
    };
    let cpu = |cpu| CpuPlace { cpu, core: Some(cpu), package: Some(0), node: Some(0), governor: None };
    MeasurementHeader {
        name: name.to_owned(),
        started_at_unix_ns: 1,
        command: "waytrace events measure".to_owned(),
        seed: 1,
        plan: MeasurementPlan {
            scope,
            interval_ns,
            epoch_ns: None,
            repeat: 1,
            timeout_ns: None,
            max_drift_pct: None,
            events: events.iter().map(event).collect(),
            anchors: Vec::new(),
            runs: vec![(0..events.len() as u32).collect()],
        },
        host: Host::default(),
        circumstances: Circumstances { cpus: vec![cpu(0), cpu(1)], ..Circumstances::default() },
    }
}
