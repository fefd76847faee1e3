//! The JSON document: the run and its traced allocations, streamed.

use serde_json::Value;
use waytrace_model::access::Access;
use waytrace_model::allocation::TracedAllocation;
use waytrace_report::json;

use crate::{accesses, fixture, text};

#[test]
fn the_document_gives_the_run_and_its_traced_allocations_back() {
    let detail = accesses::with_accesses(fixture::run(50, true));
    let written =
        text(|out| json::write(&detail, fixture::traced(&detail), accesses::accesses(&detail), out));
    let mut document: Value = serde_json::from_str(&written).unwrap();
    let traced = document.as_object_mut().unwrap().remove("traced").unwrap();
    let traced: Vec<TracedAllocation> = serde_json::from_value(traced).unwrap();
    assert_eq!(traced, fixture::traced(&detail).map(Result::unwrap).collect::<Vec<_>>());
    let samples = document.as_object_mut().unwrap().remove("accesses").unwrap();
    let samples: Vec<Access> = serde_json::from_value(samples).unwrap();
    assert_eq!(samples, accesses::accesses(&detail).map(Result::unwrap).collect::<Vec<_>>());
    let alone: Value = serde_json::from_str(&serde_json::to_string(&detail).unwrap()).unwrap();
    assert!(document == alone, "the rest is the run as it is");
}

#[test]
fn a_source_that_fails_in_the_middle_is_an_error() {
    let detail = fixture::run(50, true);
    let failing =
        fixture::traced(&detail).take(3).map(|row| Ok(row.unwrap())).chain([Err("the disk is gone")]);
    let error = json::write(&detail, failing, accesses::accesses(&detail), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the traced allocations");
    let failing = accesses::samples(3, 1000).map(|row| Ok(row.unwrap())).chain([Err("the disk is gone")]);
    let error = json::write(&detail, fixture::traced(&detail), failing, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the sampled accesses");
}
