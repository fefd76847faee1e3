//! Sources found on machines made of files: Intel with and without the leading event, hybrid, AMD, Arm, POWER, none.

use super::*;
use crate::testing::{Tree, hybrid, intel_like, software_pmus};

fn find(tree: &Tree) -> SamplingSource {
    SamplingSource::find(&tree.machine(), None, None).unwrap()
}

fn config(event: &SampledEvent) -> [u64; 4] {
    event.attr.for_cpu(event.attr.cpus().map_or(0, |cpus| cpus[0])).unwrap().config
}

#[test]
fn intel_loads_and_stores_as_precise_as_they_get() {
    let tree = intel_like();
    tree.write("proc/cpuinfo", "vendor_id : GenuineIntel\n");
    tree.pmu("cpu", &[("events/mem-stores", "event=0xd0,umask=0x82\n")]);
    let source = find(&tree);
    assert_eq!((source.source, source.events.len()), (Source::IntelPebs, 2));
    let [loads, stores] = &source.events[..] else { panic!() };
    assert_eq!((config(loads), loads.kind), ([0x1cd, 3, 0, 0], Some(AccessKind::Load)));
    assert_eq!((config(stores), stores.kind), ([0x82d0, 0, 0, 0], Some(AccessKind::Store)));
    assert_eq!((loads.precise_ip, stores.precise_ip, &loads.leader), (3, 3, &None));
    assert_eq!(source.notes, [NOT_VERIFIED]);
}

#[test]
fn where_loads_need_a_leader_they_get_it_and_stores_do_not() {
    let tree = hybrid();
    tree.write("proc/cpuinfo", "vendor_id : GenuineIntel\n");
    tree.pmu(
        "cpu_core",
        &[
            ("events/mem-loads", "event=0xcd,umask=0x1\n"),
            ("events/mem-loads-aux", "event=0x03,umask=0x82\n"),
            ("events/mem-stores", "event=0xcd,umask=0x2\n"),
            ("caps/max_precise", "3\n"),
        ],
    );
    let source = find(&tree);
    let of = |name: &str| source.events.iter().find(|event| event.attr.name() == name).unwrap();
    let loads = of("cpu_core/mem-loads/");
    assert_eq!(loads.leader.as_ref().unwrap().for_cpu(0).unwrap().config[0], 0x8203);
    assert_eq!(loads.attr.cpus(), Some(vec![0, 1]));
    assert_eq!(of("cpu_core/mem-stores/").leader, None);
    let atom = of("cpu_atom/mem-loads/");
    assert_eq!((atom.attr.cpus(), &atom.leader), (Some(vec![2, 3, 4, 5]), &None));
    assert_eq!(source.events.len(), 3);
    let given = SamplingSource::find(&tree.machine(), Some("cpu_core/mem-loads/"), None).unwrap();
    assert!(given.events[0].leader.is_some());
}

fn amd(formats: &[&str]) -> Tree {
    let tree = Tree::new(&[("proc/cpuinfo", "vendor_id : AuthenticAMD\n")]);
    software_pmus(&tree);
    tree.pmu("cpu", &[("type", "4\n"), ("format/event", "config:0-7,32-35\n")]);
    tree.pmu("ibs_op", &[("type", "11\n")]);
    for format in formats {
        let bits = match *format {
            "cnt_ctl" => "config:19\n",
            "l3missonly" => "config:16\n",
            _ => "config2:0\n",
        };
        tree.pmu("ibs_op", &[(&format!("format/{format}"), bits)]);
    }
    tree
}

#[test]
fn amd_of_all_ages() {
    let old = find(&amd(&[]));
    assert_eq!((old.source, config(&old.events[0])), (Source::AmdIbs, [0; 4]));
    assert!(!old.events[0].excludes_kernel);
    assert!(old.notes[1].contains("cycles instead of operations"), "{:?}", old.notes);
    let zen4 = find(&amd(&["cnt_ctl", "l3missonly", "swfilt"]));
    let event = &zen4.events[0];
    assert_eq!(config(event), [1 << 19, 0, 1, 0]);
    assert_eq!((event.kind, event.precise_ip, event.period_step), (None, 0, 16));
    assert!(event.excludes_kernel);
    assert!(zen4.notes[1].contains("l3missonly"), "{:?}", zen4.notes);
    let machine = amd(&["l3missonly"]);
    let given = SamplingSource::find(&machine.machine(), Some("ibs_op/l3missonly=1/"), None).unwrap();
    assert_eq!((given.source, config(&given.events[0])[0]), (Source::AmdIbs, 1 << 16));
    assert_eq!((given.events[0].kind, given.events[0].period_step), (None, 16));
    let mixed =
        SamplingSource::find(&machine.machine(), Some("ibs_op/l3missonly=1/"), Some("r1")).unwrap_err();
    assert!(mixed.to_string().contains("two kinds"), "{mixed}");
}

#[test]
fn arm_takes_the_filters_it_has() {
    let tree = Tree::new(&[]);
    software_pmus(&tree);
    tree.pmu(
        "arm_spe_0",
        &[
            ("type", "9\n"),
            ("format/ts_enable", "config:0\n"),
            ("format/jitter", "config:16\n"),
            ("format/load_filter", "config:33\n"),
            ("format/store_filter", "config:34\n"),
            ("caps/min_interval", "1024\n"),
        ],
    );
    let source = find(&tree);
    let event = &source.events[0];
    assert_eq!((source.source, event.transport), (Source::ArmSpe, Transport::Spe));
    assert_eq!(config(event), [1 | 1 << 16 | 1 << 33 | 1 << 34, 0, 0, 0]);
    assert_eq!((event.least_period, event.takes_frequency), (1024, false));
}

#[test]
fn power_by_name_and_by_number() {
    let tree = Tree::new(&[("proc/cpuinfo", "cpu : POWER9, altivec supported\n")]);
    software_pmus(&tree);
    tree.pmu("cpu", &[("type", "4\n"), ("format/event", "config:0-59\n")]);
    let source = find(&tree);
    assert_eq!(source.source, Source::PmuEvent);
    assert_eq!(source.events.iter().map(|event| config(event)[0]).collect::<Vec<_>>(), [0x4003e, 0x20016]);
    tree.pmu(
        "cpu",
        &[("events/mem-loads", "event=0x34340401e0\n"), ("events/mem-stores", "event=0x343c0401e0\n")],
    );
    let source = find(&tree);
    assert_eq!(config(&source.events[0])[0], 0x34_3404_01e0);
    assert_eq!((source.source, source.events[0].precise_ip), (Source::PmuEvent, 0));
}

#[test]
fn events_given_take_the_place_of_the_machines() {
    let tree = intel_like();
    let machine = tree.machine();
    let source =
        SamplingSource::find(&machine, Some("r81d0:u"), Some("cpu/event=0xd0,umask=0x82/pp")).unwrap();
    let [read, write] = &source.events[..] else { panic!() };
    assert_eq!((config(read)[0], read.kind, read.precise_ip), (0x81d0, Some(AccessKind::Load), 3));
    assert_eq!((config(write)[0], write.kind, write.precise_ip), (0x82d0, Some(AccessKind::Store), 2));
    assert!(read.attr.modifiers.exclude_kernel);
    let alone = SamplingSource::find(&machine, None, Some("r82d0")).unwrap();
    assert_eq!(alone.events.len(), 1);
    for (event, word) in
        [("page-faults", "no addresses"), ("nope", "unknown event"), ("power/energy-pkg/", "no addresses")]
    {
        let error = SamplingSource::find(&machine, Some(event), None).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_machine_without_such_a_pmu_says_so() {
    let tree = Tree::new(&[]);
    software_pmus(&tree);
    let error = SamplingSource::find(&tree.machine(), None, None).unwrap_err().to_string();
    assert!(error.contains("forward walk") && error.contains("breakpoint, msr"), "{error}");
}
