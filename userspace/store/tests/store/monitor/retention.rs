//! What goes, by age and by size, and what stays.

use std::time::Duration;

use rusqlite::Connection;
use waytrace_model::monitor::Step;
use waytrace_store::{PruneRule, Retention};

use super::*;

fn counts(place: &Place) -> [i64; 3] {
    let connection = Connection::open(place.file()).unwrap();
    Step::ALL.map(|step| {
        let sql = "SELECT count(*) FROM monitor_window WHERE step_ns = ?1";
        connection.query_row(sql, [step.ns() as i64], |row| row.get(0)).unwrap()
    })
}

fn rows(place: &Place, table: &str) -> i64 {
    let connection = Connection::open(place.file()).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn each_step_is_kept_as_long_as_it_should() {
    let place = Place::new();
    let mut writer = begin(&place);
    let retention = Retention {
        windows: Duration::from_secs(600),
        minutes: Duration::from_secs(3600),
        hours: Duration::from_secs(5 * 3600),
        max_bytes: 1 << 30,
    };
    for index in 0..8 * 360 {
        writer.append(&window(index)).unwrap();
        writer.tend(&retention).unwrap();
        writer.tend(&retention).unwrap();
    }
    tend(&mut writer, &retention);
    // Ten minutes of windows, an hour of minutes, five hours; the newest minute is under way.
    let [windows, minutes, hours] = counts(&place);
    assert!(
        (60..=61).contains(&windows) && (59..=61).contains(&minutes) && (5..=6).contains(&hours),
        "{:?}",
        counts(&place)
    );
    // Processes of one window went with the windows; the one that lives is there.
    let processes = rows(&place, "monitor_process");
    assert!((60..=70).contains(&processes), "{processes}");
    // The oldest hour kept begins where it should.
    let history = place.open().target_history("db", START, START + 8 * HOUR).unwrap();
    assert_eq!(history.range.step, Step::Hour);
    assert_eq!(history.points[0].start_unix_ns, START + 3 * HOUR);
    // Nothing hangs in the air.
    for table in ["monitor_target_window", "monitor_missing", "monitor_collector", "monitor_loss"] {
        let connection = Connection::open(place.file()).unwrap();
        let sql =
            format!("SELECT count(*) FROM {table} WHERE window_id NOT IN (SELECT id FROM monitor_window)");
        assert_eq!(connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{table}");
    }
    let before = rows(&place, "monitor_name");
    // Names go when nothing can refer to them any more: after the longest retention.
    for index in 16 * 360..16 * 360 + 20 {
        writer.append(&window(index)).unwrap();
        tend(&mut writer, &retention);
    }
    let after = rows(&place, "monitor_name");
    assert!(after < before / 10, "{before} names, then {after}");
}

#[test]
fn beyond_the_size_the_oldest_of_the_finest_goes_first() {
    let place = Place::new();
    let mut writer = begin(&place);
    let unbounded = Retention::default();
    for index in 0..3 * 360 {
        writer.append(&window(index)).unwrap();
    }
    tend(&mut writer, &unbounded);
    let all = counts(&place);
    assert_eq!(all, [1080, 179, 3]);
    let full = writer.bytes();
    let file = std::fs::metadata(place.file()).unwrap().len();
    assert!(full > file / 2 && full <= file + 65_536, "{full} bytes booked in a file of {file}");

    tend(&mut writer, &Retention { max_bytes: full * 2 / 3, ..unbounded });
    let some = counts(&place);
    assert!(some[0] < all[0] && some[0] > 6 && some[1..] == all[1..], "{some:?}");
    assert!(writer.bytes() <= full * 2 / 3);
    tend(&mut writer, &Retention { max_bytes: 1, ..unbounded });
    // What is in no step yet stays whatever it takes.
    assert_eq!(counts(&place), [6, 0, 0]);
    writer.append(&window(3 * 360)).unwrap();
    assert!(place.open().target_history("db", START, START + 4 * HOUR).is_ok());
}

#[test]
fn runs_and_history_go_by_their_own_rules() {
    let place = Place::new();
    let mut writer = begin(&place);
    crate::support::record_named(&place.open(), &["kept", "gone"]);
    for index in 0..100 {
        writer.append(&window(index)).unwrap();
    }
    tend(&mut writer, &Retention { max_bytes: 1, ..Retention::default() });
    assert_eq!(place.open().runs(None).unwrap().len(), 2);
    let mut store = place.open();
    let gone = store.find("gone").unwrap();
    store.prune(&PruneRule { runs: vec![gone], ..PruneRule::default() }, u64::MAX).unwrap();
    assert!(store.target_history("db", START, START + HOUR).is_ok());
}
