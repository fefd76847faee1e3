//! resctrl's answers, word by word and number by number, and what its writes come to in the registers.

mod features;

use super::*;
use crate::hosts;
use crate::model::program::{Program, Workload};
use crate::model::task::TaskSpec;
use crate::spec::HostSpec;

struct Fixture {
    machine: Machine,
    resctrl: Resctrl,
}

fn mounted(spec: &HostSpec) -> Fixture {
    let mut machine = Machine::new(spec, 1);
    for (tid, tgid, cpu) in [(100, 100, 0), (101, 100, 1), (200, 200, 2)] {
        machine.start(TaskSpec { tgid, tid, cpu, workload: Workload::of(Program::Stream) });
    }
    let mut resctrl = Resctrl::new(&machine);
    resctrl.mount(&mut machine, spec.cdp);
    Fixture { machine, resctrl }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

impl Fixture {
    fn read(&mut self, path: &str) -> String {
        self.resctrl.read(&self.machine, &parts(path)).unwrap_or_else(|errno| panic!("{path}: {errno}"))
    }

    fn write(&mut self, path: &str, text: &str) -> Result<(), Errno> {
        self.resctrl.write(&mut self.machine, &parts(path), text)
    }

    fn mkdir(&mut self, path: &str) -> Result<(), Errno> {
        self.resctrl.mkdir(&mut self.machine, &parts(path))
    }

    fn rmdir(&mut self, path: &str) -> Result<(), Errno> {
        self.resctrl.rmdir(&mut self.machine, &parts(path))
    }

    fn status(&mut self) -> String {
        self.read("info/last_cmd_status")
    }
}

#[test]
fn schemata_are_laid_out_as_the_kernel_does() {
    let expected = [
        (hosts::twelve(), "    MB:0=100\n    L3:0=fff\n"),
        (hosts::eleven(), "L3:0=7ff\n"),
        (hosts::two_sockets(), "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n"),
        (hosts::cdp(), "    MB:0=100\nL3DATA:0=fff\nL3CODE:0=fff\n"),
        (hosts::amd(), "    MB:0=2048;1=2048\n    L3:0=ffff;1=ffff\n"),
    ];
    for (spec, text) in expected {
        assert_eq!(mounted(&spec).read("schemata"), text, "{}", spec.name);
    }
    let mut old = mounted(&hosts::twenty());
    old.write("schemata", "L3:0=f\n").unwrap();
    assert_eq!(old.read("schemata"), "    L3:0=0000f\n");
    assert_eq!(old.read("size"), format!("    L3:0={}\n", 4 * hosts::twenty().l3.way_bytes()));
}

#[test]
fn refused_schemata_say_why_and_change_nothing() {
    let mut twelve = mounted(&hosts::twelve());
    let cases = [
        ("L3:0=5\n", "The mask 5 has non-consecutive 1-bits\n"),
        ("L3:0=1fff\n", "Mask out of range\n"),
        ("L3:0=0\n", "Mask out of range\n"),
        ("L3:0=xyz\n", "Non-hex character in the mask xyz\n"),
        ("L3:0=f;0=f\n", "Duplicate domain 0\n"),
        ("L3:7=f\n", "ok\n"),
        ("L3:x=f\n", "Missing '=' or non-numeric domain\n"),
        ("L3:0\n", "Missing '=' or non-numeric domain\n"),
        ("L4:0=f\n", "Unknown or unsupported resource name 'L4'\n"),
        ("L3:\n", "Missing 'L3' value\n"),
        ("L3\n", "Missing ':'\n"),
        ("MB:0=5\n", "MB value 5 out of range [10,100]\n"),
        ("MB:0=a\n", "Invalid MB value a\n"),
        ("L3:0=f\nMB:0=101\n", "MB value 101 out of range [10,100]\n"),
    ];
    for (text, status) in cases {
        assert_eq!(twelve.write("schemata", text), Err(libc::EINVAL), "{text:?}");
        assert_eq!(twelve.status(), status, "{text:?}");
        assert_eq!(twelve.read("schemata"), "    MB:0=100\n    L3:0=fff\n", "{text:?}");
    }
    assert_eq!(twelve.write("schemata", "L3:0=f"), Err(libc::EINVAL), "without an end of line");
    assert_eq!(twelve.write("schemata", &"x".repeat(5000)), Err(libc::E2BIG));
    let mut two = mounted(&hosts::min_two());
    assert_eq!(two.write("schemata", "L3:0=1\n"), Err(libc::EINVAL));
    assert_eq!(two.status(), "Need at least 2 bits in the mask\n");
    assert_eq!(mounted(&hosts::sparse()).write("schemata", "L3:0=5\n"), Ok(()));
    assert_eq!(mounted(&hosts::amd()).write("schemata", "L3:1=0\n"), Ok(()));
}

#[test]
fn schemata_land_in_the_registers_and_registers_in_schemata() {
    let mut twelve = mounted(&hosts::twelve());
    twelve.mkdir("a").unwrap();
    twelve.write("a/schemata", " L3:0=0xff0;\nMB:0=35\n").unwrap();
    assert_eq!((twelve.machine.control.l3[0][1], twelve.machine.control.mba[0][1]), (0xff0, 60));
    assert_eq!(twelve.read("a/schemata"), "    MB:0=40\n    L3:0=ff0\n");
    twelve.machine.control.l3[0][1] = 0x3;
    assert_eq!(twelve.read("a/schemata"), "    MB:0=40\n    L3:0=3\n");
    let mut cdp = mounted(&hosts::cdp());
    cdp.mkdir("a").unwrap();
    cdp.write("a/schemata", "L3CODE:0=3\nL3DATA:0=ffc\n").unwrap();
    assert_eq!(cdp.machine.control.l3[0][2..4], [0xffc, 0x3]);
    assert_eq!(cdp.read("info/L3CODE/num_closids"), "8\n");
}

#[test]
fn classes_and_rmids_run_out() {
    let mut twelve = mounted(&hosts::twelve());
    assert_eq!(twelve.read("info/L3/num_closids"), "16\n");
    // MBA has 8 classes, and the fewest count.
    for number in 1..8 {
        twelve.mkdir(&format!("g{number}")).unwrap();
    }
    assert_eq!(twelve.mkdir("g8"), Err(libc::ENOSPC));
    assert_eq!(twelve.status(), "Out of CLOSIDs\n");
    assert!(twelve.resctrl.group("g8").is_none());
    for number in 0..56 {
        twelve.mkdir(&format!("mon_groups/m{number}")).unwrap();
    }
    assert_eq!(twelve.mkdir("g1/mon_groups/one-more"), Err(libc::ENOSPC));
    assert_eq!(twelve.status(), "Out of RMIDs\n");
    twelve.rmdir("g3").unwrap();
    twelve.mkdir("again").unwrap();
    assert_eq!(twelve.resctrl.group("again").unwrap().closid, 3);
}

#[test]
fn an_rmid_waits_until_its_lines_have_left() {
    let mut spec = hosts::twelve();
    spec.monitoring.as_mut().unwrap().rmids = 2;
    let mut twelve = mounted(&spec);
    twelve.mkdir("mon_groups/m").unwrap();
    twelve.write("mon_groups/m/tasks", "100\n").unwrap();
    twelve.write("info/L3_MON/max_threshold_occupancy", "65536\n").unwrap();
    twelve.machine.step(50_000_000);
    twelve.rmdir("mon_groups/m").unwrap();
    assert_eq!(twelve.mkdir("mon_groups/m"), Err(libc::EBUSY));
    assert_eq!(twelve.status(), "Out of RMIDs\n");
    twelve.machine.step(100_000_000);
    assert_eq!(twelve.mkdir("mon_groups/m"), Ok(()));
}

#[test]
fn tasks_move_between_groups() {
    let mut twelve = mounted(&hosts::twelve());
    twelve.mkdir("a").unwrap();
    twelve.mkdir("a/mon_groups/m").unwrap();
    assert_eq!(twelve.write("a/mon_groups/m/tasks", "100\n"), Err(libc::EINVAL));
    let expected = "Can't move task to different control group\nError while processing task 100\n";
    assert_eq!(twelve.status(), expected);
    twelve.write("a/tasks", "100\n").unwrap();
    assert_eq!((twelve.read("tasks"), twelve.read("a/tasks")), ("101\n200\n".into(), "100\n".into()));
    twelve.write("a/mon_groups/m/tasks", "100\n").unwrap();
    assert_eq!(twelve.read("a/tasks"), "100\n", "a monitoring group's tasks stay the control group's");
    let rmid = twelve.resctrl.group("a").unwrap().monitors["m"].rmid;
    assert_eq!(twelve.machine.control.pqr[0], crate::model::control::Association { closid: 1, rmid });
    assert_eq!(twelve.resctrl.groups_of(1, rmid), "res:a\nmon:m\n");
    for (text, errno, status) in [
        ("999\n", libc::ESRCH, "No task 999\nError while processing task 999\n"),
        ("x\n", libc::EINVAL, "Task list parsing error pid x\n"),
        ("-1\n", libc::EINVAL, "Invalid pid -1\n"),
    ] {
        assert_eq!(twelve.write("a/tasks", text), Err(errno));
        assert_eq!(twelve.status(), status);
    }
    twelve.rmdir("a").unwrap();
    assert_eq!(twelve.read("tasks"), "100\n101\n200\n");
    assert_eq!(twelve.machine.control.pqr[0], crate::model::control::Association::default());
}

#[test]
fn cpus_move_between_groups() {
    let mut twelve = mounted(&hosts::twelve());
    assert_eq!((twelve.read("cpus"), twelve.read("cpus_list")), ("ff\n".into(), "0-7\n".into()));
    twelve.mkdir("a").unwrap();
    twelve.mkdir("a/mon_groups/m").unwrap();
    twelve.write("a/cpus_list", "2-3,6\n").unwrap();
    assert_eq!((twelve.read("cpus"), twelve.read("a/cpus")), ("b3\n".into(), "4c\n".into()));
    assert_eq!(twelve.machine.control.pqr[2].closid, 1, "a task of the root group takes the CPU's class");
    twelve.write("a/mon_groups/m/cpus", "40\n").unwrap();
    let rmid = twelve.resctrl.group("a").unwrap().monitors["m"].rmid;
    assert_eq!(twelve.machine.control.pqr[6].rmid, rmid);
    twelve.machine.take_offline(5);
    twelve.resctrl.cpu_offline(5);
    for (path, text, status) in [
        ("cpus", "1\n", "Can't drop CPUs from default group\n"),
        ("a/cpus_list", "5\n", "Can only assign online CPUs\n"),
        ("a/cpus", "zz\n", "Bad CPU list/mask\n"),
        ("a/mon_groups/m/cpus_list", "0\n", "Can only add CPUs to mongroup that belong to parent\n"),
    ] {
        assert_eq!(twelve.write(path, text), Err(libc::EINVAL), "{path}");
        assert_eq!(twelve.status(), status);
    }
    assert_eq!(twelve.write("a/cpus_list", "8\n"), Err(libc::ERANGE));
    assert_eq!(twelve.write("a/cpus", "100\n"), Err(libc::EOVERFLOW));
    assert_eq!(twelve.status(), "Bad CPU list/mask\n");
    twelve.write("a/cpus", "0\n").unwrap();
    assert_eq!(twelve.read("cpus_list"), "0-4,6-7\n");
    assert_eq!(twelve.machine.control.pqr[6], crate::model::control::Association::default());
}

#[test]
fn exclusive_and_locked_groups_are_respected() {
    let mut spec = hosts::twelve();
    spec.l3_cat.as_mut().unwrap().shareable = 0;
    let mut twelve = mounted(&spec);
    twelve.mkdir("a").unwrap();
    assert_eq!(twelve.write("a/mode", "exclusive\n"), Err(libc::EINVAL));
    assert_eq!(twelve.status(), "Schemata overlaps\n");
    twelve.write("schemata", "L3:0=0ff\n").unwrap();
    twelve.write("a/schemata", "L3:0=f00\n").unwrap();
    twelve.write("a/mode", "exclusive\n").unwrap();
    assert_eq!(
        (twelve.read("a/mode"), twelve.read("info/L3/bit_usage")),
        ("exclusive\n".into(), "0=EEEESSSSSSSS\n".into())
    );
    assert_eq!(twelve.write("schemata", "L3:0=1ff\n"), Err(libc::EINVAL));
    assert_eq!(twelve.status(), "Overlaps with exclusive group\n");
    assert_eq!(twelve.write("a/schemata", "L3:0=f80\n"), Err(libc::EINVAL));
    assert_eq!(twelve.status(), "Overlaps with other group\n");
    twelve.mkdir("b").unwrap();
    assert_eq!(twelve.read("b/schemata"), "    MB:0=100\n    L3:0=ff\n");
    assert_eq!(twelve.write("b/mode", "pseudo-locksetup\n"), Err(libc::EINVAL));
    assert_eq!(twelve.status(), "Unknown or unsupported mode\n");
    twelve.resctrl.pseudo_lock("a", 0, 0xc00);
    assert_eq!(
        (twelve.read("a/schemata"), twelve.read("a/mode")),
        ("L3:0=c00\n".into(), "pseudo-locked\n".into())
    );
    for (path, text, status) in [
        ("a/schemata", "L3:0=f\n", "Resource group is pseudo-locked\n"),
        ("a/tasks", "100\n", "Pseudo-locking in progress\n"),
        ("a/mode", "shareable\n", "Cannot change pseudo-locked group\n"),
        ("b/schemata", "L3:0=fff\n", "CBM overlaps with pseudo-locked region\n"),
    ] {
        assert_eq!(twelve.write(path, text), Err(libc::EINVAL), "{path}");
        assert_eq!(twelve.status(), status);
    }
}

#[test]
fn only_groups_can_be_made_and_removed() {
    let mut twelve = mounted(&hosts::twelve());
    twelve.mkdir("a").unwrap();
    assert_eq!(twelve.mkdir("a"), Err(libc::EEXIST));
    for path in ["info/x", "a/x", "mon_data/x", "mon_groups/mon_groups", "nobody/mon_groups/m"] {
        assert_eq!(twelve.mkdir(path), Err(libc::EPERM), "{path}");
    }
    for path in ["info", "mon_groups", "a/mon_groups", "a/mon_data", "schemata"] {
        assert_eq!(twelve.rmdir(path), Err(libc::EPERM), "{path}");
    }
    assert_eq!(twelve.rmdir("nobody"), Err(libc::ENOENT));
    let before = twelve.resctrl.identity(&["a", "tasks"]);
    twelve.rmdir("a").unwrap();
    twelve.mkdir("a").unwrap();
    assert_ne!(twelve.resctrl.identity(&["a", "tasks"]), before);
    assert_eq!(twelve.resctrl.read(&twelve.machine, &["b", "tasks"]), Err(libc::ENODEV));
}

#[test]
fn monitoring_shows_what_the_model_counts() {
    let mut twelve = mounted(&hosts::twelve());
    twelve.mkdir("a").unwrap();
    twelve.mkdir("a/mon_groups/m").unwrap();
    twelve.write("a/tasks", "100,101\n").unwrap();
    twelve.write("a/mon_groups/m/tasks", "101\n").unwrap();
    twelve.machine.step(100_000_000);
    let number = |fixture: &mut Fixture, path: &str| fixture.read(path).trim().parse::<u64>().unwrap();
    let whole = number(&mut twelve, "a/mon_data/mon_L3_00/mbm_total_bytes");
    let part = number(&mut twelve, "a/mon_groups/m/mon_data/mon_L3_00/mbm_local_bytes");
    let rmid = twelve.resctrl.group("a").unwrap().monitors["m"].rmid;
    assert!(twelve.machine.traffic_bytes(0, rmid) - part < 65_536);
    assert!(whole.abs_diff(2 * part) < 1 << 20, "two alike tasks: {whole} and {part}");
    assert!(number(&mut twelve, "a/mon_data/mon_L3_00/llc_occupancy") > hosts::twelve().l3.bytes() / 2);
    // A group counts from when it was made, also with an RMID that others had.
    twelve.rmdir("a/mon_groups/m").unwrap();
    twelve.mkdir("a/mon_groups/m").unwrap();
    assert_eq!(number(&mut twelve, "a/mon_groups/m/mon_data/mon_L3_00/mbm_local_bytes"), 0);
}

#[test]
fn sums_go_on_where_counters_wrap() {
    let mut narrow = mounted(&hosts::narrow());
    // One task that misses always: 530 MB a second, and the counter holds 1 GiB.
    narrow.machine.exit(100);
    for _ in 0..6 {
        narrow.machine.step(1_000_000_000);
        narrow.resctrl.each_second(&mut narrow.machine);
    }
    let bytes = narrow.read("mon_data/mon_L3_00/mbm_total_bytes").trim().parse::<u64>().unwrap();
    assert_eq!(bytes, narrow.machine.traffic_bytes(0, 0));
    assert!(bytes / 64 > 1 << 25, "the test needs a counter that wraps");
}

#[test]
fn broken_events_say_how() {
    let mut broken = mounted(&hosts::broken());
    let read = |fixture: &mut Fixture, event| fixture.read(&format!("mon_data/mon_L3_00/{event}"));
    assert_eq!(read(&mut broken, "llc_occupancy"), "Error\n");
    assert_eq!(read(&mut broken, "mbm_total_bytes"), "Unavailable\n");
    assert_eq!(read(&mut broken, "mbm_local_bytes"), "Unassigned\n");
    let bare = mounted(&hosts::no_monitoring());
    assert!(bare.resctrl.entries(&bare.machine, &["mon_data"]).is_none());
    assert!(bare.resctrl.entries(&bare.machine, &["info", "L3_MON"]).is_none());
}

#[test]
fn unmounting_opens_everything() {
    let mut twelve = mounted(&hosts::twelve());
    twelve.mkdir("a").unwrap();
    twelve.write("a/schemata", "L3:0=1\n").unwrap();
    twelve.write("a/tasks", "100\n").unwrap();
    twelve.resctrl.unmount(&mut twelve.machine);
    assert_eq!(twelve.machine.control.l3[0][1], 0xfff);
    assert_eq!(twelve.resctrl.entries(&twelve.machine, &[]), Some(Vec::new()));
    assert_eq!(twelve.mkdir("a"), Err(libc::EPERM));
}
