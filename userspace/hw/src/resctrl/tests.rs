//! resctrl on trees laid out as the kernel lays them out; its files behave as plain files there.

use std::fs;

use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::{LimitUnit, Mode, Use};

use super::*;
use crate::rdt::{Members, Reading, Request, apply};
use crate::testing::Tree;

const RESCTRL: &str = "sys/fs/resctrl";

/// Two sockets with 11 ways of 1.5 MiB each, bandwidth limits, monitoring, a class `web` and an exclusive one.
fn host() -> Tree {
    let tree = Tree::new(&[
        ("proc/mounts", "resctrl /sys/fs/resctrl resctrl rw,relatime 0 0\n"),
        ("proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t\t: cat_l3\n"),
        ("sys/devices/system/cpu/online", "0-3\n"),
    ]);
    for (cpu, id, shared) in [(0, 0, "0-1"), (1, 0, "0-1"), (2, 1, "2-3"), (3, 1, "2-3")] {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}/cache/index3");
        for (file, text) in
            [("level", "3"), ("type", "Unified"), ("size", "16896K"), ("shared_cpu_list", shared)]
        {
            tree.write(&format!("{dir}/{file}"), text);
        }
        tree.write(&format!("{dir}/id"), &format!("{id}\n"));
    }
    for (file, text) in [
        ("info/last_cmd_status", "ok\n"),
        ("info/L3/cbm_mask", "7ff\n"),
        ("info/L3/min_cbm_bits", "1\n"),
        ("info/L3/num_closids", "16\n"),
        ("info/L3/shareable_bits", "600\n"),
        ("info/L3/sparse_masks", "0\n"),
        ("info/MB/min_bandwidth", "10\n"),
        ("info/MB/bandwidth_gran", "10\n"),
        ("info/MB/delay_linear", "1\n"),
        ("info/MB/num_closids", "8\n"),
        ("info/MB/thread_throttle_mode", "max\n"),
        (
            "info/L3_MON/mon_features",
            "llc_occupancy\nmbm_total_bytes\nmbm_total_bytes_config\nmbm_local_bytes\n",
        ),
        ("info/L3_MON/num_rmids", "176\n"),
        ("info/L3_MON/mbm_assign_mode", "mbm_event\n[default]\n"),
        ("info/L3_MON/max_threshold_occupancy", "98304\n"),
        ("mon_data/mon_L3_00/llc_occupancy", "1048576\n"),
        ("mon_data/mon_L3_00/mbm_total_bytes", "Unavailable\n"),
        ("mon_data/mon_L3_00/mbm_local_bytes", "Unassigned\n"),
        ("mon_data/mon_L3_01/llc_occupancy", "Error\n"),
        ("mon_data/mon_L3_01/mbm_total_bytes", "7\n"),
        ("mon_data/mon_L3_01/mbm_local_bytes", "0\n"),
    ] {
        tree.write(&format!("{RESCTRL}/{file}"), text);
    }
    for (class, schemata, mode, cpus, tasks) in [
        ("", "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n", "shareable", "0-2", "1\n2\n3\n"),
        ("web/", "    MB:0= 50;1=100\n    L3:0=00f;1=7ff\n", "shareable", "3", "42\n43\n"),
        ("alone/", "    MB:0=100;1=100\n    L3:0=700;1=1\n", "exclusive", "", ""),
    ] {
        for (file, text) in [("schemata", schemata), ("mode", mode), ("cpus_list", cpus), ("tasks", tasks)] {
            tree.write(&format!("{RESCTRL}/{class}{file}"), text);
        }
    }
    tree.write(&format!("{RESCTRL}/web/mon_groups/slow/mon_hw_id"), "5\n");
    tree
}

fn mask(resource: &str, id: u32, bits: u64) -> Setting {
    Setting::Mask { resource: resource.to_owned(), cache_id: CacheId(id), mask: WayMask::from_bits(bits) }
}

fn limit(id: u32, value: u32) -> Setting {
    Setting::Limit { resource: "MB".to_owned(), cache_id: CacheId(id), value }
}

fn text(tree: &Tree, file: &str) -> String {
    tree.root.read(&format!("{RESCTRL}/{file}")).unwrap()
}

#[test]
fn capabilities_are_read() {
    let tree = host();
    let capabilities = Resctrl::open(&tree.root).unwrap().capabilities().unwrap();
    let l3 = &capabilities.caches[0];
    assert_eq!((l3.name.as_str(), l3.level, l3.used_for, l3.ways), ("L3", 3, Use::Unified, 11));
    assert_eq!((l3.way_bytes, l3.shareable_mask.bits(), l3.rules.sparse), (Some(3 << 19), 0x600, false));
    assert_eq!((l3.caches[1].id, l3.caches[1].cpus.as_slice()), (CacheId(1), &[2, 3][..]));
    let mb = &capabilities.bandwidth[0];
    assert_eq!((mb.unit, mb.min, mb.step, mb.linear), (LimitUnit::Percent, 10, 10, Some(true)));
    assert_eq!((capabilities.max_classes, mb.caches.len()), (8, 2));
    let monitoring = capabilities.monitoring.unwrap();
    assert_eq!(monitoring.events, ["llc_occupancy", "mbm_total_bytes", "mbm_local_bytes"]);
    assert_eq!((monitoring.max_rmids, monitoring.assign_mode.as_deref()), (176, Some("default")));
}

#[test]
fn cdp_sparse_masks_and_amd_are_told_apart() {
    let tree = host();
    tree.write("proc/cpuinfo", "vendor_id\t: AuthenticAMD\n");
    tree.write(&format!("{RESCTRL}/schemata"), "    MB:0=2048\nL3DATA:0=ffff\nL3CODE:0=ffff\n");
    for half in ["L3DATA", "L3CODE"] {
        for (file, text) in
            [("cbm_mask", "ffff"), ("min_cbm_bits", "1"), ("num_closids", "8"), ("sparse_masks", "1")]
        {
            tree.write(&format!("{RESCTRL}/info/{half}/{file}"), text);
        }
    }
    let capabilities = Resctrl::open(&tree.root).unwrap().capabilities().unwrap();
    assert_eq!(capabilities.bandwidth[0].unit, LimitUnit::EighthGbPerSecond);
    let uses: Vec<Use> = capabilities.caches.iter().map(|cache| cache.used_for).collect();
    assert_eq!((uses.as_slice(), capabilities.caches[0].rules.sparse), (&[Use::Data, Use::Code][..], true));
}

#[test]
fn classes_have_values_and_members() {
    let tree = host();
    let classes = Resctrl::open(&tree.root).unwrap().classes().unwrap();
    let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!(names, ["default", "alone", "web"]);
    assert_eq!((classes[0].task_count, classes[0].tasks.len()), (Some(3), 0));
    assert_eq!(classes[1].mode, Some(Mode::Exclusive));
    let web = &classes[2];
    assert_eq!((web.tasks.as_slice(), web.cpus.as_slice()), (&[42, 43][..], &[3][..]));
    assert_eq!((web.masks[0].mask.bits(), web.limits[0].value), (0xf, 50));
    assert_eq!(web.monitor_groups[0].rmid.unwrap().0, 5);
}

#[test]
fn readings_that_are_no_numbers_stay_so() {
    let tree = host();
    let readings =
        Resctrl::open(&tree.root).unwrap().read(&Monitored::Class(DEFAULT_CLASS.to_owned())).unwrap();
    let readings: Vec<Reading> = readings.into_iter().map(|reading| reading.reading).collect();
    let (value, error) = (Reading::Value, Reading::Error);
    assert_eq!(
        readings,
        [value(1 << 20), Reading::Unavailable, Reading::Unassigned, error, value(7), value(0)]
    );
}

#[test]
fn values_are_written_in_one_go() {
    let tree = host();
    let mut resctrl = Resctrl::open(&tree.root).unwrap();
    resctrl.set("web", &[mask("L3", 0, 0xf0), mask("L3", 1, 0x3), limit(0, 30)]).unwrap();
    assert_eq!(text(&tree, "web/schemata"), "L3:0=f0;1=3\nMB:0=30");
    resctrl.assign_tasks("web", &[7]).unwrap();
    resctrl.assign_cpus("web", &[1]).unwrap();
    assert_eq!((text(&tree, "web/tasks"), text(&tree, "web/cpus_list")), ("7".to_owned(), "1,3".to_owned()));
}

#[test]
fn what_the_machine_does_not_take_is_not_written() {
    let tree = host();
    let mut resctrl = Resctrl::open(&tree.root).unwrap();
    let before = text(&tree, "web/schemata");
    for (setting, needle) in [
        (mask("L3", 0, 0x5), "has holes"),
        (mask("L3", 0, 0), "empty"),
        (mask("L3", 0, 0x1000), "too wide"),
        (mask("L3", 7, 0x1), "no L3 cache 7; there are 0, 1"),
        (mask("L2", 0, 0x1), "does not allocate L2; it has L3"),
        (limit(0, 5), "10% to 100%"),
        (limit(0, 101), "10% to 100%"),
    ] {
        let error = resctrl.set("web", &[mask("L3", 1, 0x1), setting]).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    assert_eq!(text(&tree, "web/schemata"), before);
    assert!(matches!(resctrl.set("gone", &[limit(0, 50)]), Err(RdtError::NoClass { .. })));
    assert!(matches!(
        resctrl.set("alone", &[limit(0, 50)]),
        Err(RdtError::Protected { mode: "exclusive", .. })
    ));
    assert!(matches!(resctrl.assign_cpus("web", &[4]), Err(RdtError::NoCpu { cpu: 4 })));
    for name in ["info", "", "..", "a/b", "default"] {
        assert!(matches!(resctrl.create_class(name), Err(RdtError::BadName { .. })), "{name}");
    }
}

#[test]
fn a_refusal_quotes_the_kernel() {
    let tree = host();
    tree.write(&format!("{RESCTRL}/info/last_cmd_status"), "mask f7 has non-consecutive 1-bits\n");
    fs::remove_file(tree.root.path(&format!("{RESCTRL}/web/schemata"))).unwrap();
    let error = Resctrl::open(&tree.root).unwrap().set("web", &[limit(0, 50)]).unwrap_err().to_string();
    assert!(error.contains("the kernel says: mask f7 has") && error.contains("web/schemata"), "{error}");
}

#[test]
fn a_monitoring_group_has_its_members_and_counters() {
    let tree = host();
    for (file, content) in [("tasks", "43\n"), ("cpus_list", "3\n")] {
        tree.write(&format!("{RESCTRL}/web/mon_groups/slow/{file}"), content);
    }
    let slow = Resctrl::open(&tree.root).unwrap().classes().unwrap().pop().unwrap().monitor_groups.remove(0);
    assert_eq!((slow.name.as_str(), slow.cpus, slow.tasks), ("slow", vec![3], vec![43]));
    // Where counters are assigned to groups, a group gets those it lacks and keeps the others.
    tree.write(&format!("{RESCTRL}/info/L3_MON/mbm_assign_mode"), "[mbm_event]\ndefault\n");
    let monitoring = Resctrl::open(&tree.root).unwrap().monitoring().unwrap();
    let files = Resctrl::open(&tree.root).unwrap().files;
    let assignments = "web/mon_groups/slow/mbm_L3_assignments";
    for (before, after) in [
        ("mbm_total_bytes:0=e;1=e\nmbm_local_bytes:0=_;1=e\n", "mbm_local_bytes:*=e"),
        ("mbm_total_bytes:0=e;1=e\n", "mbm_total_bytes:0=e;1=e"),
    ] {
        tree.write(&format!("{RESCTRL}/{assignments}"), before);
        monitor::assign(&files, "web/mon_groups/slow/", &monitoring).unwrap();
        assert_eq!(text(&tree, assignments), after);
    }
}

#[test]
fn counters_that_are_assigned_are_told_by_cache() {
    let tree = host();
    let counters = || Resctrl::open(&tree.root).unwrap().monitoring().unwrap().counters;
    tree.write(&format!("{RESCTRL}/info/L3_MON/num_mbm_cntrs"), "0=32;1=32\n");
    tree.write(&format!("{RESCTRL}/info/L3_MON/available_mbm_cntrs"), "0=30;1=0\n");
    assert!(counters().is_empty(), "in the default mode nobody needs to be given one");
    tree.write(&format!("{RESCTRL}/info/L3_MON/mbm_assign_mode"), "[mbm_event]\ndefault\n");
    let told: Vec<_> = counters().iter().map(|own| (own.cache_id.0, own.count, own.free)).collect();
    assert_eq!(told, [(0, 32, Some(30)), (1, 32, Some(0))]);
    tree.write(&format!("{RESCTRL}/info/L3_MON/num_mbm_cntrs"), "32\n");
    let error = Resctrl::open(&tree.root).unwrap().monitoring().unwrap_err().to_string();
    assert!(error.contains("`32` is not counters of caches"), "{error}");
}

#[test]
fn limits_in_mib_are_not_bounded_by_percentages() {
    let tree = host();
    tree.write("proc/mounts", "resctrl /sys/fs/resctrl resctrl rw,relatime,mba_MBps 0 0\n");
    let mut resctrl = Resctrl::open(&tree.root).unwrap();
    let mb = &resctrl.capabilities().unwrap().bandwidth[0];
    assert_eq!((mb.unit, mb.min, mb.step), (LimitUnit::MibPerSecond, 0, 1));
    for value in [0, 5, 4000, LimitUnit::MibPerSecond.unlimited()] {
        resctrl.set("web", &[limit(0, value)]).unwrap();
        assert_eq!(text(&tree, "web/schemata"), format!("MB:0={value}"));
    }
}

#[test]
fn a_divided_cache_is_monitored_where_the_kernel_adds_its_parts_up() {
    let tree = host();
    tree.write("sys/devices/system/node/node0/cpulist", "0\n");
    let l3 = || Resctrl::open(&tree.root).unwrap().capabilities().unwrap();
    assert_eq!(l3().caches[0].way_bytes, Some(3 << 19), "one node has but a part of the CPUs");
    for (node, cpu) in [(1, 1), (2, 2), (3, 3)] {
        tree.write(&format!("sys/devices/system/node/node{node}/cpulist"), &format!("{cpu}\n"));
    }
    let found = l3();
    assert_eq!((found.caches[0].way_bytes, found.caches[0].caches[1].nodes), (Some(3 << 18), 2));
    assert_eq!(found.monitoring, None);
    let refused = Resctrl::open(&tree.root).unwrap().read(&Monitored::Class(DEFAULT_CLASS.to_owned()));
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("Linux 6.11"), "{error}");
    tree.write(&format!("{RESCTRL}/mon_data/mon_L3_00/mon_sub_L3_00/llc_occupancy"), "5\n");
    assert!(l3().monitoring.is_some());
    let read = Resctrl::open(&tree.root).unwrap().read(&Monitored::Class(DEFAULT_CLASS.to_owned())).unwrap();
    assert_eq!((read.len(), read[0].reading), (6, Reading::Value(1 << 20)), "sums alone");
    // AMD's nodes are not parts of a cache.
    tree.write("proc/cpuinfo", "vendor_id\t: AuthenticAMD\n");
    assert_eq!(l3().caches[0].way_bytes, Some(3 << 19));
}

#[test]
fn members_of_an_exclusive_class_stay_there() {
    let tree = host();
    tree.write(&format!("{RESCTRL}/alone/tasks"), "77\n");
    tree.write(&format!("{RESCTRL}/alone/cpus_list"), "2\n");
    let mut resctrl = Resctrl::open(&tree.root).unwrap();
    for members in [Members::Tasks(vec![42, 77]), Members::Cpus(vec![1, 2])] {
        let request = Request { class: "web".to_owned(), settings: Vec::new(), members };
        let error = apply(&mut resctrl, &request).unwrap_err().to_string();
        assert!(error.contains("in class `alone`, which is exclusive"), "{error}");
    }
    assert_eq!(
        (text(&tree, "web/tasks"), text(&tree, "web/cpus_list")),
        ("42\n43".to_owned(), "3".to_owned())
    );
}

#[test]
fn a_failed_request_leaves_nothing() {
    let tree = host();
    let mut resctrl = Resctrl::open(&tree.root).unwrap();
    let request = |class: &str, bits, cpus| Request {
        class: class.to_owned(),
        settings: vec![mask("L3", 0, bits)],
        members: Members::Cpus(cpus),
    };
    assert!(matches!(apply(&mut resctrl, &request("new", 0x5, vec![])), Err(RdtError::BadMask { .. })));
    assert!(!tree.root.path(&format!("{RESCTRL}/new")).exists());
    assert!(matches!(apply(&mut resctrl, &request("web", 0x7, vec![9])), Err(RdtError::NoCpu { cpu: 9 })));
    assert_eq!(text(&tree, "web/schemata"), "L3:0=f;1=7ff\nMB:0=50;1=100");
}
