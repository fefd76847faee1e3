//! `waytrace cache` on every simulated host, by resctrl and by registers: capabilities known beforehand, shares that land in the
//! registers, and a reset that leaves them as they were.

use serde_json::{Value, json};
use waytrace_simhost::hosts;

use crate::harness::simulated::{LOOP, Simulated};
use crate::or_skip;

/// What a host has. Written down from the hosts' descriptions, not computed from what builds them.
struct Known {
    host: &'static str,
    /// Ways, classes of the L3 and of all, fewest ways.
    l3: (u32, u32, u32, u32),
    caches: usize,
    sparse: bool,
    /// Least limit and its unit.
    limit: Option<(u32, &'static str)>,
    rmids: Option<u32>,
    /// The last two by registers.
    by_msr: (Option<(u32, &'static str)>, Option<u32>),
}

const PERCENT: Option<(u32, &str)> = Some((10, "percent"));

const KNOWN: [Known; 16] = [
    known("eleven", (11, 16, 16, 1), None),
    known("twelve", (12, 16, 8, 1), PERCENT),
    known("sixteen", (16, 4, 4, 1), PERCENT),
    known("twenty", (20, 4, 4, 1), None),
    Known { caches: 2, ..known("two-sockets", (11, 16, 8, 1), PERCENT) },
    known("cdp", (12, 8, 8, 1), PERCENT),
    Known { sparse: true, ..known("sparse", (12, 16, 8, 1), PERCENT) },
    Known { caches: 2, sparse: true, ..known("amd", (16, 16, 16, 1), Some((1, "eighth-gb-per-second"))) },
    Known { rmids: None, by_msr: (PERCENT, None), ..known("no-monitoring", (12, 16, 8, 1), PERCENT) },
    known("min-two", (20, 4, 4, 2), None),
    known("broken", (12, 16, 8, 1), PERCENT),
    known("narrow", (12, 16, 8, 1), PERCENT),
    Known { caches: 2, sparse: true, ..known("abmc", (16, 16, 16, 1), Some((1, "eighth-gb-per-second"))) },
    Known { by_msr: (PERCENT, Some(64)), ..known("mbps", (12, 16, 8, 1), Some((0, "mib-per-second"))) },
    known("nonlinear", (12, 16, 16, 1), None),
    Known { caches: 2, by_msr: (PERCENT, None), ..known("divided", (11, 16, 8, 1), PERCENT) },
];

const fn known(host: &'static str, l3: (u32, u32, u32, u32), limit: Option<(u32, &'static str)>) -> Known {
    Known { host, l3, caches: 1, sparse: false, limit, rmids: Some(64), by_msr: (limit, Some(64)) }
}

/// The host, and the arguments of an interface. For registers resctrl is unmounted, with which CDP ends.
fn open(known: &Known, interface: &str) -> Result<Simulated, String> {
    let host = Simulated::named(known.host)?;
    if interface == "msr" {
        host.mounted.host().set_mounted(false);
        let cdp = known.host == "cdp";
        host.mounted.host().machine.control.cdp.fill(cdp);
    }
    Ok(host)
}

#[test]
fn every_host_is_on_the_list() {
    let mut listed: Vec<&str> = KNOWN.iter().map(|known| known.host).collect();
    listed.push("unmounted");
    let missing: Vec<&str> = hosts::NAMES.into_iter().filter(|name| !listed.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn capabilities_are_those_the_hosts_have() {
    for known in &KNOWN {
        for interface in ["resctrl", "msr"] {
            let host = or_skip!(open(known, interface));
            let shown = host.cache(&["show", "--json", "--interface", interface]);
            assert_eq!(shown.code, 0, "{}: {shown:#?}", known.host);
            let all = &shown.json()["capabilities"];
            let (ways, classes, most, least) = known.l3;
            let of_l3: Vec<&Value> =
                all["caches"].as_array().unwrap().iter().filter(|cache| cache["level"] == 3).collect();
            let what = format!("{} by {interface}: {all:#}", known.host);
            assert_eq!(of_l3.len(), if known.host == "cdp" { 2 } else { 1 }, "{what}");
            for l3 in of_l3 {
                let told = json!([l3["ways"], l3["classes"], l3["min_ways"], l3["sparse"]]);
                assert_eq!(told, json!([ways, classes, least, known.sparse]), "{what}");
                assert_eq!(l3["caches"].as_array().unwrap().len(), known.caches, "{what}");
            }
            assert_eq!(all["max_classes"], most, "{what}");
            let limit = all["bandwidth"].get(0).map(|limit| (limit["min"].clone(), limit["unit"].clone()));
            let (expected, rmids) =
                if interface == "msr" { known.by_msr } else { (known.limit, known.rmids) };
            assert_eq!(limit, expected.map(|(min, unit)| (json!(min), json!(unit))), "{what}");
            let told = all["monitoring"].get("max_rmids").cloned();
            assert_eq!(told, rmids.map(Value::from), "{what}");
        }
    }
}

#[test]
fn a_share_lands_in_the_registers_and_a_reset_leaves_them_as_they_were() {
    for known in &KNOWN {
        for interface in ["resctrl", "msr"] {
            let host = or_skip!(open(known, interface));
            let before = host.state();
            let pid = LOOP.to_string();
            let whom = if interface == "msr" { ["--cpus", "0"] } else { ["--pid", &pid] };
            let set = host.cache(
                &[&["set", "--l3", "4w", "--cache-id", "0", "--interface", interface], &whom[..]].concat(),
            );
            assert_eq!(set.code, 0, "{}: {set:#?}", known.host);
            let (masks, class) = {
                let machine = &host.mounted.host().machine;
                (machine.control.l3.clone(), machine.control.pqr[0].closid)
            };
            let full = (1 << known.l3.0) - 1;
            // With CDP two registers are a class's.
            let of_class = if known.host == "cdp" { vec![2, 3] } else { vec![class as usize] };
            assert_eq!(class, 1, "{}", known.host);
            for (number, mask) in masks[0].iter().enumerate() {
                let expected = if of_class.contains(&number) { 0xf } else { full };
                assert_eq!(*mask, expected, "{} by {interface}, register {number}", known.host);
            }
            assert!(masks[1..].iter().flatten().all(|mask| *mask == full), "{}: {masks:x?}", known.host);
            let reset = host.cache(&["reset", "--interface", interface]);
            assert_eq!(reset.code, 0, "{}: {reset:#?}", known.host);
            assert_eq!(host.state(), before, "{} by {interface}", known.host);
        }
    }
}

#[test]
fn limits_of_each_unit_land_in_the_registers() {
    for (name, limit, held) in [("twelve", "30%", 70), ("amd", "80", 80)] {
        for interface in ["resctrl", "msr"] {
            let known = KNOWN.iter().find(|known| known.host == name).unwrap();
            let host = or_skip!(open(known, interface));
            if interface == "resctrl" {
                host.mkdir("a");
            }
            let class = if interface == "msr" { "cos1" } else { "a" };
            let args = ["set", "--mb", limit, "--class", class, "--cache-id", "0", "--interface", interface];
            let set = host.cache(&args);
            assert_eq!(set.code, 0, "{set:#?}");
            assert_eq!(host.mounted.host().machine.control.mba[0][1], held, "{name} by {interface}");
        }
    }
}

#[test]
fn a_limit_in_mib_is_told_set_and_held() {
    let host = or_skip!(Simulated::named("mbps"));
    let before = host.state();
    let shown = host.cache(&["show"]);
    for needle in ["MB: MiB/s, held by the kernel; 8 classes", "no limit"] {
        assert!(shown.stdout.contains(needle), "{needle}: {shown:#?}");
    }
    let percent = host.cache(&["set", "--mb", "50%", "--pid", "2000"]);
    assert!(
        percent.code == 2 && percent.stderr.contains("this machine takes MiB/s, as 2000"),
        "{percent:#?}"
    );
    assert_eq!(host.state(), before);
    // Alone it moves 505 MiB a second.
    let set = host.cache(&["set", "--mb", "300", "--pid", "2000"]);
    assert_eq!(set.code, 0, "{set:#?}");
    host.mounted.step(10_000_000_000);
    let rmid = host.mounted.host().machine.tasks[&2000].rmid;
    let moved = || host.mounted.host().machine.traffic_bytes(0, rmid);
    let first = moved();
    host.mounted.step(1_000_000_000);
    let mib = (moved() - first) >> 20;
    assert!((220..=300).contains(&mib), "{mib} MiB a second");
    let table = host.cache(&["show"]).stdout;
    assert!(
        table.lines().any(|line| line.starts_with("waytrace-pid-2000") && line.contains("300 MiB/s")),
        "{table}"
    );
    let reset = host.cache(&["reset"]);
    assert_eq!(reset.code, 0, "{reset:#?}");
    assert_eq!(host.state(), before);
}

#[test]
fn a_scale_of_delays_nobody_knows_is_refused_with_its_reason() {
    for interface in ["resctrl", "msr"] {
        let host = or_skip!(Simulated::named("nonlinear"));
        host.mounted.host().set_mounted(interface == "resctrl");
        let before = host.state();
        let args = ["set", "--mb", "50%", "--interface", interface];
        let whom: &[&str] = if interface == "msr" { &["--cpus", "1"] } else { &["--pid", "2000"] };
        let refused = host.cache(&[&args[..], whom].concat());
        assert_eq!((refused.code, refused.complaints().len()), (2, 1), "{refused:#?}");
        assert!(refused.stderr.contains("not linear (CPUID 0x10.3)"), "{refused:#?}");
        assert_eq!(host.state(), before, "{interface}");
    }
    let none = or_skip!(Simulated::named("eleven"));
    let refused = none.cache(&["set", "--mb", "50%", "--pid", "2000"]);
    assert!(refused.code == 2 && refused.stderr.contains("no mba in /proc/cpuinfo"), "{refused:#?}");
}

#[test]
fn of_a_divided_cache_a_way_is_a_part_in_each_node() {
    for interface in ["resctrl", "msr"] {
        let host = or_skip!(Simulated::named("divided"));
        host.mounted.host().set_mounted(interface == "resctrl");
        let shown = host.cache(&["show", "--interface", interface]);
        assert!(shown.stdout.contains("11 ways of 1.00MiB"), "{shown:#?}");
        assert!(shown.stdout.contains("cache 1: 22.0MiB, divided into 2 nodes"), "{shown:#?}");
        let args = ["set", "--l3", "3MiB", "--cpus", "0", "--interface", interface];
        let set = host.cache(&args);
        assert_eq!(set.code, 0, "{set:#?}");
        assert_eq!(host.mounted.host().machine.control.l3[0][1], 0b111, "{interface}");
    }
    // The kernel adds the parts up, registers do not.
    let host = or_skip!(Simulated::named("divided"));
    let count = ["watch", "--count", "1", "--interval", "10ms"];
    assert_eq!(host.cache(&count).code, 0);
    host.mounted.host().set_mounted(false);
    let refused = host.cache(&[&count[..], &["--interface", "msr", "--cpus", "0"]].concat());
    assert_eq!((refused.code, refused.complaints().len()), (2, 1), "{refused:#?}");
    assert!(refused.stderr.contains("sub-NUMA clustering"), "{refused:#?}");
}

#[test]
fn code_and_data_have_masks_of_their_own() {
    for interface in ["resctrl", "msr"] {
        let known = KNOWN.iter().find(|known| known.host == "cdp").unwrap();
        let host = or_skip!(open(known, interface));
        let set = host.cache(&[
            "set",
            "--l3-code",
            "0x3",
            "--l3-data",
            "0xff0",
            "--cpus",
            "2",
            "--interface",
            interface,
        ]);
        assert_eq!(set.code, 0, "{set:#?}");
        let control = host.mounted.host().machine.control.clone();
        assert_eq!((control.l3[0][2], control.l3[0][3], control.pqr[2].closid), (0xff0, 0x3, 1));
    }
}

#[test]
fn a_host_that_has_not_mounted_resctrl_says_how() {
    let host = or_skip!(Simulated::named("unmounted"));
    for verb in [&["show"][..], &["set", "--l3", "4w", "--pid", "1000"], &["reset"], &["watch"]] {
        let finished = host.cache(verb);
        assert_eq!((finished.code, finished.complaints().len()), (2, 1), "{finished:#?}");
        assert!(finished.stderr.contains("mount -t resctrl resctrl /sys/fs/resctrl"), "{finished:#?}");
    }
    let shown = host.cache(&["show", "--interface", "msr"]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    let mounted = or_skip!(Simulated::named("twelve"));
    let refused = mounted.cache(&["show", "--interface", "msr"]);
    assert!(refused.code == 2 && refused.stderr.contains("--force"), "{refused:#?}");
}
