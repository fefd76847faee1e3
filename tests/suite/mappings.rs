//! mmap, munmap, mremap and brk: exact in every mode and for every kind of program.

use waytrace_tests::build::Variant;

use crate::harness::live::{self, Measured};
use crate::harness::workload::Start;
use crate::or_skip;

fn check(measured: &Measured) {
    let (report, truth) = (measured.allocations(), &measured.truth);
    assert_eq!(report.mmap_bytes, truth.number("mmap_bytes"));
    assert_eq!(report.munmap_bytes, truth.number("munmap_bytes"));
}

#[test]
fn bytes_mapped_and_unmapped_in_budgeted_mode() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("mappings.c")).spawn();
    check(&live::measure(workload, &["--collect", "allocations"]));
}

#[test]
fn bytes_mapped_and_unmapped_in_exact_mode() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("mappings.c")).spawn();
    check(&live::measure(workload, &["--exact", "--collect", "allocations"]));
}

#[test]
fn a_static_program_maps_as_exactly() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::variant("mappings.c", Variant::Static)).spawn();
    check(&live::measure(workload, &["--collect", "allocations"]));
}

/// Children cannot be known before they map something, so tracepoints watch then.
#[test]
fn tracepoints_are_as_exact_as_probes() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("mappings.c")).spawn();
    check(&live::measure(workload, &["--follow-forks", "--collect", "allocations"]));
}

/// Each call is stored with its kind, and failed ones are not.
#[test]
fn every_call_is_stored_by_kind() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("mappings.c")).spawn();
    let measured = live::measure(workload, &["--exact", "--collect", "allocations"]);
    let exported = measured.store.run(&["export", "last", "--format", "json"]);
    assert_eq!(exported.code, 0, "{exported:#?}");
    let detail = exported.json();
    let events = detail["map_events"]
        .as_array()
        .unwrap_or_else(|| panic!("{:?}", detail.as_object().map(|o| o.keys().collect::<Vec<_>>())));
    for kind in ["mmap", "munmap", "mremap", "brk"] {
        let count = events.iter().filter(|event| event["kind"] == kind).count() as u64;
        assert_eq!(count, measured.truth.number(&format!("{kind}_count")), "{kind}");
    }
}
