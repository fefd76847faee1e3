//! Targets that are not there, not allowed or not what they seem: one clear line, exit code 2, nothing half-written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::harness::live;
use crate::harness::skip;
use crate::harness::waytrace::{Finished, Running, Store, binary};
use crate::harness::workload::Start;
use crate::or_skip;

/// A child that is killed and waited for when dropped.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Exit code 2, one line that has every word, nothing on stdout, no run in the store.
fn assert_refused(finished: &Finished, store: &Store, words: &[&str]) {
    assert_eq!(finished.code, 2, "{finished:#?}");
    assert_eq!(finished.stdout, "", "{finished:#?}");
    assert_eq!(finished.complaints().len(), 1, "not one line: {finished:#?}");
    for word in words {
        assert!(finished.stderr.to_lowercase().contains(&word.to_lowercase()), "no `{word}`: {finished:#?}");
    }
    assert_eq!(store.run_count(), 0);
}

fn refused(args: &[&str], words: &[&str]) {
    let store = Store::new();
    let mut all = vec!["profile", "--duration", "1s"];
    all.extend(args);
    assert_refused(&store.run(&all), &store, words);
}

/// A pid beyond any the kernel gives out.
fn no_such_pid() -> String {
    let max: u32 = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
    (max + 1).to_string()
}

#[test]
fn no_such_process() {
    let _turn = or_skip!(live::turn());
    let pid = no_such_pid();
    refused(&["--pid", &pid], &[&pid]);
    refused(&["--tid", &pid], &[&pid]);
    refused(&["--comm", "no-such-name-here"], &["no-such-name-here"]);
    refused(&["--cgroup", "/sys/fs/cgroup/no/such/group"], &["/sys/fs/cgroup/no/such/group"]);
}

#[test]
fn a_command_that_does_not_exist() {
    let _turn = or_skip!(live::turn());
    refused(&["--", "/no/such/program"], &["/no/such/program"]);
}

#[test]
fn a_kernel_thread() {
    let _turn = or_skip!(live::turn());
    let is_kthreadd = fs::read_to_string("/proc/2/comm").is_ok_and(|comm| comm.trim() == "kthreadd");
    or_skip!(is_kthreadd.then_some(()).ok_or("pid 2 is not a kernel thread in this PID namespace"));
    refused(&["--pid", "2"], &["2", "kernel thread"]);
}

#[test]
fn a_zombie() {
    let _turn = or_skip!(live::turn());
    let child = Guard(Command::new("true").spawn().unwrap());
    let pid = child.0.id().to_string();
    let stat = format!("/proc/{pid}/stat");
    while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
        sleep(Duration::from_millis(5));
    }
    refused(&["--pid", &pid], &[&pid, "zombie"]);
}

/// A process may end at any point of the attachment: it is refused or measured to its end, never an internal error.
#[test]
fn a_process_that_ends_between_checks() {
    let _turn = or_skip!(live::turn());
    for delay_ms in (0..400).step_by(40) {
        let sleeper = Command::new("sleep").arg(format!("0.{delay_ms:03}")).spawn().unwrap();
        let mut sleeper = Guard(sleeper);
        let pid = sleeper.0.id();
        // Someone must wait for it, else it stays a zombie.
        let waiter = std::thread::spawn(move || sleeper.0.wait());
        let store = Store::new();
        let finished = store.run(&["profile", "--pid", &pid.to_string(), "--duration", "5s"]);
        assert!([0, 2].contains(&finished.code), "after {delay_ms} ms: {finished:#?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:#?}");
        assert_eq!(store.run_count(), u64::from(finished.code == 0));
        waiter.join().unwrap().unwrap();
    }
}

#[test]
fn an_unknown_event() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let pid = workload.pid().to_string();
    refused(&["--pid", &pid, "--events", "page-faults,no-such-event"], &["no-such-event"]);
}

#[test]
fn no_permission() {
    let _turn = or_skip!(live::turn());
    or_skip!(skip::program("setpriv", "util-linux"));
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let store = Store::new();
    // The build folder may be closed to others; so may the store's, unless opened.
    fs::set_permissions(store.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    let copy = store.folder().join("waytrace");
    fs::copy(binary(), &copy).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"]).arg(copy);
    command.args(["profile", "--duration", "1s", "--db", &store.arg(), "--pid", &workload.pid().to_string()]);
    command.stdin(Stdio::null()).current_dir("/");
    let finished = Running::start(&mut command).finish();
    assert_refused(&finished, &store, &["CAP_"]);
}

/// The commands that only read the store need no rights at all.
#[test]
fn reading_needs_no_permission() {
    or_skip!(skip::program("setpriv", "util-linux"));
    let store = Store::new();
    fs::set_permissions(store.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    let copy = store.folder().join("waytrace");
    fs::copy(binary(), &copy).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(copy);
    command.args(["list", "--json", "--db", &store.arg()]).stdin(Stdio::null()).current_dir("/");
    let finished = Running::start(&mut command).finish();
    assert_eq!(finished.code, 0, "{finished:#?}");
}

/// The exit code of a command that waytrace started is its own.
#[test]
fn the_commands_exit_code_is_kept() {
    let _turn = or_skip!(live::turn());
    for code in [0, 1, 7, 200] {
        let store = Store::new();
        let finished = store.run(&["profile", "--", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(finished.code, code, "{finished:#?}");
        assert_eq!(store.run_count(), 1);
    }
}

/// What the command prints goes where it printed it; waytrace adds its summary after it.
#[test]
fn the_commands_output_is_its_own() {
    let _turn = or_skip!(live::turn());
    let store = Store::new();
    let finished = store.run(&["profile", "--json", "--", "sh", "-c", "echo to-stdout; echo to-stderr >&2"]);
    assert!(finished.stdout.starts_with("to-stdout\n"), "{finished:#?}");
    assert!(finished.stderr.contains("to-stderr"), "{finished:#?}");
    assert_eq!(finished.report().run.exit_code, Some(0));
}
