//! Directories as Heimdallr's runs.sh leaves them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use waytrace_import::Options;
use waytrace_model::access::AccessKind;
use waytrace_model::collector::Status;

use super::made::{LOADS, STORES, file, mapped, named, sample};
use super::run::{Run, import_with};

const MODES: &str = "1loc_DR 0    1    1    1        0\n1loc_50 0    1    1    0     5000\n";
const RUNS: &str = "1 /opt/npb/ft.A 7\n2 /opt/npb/ft.A 7\n";
const TIME: &str =
    "0.51user 1.25system 1:02:03elapsed 99%CPU (0avgtext+0avgdata 2048maxresident)k\n0inputs+8outputs\n";
const ALLOCATIONS: &str = "\
+100.000001000,0000000000001000,0000000000002000,1+1234,2+ab
+100.000002000,0000000000008000,0000000000001000,1+1234,2+ab
-100.000008000,0000000000001000,0000000000002000
-100.900000000,0000000000008000,0000000000001000
";
const EXECUTED: &str = "numactl --membind=1 time -o /x/time.log perf record -o /x/access.dat --all-user -F 5000 -d -e \
    \"r4003E:ppp\" -e \"r20016:ppp\" env LD_PRELOAD=/l.so TRAC_LOGPATH=/x TRAC_THRESHOLD=0x1000 /opt/npb/ft.A 7\n";

/// A run whose samples begin at `first_ns` of the clock `clock`.
fn write_run(results: &Path, name: &str, first_ns: u64, clock: Option<i32>) {
    let folder = results.join(name);
    fs::create_dir_all(&folder).unwrap();
    let samples = [
        named("ft.A", 1),
        mapped(0x40_0000, 0x4000, 0, true, "/opt/npb/ft.A"),
        sample(STORES, first_ns, 0x40_0010, 0x1008, 1),
        sample(LOADS, first_ns + 5_000, 0x40_0010, 0x8ff8, 3),
        sample(LOADS, first_ns + 9_000, 0x40_0010, 0x1008, 2),
    ];
    fs::write(folder.join("access.dat"), file(&samples, clock)).unwrap();
    fs::write(folder.join("alloc_0_11.log"), ALLOCATIONS).unwrap();
    fs::write(folder.join("maps.log"), "1: \n2: /lib/libc.so.6\n").unwrap();
    fs::write(folder.join("time.log"), TIME).unwrap();
    fs::write(folder.join("cmd.log"), EXECUTED).unwrap();
    fs::write(folder.join("console.log"), "TRAC_BEG:100.000000500:0.001\nTRAC_END:100.500000000:0.2\n")
        .unwrap();
}

fn results() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("modes.lst"), MODES).unwrap();
    fs::write(folder.path().join("runs.lst"), RUNS).unwrap();
    folder
}

fn import(path: &Path, align_clocks: bool) -> Vec<Run> {
    import_with(path, &Options { align_clocks, ..Options::default() }).unwrap()
}

#[test]
fn every_repetition_is_a_run_with_all_it_has() {
    let results = results();
    for name in ["ft.A7.1loc_50.1", "ft.A7.1loc_50.2"] {
        write_run(results.path(), name, 100_000_003_000, Some(4));
    }
    let runs = import(results.path(), false);
    assert_eq!(runs.len(), 2);
    let run = &runs[1];
    assert_eq!(run.header.name, "ft.A7.1loc_50.2");
    assert_eq!((run.header.target.cmdline.as_str(), run.header.target.tgid), ("/opt/npb/ft.A 7", 10));
    // Time says 1:02:03, and the run is as long.
    assert_eq!(run.epilogue.duration_ns, 3_723_000_000_000);
    let readings = &run.batches.last().unwrap().readings;
    let values: Vec<u64> = readings.iter().map(|reading| reading.value).collect();
    assert_eq!(values, [3_723_000_000_000, 510_000_000, 1_250_000_000, 2 << 20]);
    // One clock: times count from the first allocation, and accesses find their blocks.
    let accesses = run.accesses();
    let found: Vec<_> =
        accesses.iter().map(|a| (a.at_ns, a.kind, a.weight, a.block.map(|b| b.address))).collect();
    let expected = [
        (2_000, AccessKind::Store, 1, Some(0x1000)),
        (7_000, AccessKind::Load, 3, Some(0x8000)),
        (11_000, AccessKind::Load, 2, None),
    ];
    assert_eq!(found, expected, "the first block was freed at 7000");
    let traced: Vec<_> =
        run.traced().iter().map(|b| (b.from_ns, b.to_ns, b.address, b.size_bytes, b.tid)).collect();
    assert_eq!(traced, [(Some(0), Some(7_000), 0x1000, 0x2000, 11), (Some(1_000), None, 0x8000, 0x1000, 11)]);
    let totals = run.epilogue.allocations.as_ref().unwrap();
    assert_eq!(
        (totals.alloc_count, totals.alloc_bytes, totals.free_count),
        (Some(2.0), Some(12288.0), Some(1.0))
    );
    assert_eq!((totals.live_bytes, totals.peak_live_bytes), (Some(0x1000), Some(0x3000)));
    let windows: f64 = run.batches.iter().filter_map(|batch| batch.allocations?.alloc_count).sum();
    assert_eq!(windows, 2.0);
    let site = &run.epilogue.sites[0];
    let frames: Vec<String> = site.frames.iter().map(waytrace_model::stack::Frame::label).collect();
    assert_eq!(
        (frames, site.live_bytes),
        (vec!["ft.A+0x1234".to_owned(), "libc.so.6+0xab".to_owned()], Some(0x1000))
    );
    assert!(run.reason("allocations").contains("less than 4096 bytes"), "{}", run.reason("allocations"));
    assert!(!run.reason("allocations").contains("shifted"), "{}", run.reason("allocations"));
}

#[test]
fn clocks_that_differ_are_told_and_not_shifted() {
    let results = results();
    write_run(results.path(), "ft.A7.1loc_50.1", 100_000_003_000, None);
    let run = import(results.path(), true).remove(0);
    assert_eq!(run.accesses()[0].at_ns, 2_000);
    assert!(run.reason("allocations").contains("perf's default clock"), "{}", run.reason("allocations"));
    assert!(run.reason("allocations").contains("nothing was shifted"));
}

#[test]
fn clocks_without_a_time_in_common_are_joined_only_when_asked() {
    let results = results();
    write_run(results.path(), "ft.A7.1loc_50.1", 9_000, None);
    let run = import(results.path(), false).remove(0);
    assert!(run.epilogue.allocations.is_none() && run.traced().is_empty());
    assert!(run.accesses().iter().all(|access| access.block.is_none()));
    let report = run.epilogue.collectors.iter().find(|report| report.name == "allocations").unwrap();
    assert_eq!(report.status, Status::Skipped);
    assert!(report.reason.as_ref().unwrap().contains("100.000 s apart"), "{report:?}");
    let aligned = import(results.path(), true).remove(0);
    assert_eq!((aligned.traced().len(), aligned.accesses()[0].at_ns), (2, 0));
    assert_eq!(aligned.accesses()[0].block.unwrap().address, 0x1000);
    assert!(aligned.reason("allocations").contains("as asked for"));
}

#[test]
fn a_dry_run_has_times_and_says_if_it_was_none() {
    let results = results();
    let folder = results.path().join("ft.A7.1loc_DR.1");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("time.log"), TIME).unwrap();
    fs::write(folder.join("cmd.log"), EXECUTED).unwrap();
    let run = import(&folder, false).remove(0);
    assert_eq!((run.accesses().len(), run.epilogue.duration_ns), (0, 3_723_000_000_000));
    assert!(run.epilogue.accesses.is_none() && run.epilogue.allocations.is_none());
    assert!(
        run.reason("accesses").contains("the mode is dry, but tracealloc was preloaded"),
        "{}",
        run.reason("accesses")
    );
    assert!(run.reason("accesses").contains("no access.dat"));
}

#[test]
fn samples_of_no_use_leave_the_rest() {
    let results = results();
    write_run(results.path(), "ft.A7.1loc_50.1", 100_000_003_000, None);
    fs::write(results.path().join("ft.A7.1loc_50.1/access.dat"), file(&[named("x", 1)], None)).unwrap();
    let run = import(results.path(), false).remove(0);
    assert_eq!((run.accesses().len(), run.traced().len()), (0, 2));
    assert!(run.reason("accesses").contains("holds no sample"), "{}", run.reason("accesses"));
}
