//! Changes whose process is ended at a random moment: whoever takes them back, all is as before, byte for byte.
//!
//! A few dozen here; `cargo xtask bench kills` runs the same a thousand times (`WAYTRACE_KILLS`), and reads what came of it from
//! the file it names in `WAYTRACE_KILLS_JSON`. Times until all was as before are told, never asserted.

mod driver;
mod host;
pub mod tally;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use waytrace_model::cache_report::Interface;
use waytrace_simhost::faults::{Effect, Fault, Operation};

use crate::harness::waytrace::{Running, command};
use host::Divided;
use tally::{Random, Tally};

/// The process whose threads are moved: three from this number on.
const TARGET: u32 = 3000;
/// Longest wait for changes to be taken back; longer is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

const HOSTS: [(&str, Interface); 8] = [
    ("twelve", Interface::Resctrl),
    ("twelve", Interface::Msr),
    ("two-sockets", Interface::Resctrl),
    ("two-sockets", Interface::Msr),
    ("cdp", Interface::Resctrl),
    ("amd", Interface::Resctrl),
    ("no-monitoring", Interface::Resctrl),
    ("no-monitoring", Interface::Msr),
];

/// How the process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// `kill -9`: the watchdog takes back.
    Kill,
    /// `kill -9` of both: `doctor --restore` does.
    KillBoth,
    /// `kill`.
    Terminate,
    /// Its target ends, and then it is killed.
    TargetDeath,
    /// An operation fails: it takes back itself.
    Fault,
}

impl End {
    const ALL: [(Self, &str); 5] = [
        (Self::Kill, "SIGKILL"),
        (Self::KillBoth, "SIGKILL of the watchdog, too"),
        (Self::Terminate, "SIGTERM"),
        (Self::TargetDeath, "target death"),
        (Self::Fault, "injected fault"),
    ];
}

/// Who makes the changes.
type Start = fn(&Divided) -> Child;

#[test]
fn changes_are_taken_back_however_their_process_ends() {
    run("changes", |host| {
        driver::start(host.simulated.mounted.path(), host.simulated.run_dir(), host.interface)
    });
}

#[test]
fn sweeps_are_taken_back_however_they_end() {
    run("sweep", |host| {
        host.simulated.mounted.thaw();
        let db = host.store.path().join("runs.db");
        let mut sweep = host.simulated.command(&["sweep", "--pid", &TARGET.to_string()]);
        sweep.arg("--db").arg(db).args(["--window", "5ms", "--settle-cap", "20ms", "--repeats", "1000"]);
        if host.interface == Interface::Msr {
            // One is in a class, and one is monitored by somebody.
            sweep.args(["--interface", "msr", "--cpus", "0,2,3"]);
        }
        // By turns with a co-runner that stays, and with everybody else confined.
        let turn = host.turn.replace(host.turn.get() + 1);
        if turn & 1 != 0 {
            sweep.args(["--pressure", "4MiB"]);
        }
        if turn & 2 != 0 {
            sweep.arg("--other-class");
        }
        sweep.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    });
}

fn run(what: &str, start: Start) {
    let kills: u64 = std::env::var("WAYTRACE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let mut hosts = Vec::new();
    for (name, interface) in HOSTS {
        hosts.push(crate::or_skip!(Divided::new(name, interface)));
    }
    let mut random = Random::new(kills);
    let mut tallies = Vec::new();
    let mut changing = 0;
    for (end, name) in End::ALL {
        let mut tally = Tally::new(what, name);
        let rounds = if end == End::Kill { kills } else { kills.div_ceil(5) };
        for (_, host) in (0..rounds).zip(hosts.iter().cycle()) {
            tally.add(&host.name, one(host, end, start, &mut random, &mut changing));
        }
        tallies.push(tally);
    }
    tally::write(&tallies);
    // Otherwise nothing was tried: most must have been in the midst of it.
    let all: usize = tallies.iter().map(Tally::count).sum();
    assert!(changing * 2 > all, "only {changing} of {all} had changed anything when they were ended");
    let failed: Vec<&String> = tallies.iter().flat_map(|tally| &tally.failures).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Starts, ends and compares. How long it took from the end until all was as before, or what was not.
fn one(
    host: &Divided,
    end: End,
    start: Start,
    random: &mut Random,
    changing: &mut usize,
) -> Result<Duration, String> {
    if end == End::Fault {
        inject(host, random);
    }
    let mut child = start(host);
    // Most moments are those of changes; some are before there are any.
    let at_once = random.below(8) == 0;
    while !at_once && host.journals() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_micros(random.below(120_000)));
    *changing += usize::from(host.journals() > 0);
    let began = Instant::now();
    let deadline = began + PATIENCE;
    match end {
        End::Kill => child.kill().unwrap(),
        End::KillBoth => kill_both(host, &mut child, random),
        End::Terminate => signal(child.id(), libc::SIGTERM),
        End::TargetDeath => {
            host.simulated.mounted.host().machine.exit(TARGET);
            std::thread::sleep(Duration::from_micros(random.below(20_000)));
            child.kill().unwrap();
        }
        // It ends by itself, unless the fault never came due.
        End::Fault => child.kill().unwrap(),
    }
    child.wait().unwrap();
    if end == End::KillBoth {
        restore(host)?;
    }
    let taken = await_quiet(host, began, deadline);
    host.tidy();
    host.simulated.mounted.host().faults.clear();
    if end == End::TargetDeath {
        host.start_target();
        if host.interface == Interface::Resctrl {
            host.place_target();
        }
    }
    let different = host.differences();
    if different.is_empty() { Ok(taken) } else { Err(different.join("; ")) }
}

/// Waits until no journal is there any more, and all is as before or will not be.
fn await_quiet(host: &Divided, began: Instant, deadline: Instant) -> Duration {
    while Instant::now() < deadline && host.journals() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    began.elapsed()
}

/// Both die, in either order, the second perhaps while the first's changes are being taken back.
fn kill_both(host: &Divided, child: &mut Child, random: &mut Random) {
    let watchdog = watchdog(host.simulated.run_dir());
    let first_watchdog = random.below(2) == 0;
    let kill_watchdog = || {
        if let Some(pid) = watchdog {
            signal(pid, libc::SIGKILL);
        }
    };
    if first_watchdog {
        kill_watchdog();
    }
    child.kill().unwrap();
    if !first_watchdog {
        std::thread::sleep(Duration::from_micros(random.below(3_000)));
        kill_watchdog();
    }
}

fn restore(host: &Divided) -> Result<(), String> {
    let root = host.simulated.mounted.path().to_str().unwrap();
    let mut command = command(&["doctor", "--restore", "--host-root", root]);
    let finished = Running::start(command.env("WAYTRACE_RUN_DIR", host.simulated.run_dir())).finish();
    if finished.code == 0 { Ok(()) } else { Err(format!("{finished:?}")) }
}

/// The next operations of some kind fail, once there were a few.
fn inject(host: &Divided, random: &mut Random) {
    let files: &[(&str, Operation)] = match host.interface {
        Interface::Resctrl => &[
            ("sys/fs/resctrl/*schemata", Operation::Write),
            ("sys/fs/resctrl/*schemata", Operation::Read),
            ("sys/fs/resctrl/*tasks", Operation::Write),
            ("sys/fs/resctrl/*tasks", Operation::Open),
            ("sys/fs/resctrl/*", Operation::Mkdir),
            ("sys/fs/resctrl/*", Operation::Rmdir),
            ("proc/mounts", Operation::Read),
        ],
        Interface::Msr => &[
            ("dev/cpu/*/msr", Operation::Write),
            ("dev/cpu/*/msr", Operation::Read),
            ("proc/mounts", Operation::Read),
        ],
    };
    let (pattern, operation) = files[random.below(files.len() as u64) as usize];
    let errno = [libc::EIO, libc::EBUSY][random.below(2) as usize];
    let fault = Fault {
        pattern: pattern.to_owned(),
        operation,
        nth: 1 + random.below(40),
        times: 1 + random.below(2),
        effect: Effect::Fail(errno),
    };
    host.simulated.mounted.host().faults.add(fault);
}

/// The process that watches a journal of this directory.
fn watchdog(run: &Path) -> Option<u32> {
    let run = run.to_str().unwrap();
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        words.contains("undo-watchdog") && words.contains(run)
    })
}

fn signal(pid: u32, signal: libc::c_int) {
    // SAFETY: kill passes no pointers; the process is a child of this test or of one.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}
