//! `waytrace cache watch` on simulated hosts: what it tells is what the model moved, whom it follows, and what it leaves.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use waytrace_simhost::faults::{Effect, Operation};
use waytrace_simhost::hosts;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;

use crate::cli_top_terminal::Terminal;
use crate::golden::breaches;
use crate::harness::pipes::DEADLINE;
use crate::harness::simulated::{LOOP, STREAM, Simulated};
use crate::harness::waytrace::{Finished, Running};
use crate::or_skip;

const CONTRACT: &str = include_str!("../golden/cache-watch-json.contract");
/// Long against a reading, so that each piece of simulated time is seen by itself.
const PAUSE: Duration = Duration::from_millis(250);

fn start(host: &Simulated, args: &[&str]) -> Running {
    let all = [&["watch", "--interval", "20ms", "--json"], args].concat();
    Running::start(&mut host.command(&all))
}

fn samples(finished: &Finished) -> Vec<Value> {
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Sum of a quantity of the first row over all samples; none is missing.
fn sum(samples: &[Value], name: &str) -> u64 {
    let caches = samples.iter().flat_map(|sample| sample["rows"][0]["caches"].as_array().unwrap());
    caches.map(|cache| cache[name].as_u64().unwrap_or_else(|| panic!("{cache}"))).sum()
}

pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} never came");
        sleep(Duration::from_millis(5));
    }
}

/// Names of waytrace's groups in the default class.
fn own_groups(host: &Simulated) -> Vec<String> {
    let entries = std::fs::read_dir(host.resctrl("mon_groups")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("waytrace-watch-")).collect()
}

/// Whether a thread is in one of them.
fn is_watched(host: &Simulated, tid: u32) -> bool {
    own_groups(host).iter().any(|name| {
        let tasks = std::fs::read_to_string(host.resctrl(&format!("mon_groups/{name}/tasks")));
        tasks.is_ok_and(|tasks| tasks.lines().any(|line| line == tid.to_string()))
    })
}

/// What the registers allocate, and which threads are in which class: no monitoring may touch it.
pub fn allocation(host: &Simulated) -> String {
    let machine = &host.mounted.host().machine;
    let control = &machine.control;
    let classes: BTreeMap<u32, u32> = machine.tasks.iter().map(|(tid, task)| (*tid, task.closid)).collect();
    let of_cpus: Vec<u32> = control.pqr.iter().map(|pqr| pqr.closid).collect();
    format!("{:?} {:?} {:?} {classes:?} {of_cpus:?}", control.l3, control.l2, control.mba)
}

/// Lets a second of simulated time pass in pieces with pauses in which readings are taken.
fn let_pass(host: &Simulated, pieces: u32) {
    for _ in 0..pieces {
        host.mounted.step(1_000_000_000 / u64::from(pieces));
        sleep(PAUSE);
    }
}

#[test]
fn traffic_is_what_the_model_moved() {
    // The last counts in units of 64 bytes and with 24 bits: it goes round several times.
    for (name, unit, seconds) in [("twelve", 65_536, 1), ("amd", 64, 1), ("narrow", 64, 4)] {
        for interface in ["resctrl", "msr"] {
            let host = or_skip!(Simulated::named(name));
            host.mounted.host().set_mounted(interface == "resctrl");
            let whom: &[&str] = if interface == "msr" { &["--cpus", "1"] } else { &["--pid", "2000"] };
            let untouched = host.state();
            let allocated = allocation(&host);
            let running = start(&host, &[whom, &["--interface", interface]].concat());
            let rmid = || host.mounted.host().machine.control.pqr[1].rmid;
            wait_until("a monitor", || rmid() != 0);
            sleep(PAUSE);
            let traffic = || {
                let rmid = rmid();
                host.mounted.host().machine.traffic_bytes(0, rmid)
            };
            let before = traffic();
            for _ in 0..seconds {
                let_pass(&host, 2);
            }
            let moved = traffic() - before;
            assert_eq!(allocation(&host), allocated, "monitoring changes no allocation");
            running.interrupt();
            let finished = running.finish();
            assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{name} by {interface}");
            let samples = samples(&finished);
            assert_eq!(breaches(CONTRACT, &samples[0], false), Vec::<String>::new());
            assert_eq!(samples[0]["simulated"], true);
            for event in ["mbm_total_bytes", "mbm_local_bytes"] {
                let told = sum(&samples, event);
                assert!(told.abs_diff(moved) <= unit, "{name} by {interface}: {event} {told}, moved {moved}");
            }
            let last = &samples.last().unwrap()["rows"][0]["caches"][0];
            let held = last["llc_occupancy_bytes"].as_u64().unwrap();
            assert!(held > host.mounted.host().machine.spec().l3.bytes() / 2, "{held}");
            assert_eq!(host.state(), untouched, "{name} by {interface}");
        }
    }
}

#[test]
fn what_the_hardware_does_not_tell_is_not_zero() {
    for interface in ["resctrl", "msr"] {
        let host = or_skip!(Simulated::named("broken"));
        host.mounted.host().set_mounted(interface == "resctrl");
        let args = ["watch", "--count", "2", "--interval", "10ms", "--interface", interface];
        let finished = host.cache(&[&args[..], &["--json"]].concat());
        assert_eq!(finished.code, 0, "{finished:#?}");
        let cache = &samples(&finished)[1]["rows"][0]["caches"][0];
        let reasons: Vec<&str> =
            cache["missing"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect();
        // A register cannot tell a counter that is not assigned from one without a value.
        let local = if interface == "msr" { "unavailable" } else { "unassigned" };
        assert_eq!(reasons, ["error", "unavailable", local]);
        for name in ["llc_occupancy_bytes", "mbm_total_bytes", "mbm_local_bytes", "mbm_remote_bytes"] {
            assert_eq!(cache[name], Value::Null, "{name}");
        }
        let told = host.cache(&args);
        let line = told.stdout.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(line[3..], ["error", "unavailable", local, "unavailable"], "{told:#?}");
        assert!(told.stdout.starts_with("simulated host"), "{told:#?}");
    }
    let host = or_skip!(Simulated::named("no-monitoring"));
    for interface in ["resctrl", "msr"] {
        host.mounted.host().set_mounted(interface == "resctrl");
        let finished = host.cache(&["watch", "--interface", interface]);
        assert!(finished.code == 2 && finished.complaints().len() == 1, "{finished:#?}");
        assert!(finished.stderr.contains("no cache monitoring"), "{finished:#?}");
    }
}

#[test]
fn counters_that_are_assigned_go_to_who_is_watched_while_there_are_any() {
    for (on_mkdir, left) in [("1", true), ("0", true), ("1", false)] {
        let host = or_skip!(Simulated::named("abmc"));
        host.write("info/L3_MON/mbm_assign_on_mkdir", &format!("{on_mkdir}\n"));
        // Six of each cache; the default class has two.
        if !left {
            host.mkdir("a");
            host.mkdir("b");
        }
        let shown = host.cache(&["show"]).stdout;
        let free = if left { 4 } else { 0 };
        let needle =
            format!("bandwidth counters for groups: 6 on cache 0, {free} free; 6 on cache 1, {free} free");
        assert!(shown.contains(&needle), "{needle}: {shown}");
        let before = host.state();
        let running = start(&host, &["--pid", "2000"]);
        wait_until("a monitor", || is_watched(&host, STREAM));
        sleep(PAUSE);
        let rmid = host.mounted.host().machine.tasks[&STREAM].rmid;
        let traffic = || host.mounted.host().machine.traffic_bytes(0, rmid);
        let already = traffic();
        let_pass(&host, 2);
        let moved = traffic() - already;
        running.interrupt();
        let finished = running.finish();
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{finished:#?}");
        let samples = samples(&finished);
        let last = &samples.last().unwrap()["rows"][0]["caches"][0];
        assert!(last["llc_occupancy_bytes"].as_u64().is_some_and(|held| held > 1 << 20), "{last}");
        if left {
            assert!(sum(&samples, "mbm_total_bytes").abs_diff(moved) <= 64, "{samples:#?} but {moved}");
        } else {
            let reasons: Vec<&Value> =
                last["missing"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
            assert_eq!(reasons, ["unassigned", "unassigned"], "{last}");
            assert_eq!(last["mbm_total_bytes"], Value::Null);
        }
        assert_eq!(host.state(), before);
    }
}

#[test]
fn all_there_is_is_watched_without_a_target() {
    let host = or_skip!(Simulated::named("two-sockets"));
    host.mkdir("web");
    host.mkdir("web/mon_groups/slow");
    let before = host.state();
    let mut running = start(&host, &[]);
    running.await_output();
    host.mkdir("mon_groups/late");
    sleep(PAUSE);
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    let samples = samples(&finished);
    assert_eq!(breaches(CONTRACT, &samples[0], false), Vec::<String>::new());
    let names = |sample: &Value| {
        let rows = sample["rows"].as_array().unwrap().iter();
        rows.map(|row| row["target"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&samples[0]), ["default", "web", "web/slow"]);
    assert_eq!(names(samples.last().unwrap()), ["default", "web", "web/slow", "default/late"]);
    assert_eq!(samples[0]["rows"][0]["caches"].as_array().unwrap().len(), 2);
    host.rmdir("mon_groups/late");
    assert_eq!(host.state(), before);
}

#[test]
fn a_group_somebody_made_is_read_and_not_taken() {
    let host = or_skip!(Simulated::named("twelve"));
    host.mkdir("web");
    host.mkdir("web/mon_groups/slow");
    for file in ["web/tasks", "web/mon_groups/slow/tasks"] {
        host.write(file, "1000\n");
        host.write(file, "2000\n");
    }
    let before = host.state();
    let mut running = start(&host, &["--pid", "2000"]);
    running.await_output();
    assert_eq!(host.state(), before, "nothing is made and nobody moved");
    running.interrupt();
    let finished = running.finish();
    let source = &samples(&finished)[0]["rows"][0]["sources"];
    let expected = serde_json::json!([{ "class": "web", "group": "slow", "own": false, "others": 1 }]);
    assert_eq!(source, &expected);
    let told = host.cache(&["watch", "--pid", "2000", "--count", "1", "--interval", "10ms"]);
    assert!(told.stdout.contains("with 1 others of web/slow"), "{told:#?}");
    // The same of CPUs.
    host.mkdir("mon_groups/cores");
    host.write("mon_groups/cores/cpus_list", "2-3\n");
    let before = host.state();
    let finished = host.cache(&["watch", "--cpus", "2", "--count", "1", "--interval", "10ms", "--json"]);
    let source = &samples(&finished)[0]["rows"][0]["sources"];
    let expected = serde_json::json!([{ "class": "default", "group": "cores", "own": false, "others": 1 }]);
    assert_eq!((source, host.state()), (&expected, before));
}

#[test]
fn threads_are_followed_wherever_they_are() {
    let host = or_skip!(Simulated::named("twelve"));
    host.mkdir("web");
    let running = start(&host, &["--pid", "1000"]);
    wait_until("the first thread", || is_watched(&host, LOOP));
    // One that its parent bore before the parent was put into the group.
    let workload = Workload::of(Program::Stream);
    host.mounted.host().start(TaskSpec { tgid: LOOP, tid: 1001, cpu: 2, workload });
    host.mounted.host().machine.tasks.get_mut(&1001).unwrap().rmid = 0;
    wait_until("the late thread", || is_watched(&host, 1001));
    // Somebody moves it to another class, where it needs another group.
    host.write("web/tasks", "1001\n");
    wait_until("a group in its new class", || {
        host.resctrl("web/mon_groups").read_dir().unwrap().count() == 1
    });
    sleep(PAUSE);
    let_pass(&host, 4);
    // Somebody removes a group of ours: there is another one soon.
    host.rmdir(&format!("mon_groups/{}", own_groups(&host)[0]));
    wait_until("another group", || is_watched(&host, LOOP));
    assert_eq!(host.read("web/tasks"), "1001\n", "classes are as they were set");
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    let samples = samples(&finished);
    let most = samples.iter().map(|sample| sample["rows"][0]["sources"].as_array().unwrap().len()).max();
    assert_eq!(most, Some(2));
    assert_eq!((own_groups(&host), host.resctrl("web/mon_groups").read_dir().unwrap().count()), (vec![], 0));
}

#[test]
fn cpus_go_and_come() {
    let host = or_skip!(Simulated::named("twelve"));
    let mut running = start(&host, &["--cpus", "0-1", "--cpus", "7"]);
    wait_until("two groups", || own_groups(&host).len() == 2);
    running.await_output();
    host.mounted.host().take_offline(7);
    wait_until("the end of one", || samples_end_with(&host));
    // Writing a class's CPUs empties those of its groups.
    host.write("cpus_list", "0-6\n");
    wait_until("CPUs again", || {
        let lists = own_groups(&host).into_iter();
        lists.map(|name| host.read(&format!("mon_groups/{name}/cpus_list"))).any(|list| list == "0-1\n")
    });
    // A round in which the CPU was gone from its beginning is shown.
    sleep(Duration::from_secs(1));
    running.interrupt();
    let finished = running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert!(finished.stderr.contains("CPUs 7 are offline"), "{finished:#?}");
    assert_eq!(samples(&finished).last().unwrap()["rows"].as_array().unwrap().len(), 1);
    assert_eq!(own_groups(&host), Vec::<String>::new());
}

/// Whether a group has lost its last CPU.
fn samples_end_with(host: &Simulated) -> bool {
    own_groups(host).iter().any(|name| host.read(&format!("mon_groups/{name}/cpus_list")) == "\n")
}

#[test]
fn who_ends_is_named_and_the_others_go_on() {
    let host = or_skip!(Simulated::named("twelve"));
    let before = host.state();
    let mut running = start(&host, &["--pid", "1000", "2000", "--count", "60"]);
    running.await_output();
    assert!(is_watched(&host, LOOP) && is_watched(&host, STREAM));
    host.mounted.host().machine.exit(STREAM);
    let finished = running.finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(finished.complaints(), ["waytrace: process 2000 has ended"]);
    let samples = samples(&finished);
    let ended = samples.iter().flat_map(|sample| sample["rows"].as_array().unwrap());
    let ended: Vec<&Value> = ended.filter(|row| row["ended"] == true).map(|row| &row["target"]).collect();
    assert_eq!(ended, [&Value::from("2000")]);
    let mut after = host.state();
    after.insert("/tasks".to_owned(), before["/tasks"].clone());
    assert_eq!(after, before);
    // And if nobody is left, that is the end.
    let mut running = start(&host, &["--pid", "1000"]);
    running.await_output();
    host.mounted.host().machine.exit(LOOP);
    let finished = running.finish();
    assert_eq!(finished.code, 1, "{finished:#?}");
    let expected = ["waytrace: process 1000 has ended", "waytrace: nothing is left to watch"];
    assert_eq!(finished.complaints(), expected);
    host.mkdir("web");
    let mut running = start(&host, &["--group", "web"]);
    running.await_output();
    host.rmdir("web");
    let finished = running.finish();
    assert_eq!(finished.code, 1, "{finished:#?}");
    assert_eq!(finished.complaints(), ["waytrace: web is gone", "waytrace: nothing is left to watch"]);
}

#[test]
fn targets_that_cannot_be_watched_are_refused() {
    let mut spec = hosts::twelve();
    spec.monitoring.as_mut().unwrap().rmids = 3;
    let host = or_skip!(Simulated::of(&spec));
    host.mkdir("mon_groups/a");
    host.mkdir("mon_groups/b");
    let before = host.state();
    for (args, needle) in [
        (&["--pid", "1000"][..], "all 3 monitors (RMIDs) of this machine are in use"),
        (&["--cpus", "1"], "all 3 monitors (RMIDs)"),
        (&["--pid", "77"], "no thread or process 77"),
        (&["--group", "gone"], "no class `gone`"),
        (&["--group", "default/gone"], "has no monitoring group `gone`"),
        (&["--cpus", "8"], "no CPU 8 online"),
        (&["--cpus", "x"], "not a CPU list"),
        (&["--interval", "1ms"], "10ms is the least"),
    ] {
        let finished = host.cache(&[&["watch", "--count", "1"], args].concat());
        assert_eq!((finished.code, finished.complaints().len()), (2, 1), "{finished:#?}");
        assert!(finished.stderr.contains(needle), "{needle}: {finished:#?}");
        assert_eq!(host.state(), before, "{args:?}");
    }
    host.rmdir("mon_groups/a");
    for (fault, needle) in [(libc::EBUSY, "all 3 monitors"), (libc::EIO, "Input/output error")] {
        host.fault("sys/fs/resctrl/mon_groups/*", Operation::Mkdir, Effect::Fail(fault));
        let finished = host.cache(&["watch", "--count", "1", "--pid", "1000"]);
        assert!(finished.code == 2 && finished.complaints().len() == 1, "{finished:#?}");
        assert!(finished.stderr.contains(needle), "{finished:#?}");
    }
    // Of two, the group of the first goes with the refusal of the second.
    let before = host.state();
    let finished = host.cache(&["watch", "--pid", "1000", "--cpus", "3"]);
    assert!(finished.code == 2 && finished.stderr.contains("all 3 monitors"), "{finished:#?}");
    assert_eq!(host.state(), before);
    host.mounted.host().set_mounted(false);
    let finished = host.cache(&["watch", "--pid", "1000", "--interface", "msr"]);
    assert!(finished.code == 2 && finished.stderr.contains("only CPUs"), "{finished:#?}");
}

#[test]
fn nothing_is_left_after_any_end() {
    for (interface, whom) in
        [("resctrl", ["--pid", "1000"]), ("resctrl", ["--cpus", "3"]), ("msr", ["--cpus", "3"])]
    {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGKILL] {
            let host = or_skip!(Simulated::named("twelve"));
            host.mounted.host().set_mounted(interface == "resctrl");
            let before = host.state();
            let running = start(&host, &[&whom[..], &["--interface", interface]].concat());
            wait_until("a monitor", || {
                let machine = &host.mounted.host().machine;
                machine.control.pqr[3].rmid != 0 || machine.tasks[&LOOP].rmid != 0
            });
            running.signal(signal);
            let finished = running.finish();
            if [libc::SIGINT, libc::SIGTERM].contains(&signal) {
                assert_eq!(finished.code, 0, "{finished:#?}");
            }
            // After the other two it is the watchdog's.
            wait_until("the state before", || host.state() == before);
        }
    }
}

/// On a terminal the picture is drawn anew: it grows and shrinks with what is watched, and nothing of the one before shows.
#[test]
fn on_a_terminal_the_picture_is_drawn_anew() {
    let host = or_skip!(Simulated::named("twelve"));
    host.mkdir("web");
    let before = host.state();
    let mut terminal = Terminal::start(&mut host.command(&["watch", "--interval", "50ms"]), 24, 100);
    terminal.wait_for("web");
    let first = |terminal: &Terminal| terminal.contents().lines().next().unwrap_or_default().to_owned();
    assert!(
        first(&terminal).starts_with("simulated host: figures of no machine, "),
        "{}",
        terminal.contents()
    );
    // What was above is gone: there is one title, and the time has gone on.
    let early = first(&terminal);
    terminal.wait_until("another picture", |terminal| first(terminal) != early);
    let titles = |terminal: &Terminal| terminal.contents().matches("OCCUPANCY").count();
    assert_eq!(titles(&terminal), 1);
    host.mkdir("web/mon_groups/late");
    terminal.wait_for("web/late");
    host.rmdir("web/mon_groups/late");
    terminal.wait_without("web/late");
    // Numbers come and go in their places. One picture is there for a moment only, so there is traffic until it is seen; how much a second
    // depends on how fast a second is simulated.
    terminal.wait_until("traffic", |terminal| {
        host.mounted.step(200_000_000);
        terminal.contents().contains("iB/s")
    });
    terminal.wait_without("iB/s");
    assert_eq!(titles(&terminal), 1);
    terminal.resize(24, 60);
    terminal.wait_until("a narrower picture", |terminal| {
        titles(terminal) == 1 && terminal.contents().lines().all(|line| line.trim_end().chars().count() <= 60)
    });
    terminal.press("\u{3}");
    assert_eq!(terminal.finish(), 0);
    assert_eq!(host.state(), before);
}
