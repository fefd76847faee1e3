//! Blocks traced one by one: any number of them, in the store while the run goes on, each with its site at the end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::harness::live::{self, Profile};
use crate::harness::pipes::DEADLINE;
use crate::harness::report::some_whole;
use crate::harness::truth::Account;
use crate::harness::waytrace::Store;
use crate::harness::workload::Start;
use crate::or_skip;

const EXACT: [&str; 3] = ["--exact", "--collect", "allocations"];

fn database(store: &Store) -> Connection {
    Connection::open_with_flags(store.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Stored blocks that have ended.
fn ended(store: &Store) -> u64 {
    let sql = "SELECT count(*) FROM traced_allocation WHERE to_ns IS NOT NULL";
    database(store).query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64
}

/// Allocations, their bytes, and frees of the stored blocks whose site is in a function.
fn stored(store: &Store, function: &str) -> (u64, u64, u64) {
    let sql = "SELECT count(*), coalesce(sum(size_bytes), 0), count(to_ns) FROM traced_allocation
        JOIN site USING (run_id, site) JOIN stack USING (run_id, stack) JOIN frame USING (run_id, frame)
        JOIN function USING (run_id, function) WHERE depth = 0 AND name = ?1";
    let counts = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]);
    let [count, bytes, ended] = database(store).query_row(sql, [function], counts).unwrap();
    (count as u64, bytes as u64, ended as u64)
}

fn told(part: &Account) -> (u64, u64, u64) {
    (part.alloc_count, part.alloc_bytes, part.free_count)
}

/// The ring has room for all of them, should this machine not let waytrace run for a while: then nothing may be lost.
#[test]
fn hundreds_of_thousands_of_blocks_are_all_stored() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("traced.c")).arg("200000").spawn();
    let profile = Profile::attach(&workload, &[&EXACT[..], &["--ring", "64MiB"]].concat());
    workload.go();
    workload.expect("step");
    // The program waits: whatever has ended gets into the store while the run goes on.
    let deadline = Instant::now() + DEADLINE;
    while ended(&profile.store) < 2 * (200_000 - 500) {
        assert!(Instant::now() < deadline, "only {} blocks in the store", ended(&profile.store));
        sleep(Duration::from_millis(20));
    }
    workload.go();
    let measured = live::conclude(profile, workload.truth());
    let (large, small) =
        (["even", "odd"].map(|name| measured.truth.part(name)), measured.truth.part("small"));
    let count: u64 = large.iter().map(|part| part.alloc_count).sum();
    assert!(count > 300_000 && small.alloc_count > 100_000, "{count} large, {} small", small.alloc_count);
    for part in large {
        assert_eq!(stored(&measured.store, part.name.as_deref().unwrap()), told(part), "{:?}", part.name);
    }
    assert_eq!(stored(&measured.store, "small"), (0, 0, 0));
    let report = measured.allocations();
    assert_eq!(report.traced_count, Some(count), "and nothing else is traced");
    assert_eq!(some_whole(report.alloc_count), count + small.alloc_count);
    shown(&measured.store, count);
}

/// The page says how many there are of those it draws; the export leaves none out.
fn shown(store: &Store, count: u64) {
    let page = store.run(&["report", "last", "-o", "-"]);
    assert_eq!(page.code, 0, "{}", page.stderr);
    let drawn = 20_000;
    assert!(page.stdout.contains(&format!("\"omitted\":{}}}", count - drawn)), "not {count} in all");
    let exported = store.run(&["export", "last", "--format", "perfetto"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    assert_eq!(exported.stdout.matches("\"ph\":\"b\"").count() as u64, count);
}

/// What the ring has no room for is counted, with the other records it loses.
#[test]
fn blocks_that_are_lost_are_counted() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("traced.c")).arg("50000").spawn();
    let profile = Profile::attach(&workload, &[&EXACT[..], &["--ring", "64KiB"]].concat());
    workload.go();
    workload.expect("step");
    workload.go();
    let truth = workload.truth();
    let (finished, _store) = profile.stop();
    let report = finished.report();
    let traced = report.allocations.unwrap().traced_count.unwrap();
    let count = truth.part("even").alloc_count + truth.part("odd").alloc_count;
    let lost = report.loss.0["ring_full"];
    assert!(traced < count && count <= traced + lost, "{traced} and {lost} lost of {count}");
}
