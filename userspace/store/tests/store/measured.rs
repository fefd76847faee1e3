//! Measurements of many events, epoch by epoch.

use waytrace_model::counter::Unit;
use waytrace_model::measured::{
    Circumstances, Epoch, EpochEnd, EventCount, MeasuredEvent, MeasurementHeader, MeasurementPlan,
    Quarantined, Scope, Slot, SlotCount,
};
use waytrace_model::run::Host;
use waytrace_store::StoreError;

use crate::support::Place;

fn header(name: &str) -> MeasurementHeader {
    let event = |name: &str| MeasuredEvent {
        name: name.to_owned(),
        perf_name: name.to_owned(),
        pmu: "software".to_owned(),
        unit: Unit::Ns,
        scale: Some("0.5 MiB".to_owned()),
    };
    MeasurementHeader {
        name: name.to_owned(),
        started_at_unix_ns: 5,
        command: "waytrace events measure -- true".to_owned(),
        seed: 9,
        plan: MeasurementPlan {
            scope: Scope::Process { tgid: 7, comm: "c".to_owned(), start_time_ticks: 8 },
            interval_ns: 250,
            epoch_ns: Some(1000),
            repeat: 2,
            timeout_ns: None,
            max_drift_pct: Some(12.5),
            events: vec![event("task-clock"), event("page-faults")],
            anchors: vec![0],
            runs: vec![vec![0, 1]],
        },
        host: Host::default(),
        circumstances: Circumstances { cpu_id: Some("V-1-2".to_owned()), ..Circumstances::default() },
    }
}

fn epoch(position: u64, attempt: u32) -> Epoch {
    let count = |event, value| EventCount { event, place: 7, value, time_enabled_ns: 10, time_running_ns: 9 };
    Epoch {
        position,
        attempt,
        run: 0,
        repetition: 1,
        started_at_unix_ns: 77,
        duration_ns: 500,
        ended_by: EpochEnd::TargetExit,
        exit_code: Some(3),
        slots: vec![Slot { start_ns: 0, end_ns: 250 }, Slot { start_ns: 250, end_ns: 500 }],
        counts: vec![count(0, u64::from(attempt)), count(1, 0)],
        by_slot: vec![SlotCount { slot: 1, count: count(0, 4) }],
    }
}

#[test]
fn what_is_written_is_read_and_the_last_attempt_holds() {
    let place = Place::new();
    let mut store = place.open();
    let mut named = header("m");
    let id = store.begin_measurement(&mut named, "x").unwrap();
    let refused = |reason: &str| Quarantined { event: 1, reason: reason.to_owned() };
    // Out of order, as a resumed measurement adds them.
    for (position, attempt) in [(1, 1), (0, 1), (0, 2)] {
        store.add_epoch(id, &epoch(position, attempt), &[refused(&format!("try {attempt}"))]).unwrap();
    }
    let read = store.measurement("m").unwrap();
    assert_eq!((read.id, &read.header), (id, &named));
    assert_eq!(read.epochs, [(0, 1), (0, 2), (1, 1)]);
    assert_eq!(read.quarantined, [refused("try 1")]);
    assert_eq!(store.epochs(id, true).unwrap(), [epoch(0, 2), epoch(1, 1)]);
    assert!(store.epochs(id, false).unwrap().iter().all(|epoch| epoch.by_slot.is_empty()));
    assert_eq!(store.measurement(&id.0.to_string()).unwrap().header.name, "m");
}

#[test]
fn names_are_made_and_taken_once() {
    let place = Place::new();
    let mut store = place.open();
    let names: Vec<String> = (0..2)
        .map(|_| {
            let mut unnamed = header("");
            store.begin_measurement(&mut unnamed, "sle/ep").unwrap();
            unnamed.name
        })
        .collect();
    assert_eq!(names, ["sle_ep-1", "sle_ep-2"]);
    assert_eq!(store.measurement("last").unwrap().header.name, "sle_ep-2");
    let taken = store.begin_measurement(&mut header("sle_ep-1"), "").unwrap_err();
    assert!(
        matches!(taken, StoreError::MeasurementTaken { .. }) && taken.to_string().contains("--resume"),
        "{taken}"
    );
    let unknown = store.measurement("x").unwrap_err().to_string();
    assert!(unknown.contains("sle_ep-2 (id 2), sle_ep-1 (id 1)"), "{unknown}");
    let named = |selector: &str| store.measurement(selector).map(|found| found.header.name);
    assert_eq!(named("last~1").unwrap(), "sle_ep-1");
    assert_eq!((named("1").unwrap(), named(" sle_ep-1 ").unwrap()), ("sle_ep-1".into(), "sle_ep-1".into()));
    assert!(matches!(named("last~2"), Err(StoreError::NoSuchMeasurement { .. })));
    let several = named("sle").unwrap_err().to_string();
    assert!(
        several.contains("fits several measurements") && several.contains("sle_ep-1 (id 1)"),
        "{several}"
    );
    let epoch = epoch(0, 1);
    let id = store.measurement("last").unwrap().id;
    store.add_epoch(id, &epoch, &[]).unwrap();
    assert!(store.add_epoch(id, &epoch, &[]).is_err(), "an epoch is stored once");
}
