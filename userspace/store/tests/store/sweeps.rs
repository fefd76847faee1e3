//! Way sweeps: point by point in, as a whole out.

use std::time::Duration;

use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::{
    CacheMonitor, EndReason, MissSource, Settled, SweepEnd, SweepHeader, SweepPlan, SweepPoint, SweepTarget,
    SweptCache, ThreadCounts,
};
use waytrace_store::{PruneRule, Recorded, RunId, SeriesId, StoreError};

use crate::fixture;
use crate::support::{Place, record};

const STARTED: u64 = 1_700_000_000_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);

fn header(name: &str) -> SweepHeader {
    SweepHeader {
        name: name.to_owned(),
        started_at_unix_ns: STARTED,
        command: "waytrace cache sweep --pid 7".to_owned(),
        simulated: true,
        interface: Interface::Msr,
        target: SweepTarget { pid: 7, comm: "redis".to_owned(), cpus: vec![0, 2] },
        cache: SweptCache {
            resource: "L3DATA".to_owned(),
            ids: vec![CacheId(0), CacheId(3)],
            ways: 20,
            way_bytes: Some(1 << 20),
            full_mask: WayMask::lowest(20),
        },
        plan: SweepPlan {
            ways: vec![1, 7, 20],
            repeats: None,
            window_ns: 9,
            settle_cap_ns: 8,
            every_ns: Some(7),
            reference_every: 4,
            pressure_bytes: Some(6),
            others_confined: true,
            seed: 5,
            max_slowdown: Some(0.25),
            slo: Some("ipc > 1".to_owned()),
        },
        misses: Some(MissSource::MemoryTraffic),
    }
}

fn point(position: u64, known: bool) -> SweepPoint {
    let some = |value: u64| known.then_some(value);
    SweepPoint {
        sweep: 1,
        position,
        ways: 7,
        mask: WayMask::from_bits(0x7f),
        reference: known,
        at_ns: 1000 * (position + 1),
        settle_ns: 3,
        settled: if known { Settled::Rate } else { Settled::Not },
        window_ns: 10,
        // Not in order of their ids: order is part of what was measured.
        threads: vec![9, 4]
            .into_iter()
            .map(|tid| ThreadCounts {
                tid,
                cpu: known.then_some(2),
                instructions: some(11),
                cycles: some(12),
                llc_references: some(13),
                llc_misses: some(14),
                enabled_ns: 16,
                running_ns: 15,
            })
            .collect(),
        monitors: vec![CacheMonitor {
            cache_id: CacheId(3),
            occupancy_bytes: some(17),
            total_bytes: some(18),
            local_bytes: some(19),
            missing: (!known).then(|| "unavailable".to_owned()),
        }],
        disturbed: !known,
    }
}

fn end() -> SweepEnd {
    SweepEnd {
        reason: EndReason::Guard,
        detail: Some("20% slower".to_owned()),
        restored: true,
        left: vec!["a".to_owned()],
        own_cpu_ns: 1,
        elapsed_ns: 2,
    }
}

#[test]
fn what_goes_in_comes_out_with_and_without_an_end() {
    let place = Place::new();
    let store = place.open();
    let id = store.begin_sweep(&header("a")).unwrap();
    let points = [point(0, true), point(1, false)];
    for point in points.iter().rev() {
        store.add_sweep_point(id, point).unwrap();
    }
    let read = store.sweep("a").unwrap();
    assert_eq!(
        (read.id, &read.header, read.points.as_slice(), &read.end),
        (id, &header("a"), &points[..], &None)
    );
    store.end_sweep(id, &end()).unwrap();
    assert_eq!(store.sweep_by_id(id).unwrap().end, Some(end()));

    let mut bare = header("b");
    bare.cache.way_bytes = None;
    bare.misses = None;
    store.begin_sweep(&bare).unwrap();
    let read = store.sweep("last").unwrap();
    assert_eq!((read.header, read.points.len()), (bare, 0));
}

#[test]
fn a_point_is_written_whole_or_not_at_all_and_its_position_is_taken_once() {
    let place = Place::new();
    let store = place.open();
    let id = store.begin_sweep(&header("a")).unwrap();
    store.add_sweep_point(id, &point(0, true)).unwrap();
    assert!(store.add_sweep_point(id, &point(0, false)).is_err());
    store.end_sweep(id, &end()).unwrap();
    assert!(store.end_sweep(id, &end()).is_err());
    assert_eq!(store.sweep("a").unwrap().points, [point(0, true)]);
    let gone = store.add_sweep_point(SeriesId(99), &point(1, true)).unwrap_err();
    assert!(matches!(gone, StoreError::NoSuchSweep { .. }), "{gone}");
}

#[test]
fn names_are_made_and_are_not_those_of_runs() {
    let place = Place::new();
    let store = place.open();
    record(&store, &fixture::exact("taken", 2));
    assert!(store.sweep("last").unwrap_err().to_string().contains("cache sweep"));
    store.begin_sweep(&header("")).unwrap();
    store.begin_sweep(&header("")).unwrap();
    assert_eq!(store.sweep("last").unwrap().header.name, "redis-sweep-2");
    for (name, mend) in [("taken", "prune --run taken"), ("redis-sweep-1", "prune --sweep redis-sweep-1")] {
        let error = store.begin_sweep(&header(name)).unwrap_err();
        assert!(matches!(error, StoreError::NameTaken { .. }) && error.to_string().contains(mend), "{error}");
    }
    assert!(matches!(store.begin_sweep(&header("7")), Err(StoreError::BadName { .. })));
    let error = store.begin_run(&fixture::header("redis-sweep-1"), &[]).unwrap_err();
    assert!(error.to_string().contains("a sweep named `redis-sweep-1`"), "{error}");
    let missing = store.sweep("nothing").unwrap_err().to_string();
    assert!(missing.contains("redis-sweep-2 (id 2), redis-sweep-1 (id 1)"), "{missing}");
    assert!(matches!(store.sweep("redis"), Err(StoreError::Ambiguous { .. })));
}

#[test]
fn a_run_taken_for_a_sweep_is_told_so_and_the_reverse() {
    let place = Place::new();
    let store = place.open();
    record(&store, &fixture::exact("profiled", 2));
    store.begin_sweep(&header("swept")).unwrap();
    for (error, needle) in [
        (store.find("swept").unwrap_err(), "`swept` is a way sweep, and this takes a run"),
        (store.find("swe").unwrap_err(), "prune --sweep"),
        (store.sweep("profiled").unwrap_err(), "`profiled` is a run, and this takes a way sweep"),
        (store.sweep("2").unwrap_err(), "no sweep `2`"),
        (store.find("2").unwrap_err(), "no run `2`"),
    ] {
        assert!(error.to_string().contains(needle), "{needle}: {error}");
    }
}

#[test]
fn a_selector_finds_runs_and_sweeps_alike() {
    let place = Place::new();
    let store = place.open();
    let mut older = fixture::exact("run-a", 2);
    older.header.started_at_unix_ns = STARTED - 1;
    let run = record(&store, &older);
    let sweep = store.begin_sweep(&header("sweep-a")).unwrap();
    let cases = [
        ("last", Recorded::Sweep(sweep)),
        ("last~1", Recorded::Run(run)),
        ("run", Recorded::Run(run)),
        (" sweep-a ", Recorded::Sweep(sweep)),
        ("1", Recorded::Run(RunId(1))),
    ];
    for (selector, expected) in cases {
        assert_eq!(store.find_recorded(selector).unwrap(), expected, "{selector}");
    }
    store.begin_sweep(&header("run-b")).unwrap();
    let several = store.find_recorded("run").unwrap_err().to_string();
    assert!(several.contains("fits several runs and sweeps in"), "{several}");
    assert!(several.contains("run-a (id 1)") && several.contains("sweep run-b (id 2)"), "{several}");
    assert_eq!(store.find_recorded("run-a").unwrap(), Recorded::Run(run), "a whole name before beginnings");
    for selector in ["zzz", "", "last~9"] {
        let nothing = store.find_recorded(selector).unwrap_err().to_string();
        assert!(nothing.contains("run-a (id 1)") && nothing.contains("of sweeps"), "{nothing}");
    }
}

#[test]
fn the_list_counts_points_and_says_how_it_ended() {
    let place = Place::new();
    let store = place.open();
    let id = store.begin_sweep(&header("a")).unwrap();
    assert_eq!(store.sweeps().unwrap()[0].elapsed_ns, 0);
    for position in 0..3 {
        store.add_sweep_point(id, &point(position, true)).unwrap();
    }
    let row = store.sweeps().unwrap().remove(0);
    assert_eq!((row.points, row.sweeps, row.elapsed_ns, row.ended_by), (3, 1, 3010, None));
    store.end_sweep(id, &end()).unwrap();
    store.begin_sweep(&header("b")).unwrap();
    let rows = store.sweeps().unwrap();
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(
        (rows[1].ended_by, rows[1].restored, rows[1].elapsed_ns),
        (Some(EndReason::Guard), Some(true), 2)
    );
    assert_eq!((rows[1].started_at.as_str(), rows[1].simulated), ("2023-11-14T22:13:20.000Z", true));
}

#[test]
fn sweeps_go_by_name_and_by_the_age_of_their_last_point() {
    let place = Place::new();
    let mut store = place.open();
    let short = store.begin_sweep(&header("short")).unwrap();
    store.add_sweep_point(short, &point(0, true)).unwrap();
    let long = store.begin_sweep(&header("long")).unwrap();
    let hours = u64::try_from(HOUR.as_nanos()).unwrap();
    store.add_sweep_point(long, &SweepPoint { at_ns: 5 * hours, ..point(0, true) }).unwrap();
    let now = STARTED + 6 * hours;
    let by_age = PruneRule { older_than: Some(2 * HOUR), ..PruneRule::default() };
    let dry = store.prune(&PruneRule { dry_run: true, ..by_age.clone() }, now).unwrap();
    assert_eq!((dry.sweeps, store.sweeps().unwrap().len()), (vec!["short".to_owned()], 2));
    assert_eq!(store.prune(&by_age, now).unwrap().sweeps, ["short"]);
    assert_eq!(
        store.prune(&PruneRule { keep: Some(0), ..PruneRule::default() }, now).unwrap().sweeps,
        [""; 0]
    );
    let by_name = PruneRule { sweeps: vec![long], ..PruneRule::default() };
    assert_eq!(store.prune(&by_name, now).unwrap().sweeps, ["long"]);
    let connection = rusqlite::Connection::open(place.file()).unwrap();
    for table in ["sweep", "sweep_point", "sweep_thread", "sweep_monitor", "sweep_end"] {
        let rows: i64 =
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}
