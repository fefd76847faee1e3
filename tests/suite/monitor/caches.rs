//! The collector `cache` on simulated hosts: what windows tell is what the model moved, whom it follows, and what it leaves.
//!
//! A target is a process of this machine, which the kernel tells of, and under the same number a task of the simulated host.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use waytrace_model::monitor::{CollectorShare, HostWindow, Metric, ShareState, TargetWindow};
use waytrace_simhost::hosts;
use waytrace_simhost::model::machine::Machine;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;

use super::{Monitor, of, total};
use crate::cli_cache_watch::{allocation, wait_until};
use crate::harness::live;
use crate::harness::simulated::{LOOP, Simulated};
use crate::harness::waytrace::{Store, run};
use crate::or_skip;

const WINDOW: &str = "300ms";
/// Long against a window, so that pieces of simulated time fall into different ones.
const PAUSE: Duration = Duration::from_millis(700);

/// A process that sleeps here, and on the host misses always.
struct Process(Child);

impl Process {
    fn start(host: &Simulated, cpu: usize) -> Self {
        Self::of(host, cpu, Path::new("sleep"))
    }

    /// The same of a program of that name.
    fn of(host: &Simulated, cpu: usize, program: &Path) -> Self {
        let process = Self(Command::new(program).arg("600").spawn().unwrap());
        let workload = Workload::of(Program::Stream);
        let (tgid, tid) = (process.pid(), process.pid());
        host.mounted.host().start(TaskSpec { tgid, tid, cpu, workload });
        process
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn target(&self) -> String {
        format!("pid-{}", self.pid())
    }

    /// The monitor its lines count for; 0 is its class's.
    fn rmid(&self, host: &Simulated) -> u16 {
        host.mounted.host().machine.tasks[&self.pid()].rmid
    }

    /// Ends it, here and there.
    fn end(mut self, host: &Simulated) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        host.mounted.host().machine.exit(self.pid());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A monitor of processes of a host.
fn start(host: &Simulated, processes: &[&Process], args: &[&str]) -> Monitor {
    // Windows this short, of files that another process answers for, take more than the usual budget leaves the collector.
    start_within(host, &super::ANY_COST, processes, args)
}

/// The same, within a budget.
fn start_within(host: &Simulated, budget: &[&str], processes: &[&Process], args: &[&str]) -> Monitor {
    let pids: Vec<String> = processes.iter().map(|process| process.pid().to_string()).collect();
    let root = host.mounted.path().to_str().unwrap();
    let mut all = vec!["--window", WINDOW, "--host-root", root];
    all.extend(budget);
    pids.iter().for_each(|pid| all.extend(["--pid", pid]));
    all.extend(args);
    Monitor::start_with(&all, |command| {
        command.env("WAYTRACE_RUN_DIR", host.run_dir());
    })
}

/// Lets simulated time pass, most of it at once, where each piece has windows before and after it.
fn let_pass(host: &Simulated, pieces: u32) {
    for _ in 0..pieces {
        host.mounted.step(500_000_000);
        sleep(PAUSE);
    }
}

fn share(window: &HostWindow) -> &CollectorShare {
    window.collectors.iter().find(|share| share.name == "cache").unwrap()
}

fn absent(window: &TargetWindow) -> &str {
    window.absent.get("cache").map_or("", String::as_str)
}

/// Groups of the default class that waytrace made.
fn own_groups(host: &Simulated) -> Vec<String> {
    let entries = std::fs::read_dir(host.resctrl("mon_groups")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("waytrace-monitor-")).collect()
}

#[test]
fn windows_tell_what_the_model_moved_and_nothing_is_left() {
    for (name, unit) in [("twelve", 65_536), ("two-sockets", 65_536), ("amd", 64)] {
        let host = or_skip!(Simulated::named(name));
        let _turn = or_skip!(live::turn());
        let process = Process::start(&host, 2);
        let (untouched, allocated) = (host.state(), allocation(&host));
        let mut monitor = start(&host, &[&process], &[]);
        monitor.await_line("simulated host");
        wait_until("a monitor", || process.rmid(&host) != 0);
        let rmid = process.rmid(&host);
        let sum = |of: fn(&Machine, usize, u16) -> u64| {
            let host = host.mounted.host();
            let spec = host.machine.spec();
            let caches = 0..spec.sockets * spec.caches_per_socket;
            caches.map(|cache| of(&host.machine, cache, rmid)).sum::<u64>()
        };
        let traffic = || sum(Machine::traffic_bytes);
        let before = traffic();
        let_pass(&host, 3);
        let moved = traffic() - before;
        assert_eq!(allocation(&host), allocated, "monitoring changes no allocation");
        monitor.await_windows(3);
        // With its group goes what the monitor has counted.
        let held = sum(Machine::occupancy_bytes);
        let windows = monitor.stop();
        let target = process.target();
        let sums = total(&windows, &target);
        for metric in [Metric::MemoryTraffic, Metric::LocalTraffic] {
            let told = sums.get(metric).unwrap();
            let difference = (told - moved as f64).abs();
            assert!(difference <= unit as f64, "{name}: {metric:?} {told}, moved {moved}");
        }
        let told = sums.get(Metric::LlcOccupancy).unwrap();
        assert!(held > 1 << 20 && (told - held as f64).abs() <= unit as f64, "{name}: {told}, holds {held}");
        for window in &windows {
            assert_eq!(share(window).state, ShareState::Full, "{name}: {:?}", share(window));
            assert_eq!(share(window).reason.as_deref(), Some("simulated host: figures of no machine"));
        }
        assert_eq!(of(&windows, &target).map(absent).collect::<String>(), "");
        assert!(windows.iter().map(|window| share(window).tool_cpu_pct).sum::<f64>() > 0.0);
        assert_eq!(host.state(), untouched, "{name}");
    }
}

#[test]
fn what_the_hardware_does_not_tell_is_absent_and_says_why() {
    let host = or_skip!(Simulated::named("broken"));
    let _turn = or_skip!(live::turn());
    let process = Process::start(&host, 2);
    let mut monitor = start(&host, &[&process], &[]);
    monitor.await_windows(3);
    let windows = monitor.stop();
    let told = of(&windows, &process.target()).nth(1).unwrap();
    assert_eq!(
        absent(told),
        "llc_occupancy: the hardware answered with an error; mbm_total_bytes: the hardware had no value; \
         mbm_local_bytes: no counter is assigned to its monitoring group"
    );
    for metric in [Metric::LlcOccupancy, Metric::MemoryTraffic, Metric::LocalTraffic] {
        assert_eq!(told.values.get(metric), None);
    }
    drop(host);
    let host = or_skip!(Simulated::named("no-monitoring"));
    let process = Process::start(&host, 2);
    let mut monitor = start(&host, &[&process], &[]);
    monitor.await_windows(1);
    let windows = monitor.stop();
    let CollectorShare { state, reason, .. } = share(&windows[0]);
    assert_eq!(*state, ShareState::Unavailable);
    assert!(reason.as_ref().unwrap().contains("no cache monitoring"), "{reason:?}");
}

#[test]
fn with_too_few_monitors_it_says_who_has_none() {
    let mut spec = hosts::twelve();
    // One is the default class's, and one stays free for others.
    spec.monitoring.as_mut().unwrap().rmids = 4;
    let host = or_skip!(Simulated::of(&spec));
    let _turn = or_skip!(live::turn());
    let processes = [2, 3, 4].map(|cpu| Process::start(&host, cpu));
    let mut monitor = start(&host, &processes.each_ref(), &[]);
    monitor.await_windows(2);
    assert_eq!(own_groups(&host).len(), 2);
    let (without, with): (Vec<&Process>, Vec<&Process>) =
        processes.iter().partition(|process| process.rmid(&host) == 0);
    assert_eq!((without.len(), with.len()), (1, 2));
    let (left, first) = (without[0].pid(), with[0].pid());
    let names = [without[0].target(), with[1].target()];
    // Its monitor is free again when its lines are gone.
    let [ended, others @ ..] = {
        let mut processes = processes;
        processes.sort_by_key(|process| process.pid() != first);
        processes
    };
    ended.end(&host);
    let left = others.iter().find(|process| process.pid() == left).unwrap();
    wait_until("a monitor that is free again", || {
        host.mounted.step(1_000_000_000);
        left.rmid(&host) != 0
    });
    monitor.await_windows(3);
    let windows = monitor.stop();
    let [lacking, other] = &names;
    let before: Vec<&TargetWindow> = of(&windows, lacking).take(2).collect();
    for window in before {
        assert_eq!(absent(window), "all monitors (RMIDs) this machine can spare are in use");
    }
    let CollectorShare { state, reason, .. } = share(&windows[1]);
    assert_eq!(*state, ShareState::Reduced);
    assert!(reason.as_ref().unwrap().contains(&format!("not {lacking}: all monitors")), "{reason:?}");
    for name in [lacking, other] {
        let last = of(&windows, name).last().unwrap();
        assert!(last.values.get(Metric::MemoryTraffic).is_some(), "{name}: {}", absent(last));
    }
    assert_eq!(own_groups(&host), Vec::<String>::new());
}

#[test]
fn a_group_somebody_removes_is_made_again() {
    let host = or_skip!(Simulated::named("twelve"));
    let _turn = or_skip!(live::turn());
    let process = Process::start(&host, 2);
    let mut monitor = start(&host, &[&process], &[]);
    wait_until("a monitor", || process.rmid(&host) != 0);
    monitor.await_windows(1);
    let made = own_groups(&host);
    host.rmdir(&format!("mon_groups/{}", made[0]));
    wait_until("another group", || process.rmid(&host) != 0);
    // Under its name: the journal does not grow by it.
    assert_eq!(own_groups(&host), made);
    monitor.await_windows(3);
    let windows = monitor.stop();
    let told: Vec<&TargetWindow> = of(&windows, &process.target()).collect();
    let removed = told.iter().filter(|window| absent(window).contains("somebody else removed"));
    assert_eq!(removed.count(), 1, "{:?}", told.iter().map(|window| absent(window)).collect::<Vec<_>>());
    let last = told.last().unwrap();
    assert_eq!((absent(last), last.values.get(Metric::MemoryTraffic)), ("", Some(0.0)));
}

#[test]
fn a_group_of_others_is_read_and_not_taken() {
    let host = or_skip!(Simulated::named("twelve"));
    let _turn = or_skip!(live::turn());
    let process = Process::start(&host, 2);
    host.mkdir("mon_groups/theirs");
    host.write("mon_groups/theirs/tasks", &format!("{}\n", process.pid()));
    let before = host.state();
    let mut monitor = start(&host, &[&process], &[]);
    monitor.await_windows(2);
    assert_eq!(host.state(), before, "nothing is made and nobody moved");
    // Another is in it from now on, and what is read there is not the target's alone.
    host.write("mon_groups/theirs/tasks", &format!("{LOOP}\n"));
    monitor.await_windows(4);
    let windows = monitor.stop();
    let told: Vec<&TargetWindow> = of(&windows, &process.target()).collect();
    assert_eq!((absent(told[0]), told[0].values.get(Metric::MemoryTraffic)), ("", Some(0.0)));
    let last = told.last().unwrap();
    assert_eq!(last.values.get(Metric::MemoryTraffic), None);
    assert!(absent(last).contains("shares the monitoring group default/theirs"), "{}", absent(last));
}

#[test]
fn processes_are_monitored_as_they_come_and_strays_go_home() {
    let host = or_skip!(Simulated::named("twelve"));
    let _turn = or_skip!(live::turn());
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("wt-caches");
    std::fs::copy("/bin/sleep", &program).unwrap();
    let first = Process::of(&host, 2, &program);
    host.mkdir("web");
    let mut monitor = start(&host, &[], &["--comm", "wt-caches"]);
    wait_until("the first", || first.rmid(&host) != 0);
    let second = Process::of(&host, 3, &program);
    wait_until("one that came", || second.rmid(&host) == first.rmid(&host));
    // A thread that was born in its group and is none of its.
    let rmid = first.rmid(&host);
    host.mounted.host().machine.tasks.get_mut(&LOOP).unwrap().rmid = rmid;
    wait_until("a stray at home", || host.mounted.host().machine.tasks[&LOOP].rmid == 0);
    // Another class needs another group, and the class stays.
    host.write("web/tasks", &format!("{}\n", second.pid()));
    wait_until("a group in its new class", || {
        std::fs::read_dir(host.resctrl("web/mon_groups")).unwrap().count() == 1
    });
    assert_eq!(host.read("web/tasks"), format!("{}\n", second.pid()));
    monitor.await_windows(2);
    let windows = monitor.stop();
    let last = of(&windows, "wt-caches").last().unwrap();
    assert_eq!(last.values.get(Metric::MemoryTraffic), Some(0.0), "{}", absent(last));
    assert_eq!(own_groups(&host), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(host.resctrl("web/mon_groups")).unwrap().count(), 0);
}

#[test]
fn a_target_that_is_to_be_spared_has_no_group() {
    let host = or_skip!(Simulated::named("twelve"));
    let _turn = or_skip!(live::turn());
    let (spared, other) = (Process::start(&host, 2), Process::start(&host, 3));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("waytrace.toml");
    let text = format!("[[target]]\nname = \"spared\"\npid = {}\nleave_out = [\"cache\"]\n", spared.pid());
    std::fs::write(&config, text).unwrap();
    let mut monitor = start(&host, &[&other], &["--config", config.to_str().unwrap()]);
    wait_until("a monitor", || other.rmid(&host) != 0);
    monitor.await_windows(3);
    assert_eq!((spared.rmid(&host), own_groups(&host).len()), (0, 1));
    let windows = monitor.stop();
    let last = of(&windows, "spared").last().unwrap();
    assert_eq!(absent(last), "left out for this target by the configuration");
    assert_eq!(last.values.get(Metric::LlcOccupancy), None);
    assert_eq!(absent(of(&windows, &other.target()).last().unwrap()), "");
    assert_eq!(share(windows.last().unwrap()).state, ShareState::Full);
}

#[test]
fn where_the_budget_has_no_room_there_is_no_group_and_it_says_so() {
    let host = or_skip!(Simulated::named("twelve"));
    let _turn = or_skip!(live::turn());
    let process = Process::start(&host, 2);
    let before = host.state();
    let mut monitor = start_within(&host, &["--budget", "0.01%"], &[&process], &[]);
    monitor.await_windows(4);
    assert_eq!((own_groups(&host), process.rmid(&host)), (Vec::new(), 0));
    let windows = monitor.stop();
    let CollectorShare { state, reason, .. } = share(windows.last().unwrap());
    assert_eq!(*state, ShareState::Paused);
    assert!(reason.as_ref().unwrap().contains("a quarter of the budget"), "{reason:?}");
    let last = of(&windows, &process.target()).last().unwrap();
    assert_eq!(last.values.get(Metric::LlcOccupancy), None);
    assert!(absent(last).contains("budget"), "{}", absent(last));
    assert_eq!(host.state(), before);
}

#[test]
fn killed_it_leaves_no_group() {
    let host = or_skip!(Simulated::named("twelve"));
    let _turn = or_skip!(live::turn());
    let process = Process::start(&host, 2);
    let before = host.state();
    let killed = |with_watchdog: bool| {
        let monitor = start(&host, &[&process], &[]);
        wait_until("a monitor", || process.rmid(&host) != 0);
        let watchdog = child_of(monitor.pid());
        if with_watchdog {
            kill(watchdog);
        }
        monitor.signal(libc::SIGKILL);
        assert_eq!(monitor.finish().code, -libc::SIGKILL);
    };
    killed(false);
    wait_until("the state before", || host.state() == before);
    // With its watchdog killed as well it is the next one's, which has a group of another name.
    killed(true);
    let left = own_groups(&host);
    assert_eq!(left.len(), 1);
    let mut monitor = start(&host, &[&process], &[]);
    wait_until("a group in its place", || {
        let now = own_groups(&host);
        now.len() == 1 && now != left && process.rmid(&host) != 0
    });
    monitor.await_windows(1);
    monitor.stop();
    assert_eq!(host.state(), before);
    // Or `doctor --restore`'s.
    killed(true);
    let root = host.mounted.path().to_str().unwrap();
    let mut restore = crate::harness::waytrace::command(&["doctor", "--restore", "--host-root", root]);
    let status = restore.env("WAYTRACE_RUN_DIR", host.run_dir()).output().unwrap();
    assert!(status.status.success(), "{status:?}");
    assert_eq!(host.state(), before);
}

/// The watchdog: the only child of a monitor.
fn child_of(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let of_threads =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let all = of_threads.fold(children, |all, some| all + " " + &some);
    all.split_whitespace().next().unwrap().parse().unwrap()
}

fn kill(pid: u32) {
    // SAFETY: kill has no memory preconditions; the process is a child of one that was started here and lives.
    assert_eq!(unsafe { libc::kill(pid as i32, libc::SIGKILL) }, 0);
}

#[test]
fn metrics_history_and_top_carry_the_numbers() {
    let host = or_skip!(Simulated::named("twelve"));
    let _turn = or_skip!(live::turn());
    let process = Process::start(&host, 2);
    let store = Store::new();
    let address = free_address();
    let mut monitor = start(&host, &[&process], &["--listen", &address, "--db", &store.arg()]);
    wait_until("a monitor", || process.rmid(&host) != 0);
    let_pass(&host, 2);
    monitor.await_windows(2);
    let page = get(&address, "/metrics");
    for family in ["llc_occupancy_bytes", "mbm_bytes_total", "mbm_local_bytes_total"] {
        let name = format!("waytrace_target_{family}{{target=\"{}\"}} ", process.target());
        let value =
            page.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{page}"));
        assert!(value.parse::<f64>().unwrap() > 0.0, "{family} {value}");
    }
    assert!(page.contains("waytrace_collector_state{collector=\"cache\",state=\"full\"} 1"), "{page}");
    monitor.stop();
    let connection = rusqlite::Connection::open(store.path()).unwrap();
    let sum: f64 = connection
        .query_row("SELECT sum(mbm_local_bytes) FROM monitor_target_window WHERE windows = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(sum > 0.0);
    let root = host.mounted.path().to_str().unwrap();
    let pid = process.pid().to_string();
    let args = ["top", "--once", "--json", "--interval", "500ms", "--pid", &pid, "--host-root", root];
    let finished = run(&args);
    let window: HostWindow =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:#?}"));
    let windows = [window];
    let told = of(&windows, &process.target()).next().unwrap();
    assert!(told.values.get(Metric::LlcOccupancy).is_some(), "{}", absent(told));
    assert_eq!(own_groups(&host), Vec::<String>::new());
}

/// An address nobody listens at.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
