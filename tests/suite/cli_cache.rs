//! `waytrace cache`: what it shows and writes on trees laid out as resctrl is, where files are plain, and what it refuses.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::golden::breaches;
use crate::harness::waytrace::{Finished, run};

const CONTRACT: &str = include_str!("../golden/cache-show-json.contract");

/// One socket of two CPUs with 12 ways of 2 MiB, bandwidth limits, monitoring, and a class `web` with two threads.
const HOST: [(&str, &str); 40] = [
    ("proc/mounts", "resctrl /sys/fs/resctrl resctrl rw,relatime 0 0\n"),
    ("proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t\t: cat_l3 mba\n"),
    ("proc/77/task/77/stat", ""),
    ("proc/77/task/79/stat", ""),
    ("sys/devices/system/cpu/online", "0-1\n"),
    ("sys/devices/system/cpu/cpu0/cache/index3/id", "0\n"),
    ("sys/devices/system/cpu/cpu0/cache/index3/level", "3\n"),
    ("sys/devices/system/cpu/cpu0/cache/index3/type", "Unified\n"),
    ("sys/devices/system/cpu/cpu0/cache/index3/size", "24576K\n"),
    ("sys/devices/system/cpu/cpu0/cache/index3/shared_cpu_list", "0-1\n"),
    ("sys/fs/resctrl/info/last_cmd_status", "ok\n"),
    ("sys/fs/resctrl/info/L3/cbm_mask", "fff\n"),
    ("sys/fs/resctrl/info/L3/min_cbm_bits", "2\n"),
    ("sys/fs/resctrl/info/L3/num_closids", "4\n"),
    ("sys/fs/resctrl/info/L3/shareable_bits", "0\n"),
    ("sys/fs/resctrl/info/L3/sparse_masks", "0\n"),
    ("sys/fs/resctrl/info/MB/min_bandwidth", "10\n"),
    ("sys/fs/resctrl/info/MB/bandwidth_gran", "10\n"),
    ("sys/fs/resctrl/info/MB/num_closids", "4\n"),
    ("sys/fs/resctrl/info/L3_MON/mon_features", "llc_occupancy\n"),
    ("sys/fs/resctrl/info/L3_MON/num_rmids", "16\n"),
    ("sys/fs/resctrl/schemata", "    MB:0=100\n    L3:0=fff\n"),
    ("sys/fs/resctrl/mode", "shareable\n"),
    ("sys/fs/resctrl/cpus_list", "0-1\n"),
    ("sys/fs/resctrl/tasks", "1\n77\n79\n"),
    ("sys/fs/resctrl/web/schemata", "    MB:0= 50\n    L3:0=00f\n"),
    ("sys/fs/resctrl/web/mode", "shareable\n"),
    ("sys/fs/resctrl/web/cpus_list", "\n"),
    ("sys/fs/resctrl/web/tasks", "42\n43\n"),
    ("sys/fs/resctrl/web/mon_groups/slow/tasks", "43\n"),
    ("sys/fs/resctrl/lone/schemata", "    MB:0=100\n    L3:0=003\n"),
    ("sys/fs/resctrl/lone/mode", "exclusive\n"),
    ("sys/fs/resctrl/lone/cpus_list", "\n"),
    ("sys/fs/resctrl/lone/tasks", ""),
    ("sys/fs/resctrl/tight/schemata", "    MB:0=100\n    L3:0=ff0\n"),
    ("sys/fs/resctrl/tight/mode", "shareable\n"),
    ("sys/fs/resctrl/tight/cpus_list", "\n"),
    ("sys/fs/resctrl/tight/tasks", ""),
    ("sys/fs/cgroup/batch/cgroup.procs", "77\n"),
    ("sys/fs/cgroup/batch/cgroup.threads", "77\n79\n"),
];

fn host() -> TempDir {
    let dir = TempDir::new().unwrap();
    for (path, text) in HOST {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn cache(dir: &TempDir, args: &[&str]) -> Finished {
    let root = dir.path().to_str().unwrap();
    run(&[&["cache"], args, &["--host-root", root]].concat())
}

fn text(dir: &TempDir, file: &str) -> String {
    fs::read_to_string(dir.path().join("sys/fs/resctrl").join(file)).unwrap()
}

#[test]
fn show_keeps_its_contract() {
    let shown = cache(&host(), &["show", "--json"]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    let document = shown.json();
    assert_eq!(breaches(CONTRACT, &document, true), Vec::<String>::new());
    let l3 = &document["capabilities"]["caches"][0];
    assert_eq!(
        (&l3["full_mask"], &l3["ways"], &l3["way_bytes"], &l3["min_ways"]),
        (&Value::from("0xfff"), &Value::from(12), &Value::from(2 << 20), &Value::from(2))
    );
    let web = document["classes"].as_array().unwrap().iter().find(|class| class["name"] == "web").unwrap();
    assert_eq!(
        (&web["masks"][0]["mask"], &web["limits"][0]["value"]),
        (&Value::from("0xf"), &Value::from(50))
    );
    assert_eq!(web["tasks"], Value::from(vec![42, 43]));
}

#[test]
fn show_is_a_table() {
    let shown = cache(&host(), &["show"]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    for needle in ["L3: 12 ways of 2.00MiB (0xfff), at least 2", "cache 0: 24.0MiB, CPUs 0-1", "MB: from 10%"]
    {
        assert!(shown.stdout.contains(needle), "{needle}: {}", shown.stdout);
    }
    let web = shown.stdout.lines().find(|line| line.starts_with("web")).unwrap();
    let cells: Vec<&str> = web.split_whitespace().collect();
    assert_eq!(cells, ["web", "0", "0xf", "4w", "50%", "shareable", "42-43", "slow"]);
}

#[test]
fn set_writes_values_then_members() {
    for (share, members, mask) in [("4w", ["--pid", "77"], "3c"), ("50%", ["--cgroup", "batch"], "fc")] {
        let dir = host();
        let finished =
            cache(&dir, &["set", "--l3", share, "--mb", "30%", members[0], members[1], "--class", "tight"]);
        assert_eq!(finished.code, 0, "{finished:#?}");
        // Ways 0 and 1 are another's alone.
        assert_eq!(text(&dir, "tight/schemata"), format!("L3:0={mask}\nMB:0=30\n"));
        assert_eq!(text(&dir, "tight/tasks"), "79\n", "the last of two writes");
        assert!(
            finished.stderr.contains("class tight: L3 0 = 0x") && finished.stderr.contains("2 threads"),
            "{finished:#?}"
        );
    }
}

#[test]
fn set_refuses_before_it_writes() {
    let dir = host();
    let whom = ["--class", "web", "--pid", "77"];
    for (args, needle) in [
        (&["--l3", "0x5"][..], "has holes"),
        (&["--l3", "0x1"], "no fewer than 2"),
        (&["--l3", "0x7"], "held by exclusive"),
        (&["--l3", "13w"], "more than the 12 ways"),
        (&["--l3", "11w"], "no 11 ways next to each other"),
        (&["--l3", "4"], "not a share of a cache"),
        (&["--l3", "4w", "--cache-id", "3"], "no L3 cache 3; there are 0"),
        (&["--l2", "4w"], "does not allocate its L2"),
        (&["--l3-code", "4w"], "-o cdp"),
        (&["--mb", "5%"], "10% to 100%"),
        (&["--mb", "50"], "takes percent"),
    ] {
        let finished = cache(&dir, &[&["set"], args, &whom[..]].concat());
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
        assert!(finished.stderr.contains(needle), "{needle}: {}", finished.stderr);
    }
    for (args, needle) in [
        (&["--pid", "78"][..], "no thread or process 78"),
        (&["--cgroup", "gone"], "cgroup.procs"),
        (&["--cpus", "7", "--class", "web"], "no CPU 7"),
        (&["--cpus", "x"], "not a CPU list"),
        (&["--class", "lone"], "exclusive"),
        (&[], "whose share?"),
    ] {
        let finished = cache(&dir, &[&["set", "--l3", "4w"], args].concat());
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
        assert!(finished.stderr.contains(needle), "{needle}: {}", finished.stderr);
    }
    assert_eq!(text(&dir, "lone/schemata"), "    MB:0=100\n    L3:0=003\n");
    assert_eq!(text(&dir, "tasks"), "1\n77\n79\n");
}

#[test]
fn reset_gives_the_default_class_what_is_free() {
    let dir = host();
    let finished = cache(&dir, &["reset", "--class", "default"]);
    assert_eq!(finished.code, 0, "{finished:#?}");
    assert_eq!(text(&dir, "schemata"), "L3:0=ffc\nMB:0=100\n");
    let finished = cache(&dir, &["reset", "--class", "lone"]);
    assert_eq!(finished.code, 2, "{finished:#?}");
    let finished = cache(&dir, &["reset", "--class", "gone"]);
    assert!(finished.code == 2 && finished.stderr.contains("no class `gone`"), "{finished:#?}");
}

#[test]
fn without_cache_allocation_the_reason_is_told() {
    let dir = TempDir::new().unwrap();
    let write = |path: &str, text: &str| {
        fs::create_dir_all(dir.path().join("proc")).unwrap();
        fs::write(dir.path().join(path), text).unwrap();
    };
    for (path, content, needle) in [
        ("proc/cpuinfo", "flags\t: fpu\nmodel name\t: Old CPU\n", "Old CPU has neither"),
        ("proc/cpuinfo", "flags\t: fpu hypervisor\n", "virtual machine"),
        ("proc/cpuinfo", "flags\t: cat_l3\n", "CONFIG_X86_CPU_RESCTRL"),
        ("proc/filesystems", "nodev\tresctrl\n", "mount -t resctrl resctrl /sys/fs/resctrl"),
    ] {
        write(path, content);
        for verb in [&["show", "--json"][..], &["set", "--l3", "4w", "--pid", "1"], &["reset"]] {
            let finished = cache(&dir, verb);
            assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
            let complaints = finished.complaints();
            assert!(complaints.len() == 1 && complaints[0].contains(needle), "{needle}: {finished:#?}");
        }
    }
}

#[test]
fn a_damaged_tree_names_the_file() {
    for (file, content) in [
        ("web/schemata", "L3:0=xyz\n"),
        ("info/L3/cbm_mask", ""),
        ("web/mode", "odd\n"),
        ("web/tasks", "x\n"),
    ] {
        let dir = host();
        fs::write(dir.path().join("sys/fs/resctrl").join(file), content).unwrap();
        let finished = cache(&dir, &["show"]);
        assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
        assert!(finished.stderr.contains(file), "{file}: {}", finished.stderr);
    }
}

#[test]
fn registers_are_refused_while_resctrl_is_mounted() {
    let dir = host();
    let finished = cache(&dir, &["show", "--interface", "msr"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
    assert!(
        finished.stderr.contains("resctrl is mounted at") && finished.stderr.contains("--force"),
        "{finished:#?}"
    );
    let forced = cache(&dir, &["show", "--interface", "msr", "--force"]);
    assert!(forced.code == 2 && forced.stderr.contains("dev/cpu/0/cpuid"), "{forced:#?}");
}
