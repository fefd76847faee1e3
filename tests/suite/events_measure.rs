//! `waytrace events measure` against programs whose counts are known beforehand, and what it does when something goes wrong.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::disk::SmallDisk;
use crate::harness::pipes::DEADLINE;
use crate::harness::waytrace::{self, Finished, Running, Store};
use crate::harness::workload::Start;
use crate::or_skip;

/// The right to measure, given back when dropped: live tests take turns. No kernel program is needed here, so it is not asked
/// whether they can be loaded.
fn turn() -> Result<File, String> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Err("counting on all CPUs needs root".to_owned());
    }
    let file = File::create(waytrace_tests::paths::target_dir().join("live.lock")).unwrap();
    file.lock().unwrap();
    Ok(file)
}

fn start(store: &Store, args: &[&str]) -> Running {
    let mut command = waytrace::command(&["events", "measure", "--json", "--db", &store.arg()]);
    Running::start(command.args(args))
}

fn measure(store: &Store, args: &[&str]) -> Finished {
    start(store, args).finish()
}

/// Waits until it counts: it has perf events open, and starts them right after opening the last.
fn await_counting(running: &Running) {
    let descriptors = format!("/proc/{}/fd", running.pid());
    let is_event = |link: std::fs::DirEntry| {
        std::fs::read_link(link.path()).is_ok_and(|to| to.as_os_str() == "anon_inode:[perf_event]")
    };
    let deadline = Instant::now() + DEADLINE;
    while !std::fs::read_dir(&descriptors).is_ok_and(|all| all.flatten().any(is_event)) {
        assert!(Instant::now() < deadline, "it never opened an event");
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(300));
}

/// A column of the database; none where it has no tables yet.
fn numbers(store: &Store, sql: &str) -> Vec<i64> {
    numbers_in(&store.path(), sql)
}

fn numbers_in(database: &Path, sql: &str) -> Vec<i64> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let Ok(mut statement) = connection.prepare(sql) else { return Vec::new() };
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// What an event counted over all epochs, and how many counted it whole.
fn count(report: &Value, event: &str) -> (u64, u64) {
    let rows = report["events"].as_array().unwrap();
    let row =
        rows.iter().find(|row| row["perf_name"] == event).unwrap_or_else(|| panic!("no {event}: {report:#}"));
    let places = row["by_place"].as_object().unwrap();
    (places.values().map(|value| value.as_u64().unwrap()).sum(), row["epochs"].as_u64().unwrap())
}

fn quarantined(report: &Value) -> Vec<(&str, &str)> {
    let all = report["quarantined"].as_array().unwrap();
    all.iter().map(|one| (one["perf_name"].as_str().unwrap(), one["reason"].as_str().unwrap())).collect()
}

/// The shell's own `kill` is one system call.
#[test]
fn system_calls_of_a_process_are_counted_exactly() {
    let _turn = or_skip!(turn());
    let loops = "read x; i=0; while [ $i -lt 5000 ]; do kill -0 $$; i=$((i+1)); done; read y";
    let mut shell = Command::new("sh").args(["-c", loops]).stdin(Stdio::piped()).spawn().unwrap();
    let pid = shell.id().to_string();
    let store = Store::new();
    let events = "syscalls:sys_enter_kill,syscalls:sys_exit_kill";
    let running = start(&store, &["--pid", &pid, "--epoch", "4s", "-e", events]);
    await_counting(&running);
    shell.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    let finished = running.finish();
    drop(shell.stdin.take());
    shell.wait().unwrap();
    assert_eq!(finished.code, 0, "{finished:#?}");
    let report = finished.json();
    assert_eq!(count(&report, "syscalls:sys_enter_kill"), (5000, 1));
    assert_eq!(count(&report, "syscalls:sys_exit_kill"), (5000, 1));
}

/// Its other thread faults and works a little, too, so that the process has somewhat more than the threads that tell.
#[test]
fn faults_and_cpu_time_of_a_process_are_those_of_its_threads() {
    let _turn = or_skip!(turn());
    let mut workload = or_skip!(Start::plain("faults.c")).args(&["1000", "20", "50"]).spawn();
    let pid = workload.pid().to_string();
    let store = Store::new();
    let running = start(&store, &["--pid", &pid, "--epoch", "4s", "-e", "minor-faults,task-clock"]);
    await_counting(&running);
    workload.go();
    let truth = workload.truth();
    let report = running.finish().json();
    let faults: u64 = truth.threads.iter().map(|thread| thread.minor_faults).sum();
    let cpu_ns: u64 = truth.threads.iter().map(|thread| thread.cpu_ns).sum();
    let (counted, _) = count(&report, "minor-faults");
    assert!((faults..=faults + 100).contains(&counted), "{counted} faults, by its own account {faults}");
    let (clock_ns, epochs) = count(&report, "task-clock");
    let most = cpu_ns + cpu_ns / 5 + 50_000_000;
    assert!((cpu_ns * 98 / 100..=most).contains(&clock_ns), "{clock_ns} ns, by its own account {cpu_ns}");
    assert_eq!(epochs, 1);
}

#[test]
fn a_bad_event_is_quarantined_alone_and_the_commands_code_comes_through() {
    let _turn = or_skip!(turn());
    let store = Store::new();
    let events = ["-e", "context-switches,nosuchevent", "-e", "no:such", "--repeat", "3"];
    let finished = measure(&store, &[&events[..], &["--", "sh", "-c", "exit 7"]].concat());
    assert_eq!(finished.code, 7, "{finished:#?}");
    let report = finished.json();
    let refused = quarantined(&report);
    assert_eq!(refused.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["nosuchevent", "no:such"]);
    assert!(refused.iter().all(|(_, reason)| reason.contains("unknown")), "{refused:?}");
    let (switches, epochs) = count(&report, "context-switches");
    assert!(switches > 0 && epochs == 3, "{report:#}");
    assert_eq!(report["measurement"]["complete"], false);
}

/// A quarter of a second of sleep has slots of 50 ms, and each CPU's clock runs all the time.
#[test]
fn readings_at_intervals_add_up_to_the_epoch() {
    let _turn = or_skip!(turn());
    let store = Store::new();
    let finished = measure(&store, &["--interval", "50ms", "-e", "cpu-clock", "--", "sleep", "0.26"]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    let [slots, gaps]: [Vec<i64>; 2] = [
        "SELECT count(*) FROM measured_slot",
        "SELECT count(*) FROM measured_slot a JOIN measured_slot b USING (epoch_id)
         WHERE b.slot = a.slot + 1 AND b.start_ns <> a.end_ns",
    ]
    .map(|sql| numbers(&store, sql));
    assert!(slots[0] >= 2 && gaps == [0], "{slots:?}, {gaps:?}");
    let totals = numbers(&store, "SELECT value FROM measured_count ORDER BY place");
    let sums = numbers(&store, "SELECT sum(value) FROM measured_slot_count GROUP BY place ORDER BY place");
    assert_eq!(totals, sums);
    assert!(totals.iter().all(|ns| *ns >= 250_000_000), "{totals:?}");
    let parted = "SELECT count(*) FROM measured_count WHERE time_enabled_ns <> time_running_ns";
    assert_eq!(numbers(&store, parted), [0]);
    let cpus = numbers(&store, "SELECT json_array_length(circumstances, '$.cpus') FROM measurement");
    assert_eq!(cpus, [totals.len() as i64]);
}

/// Processes that only have tracepoints left to close.
fn closing() -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let names = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
    names.filter(|name| name.trim() == "waytrace-close").count()
}

/// Nobody waits for the kernel to close them: neither who reads the result, nor the next measurement.
#[test]
fn many_tracepoints_are_closed_after_the_result_and_none_stays() {
    let _turn = or_skip!(turn());
    let store = Store::new();
    let many = ["--pmu", "tracepoint", "--filter", "syscalls:sys_enter_s*", "--", "sleep", "0.1"];
    let finished = measure(&store, &many);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(count(&finished.json(), "syscalls:sys_enter_socket").1 == 1, "{finished:#?}");
    assert!(finished.stderr.contains("the kernel goes on closing"), "{finished:#?}");
    let again = measure(&store, &["-e", "syscalls:sys_enter_setpgid", "--", "sh", "-c", "true"]);
    assert_eq!(again.code, 0, "{again:#?}");
    assert!(count(&again.json(), "syscalls:sys_enter_setpgid").0 > 0, "{again:#?}");
    let deadline = Instant::now() + DEADLINE;
    while closing() > 0 {
        assert!(Instant::now() < deadline, "it never closes them");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_command_that_hangs_is_ended_with_all_it_started() {
    let _turn = or_skip!(turn());
    let store = Store::new();
    let tag = format!("{}.5", 70_000 + std::process::id());
    let script = format!("sleep {tag} & exec sleep {tag}");
    let finished = measure(&store, &["--timeout", "300ms", "-e", "page-faults", "--", "sh", "-c", &script]);
    assert_eq!(finished.code, 128 + libc::SIGKILL, "{finished:#?}");
    let report = finished.json();
    assert_eq!(report["epochs"][0]["ended_by"], "timeout");
    assert!(count(&report, "page-faults").0 > 0);
    let left = Command::new("pgrep").args(["-f", &tag]).output();
    if let Ok(left) = left {
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "processes left behind");
    }
}

#[test]
fn killed_it_keeps_what_it_measured_and_goes_on_with_the_rest() {
    let _turn = or_skip!(turn());
    let store = Store::new();
    let begun = ["--all-cpus", "--epoch", "300ms", "--repeat", "6", "-e", "cpu-clock", "--name", "long"];
    let running = start(&store, &begun);
    let stored = || match store.path().exists() {
        true => numbers(&store, "SELECT position FROM measured_epoch ORDER BY position"),
        false => Vec::new(),
    };
    let deadline = Instant::now() + DEADLINE;
    while stored().len() < 2 {
        assert!(Instant::now() < deadline, "no epoch is ever stored");
        sleep(Duration::from_millis(20));
    }
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().code, -libc::SIGKILL);
    let kept = stored();
    assert!((2..6).contains(&kept.len()), "{kept:?}");
    let finished = measure(&store, &["--resume", "long"]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(count(&finished.json(), "cpu-clock").1, 6);
    assert_eq!(stored(), [0, 1, 2, 3, 4, 5]);
}

/// The epoch under way is lost and those before are not; with the disk still full nothing goes on, with room it does.
#[test]
fn a_disk_that_fills_up_stops_it_until_there_is_room() {
    let _turn = or_skip!(turn());
    let disk = or_skip!(SmallDisk::new("8m"));
    let path = disk.path().join("runs.db");
    let database = path.to_str().unwrap();
    let events = ["events", "measure", "--json", "--db", database];
    let begun = ["--all-cpus", "--epoch", "300ms", "--repeat", "20", "-e", "cpu-clock", "--name", "long"];
    let running = Running::start(&mut waytrace::command(&[&events[..], &begun].concat()));
    let stored = || match path.exists() {
        true => numbers_in(&path, "SELECT position FROM measured_epoch ORDER BY position"),
        false => Vec::new(),
    };
    let deadline = Instant::now() + DEADLINE;
    while stored().len() < 3 {
        assert!(Instant::now() < deadline, "no epoch is ever stored");
        sleep(Duration::from_millis(20));
    }
    disk.fill();
    let said = |finished: &Finished| {
        assert_eq!((finished.code, finished.stdout.as_str()), (1, ""), "{finished:#?}");
        let complaint = finished.complaints().last().copied().unwrap_or_default().to_owned();
        let needles = ["no space left to write", database, "free some space", "--resume long"];
        assert!(needles.iter().all(|needle| complaint.contains(needle)), "{complaint}");
    };
    said(&running.finish());
    let kept = stored();
    assert!((3..20).contains(&kept.len()), "{kept:?}");
    let resume = [&events[..], &["--resume", "long"]].concat();
    // The first has freed its log when it ended, which may have room for some more epochs.
    said(&waytrace::run(&resume));
    assert!(kept.iter().all(|position| stored().contains(position)));
    disk.empty();
    let before = numbers_in(&path, "SELECT value FROM measured_count ORDER BY epoch_id, place");
    let finished = waytrace::run(&resume);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(count(&finished.json(), "cpu-clock").1, 20);
    assert_eq!(stored(), (0..20).collect::<Vec<i64>>());
    let after = numbers_in(&path, "SELECT value FROM measured_count ORDER BY epoch_id, place");
    assert_eq!(after[..before.len()], before);
}

#[test]
fn what_cannot_be_measured_leaves_nothing_behind() {
    let _turn = or_skip!(turn());
    let store = Store::new();
    for (args, said) in [
        (&["--", "/no/such/program"][..], "no such program"),
        (&["--cgroup", "/no/such"][..], "no such directory"),
        (&["--pid", "4194305"][..], "4194305"),
        (&["--all-cpus", "--epoch", "1ms"][..], "--interval"),
        (&["--filter", "nothing_is_called_this", "--all-cpus"][..], "no event is left"),
        (&["--resume", "never"][..], "no such database"),
    ] {
        let finished = measure(&store, args);
        assert_eq!(finished.code, 2, "{args:?}: {finished:#?}");
        assert!(finished.complaints().last().unwrap().contains(said), "{args:?}: {}", finished.stderr);
        assert!(!store.path().exists(), "{args:?}");
    }
    let planned = measure(&store, &["--dry-run", "--repeat", "2", "-e", "page-faults", "--", "true"]);
    assert!(planned.stdout.contains("3 executions") && !store.path().exists(), "{planned:#?}");
}
