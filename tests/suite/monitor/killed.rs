//! `kill -9` at random moments: the history is whole to the last window, and nothing of it is left in the kernel or in a target.
//!
//! A dozen times here; `cargo xtask bench monitor-kills` does it 200 times (`WAYTRACE_KILLS`), and reads what came of it from the file it
//! names in `WAYTRACE_KILLS_JSON`. Times until nothing was left are told, never asserted.

use std::thread::sleep;
use std::time::Duration;

use super::{Monitor, stored};
use crate::harness::bpf::{await_nothing_left, held_by};
use crate::harness::live;
use crate::harness::waytrace::Store;
use crate::harness::workload::{Start, Workload};
use crate::kills::tally::{self, Random, Tally};
use crate::or_skip;

const WINDOW: &str = "100ms";

#[test]
fn killed_at_any_moment_it_leaves_a_whole_history_and_nothing_else() {
    let _turn = or_skip!(live::turn());
    let kills: u64 = std::env::var("WAYTRACE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["86400", "20000", "64"]).spawn();
    workload.go();
    let store = Store::new();
    let (mut random, mut tally) = (Random::new(kills), Tally::new("monitor", "SIGKILL"));
    let (mut told, mut with_objects) = (0, 0);
    for round in 1..=kills {
        let moment = Duration::from_micros(random.below(1_500_000));
        let (killed, objects) = kill(&workload, &store, moment);
        with_objects += u64::from(objects > 0);
        let result = killed.and_then(|(windows, gone)| {
            told += windows;
            let kept = stored(&store.path());
            // Of each, the window under way when it was killed may have been told and not written yet.
            if kept + round < told { Err(format!("{kept} of {told} windows are kept")) } else { Ok(gone) }
        });
        tally.add("this host", result.and_then(|gone| sessions(&store).map(|()| gone)));
    }
    tally::write(std::slice::from_ref(&tally));
    assert!(tally.failures.is_empty(), "{:#?}", tally.failures);
    assert!(
        told >= kills && with_objects == kills,
        "{told} windows were told, {with_objects} of {kills} had begun"
    );
    assert!(workload.is_running());
    let listed = store.run(&["list", "--since", "1h", "--json"]);
    assert_eq!(listed.code, 0, "{listed:#?}");
}

/// Kills one that long after it began to watch. Windows it told, and how long it took until nothing was left; and how many objects it had.
fn kill(workload: &Workload, store: &Store, moment: Duration) -> (Result<(u64, Duration), String>, usize) {
    let pid = workload.pid().to_string();
    let monitor = Monitor::start(&["--pid", &pid, "--window", WINDOW, "--db", &store.arg()]);
    sleep(moment);
    let held = held_by(monitor.pid());
    monitor.signal(libc::SIGKILL);
    let finished = monitor.finish();
    if finished.code != -libc::SIGKILL {
        return (Err(format!("it was not killed: {finished:#?}")), held.len());
    }
    // The last line may have been cut.
    let windows = finished.stdout.lines().filter(|line| line.ends_with('}')).count() as u64;
    (await_nothing_left(&held, workload.pid()).map(|gone| (windows, gone)), held.len())
}

/// Within each session, windows are there from the first to the last.
fn sessions(store: &Store) -> Result<(), String> {
    let connection = rusqlite::Connection::open(store.path()).unwrap();
    let torn =
        "SELECT count(*) FROM (SELECT session_id FROM monitor_window WHERE step_ns = 0 GROUP BY session_id
                HAVING min(position) <> 0 OR max(position) + 1 <> count(*))";
    let torn: i64 = connection.query_row(torn, [], |row| row.get(0)).unwrap();
    if torn == 0 { Ok(()) } else { Err(format!("{torn} sessions lack a window")) }
}
