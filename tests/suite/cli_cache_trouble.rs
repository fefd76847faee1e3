//! `waytrace cache` on simulated hosts, asked for what cannot be or hindered while it does it: one clear line, and nothing
//! is left changed.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use waytrace_simhost::faults::{Effect, Operation};

use crate::harness::simulated::{LOOP, STREAM, Simulated};
use crate::harness::skip;
use crate::harness::waytrace::{Finished, Running};
use crate::or_skip;

/// An account that may not write.
const NOBODY: u32 = 65534;

/// One line that says `needle`, exit code 2, and the tree as it was.
fn refused(host: &Simulated, args: &[&str], needle: &str) {
    let before = host.state();
    let finished = host.cache(args);
    assert_refused(&finished, needle);
    assert_eq!(host.state(), before, "{args:?}");
}

fn assert_refused(finished: &Finished, needle: &str) {
    assert_eq!((finished.code, finished.complaints().len()), (2, 1), "{finished:#?}");
    assert!(finished.stdout.is_empty() && finished.stderr.contains(needle), "{needle}: {finished:#?}");
}

#[test]
fn shares_that_cannot_be() {
    let host = or_skip!(Simulated::named("twelve"));
    for (share, needle) in [
        ("0x0", "empty"),
        ("0w", "empty"),
        ("0x1fff", "too wide"),
        ("0x5", "has holes"),
        ("13w", "more than the 12 ways"),
    ] {
        refused(&host, &["set", "--l3", share, "--pid", "1000"], needle);
    }
    for (args, needle) in [
        (&["--l3", "4w", "--cache-id", "3", "--pid", "1000"][..], "no L3 cache 3; there are 0"),
        (&["--l2", "4w", "--pid", "1000"], "does not allocate its L2"),
        (&["--l3-code", "4w", "--pid", "1000"], "-o cdp"),
        (&["--mb", "5%", "--pid", "1000"], "10% to 100%"),
        (&["--l3", "4w", "--pid", "77"], "no thread or process 77"),
        (&["--l3", "4w", "--cpus", "8"], "no CPU 8"),
        (&["--l3", "4w", "--class", "info", "--pid", "1000"], "the name is taken"),
    ] {
        refused(&host, &[&["set"], args].concat(), needle);
    }
    refused(&host, &["reset", "--class", "gone"], "no class `gone`");
    let narrow = or_skip!(Simulated::named("min-two"));
    for share in ["1w", "0x10"] {
        refused(&narrow, &["set", "--l3", share, "--pid", "1000"], "2");
    }
}

#[test]
fn shares_that_registers_do_not_take() {
    let host = or_skip!(Simulated::named("unmounted"));
    for (args, needle) in [
        (&["--l3", "0x5", "--cpus", "0"][..], "has holes"),
        (&["--l3", "0x1fff", "--cpus", "0"], "too wide"),
        (&["--l3", "4w", "--pid", "1000"], "only CPUs"),
        (&["--l3", "4w", "--cpus", "8"], "no CPU 8"),
        (&["--l3", "4w", "--class", "cos9", "--cpus", "0"], "cos9"),
        (&["--mb", "5%", "--cpus", "0"], "10% to 100%"),
    ] {
        refused(&host, &[&["set", "--interface", "msr"], args].concat(), needle);
    }
    // All classes are in use.
    let masks: Vec<u64> = (1..8).map(|class| (1 << class) - 1).collect();
    host.mounted.host().machine.control.l3[0][1..8].copy_from_slice(&masks);
    refused(&host, &["set", "--l3", "4w", "--cpus", "0", "--interface", "msr"], "all 8 classes");
}

#[test]
fn more_classes_than_there_are() {
    let host = or_skip!(Simulated::named("twelve"));
    for class in 1..8 {
        host.mkdir(&format!("c{class}"));
    }
    refused(&host, &["set", "--l3", "4w", "--pid", "1000"], "all 8 classes of this machine are in use");
}

#[test]
fn what_somebody_has_to_himself_stays_his() {
    let host = or_skip!(Simulated::named("twelve"));
    host.mkdir("lone");
    host.write("schemata", "L3:0=3ff\n");
    host.write("lone/schemata", "L3:0=3\n");
    host.write("schemata", "L3:0=3fc\n");
    host.write("lone/tasks", "1000\n");
    host.write("lone/cpus_list", "3\n");
    host.write("lone/mode", "exclusive\n");
    let exclusive = "in class `lone`, which is exclusive";
    refused(&host, &["set", "--l3", "0xf0", "--pid", "1000"], exclusive);
    refused(&host, &["set", "--l3", "0xf0", "--cpus", "2-3"], exclusive);
    refused(&host, &["set", "--l3", "0x7", "--pid", "2000"], "held by exclusive");
    refused(&host, &["set", "--l3", "0xf0", "--class", "lone"], "exclusive");
    refused(&host, &["reset", "--class", "lone"], "exclusive");
}

#[test]
fn a_change_that_fails_halfway_is_taken_back() {
    let tasks = "sys/fs/resctrl/*/tasks";
    let schemata = "sys/fs/resctrl/*/schemata";
    for (pattern, operation, errno, needle) in [
        (schemata, Operation::Write, libc::EIO, "schemata: Input/output error"),
        (schemata, Operation::Write, libc::EBUSY, "try again"),
        (schemata, Operation::Write, libc::ENOSPC, "No space left"),
        (tasks, Operation::Write, libc::EIO, "tasks: Input/output error"),
        (tasks, Operation::Write, libc::EBUSY, "try again"),
        ("sys/fs/resctrl/new", Operation::Mkdir, libc::ENOSPC, "all 8 classes"),
        ("sys/fs/resctrl/new", Operation::Mkdir, libc::EBUSY, "try again"),
        ("sys/fs/resctrl/info/L3/cbm_mask", Operation::Read, libc::EIO, "cbm_mask"),
    ] {
        let host = or_skip!(Simulated::named("twelve"));
        host.fault(pattern, operation, Effect::Fail(errno));
        refused(&host, &["set", "--l3", "4w", "--class", "new", "--pid", "1000"], needle);
    }
    // A class that was there gets its values and members back.
    let host = or_skip!(Simulated::named("twelve"));
    host.mkdir("web");
    host.write("web/schemata", "L3:0=ff\n");
    host.write("web/tasks", "2000\n");
    host.fault(tasks, Operation::Write, Effect::Fail(libc::EIO));
    refused(&host, &["set", "--l3", "4w", "--class", "web", "--pid", "1000"], "tasks: Input/output error");
}

#[test]
fn registers_that_fail_halfway_are_written_back() {
    for (nth, operation) in
        [(0, Operation::Write), (1, Operation::Write), (2, Operation::Write), (0, Operation::Read)]
    {
        let host = or_skip!(Simulated::named("two-sockets"));
        host.mounted.host().set_mounted(false);
        let fault = waytrace_simhost::faults::Fault {
            pattern: "dev/cpu/*/msr".to_owned(),
            operation,
            nth: nth + 1,
            times: 1,
            effect: Effect::Fail(libc::EIO),
        };
        host.mounted.host().faults.add(fault);
        let args = ["set", "--l3", "4w", "--class", "cos2", "--cpus", "0", "--interface", "msr"];
        refused(&host, &args, "MSR 0xc");
    }
}

#[test]
fn what_others_do_meanwhile_is_told() {
    let set = ["set", "--l3", "4w", "--class", "web", "--pid", "1000"];
    // The process ends.
    let host = or_skip!(Simulated::named("twelve"));
    host.fault("sys/fs/resctrl/web/tasks", Operation::Write, Effect::Exit(LOOP));
    assert_refused(&host.cache(&set), "no thread or process 1000; has it ended?");
    assert!(!host.resctrl("web").exists());
    // The class is removed.
    for file in ["schemata", "tasks"] {
        let host = or_skip!(Simulated::named("twelve"));
        let before = host.state();
        let removed = Effect::RemoveGroup("web".to_owned());
        host.fault(&format!("sys/fs/resctrl/web/{file}"), Operation::Write, removed);
        assert_refused(&host.cache(&set), "it was removed meanwhile");
        assert_eq!(host.state(), before, "{file}");
    }
    // A CPU goes offline.
    let host = or_skip!(Simulated::named("twelve"));
    host.fault("sys/fs/resctrl/web/cpus_list", Operation::Write, Effect::Offline(7));
    assert_refused(&host.cache(&["set", "--l3", "4w", "--class", "web", "--cpus", "6-7"]), "online CPUs");
    assert!(!host.resctrl("web").exists());
    assert_refused(&host.cache(&["set", "--l3", "4w", "--cpus", "7"]), "no CPU 7 online");
    let shown = host.cache(&["show", "--json"]);
    assert_eq!(
        (shown.code, &shown.json()["classes"][0]["cpus"]),
        (0, &serde_json::json!([0, 1, 2, 3, 4, 5, 6]))
    );
}

#[test]
fn registers_of_a_cpu_that_is_offline_are_done_without() {
    let host = or_skip!(Simulated::named("unmounted"));
    host.mounted.host().take_offline(0);
    let set = host.cache(&["set", "--l3", "4w", "--cpus", "1", "--interface", "msr"]);
    assert_eq!(set.code, 0, "{set:#?}");
    assert_eq!(host.mounted.host().machine.control.l3[0][1], 0xf);
    let shown = host.cache(&["show", "--json", "--interface", "msr"]);
    assert_eq!((shown.code, &shown.json()["classes"][1]["cpus"]), (0, &serde_json::json!([1])));
    let refused = host.cache(&["set", "--l3", "4w", "--cpus", "0", "--interface", "msr"]);
    assert_refused(&refused, "no CPU 0 online");
}

#[test]
fn slow_files_are_waited_for() {
    let host = or_skip!(Simulated::named("twelve"));
    for file in ["info/L3/cbm_mask", "schemata"] {
        host.fault(
            &format!("sys/fs/resctrl/{file}"),
            Operation::Read,
            Effect::Slow(Duration::from_millis(300)),
        );
    }
    let set = host.cache(&["set", "--l3", "4w", "--pid", "2000"]);
    assert_eq!(set.code, 0, "{set:#?}");
    assert_eq!(host.read(&format!("waytrace-pid-{STREAM}/tasks")), "2000\n");
}

#[test]
fn who_may_not_write_is_told_so() {
    // SAFETY: geteuid passes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return skip::say("only root can run as another user");
    }
    let host = or_skip!(Simulated::named("twelve"));
    // Mount points of others are private otherwise.
    let folder = host.mounted.path().parent().unwrap();
    let open = std::fs::metadata(folder).unwrap().permissions().mode() & 0o001 != 0;
    let binary = crate::harness::waytrace::binary();
    let reachable = binary.ancestors().skip(1).all(|folder| {
        std::fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    });
    if !open || !reachable {
        return skip::say("another user cannot reach the binary or the simulated host");
    }
    let as_nobody =
        |args: &[&str]| Running::start(host.command(args).uid(NOBODY).gid(NOBODY).env("HOME", "/")).finish();
    let before = host.state();
    for args in [
        &["set", "--l3", "4w", "--pid", "1000"][..],
        &["set", "--l3", "4w", "--class", "default"],
        &["reset", "--class", "default"],
        &["watch", "--pid", "1000", "--count", "1"],
    ] {
        assert_refused(&as_nobody(args), "root");
    }
    assert_eq!(host.state(), before);
    // Looking needs no rights.
    for args in [&["show"][..], &["watch", "--count", "1", "--interval", "10ms"]] {
        let finished = as_nobody(args);
        assert_eq!(finished.code, 0, "{finished:#?}");
    }
    host.mounted.host().set_mounted(false);
    let finished = as_nobody(&["show", "--interface", "msr"]);
    assert_refused(&finished, "CAP_SYS_RAWIO");
}
