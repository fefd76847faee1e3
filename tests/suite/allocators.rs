//! Other allocators and languages: preloaded ones, static and stripped programs, C++ and Rust.

use std::path::PathBuf;

use waytrace_tests::build::Variant;

use crate::harness::live::{self, Measured};
use crate::harness::report::{Totals, assert_sizes, callers, site_totals};
use crate::harness::workload::Start;
use crate::or_skip;

const EXACT: [&str; 3] = ["--exact", "--collect", "allocations"];

fn assert_totals(measured: &Measured) {
    let (truth, report) = (&measured.truth, measured.allocations());
    assert_eq!(Totals::of_report(report), Totals::of_truth(&truth.total), "probes: {:?}", report.probes);
    if !truth.total.sizes.is_empty() {
        assert_sizes(report, &truth.total);
    }
}

/// A library of the distribution, wherever it keeps them.
fn library(name: &str, package: &str) -> Result<PathBuf, String> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"];
    let found = folders.iter().map(|folder| PathBuf::from(folder).join(name)).find(|path| path.exists());
    found.ok_or_else(|| format!("no {name} on this machine; install {package}"))
}

/// All phases but pvalloc: where it rounds up and calls another entry point, the lowest layer is asked for whole pages.
const PHASES: &str = "100 malloc calloc realloc_null realloc_grow realloc_inplace realloc_shrink realloc_zero aligned libc \
                      free_null failing";

fn preloaded(name: &str, package: &str) {
    let _turn = or_skip!(live::turn());
    let library = or_skip!(library(name, package));
    let phases: Vec<&str> = PHASES.split_whitespace().collect();
    let workload = or_skip!(Start::plain("malloc_sizes.c")).args(&phases).preload(&library).spawn();
    let measured = live::measure(workload, &EXACT);
    assert_totals(&measured);
    let module = name.split('.').next().unwrap();
    let probes = &measured.allocations().probes;
    assert!(probes.iter().any(|probe| probe.starts_with(module)), "{module} is not among {probes:?}");
}

#[test]
fn jemalloc_preloaded() {
    preloaded("libjemalloc.so.2", "libjemalloc2");
}

#[test]
fn tcmalloc_preloaded() {
    preloaded("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4");
}

#[test]
fn mimalloc_preloaded() {
    preloaded("libmimalloc.so.2", "libmimalloc2.0");
}

fn variant(variant: Variant) {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::variant("malloc_sizes.c", variant)).spawn();
    assert_totals(&live::measure(workload, &EXACT));
}

#[test]
fn a_static_program() {
    variant(Variant::Static);
}

#[test]
fn a_stripped_dynamic_program() {
    variant(Variant::Stripped);
}

/// Each `new` counts once, at `malloc` below it.
#[test]
fn cxx_operators_and_containers() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("cxx.cpp")).spawn();
    assert_totals(&live::measure(workload, &EXACT));
}

#[test]
fn rust_boxes_and_vectors() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("rustalloc.rs")).spawn();
    assert_totals(&live::measure(workload, &EXACT));
}

/// Without symbols there is nothing to probe by name: an error where allocations were asked for, a reason otherwise.
#[test]
fn no_allocator_to_be_found() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::variant("malloc_sizes.c", Variant::StaticStripped)).spawn();
    let pid = workload.pid().to_string();
    let store = crate::harness::waytrace::Store::new();
    let refused = store.run(&["profile", "--pid", &pid, "--collect", "allocations", "--duration", "1s"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("allocator"), "{refused:#?}");
    assert_eq!(store.run_count(), 0);
    let without = store.run(&["profile", "--pid", &pid, "--duration", "300ms", "--json"]);
    assert_eq!(without.code, 0, "{without:#?}");
    let report = without.report();
    let state = report.collectors.iter().find(|collector| collector.name == "allocations").unwrap();
    assert!(state.reason.as_ref().is_some_and(|reason| reason.contains("allocator")), "{state:?}");
    assert!(report.allocations.is_none_or(|allocations| allocations.alloc_count.is_none()));
}

/// The bundled demo target: three functions with three lifetimes, by its own books.
#[test]
fn the_demo_target() {
    let _turn = or_skip!(live::turn());
    let program = crate::harness::waytrace::binary().with_file_name("traverse-array");
    assert!(program.is_file(), "{} is missing: cargo build --release -p traverse-array", program.display());
    let options = ["--wait", "--threads", "2", "--requests", "20000"];
    let mut target = Start::program(&program).args(&options).spawn();
    let profile = live::Profile::attach(&target, &EXACT);
    target.go();
    let books: serde_json::Value = serde_json::from_str(&target.line_starting("{")).unwrap();
    let finished = profile.running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    let report = finished.report().allocations.unwrap();
    for function in ["parse_request", "build_index", "cache_insert"] {
        let site = site_totals(&report, function);
        let account = &books[function];
        assert_eq!(account["alloc_count"], site.alloc_count, "{function}: {}", callers(&report));
        assert_eq!(account["alloc_bytes"], site.alloc_bytes, "{function}");
        assert_eq!(account["live_bytes"], site.live_bytes, "{function}");
    }
}

/// `--demo` starts the same target by itself, shows its three functions, and leaves no process behind.
#[test]
fn the_demo() {
    let _turn = or_skip!(live::turn());
    let store = crate::harness::waytrace::Store::new();
    let finished = store.run(&["profile", "--demo", "--exact", "--duration", "2s", "--json"]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    let report = finished.report();
    let allocations = report.allocations.unwrap();
    for function in ["parse_request", "build_index", "cache_insert"] {
        assert!(site_totals(&allocations, function).alloc_count > 0, "{function}: {}", callers(&allocations));
    }
    assert!(site_totals(&allocations, "cache_insert").live_bytes > 0, "the leak is there to be seen");
    assert!(!std::path::Path::new(&format!("/proc/{}", report.target.tgid)).exists());
}
