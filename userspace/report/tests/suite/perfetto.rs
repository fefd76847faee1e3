//! Trace events: valid JSON, every track there, sums kept.

use serde_json::Value;
use waytrace_model::detail::RunDetail;

use crate::{accesses, fixture, text};

fn trace(detail: &RunDetail) -> Value {
    let written = text(|out| waytrace_report::perfetto::write(detail, fixture::traced(detail), out));
    serde_json::from_str(&written).expect("valid JSON")
}

fn events(trace: &Value, phase: &str) -> Vec<Value> {
    let all = trace["traceEvents"].as_array().expect("a list");
    all.iter().filter(|event| event["ph"] == phase).cloned().collect()
}

#[test]
fn counters_are_rates_that_integrate_to_the_total() {
    let detail = fixture::run(50, true);
    let trace = trace(&detail);
    let track: Vec<(f64, f64)> = events(&trace, "C")
        .iter()
        .filter(|event| event["name"] == "page-faults /s")
        .map(|event| (event["ts"].as_f64().unwrap(), event["args"]["value"].as_f64().unwrap()))
        .collect();
    let total: f64 = track.windows(2).map(|pair| (pair[1].0 - pair[0].0) / 1e6 * pair[0].1).sum();
    let expected =
        detail.report.counters.iter().find(|own| own.event == "page-faults").unwrap().value.unwrap();
    assert!((total - expected as f64).abs() < 1.0, "{total} is not {expected}");
    assert_eq!(track.last().unwrap().1, 0.0, "the track ends with the run");
}

#[test]
fn a_thread_that_stops_moving_falls_to_zero() {
    let detail = fixture::run(50, true);
    let trace = trace(&detail);
    let silent =
        |event: &&Value| event["name"] == "page-faults /s, bio_aof 4244" && event["args"]["value"] == 0.0;
    assert!(events(&trace, "C").iter().any(|event| silent(&event)));
}

#[test]
fn every_traced_allocation_opens_and_closes_once() {
    let detail = fixture::run(50, true);
    let trace = trace(&detail);
    let (opened, closed) = (events(&trace, "b"), events(&trace, "e"));
    assert_eq!(opened.len(), fixture::traced(&detail).count());
    for (open, close) in opened.iter().zip(&closed) {
        assert_eq!(open["id"], close["id"]);
        assert!(open["ts"].as_f64() <= close["ts"].as_f64(), "{open} {close}");
    }
    assert_eq!(opened[0]["name"], "allocated before the run");
    for (block, site) in opened[1..].iter().zip(detail.sites.iter().take(4).cycle()) {
        assert_eq!(block["args"]["caller"], site.frames[0].label(), "the caller of the site with that id");
    }
    assert_eq!(events(&trace, "i").len(), detail.map_events.len());
    assert_eq!(trace["otherData"]["host"]["kernel"], "6.18.0");
}

#[test]
fn phases_are_slices_on_their_threads() {
    let detail = fixture::with_phases(fixture::run(50, true));
    let slices = events(&trace(&detail), "X");
    assert_eq!(slices.len(), detail.phases.len());
    for (slice, phase) in slices.iter().zip(&detail.phases) {
        assert_eq!((slice["tid"].as_u64(), slice["pid"].as_u64()), (Some(phase.tid.into()), Some(4242)));
        assert_eq!(slice["ts"].as_f64().unwrap() * 1e3, phase.start_ns as f64);
        assert_eq!(slice["args"][&detail.events[2].name], phase.readings[0].value);
    }
}

#[test]
fn the_working_set_is_a_track() {
    let detail = accesses::with_accesses(fixture::run(50, true));
    let trace = trace(&detail);
    let track = events(&trace, "C");
    let track = track.iter().filter(|event| event["name"] == "working set seen, bytes in pages");
    let values: Vec<f64> = track.filter_map(|event| event["args"]["value"].as_f64()).collect();
    let pages = detail.windows.iter().filter_map(|own| own.working_set).map(|own| own.pages as f64 * 4096.0);
    assert_eq!(values, pages.collect::<Vec<_>>());
}

#[test]
fn threads_are_named() {
    let names = events(&trace(&fixture::run(5, true)), "M");
    assert!(names.iter().any(|event| event["tid"] == 4243 && event["args"]["name"] == "bio_close_file"));
}

#[test]
fn hostile_and_empty_runs_are_valid() {
    trace(&fixture::hostile());
    assert_eq!(events(&trace(&fixture::empty()), "C").len(), 0);
}
