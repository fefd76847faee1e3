//! Tests of event names against trees whose truth is written in `crate::testing`.

use super::*;
use crate::events::{Encoding, TaskCounter};
use crate::testing::{Tree, hybrid, intel_like, software_pmus};

fn perf(event: &EventSpec) -> &PerfAttr {
    match &event.source {
        Source::Perf(attr) => attr,
        Source::Task(counter) => panic!("{} is {counter:?}", event.name),
    }
}

fn encoding(machine: &Machine, name: &str, cpu: u32) -> (u32, [u64; 4]) {
    let Encoding { type_, config } = perf(&resolve(machine, name).unwrap()).for_cpu(cpu).unwrap();
    (type_, config)
}

fn message(machine: &Machine, name: &str) -> String {
    resolve(machine, name).unwrap_err().to_string()
}

#[test]
fn what_the_kernel_keeps_per_task_is_no_perf_event() {
    let tree = intel_like();
    for (typed, name, counter, unit) in [
        ("task-clock", "task-clock", TaskCounter::TaskClock, Unit::Ns),
        ("faults", "page-faults", TaskCounter::PageFaults, Unit::Count),
        ("minor-faults", "minor-faults", TaskCounter::MinorFaults, Unit::Count),
        ("major-faults:uk", "major-faults:uk", TaskCounter::MajorFaults, Unit::Count),
        ("CS", "context-switches", TaskCounter::ContextSwitches, Unit::Count),
        ("migrations", "cpu-migrations", TaskCounter::CpuMigrations, Unit::Count),
    ] {
        let event = resolve(&tree.machine(), typed).unwrap();
        assert_eq!((event.name.as_str(), event.unit, event.source), (name, unit, Source::Task(counter)));
    }
}

#[test]
fn a_mode_makes_a_fault_counter_a_perf_event_and_others_an_error() {
    let tree = intel_like();
    let event = resolve(&tree.machine(), "page-faults:u").unwrap();
    assert_eq!(perf(&event).for_cpu(0).unwrap().config[0], 2);
    assert!(perf(&event).modifiers.exclude_kernel);
    assert!(message(&tree.machine(), "cs:u").contains("write `context-switches`"));
}

#[test]
fn generic_and_raw_events_have_the_kernels_numbers() {
    let tree = intel_like();
    let machine = tree.machine();
    for (name, type_, config) in [
        ("cycles", 0, 0),
        ("branch-misses:k", 0, 5),
        ("L1-dcache-load-misses", 3, 0x1_0000),
        ("llc-loads", 3, 2),
        ("r1a8", 4, 0x1a8),
        ("cpu-clock", 1, 0),
        ("alignment-faults:u", 1, 7),
        ("slots", 4, 0x400),
    ] {
        assert_eq!(encoding(&machine, name, 0), (type_, [config, 0, 0, 0]), "{name}");
    }
    assert_eq!(resolve(&machine, "llc-loads").unwrap().name, "LLC-loads");
    assert_eq!(resolve(&machine, "cpu-cycles:u").unwrap().name, "cycles:u");
}

#[test]
fn pmu_events_use_the_pmus_own_fields() {
    let tree = intel_like();
    let machine = tree.machine();
    assert_eq!(encoding(&machine, "cpu/event=0x3c,umask=0/u", 3), (4, [0x3c, 0, 0, 0]));
    assert_eq!(encoding(&machine, "cpu/mem-loads,ldlat=50/pp", 0), (4, [0x1cd, 50, 0, 0]));
    assert_eq!(encoding(&machine, "msr/tsc/", 1), (9, [0; 4]));
    let tsc = resolve(&machine, "msr/tsc/").unwrap();
    assert_eq!((tsc.unit, perf(&tsc).per_task), (Unit::Cycles, true));
    assert_eq!(resolve(&machine, "cpu/event=1,name=mine/").unwrap().name, "mine");
}

#[test]
fn package_events_are_bound_to_their_cpus() {
    let tree = intel_like();
    let event = resolve(&tree.machine(), "uncore_imc_0/cas_count_read/").unwrap();
    let attr = perf(&event);
    assert_eq!((attr.per_task, attr.cpus()), (false, Some(vec![0])));
    assert_eq!(attr.for_cpu(0).unwrap().config[0], 0x304);
    assert_eq!(attr.for_cpu(1), None);
    assert_eq!(attr.scale.as_ref().unwrap().unit, "MiB");
}

#[test]
fn hybrid_cores_each_have_their_encoding() {
    let tree = hybrid();
    let machine = tree.machine();
    assert_eq!(encoding(&machine, "instructions", 1), (0, [4 << 32 | 1, 0, 0, 0]));
    assert_eq!(encoding(&machine, "instructions", 2), (0, [10 << 32 | 1, 0, 0, 0]));
    assert_eq!(encoding(&machine, "r3c", 5), (10, [0x3c, 0, 0, 0]));
    assert_eq!(encoding(&machine, "mem-loads", 0), (4, [0x5d0, 0, 0, 0]));
    assert_eq!(encoding(&machine, "cpu_atom/event=0xc0,umask=0x1ff/", 2), (10, [1 << 40 | 0xffc0, 0, 0, 0]));
    let atom = resolve(&machine, "cpu_atom/event=0x3c/").unwrap();
    assert_eq!(perf(&atom).cpus(), Some(vec![2, 3, 4, 5]));
}

#[test]
fn all_events_of_arms_only_core_pmu_have_the_kernels_number() {
    let files = [("type", "8\n"), ("cpus", "0-3\n"), ("format/event", "config:0-15\n")];
    let named = [files.as_slice(), &[("events/l1d_cache", "event=0x0004\n")]].concat();
    let tree = Tree::new(&[("sys/devices/system/cpu/online", "0-3\n")]);
    tree.pmu("armv8_pmuv3", &named);
    for name in ["r4", "l1d_cache", "armv8_pmuv3/l1d_cache/", "armv8_pmuv3/event=4/"] {
        assert_eq!(encoding(&tree.machine(), name, 0), (4, [4, 0, 0, 0]), "{name}");
    }
    assert_eq!(encoding(&tree.machine(), "cycles", 0), (0, [0; 4]));
    // With two kinds of cores the kernel's number means neither.
    tree.pmu("armv8_cortex_a72", &[("type", "9\n"), ("cpus", "4-5\n")]);
    assert_eq!(encoding(&tree.machine(), "r4", 0).0, 8);
}

#[test]
fn tracepoints_take_their_number_from_tracefs() {
    let tree = intel_like();
    tree.write("sys/kernel/tracing/events/sched/sched_switch/id", "315\n");
    tree.write("sys/kernel/tracing/available_events", "sched:sched_switch\n");
    let machine = tree.machine();
    assert_eq!(encoding(&machine, "sched:sched_switch", 0), (2, [315, 0, 0, 0]));
    assert_eq!(encoding(&machine, "sched:sched_switch:k", 0), (2, [315, 0, 0, 0]));
    assert!(message(&machine, "sched:sched_swtch").contains("did you mean `sched:sched_switch`?"));
}

#[test]
fn lists_split_outside_terms() {
    let tree = intel_like();
    let events = resolve_list(&tree.machine(), "cs, cpu/event=1,umask=2/ ,msr/tsc/").unwrap();
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["context-switches", "cpu/event=1,umask=2/", "msr/tsc/"]);
    for list in ["", " , ", "cs,context-switches", "{cycles,instructions}"] {
        assert!(resolve_list(&tree.machine(), list).is_err(), "{list:?}");
    }
}

#[test]
fn errors_name_what_is_near_and_what_is_there() {
    let tree = intel_like();
    let machine = tree.machine();
    for (name, needle) in [
        ("instuctions", "did you mean `instructions`?"),
        ("sheep", "`perf list` shows the names"),
        ("uncore_imc/cas_count_read/", "uncore_imc_0, uncore_imc_1"),
        ("cpi/event=1/", "breakpoint, cpu, msr, power"),
        ("cpu/event=1", "write `cpu/event=1/`"),
        ("power//", "it has: energy-pkg"),
        ("cycles:z", "unknown modifier `z`"),
        ("bpf-output", "not counts"),
        ("nothing:here", "tracefs is not mounted"),
        ("", "unknown event"),
    ] {
        let message = message(&machine, name);
        assert!(message.contains(needle), "{name}: {message}");
    }
}

#[test]
fn without_a_core_pmu_the_message_says_so() {
    let tree = Tree::new(&[]);
    software_pmus(&tree);
    let message = message(&tree.machine(), "cycles");
    assert!(
        message.contains("needs the PMU `cpu`") && message.contains("breakpoint, msr, software, tracepoint"),
        "{message}"
    );
    assert!(message.contains("pmu=on"), "{message}");
}

#[test]
fn every_known_name_resolves_where_its_pmu_is() {
    for tree in [intel_like(), hybrid()] {
        let machine = tree.machine();
        for name in known_names(&machine) {
            assert!(resolve(&machine, &name).is_ok(), "{name}: {}", message(&machine, &name));
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_an_event_or_an_error(text in "[a-zA-Z0-9:/,=._ {}-]{0,40}") {
        let tree = Tree::new(&[]);
        software_pmus(&tree);
        let _ = resolve_list(&tree.machine(), &text);
    }
}
