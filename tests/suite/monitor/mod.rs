//! `monitor` on processes of known truth: what windows add up to, who is found, what survives what.

mod caches;
mod clocks;
mod disk;
mod ends;
mod found;
mod held_up;
mod killed;
mod leak;
mod reload;
mod samples;
mod storms;
mod truth;
mod unreachable;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use waytrace_model::monitor::{HostWindow, Metric, TargetWindow, Values};

use crate::harness::pipes::DEADLINE;
use crate::harness::waytrace::{Finished, Running, command};

/// As arguments: windows as short as those of tests cost more than the usual budget has, of which there would be an alert.
pub const ANY_COST: [&str; 2] = ["--budget", "100%"];

/// A monitor under way, which prints its windows.
pub struct Monitor(Running);

impl Monitor {
    /// Starts it and waits until it watches.
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, |_| ())
    }

    /// The same, with a say in how it is started.
    pub fn start_with(args: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = command(&["monitor", "--json"]);
        command.args(args);
        prepare(&mut command);
        let mut running = Running::start(&mut command);
        running.await_line("watching");
        Self(running)
    }

    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    pub fn signal(&self, signal: i32) {
        self.0.signal(signal);
    }

    /// What `/metrics` says of one, labels and all, now; `None` where it is not told. For a monitor that listens.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let address = self.0.said("answering at http://").expect("it does not listen");
        let page = get(address, "/metrics");
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until it says so of a metric.
    pub fn await_metric(&self, name: &str, is_so: impl Fn(f64) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !self.metric(name).is_some_and(&is_so) {
            assert!(Instant::now() < deadline, "{name} is {:?}", self.metric(name));
            sleep(Duration::from_millis(50));
        }
    }

    /// Waits for a line on stderr.
    pub fn await_line(&mut self, part: &str) {
        self.0.await_line(part);
    }

    /// Waits for so many windows from now on.
    pub fn await_windows(&mut self, count: usize) {
        self.0.skip_output();
        (0..count).for_each(|_| {
            self.0.await_output();
        });
    }

    /// Waits for its end, without asking for it.
    pub fn finish(self) -> Finished {
        self.0.finish()
    }

    /// Ends it as a service manager does, and gives all windows.
    pub fn stop(self) -> Vec<HostWindow> {
        self.0.signal(libc::SIGTERM);
        let finished = self.0.finish();
        assert_eq!(finished.code, 0, "{finished:#?}");
        windows(&finished)
    }
}

/// The body of an answer.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
    body.to_owned()
}

/// Windows, as they were measured, that a history keeps. Fails where SQLite finds it damaged.
pub fn stored(database: &Path) -> u64 {
    let connection = rusqlite::Connection::open(database).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let count: i64 = connection
        .query_row("SELECT count(*) FROM monitor_window WHERE step_ns = 0", [], |row| row.get(0))
        .unwrap();
    u64::try_from(count).unwrap()
}

/// The windows on stdout.
pub fn windows(finished: &Finished) -> Vec<HostWindow> {
    let window = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    finished.stdout.lines().map(window).collect()
}

/// What a target's amounts come to in all windows; levels are those of the last.
pub fn total(windows: &[HostWindow], target: &str) -> Values {
    let mut sums: BTreeMap<Metric, f64> = BTreeMap::new();
    for window in of(windows, target) {
        for (metric, value) in window.values.iter() {
            let sum = sums.entry(metric).or_default();
            *sum = match metric.fold() {
                waytrace_model::monitor::Fold::Sum => *sum + value,
                _ => value,
            };
        }
    }
    sums.into_iter().collect()
}

/// The windows of a target.
pub fn of<'a>(windows: &'a [HostWindow], target: &str) -> impl Iterator<Item = &'a TargetWindow> + use<'a> {
    let target = target.to_owned();
    windows.iter().flat_map(|window| &window.targets).filter(move |window| window.target == target)
}
