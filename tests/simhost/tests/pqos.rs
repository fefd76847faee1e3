//! pqos (intel-cmt-cat) on a mounted host: a program others wrote for real machines finds the capabilities and classes
//! that were simulated, changes them, and sees what others change.
//!
//! It has no path of its own to a host, so it runs in a mount namespace with the simulated files over the real ones. By
//! registers it asks the processor's own CPUID, which cannot be covered up; so only its kernel interface is used.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, too")]

use std::fs;
use std::path::Path;
use std::process::Command;

use waytrace_simhost::fs::mount::Mounted;
use waytrace_simhost::host::Host;
use waytrace_simhost::hosts;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;

/// Covers the real host up, then runs the rest of the arguments. `/sys/fs` may have no directory to mount on.
const COVER: &str = r#"
set -e
host=$1; shift
mount -t tmpfs none /sys/fs
mkdir /sys/fs/resctrl
for path in dev/cpu sys/fs/resctrl sys/devices/system/cpu sys/devices/system/node proc; do
    mount --bind "$host/$path" "/$path"
done
exec "$@"
"#;

fn on_host(host: &Path, command: &[&str]) -> Option<String> {
    let cover = ["--mount", "sh", "-c", COVER, "sh"];
    let output = Command::new("unshare").args(cover).arg(host).args(command).output().ok()?;
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        println!("{command:?}: {}\n{text}", output.status);
        return None;
    }
    Some(text)
}

/// Mounts the twelve-way host; none where pqos cannot run on it.
fn mount(directory: &Path) -> Option<Mounted> {
    let mut host = Host::new(&hosts::twelve(), 1);
    host.follows_clock = false;
    host.start(TaskSpec { tgid: 1000, tid: 1000, cpu: 0, workload: Workload::of(Program::Stream) });
    let mounted = match Mounted::new(host, directory, 1.0) {
        Ok(mounted) => mounted,
        Err(error) => {
            println!("SKIP: {error}");
            return None;
        }
    };
    if Command::new("pqos").arg("--help").output().is_err() {
        println!("SKIP: no pqos; install intel-cmt-cat");
        return None;
    }
    if on_host(directory, &["true"]).is_none() {
        println!("SKIP: files cannot be mounted over the real ones; run as root");
        return None;
    }
    Some(mounted)
}

#[test]
fn pqos_sees_and_changes_the_simulated_host() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mounted) = mount(directory.path()) else { return };
    let pqos =
        |arguments: &[&str]| on_host(mounted.path(), &[&["pqos", "--iface=os"], arguments].concat()).unwrap();
    let shown = pqos(&["-v", "-s"]);
    for expected in [
        "L3 CAT details: CDP support=1, CDP on=0, #COS=8, #ways=12, ways contention bit-mask 0xc00",
        "L3 CAT details: cache size 25165824 bytes, way size 2097152 bytes",
        "MBA details: #COS=8, linear, max=90, step=10",
        "Detected resctrl support for LLC Occupancy",
        "L3CA COS7 => MASK 0xfff",
        "Core 7, L2ID 3, L3ID 0 => COS0",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    // What it changes is in the files and the registers.
    pqos(&["-e", "llc:1=0x00f", "-e", "mba:1=50", "-a", "llc:1=2"]);
    let group = mounted.path().join("sys/fs/resctrl/COS1");
    let read = |file: &str| fs::read_to_string(group.join(file)).unwrap();
    assert_eq!([read("schemata"), read("cpus_list")], ["    MB:0=50\n    L3:0=f\n", "2\n"]);
    let control = mounted.host().machine.control.clone();
    let closid = mounted.host().resctrl.group("COS1").unwrap().closid;
    assert_eq!((control.l3_mask(0, closid, false), control.pqr[2].closid), (0xf, closid));
    // What others change it sees.
    fs::write(group.join("schemata"), "L3:0=ff0\n").unwrap();
    fs::write(group.join("tasks"), "1000\n").unwrap();
    let shown = pqos(&["-s"]);
    for expected in ["L3CA COS1 => MASK 0xff0", "MBA COS1 => 50", "Core 2, L2ID 2, L3ID 0 => COS1"] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    pqos(&["-a", "llc:0=2"]);
    assert_eq!(read("cpus_list"), "\n");
}
