//! Counters that are assigned to groups, limits in MiB/s, a divided cache, and a scale of delays the kernel does not know.

use super::*;

const TOTAL: &str = "mon_data/mon_L3_00/mbm_total_bytes";

impl Fixture {
    fn refused(&mut self, path: &str, text: &str) -> (Errno, String) {
        let errno = self.write(path, text).unwrap_err();
        (errno, self.status())
    }

    /// Lets seconds pass, as the kernel sees them.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.machine.step(1_000_000_000);
            self.resctrl.each_second(&mut self.machine);
        }
    }
}

#[test]
fn groups_take_counters_while_there_are_any() {
    let mut abmc = mounted(&hosts::abmc());
    assert_eq!(abmc.read("info/L3_MON/mbm_assign_mode"), "[mbm_event]\ndefault\n");
    assert_eq!(abmc.read("info/L3_MON/num_mbm_cntrs"), "0=6;1=6\n");
    assert_eq!(abmc.read("mbm_L3_assignments"), "mbm_total_bytes:0=e;1=e\nmbm_local_bytes:0=e;1=e\n");
    abmc.mkdir("a").unwrap();
    abmc.mkdir("a/mon_groups/m").unwrap();
    assert_eq!(abmc.read("info/L3_MON/available_mbm_cntrs"), "0=0;1=0\n");
    abmc.mkdir("b").unwrap();
    assert!(abmc.status().starts_with("Failed to allocate counter for mbm_total_bytes in domain 0\n"));
    assert_eq!(abmc.read("b/mbm_L3_assignments"), "mbm_total_bytes:0=_;1=_\nmbm_local_bytes:0=_;1=_\n");
    assert_eq!(abmc.read(&format!("b/{TOTAL}")), "Unassigned\n");
    assert_eq!(abmc.read("b/mon_data/mon_L3_00/llc_occupancy"), "0\n");
    let (errno, status) = abmc.refused("b/mbm_L3_assignments", "mbm_total_bytes:*=e\n");
    assert_eq!(errno, libc::ENOSPC);
    assert!(status.ends_with("Assign operation 'mbm_total_bytes:*=e' failed\n"), "{status}");
    abmc.rmdir("a").unwrap();
    abmc.write("b/mbm_L3_assignments", "mbm_total_bytes:0=e\n").unwrap();
    assert_eq!(abmc.read("b/mbm_L3_assignments"), "mbm_total_bytes:0=e;1=_\nmbm_local_bytes:0=_;1=_\n");
    assert_eq!(abmc.read("info/L3_MON/available_mbm_cntrs"), "0=3;1=4\n");
}

#[test]
fn a_counter_counts_from_its_assignment_on() {
    let mut abmc = mounted(&hosts::abmc());
    abmc.mkdir("a").unwrap();
    abmc.write("a/tasks", "100\n").unwrap();
    abmc.pass(1);
    let number = |fixture: &mut Fixture| fixture.read(&format!("a/{TOTAL}")).trim().parse::<u64>().unwrap();
    let first = number(&mut abmc);
    assert!(first > 1 << 28, "{first}");
    abmc.write("a/mbm_L3_assignments", "mbm_total_bytes:0=_\n").unwrap();
    assert_eq!(abmc.read(&format!("a/{TOTAL}")), "Unassigned\n");
    abmc.pass(1);
    abmc.write("a/mbm_L3_assignments", "mbm_total_bytes:0=e\n").unwrap();
    assert_eq!(number(&mut abmc), 0);
    // A control group's is the sum of what its groups have, as long as one of them has a counter.
    abmc.mkdir("a/mon_groups/m").unwrap();
    abmc.write("a/mbm_L3_assignments", "mbm_total_bytes:*=_\n").unwrap();
    assert_eq!(number(&mut abmc), 0);
}

#[test]
fn assignments_are_refused_as_the_kernel_does() {
    let mut abmc = mounted(&hosts::abmc());
    for (text, errno, status) in [
        ("llc_occupancy:0=e\n", libc::ENOENT, "Invalid event llc_occupancy\n"),
        ("mbm_total_bytes:x=e\n", libc::EINVAL, "Missing domain id\n"),
        ("mbm_total_bytes:7=e\n", libc::EINVAL, "Invalid domain id 7\n"),
        ("mbm_total_bytes:0=x\n", libc::EINVAL, "Assign operation 'mbm_total_bytes:0=x' failed\n"),
    ] {
        assert_eq!(abmc.refused("mbm_L3_assignments", text), (errno, status.to_owned()), "{text}");
    }
    assert_eq!(
        abmc.refused("info/L3_MON/mbm_assign_mode", "other\n"),
        (libc::EINVAL, "Unsupported assign mode\n".to_owned())
    );
    abmc.write("info/L3_MON/mbm_assign_on_mkdir", "0\n").unwrap();
    abmc.mkdir("a").unwrap();
    assert_eq!(abmc.read(&format!("a/{TOTAL}")), "Unassigned\n");
    abmc.write("info/L3_MON/mbm_assign_mode", "default\n").unwrap();
    assert_eq!(abmc.read(&format!("a/{TOTAL}")), "0\n", "every group counts");
    let not_enabled = "mbm_event counter assignment mode is not enabled\n";
    let parts = parts("a/mbm_L3_assignments");
    assert_eq!(abmc.resctrl.read(&abmc.machine, &parts), Err(libc::EINVAL));
    assert_eq!(abmc.status(), not_enabled);
    let twelve = mounted(&hosts::twelve());
    assert_eq!(twelve.resctrl.clone().read(&twelve.machine, &["mbm_L3_assignments"]), Err(libc::ENODEV));
}

#[test]
fn a_limit_in_mib_is_held_a_step_a_second() {
    let mut mbps = mounted(&hosts::named("mbps").unwrap());
    mbps.machine.exit(100);
    assert_eq!(mbps.resctrl.mount_options(), ",mba_MBps");
    assert_eq!(mbps.read("schemata"), "    MB:0=4294967295\n    L3:0=fff\n");
    assert_eq!(mbps.read("info/MB/min_bandwidth"), "10\n");
    mbps.mkdir("a").unwrap();
    mbps.write("a/tasks", "200\n").unwrap();
    // Alone it moves 505 MiB a second.
    mbps.write("a/schemata", "MB:0=300\n").unwrap();
    assert_eq!(
        (mbps.read("a/schemata"), mbps.machine.control.mba[0][1]),
        ("    MB:0=300\n    L3:0=fff\n".into(), 0)
    );
    let rmid = mbps.resctrl.group("a").unwrap().rmid;
    mbps.pass(10);
    let before = mbps.machine.traffic_bytes(0, rmid);
    mbps.pass(1);
    let moved = (mbps.machine.traffic_bytes(0, rmid) - before) >> 20;
    assert!((220..=300).contains(&moved), "{moved} MiB a second");
    mbps.write("a/schemata", "MB:0=4294967295\n").unwrap();
    mbps.pass(10);
    assert_eq!(mbps.machine.control.mba[0][1], 0, "no delay without a limit");
    // Taken as it is read, unlike a percentage; a value is not bounded by what a percentage could be.
    let refused = mbps.refused("a/schemata", "MB:0=5\nL3:0=5\n");
    assert_eq!(refused, (libc::EINVAL, "The mask 5 has non-consecutive 1-bits\n".to_owned()));
    assert_eq!(mbps.read("a/schemata"), "    MB:0=5\n    L3:0=fff\n");
    assert_eq!(mbps.refused("a/schemata", "MB:0=x\n").1, "Invalid MB value x\n");
    mbps.rmdir("a").unwrap();
    mbps.mkdir("b").unwrap();
    assert_eq!(mbps.read("b/schemata"), "    MB:0=4294967295\n    L3:0=fff\n");
}

#[test]
fn a_scale_the_kernel_does_not_know_is_left_out_and_a_divided_cache_counts_half() {
    let mut nonlinear = mounted(&hosts::nonlinear());
    assert_eq!(nonlinear.read("schemata"), "    L3:0=fff\n");
    assert!(nonlinear.resctrl.entries(&nonlinear.machine, &["info", "MB"]).is_none());
    let mut divided = mounted(&hosts::divided());
    divided.mkdir("a").unwrap();
    divided.write("a/schemata", "L3:0=3\n").unwrap();
    let way = hosts::divided().l3.way_bytes();
    assert_eq!(divided.read("a/size"), format!("    MB:0=100;1=100\n    L3:0={};1={}\n", way, 11 * way / 2));
    let inner = divided.resctrl.entries(&divided.machine, &["mon_data", "mon_L3_01"]).unwrap();
    let parts: Vec<&str> =
        inner.iter().filter(|one| one.file_mode.is_none()).map(|one| one.name.as_str()).collect();
    assert_eq!(parts, ["mon_sub_L3_02", "mon_sub_L3_03"]);
}
