//! Ranges of a monitor's history on the command line: what is stored is known, and so is what must be said of it.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use waytrace_model::monitor::{
    Alert, AlertEnd, HostWindow, Metric, ProcessWindow, RecordingLink, SiteRate, TargetWindow, Values,
};
use waytrace_model::run::Host;
use waytrace_store::{MonitorWriter, Retention, Session, Tended};

use crate::harness::waytrace::{Finished, Store};

const SECOND: u64 = 1_000_000_000;
const WINDOW: u64 = 10 * SECOND;
const HOUR: u64 = 3600 * SECOND;

/// A history of three hours until now: `db` takes 2 s of CPU in each window of 10 s, in the last hour 3 s, and in it leaks 1 MiB a window.
/// It has no process for ten minutes, two and a half hours ago, and nobody watched for five, half an hour ago.
struct Written {
    store: Store,
    now: u64,
}

fn window(index: u64, age: u64, start: u64) -> HostWindow {
    let is_late = age < HOUR;
    let mut values = Values::from_iter([
        (Metric::Cpu, if is_late { 3e9 } else { 2e9 } + (index % 3) as f64 * 1e6),
        (Metric::Rss, 100e6 + if is_late { (HOUR - age) as f64 / WINDOW as f64 * 1_048_576.0 } else { 0.0 }),
        (Metric::Threads, 4.0),
    ]);
    let mut db = TargetWindow { target: "db".to_owned(), ..TargetWindow::default() };
    if index.is_multiple_of(4) {
        values.set(Metric::AllocBytes, Some(8e6));
        db.sites = vec![
            SiteRate { name: "grow <table>".to_owned(), alloc_per_s: 10.0, bytes_per_s: 6e5 },
            SiteRate { name: "reply".to_owned(), alloc_per_s: 100.0, bytes_per_s: 2e5 },
        ];
    } else {
        db.absent.insert("accesses".to_owned(), "the budget has no room".to_owned());
    }
    db.values = values;
    db.processes =
        vec![ProcessWindow { pid: 4242, start_boot_ns: 7, comm: "redis".to_owned(), ..Default::default() }];
    let lives = !(2 * HOUR + 20 * 60 * SECOND..2 * HOUR + 30 * 60 * SECOND).contains(&age);
    HostWindow {
        index,
        start_unix_ns: start,
        start_boot_ns: start / 2,
        length_ns: WINDOW,
        targets: if lives { vec![db] } else { vec![] },
        missing: if lives { vec![] } else { vec!["db".to_owned()] },
        ..HostWindow::default()
    }
}

fn written() -> Written {
    let store = Store::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let session = Session {
        started_at_unix_ns: now - 3 * HOUR,
        window_ns: WINDOW,
        command: "waytrace monitor".to_owned(),
        version: "0".to_owned(),
        host: Host::default(),
    };
    let mut writer = MonitorWriter::begin(&store.path(), &session).unwrap();
    for index in 0..3 * 360 {
        let age = 3 * HOUR - index * WINDOW;
        if (25 * 60 * SECOND..30 * 60 * SECOND).contains(&age) {
            continue;
        }
        writer.append(&window(index, age, now - age)).unwrap();
    }
    let alert = Alert {
        rule: "leak".to_owned(),
        target: "db".to_owned(),
        when: "growth(rss_bytes, 60s) > 50KiB/s".to_owned(),
        detail: "rss_bytes grows by 102 KiB/s".to_owned(),
        began_unix_ns: now - 50 * 60 * SECOND,
        ended: Some(AlertEnd { at_unix_ns: now - 40 * 60 * SECOND }),
        recording: RecordingLink::Run("db-leak-1".to_owned()),
    };
    writer.alert(&alert).unwrap();
    while writer.tend(&Retention::default()).unwrap() != Tended::Nothing {}
    writer.end(now).unwrap();
    Written { store, now }
}

fn ok(finished: &Finished) -> &str {
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{finished:#?}");
    &finished.stdout
}

fn metric<'j>(json: &'j Value, name: &str) -> &'j Value {
    json["metrics"].as_array().unwrap().iter().find(|one| one["metric"] == name).unwrap()
}

fn close(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() <= expected * 0.01, "{value}, expected {expected}");
}

#[test]
fn show_tells_rates_sites_alerts_and_gaps() {
    let written = written();
    let shown = written.store.run(&["show", "db", "--since", "3h"]);
    let text = ok(&shown);
    for word in [
        "cpu_ns",
        "rss_bytes",
        "alloc_bytes",
        "grow <table>",
        "not watched",
        "no process",
        "process 4242 (redis)",
    ] {
        assert!(text.contains(word), "no `{word}` in\n{text}");
    }
    assert!(text.contains("recorded as db-leak-1"), "{text}");
    assert!(text.contains("not measured: accesses: the budget has no room"), "{text}");
    assert!(text.contains('█') && text.contains('▁'), "no course in\n{text}");

    let json = written.store.run(&["show", "db", "--since", "30m", "--json"]).json();
    assert_eq!((&json["schema_version"], &json["range"]["step"]), (&1.into(), &"window".into()));
    close(&metric(&json, "cpu_ns")["mean"], 3.01e8);
    // A quarter of the windows, 8 MB in each of them.
    close(&metric(&json, "alloc_bytes")["mean"], 8e5);
    close(&json["sites"][0]["bytes_per_s"], 6e5);
    assert_eq!(json["sites"][0]["name"], "grow <table>");
    assert_eq!(json["gaps"][0]["why"], "not-watched");
    close(&metric(&json, "rss_bytes")["max"], 100e6 + 359.0 * 1_048_576.0);
}

#[test]
fn list_names_targets_and_their_alerts() {
    let written = written();
    let listed = written.store.run(&["list", "--since", "3h"]);
    let text = ok(&listed);
    assert!(
        text.contains("alert leak of db") && text.contains("4242") && text.contains("waytrace itself"),
        "{text}"
    );
    let json = written.store.run(&["list", "--since", "3h", "--json"]).json();
    let db = &json["targets"][0];
    assert_eq!((&db["target"], &db["processes"], &db["alerts"]), (&"db".into(), &1.into(), &1.into()));
    assert_eq!(db["missing_ns"], 600 * SECOND);
    assert_eq!(json["range"]["step"], "minute");
}

#[test]
fn diff_compares_with_the_same_range_earlier() {
    let written = written();
    let json = written.store.run(&["diff", "db", "--since", "20m", "--against", "75m", "--json"]).json();
    let cpu = metric(&json, "cpu_ns");
    close(&cpu["change"]["a"], 2.01e8);
    close(&cpu["change"]["b"], 3.01e8);
    assert_eq!(cpu["change"]["verdict"], "up");
    assert_eq!(metric(&json, "threads_count")["change"]["verdict"], "same");
    let compared = written.store.run(&["diff", "db", "--since", "20m", "--against", "75m"]);
    let text = ok(&compared);
    assert!(text.contains("+50.0%") && text.contains("same") && text.contains("grow <table>"), "{text}");
    let wrong = written.store.run(&["diff", "db", "--since", "20m", "--against", "2d"]);
    assert_eq!(wrong.code, 2, "{wrong:#?}");
    assert!(wrong.stderr.contains("there is some from"), "{wrong:#?}");
}

#[test]
fn report_is_one_page_with_charts() {
    let written = written();
    let path = written.store.folder().join("db.html");
    let made = written.store.run(&["report", "db", "--since", "3h", "-o", path.to_str().unwrap()]);
    assert_eq!(made.code, 0, "{made:#?}");
    let page = fs::read_to_string(&path).unwrap();
    assert_eq!(page.matches("<svg").count(), 4, "a chart for each metric");
    assert!(page.contains("grow &lt;table&gt;") && !page.contains("grow <table>"));
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert!(page.contains("class=\"alert\"") && page.contains("db-leak-1"));
    assert!(!page.contains("NaN") && !page.contains("inf,"));
    let again = written.store.run(&["report", "db", "--since", "3h", "-o", path.to_str().unwrap()]);
    assert_eq!(again.code, 2, "{again:#?}");
    assert!(again.stderr.contains("--force"), "{again:#?}");
}

#[test]
fn export_has_a_row_for_each_step_and_metric() {
    let written = written();
    let exported = written.store.run(&["export", "db", "--since", "10m", "--format", "csv"]);
    let text = ok(&exported);
    let mut lines = text.lines();
    let header = "target,start,start_unix_ns,step,length_ns,metric,unit,value,covered_ns,rate";
    assert_eq!(lines.next(), Some(header));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let cpu: Vec<f64> =
        rows.iter().filter(|row| row[5] == "cpu_ns").map(|row| row[7].parse().unwrap()).collect();
    assert!((58..=60).contains(&cpu.len()), "{} windows", cpu.len());
    assert!(cpu.iter().all(|ns| (3e9..=3.002e9).contains(ns)));
    let json = written.store.run(&["export", "db", "--since", "10m", "--format", "json"]).json();
    assert_eq!(json["points"].as_array().unwrap().len(), cpu.len());
    let wrong = written.store.run(&["export", "db", "--since", "10m", "--format", "pprof"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("`csv` and `json`"), "{wrong:#?}");
}

#[test]
fn prune_takes_what_is_older_and_no_more() {
    let written = written();
    let windows = |path: &Path| -> i64 {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.query_row("SELECT count(*) FROM monitor_window", [], |row| row.get(0)).unwrap()
    };
    let before = windows(&written.store.path());
    let dry = written.store.run(&["prune", "--history", "--older-than", "2h", "--dry-run", "--json"]).json();
    assert_eq!(windows(&written.store.path()), before);
    let wet = written.store.run(&["prune", "--history", "--older-than", "2h", "--json"]).json();
    assert!(dry["windows"].as_u64().unwrap().abs_diff(360) <= 1, "{dry}");
    assert!(wet["windows"].as_u64() >= dry["windows"].as_u64());
    assert_eq!(written.store.run(&["show", "db", "--since", "1h"]).code, 0);
    let gone = written.store.run(&["show", "db", "--since", "3h", "--until", "2h"]);
    assert_eq!(gone.code, 2, "{gone:#?}");
}

#[test]
fn mistakes_name_what_there_is() {
    let written = written();
    let day = "2000-01-01";
    let mistakes: [(&[&str], &str); 9] = [
        (&["show", "dbb", "--since", "2h"], "no target `dbb`"),
        (&["show", "dbb", "--since", "2h"], "there are: db"),
        (&["show", "db", "--since", "9h", "--until", "5h"], "there is some from"),
        (&["show", "db", "--since", "1h", "--until", "2h"], "--since is not before --until"),
        (&["show", "db", "--since", "yesterday"], "yesterday"),
        (&["show", "db", "--until", "1h"], "--since"),
        (&["list", "--since", day, "--until", "2000-01-02"], "from 2000-01-01T00:00:00.000Z to 2000-01-02"),
        (&["list", "--since", "2h", "--sweeps"], "--sweeps"),
        (&["diff", "db"], "B"),
    ];
    for (args, culprit) in mistakes {
        let finished = written.store.run(args);
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{args:?}: {finished:#?}");
        assert!(finished.stderr.contains(culprit), "{args:?}, no `{culprit}`: {finished:#?}");
    }
    assert!(written.now > 0);
    let none = Store::new();
    let finished = none.run(&["show", "db", "--since", "2h"]);
    assert_eq!(finished.code, 2, "{finished:#?}");
}
