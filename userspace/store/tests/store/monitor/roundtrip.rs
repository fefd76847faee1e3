//! What goes in comes out, of one target and of all.

use waytrace_model::monitor::{Alert, AlertEnd, GapReason, Metric, RecordingLink, Step, TargetHistory};
use waytrace_store::{Retention, StoreError};

use super::*;

fn metric(history: &TargetHistory, metric: Metric) -> &waytrace_model::monitor::MetricHistory {
    history.metrics.iter().find(|one| one.metric == metric).unwrap()
}

#[test]
fn a_range_tells_rates_levels_sites_and_processes() {
    let place = Place::new();
    let mut writer = begin(&place);
    for index in 0..30 {
        writer.append(&window(index)).unwrap();
    }
    let history = place.open().target_history("db", START, START + 30 * WINDOW).unwrap();
    assert_eq!((history.range.step, history.windows, history.covered_ns), (Step::Window, 30, 300 * SECOND));
    assert_eq!((history.gaps.len(), history.points.len()), (0, 30));
    let cpu = metric(&history, Metric::Cpu);
    assert_eq!((cpu.mean, cpu.min, cpu.max, cpu.total), (2e8, 2e8, 2e8, Some(60e9)));
    let rss = metric(&history, Metric::Rss);
    assert_eq!((rss.mean, rss.min, rss.max, rss.total), (2450.0, 1000.0, 3900.0, None));
    let bytes = metric(&history, Metric::AllocBytes);
    assert_eq!((bytes.mean, bytes.total, bytes.covered_ns), (500.0, Some(50_000.0), 100 * SECOND));
    assert_eq!(history.absent["allocations"], "not its turn");
    assert_eq!(history.sites.len(), 11);
    let first = &history.sites[0];
    assert_eq!(
        (first.name.as_deref(), first.alloc_bytes, first.bytes_per_s),
        (Some("grow"), 40_000.0, 400.0)
    );
    assert_eq!(history.sizes, [0.0, 0.0, 50_000.0]);
    let heap = &history.regions[0];
    assert!((heap.share_ratio - 0.6).abs() < 1e-9 && (heap.store_ratio - 0.5).abs() < 1e-9, "{heap:?}");
    assert_eq!((history.processes.len(), history.processes[0].pid), (31, 42));
    assert_eq!(history.processes[0].comm, "redis-server");
    assert_eq!(history.points[3].values, window(3).targets[0].values);
}

#[test]
fn times_without_a_process_and_without_a_monitor_are_told_apart() {
    let place = Place::new();
    let mut writer = begin(&place);
    for index in (0..15).chain(21..30) {
        writer.append(&window(index)).unwrap();
    }
    let history = place.open().target_history("web", START - 100 * SECOND, START + 30 * WINDOW).unwrap();
    let told: Vec<_> = history
        .gaps
        .iter()
        .map(|gap| {
            let second = |ns: u64| ns as i64 / SECOND as i64 - START as i64 / SECOND as i64;
            (second(gap.from_unix_ns), second(gap.to_unix_ns), gap.why)
        })
        .collect();
    let (watched, process) = (GapReason::NotWatched, GapReason::NoProcess);
    assert_eq!(told, [(-100, 0, watched), (90, 100, process), (150, 210, watched), (290, 300, process)]);
    assert_eq!(history.covered_ns, 22 * WINDOW);
}

#[test]
fn the_overview_has_all_targets_and_what_watching_cost() {
    let place = Place::new();
    let mut writer = begin(&place);
    for index in 0..30 {
        writer.append(&window(index)).unwrap();
    }
    writer.alert(&alert(7)).unwrap();
    let overview = place.open().history_overview(START, START + 30 * WINDOW).unwrap();
    let [db, web] = overview.targets.as_slice() else { panic!("{overview:?}") };
    assert_eq!((db.target.as_str(), db.covered_ns, db.missing_ns, db.processes), ("db", 30 * WINDOW, 0, 31));
    assert_eq!((web.target.as_str(), web.covered_ns, web.missing_ns), ("web", 27 * WINDOW, 3 * WINDOW));
    assert_eq!(web.means.get(Metric::Cpu), Some(1e8));
    assert_eq!((db.alerts, web.alerts, overview.alerts.len()), (1, 0, 1));
    assert_eq!(overview.loss["ring_full"], 15);
    assert!((overview.own_cpu_pct - 1.0).abs() < 1e-9);
    let collector = &overview.collectors[0];
    assert_eq!((collector.state_ns["full"], collector.state_ns["paused"]), (10 * WINDOW, 20 * WINDOW));
    assert_eq!(collector.reason.as_deref(), Some("no budget"));
    assert!((collector.tool_cpu_pct - 0.5).abs() < 1e-9);
}

fn alert(at: u64) -> Alert {
    Alert {
        rule: "leak".to_owned(),
        target: "db".to_owned(),
        when: "growth(rss_bytes, 60s) > 1MB/s".to_owned(),
        detail: "1.1 MB/s".to_owned(),
        began_unix_ns: START + at * WINDOW,
        ended: None,
        recording: RecordingLink::Running,
    }
}

#[test]
fn an_alert_follows_its_recording_and_ends_with_its_monitor() {
    let place = Place::new();
    let mut writer = begin(&place);
    writer.append(&window(0)).unwrap();
    let in_range = |from: u64, to: u64| place.open().history_overview(from, to).unwrap().alerts;
    writer.alert(&alert(0)).unwrap();
    assert_eq!(in_range(START, START + WINDOW), [alert(0)]);
    let recorded = Alert { recording: RecordingLink::Run("redis-1".to_owned()), ..alert(0) };
    writer.alert(&recorded).unwrap();
    assert_eq!(in_range(START, START + WINDOW)[0], recorded);
    let ended = Alert { ended: Some(AlertEnd { at_unix_ns: START + 5 * SECOND }), ..recorded };
    writer.alert(&ended).unwrap();
    writer.alert(&alert(1)).unwrap();
    writer.append(&window(1)).unwrap();
    assert_eq!(in_range(START, START + 2 * WINDOW), [ended, alert(1)]);
    drop(writer);
    drop(begin(&place));
    let after = in_range(START, START + 2 * WINDOW);
    assert_eq!(after[1].ended, Some(AlertEnd { at_unix_ns: START + 2 * WINDOW }));
    assert!(matches!(&after[1].recording, RecordingLink::Failed(why) if why.contains("monitor ended")));
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let place = Place::new();
    let mut writer = begin(&place);
    let store = place.open();
    let error = store.target_history("db", START, START + HOUR).unwrap_err();
    assert!(error.to_string().contains("`waytrace monitor` keeps one"), "{error}");
    assert!(matches!(store.history_overview(0, START), Err(StoreError::EmptyRange { .. })));
    writer.append(&window(0)).unwrap();
    let error = store.target_history("dbb", START, START + HOUR).unwrap_err();
    assert!(
        error.to_string().contains("no target `dbb`") && error.to_string().contains("there are: db, web"),
        "{error}"
    );
    let error = store.target_history("db", START + HOUR, START + 2 * HOUR).unwrap_err();
    let there = "there is some from 2023-11-14T22:00:00.000Z to 2023-11-14T22:00:10.000Z";
    assert!(error.to_string().contains(there), "{error}");
}

#[test]
fn a_process_that_lives_is_renewed_and_one_that_ended_is_exact() {
    let place = Place::new();
    let mut writer = begin(&place);
    for index in 0..10 {
        writer.append(&window(index)).unwrap();
    }
    let seen = |pid: u32| {
        let history = place.open().target_history("db", START, START + HOUR).unwrap();
        let one = history.processes.into_iter().find(|one| one.pid == pid).unwrap();
        ((one.first_seen_unix_ns - START) / SECOND, (one.last_seen_unix_ns - START) / SECOND)
    };
    assert_eq!(seen(1003), (30, 40));
    assert_eq!(seen(42), (0, 70), "renewed once a minute");
    writer.end(START + 10 * WINDOW).unwrap();
    assert_eq!(seen(42), (0, 100));
    let mut writer = begin(&place);
    writer.append(&window(20)).unwrap();
    assert_eq!(seen(42), (0, 210), "the same process for a later monitor");
    tend(&mut writer, &Retention::default());
}
