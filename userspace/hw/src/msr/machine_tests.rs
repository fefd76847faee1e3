//! What CPUs differ in: AMD's limits, a Haswell server's masks, divided caches, CPUs that go, monitors in use.

use waytrace_model::cache_report::LimitUnit;

use super::tests::{Leaves, Memory, intel, machine, mask};
use super::*;
use crate::testing::Tree;
use waytrace_model::cache::CacheId;

fn with(tree: &Tree, memory: &Memory, leaves: &Leaves) -> MsrAllocation {
    MsrAllocation::with(&tree.root, Box::new(memory.clone()), leaves, false).unwrap()
}

fn limit(resource: &str, value: u32) -> Setting {
    Setting::Limit { resource: resource.to_owned(), cache_id: CacheId(1), value }
}

/// 16 ways, limits of memory and of slow memory, 16 classes each.
fn amd() -> Leaves {
    let mut leaves = intel();
    leaves.0.extend([
        ((0, 0), [0x10, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
        ((0x10, 0), [0, 0b0010, 0, 0]),
        ((0x8000_0000, 0), [0x8000_0020, 0, 0, 0]),
        ((0x8000_0020, 0), [0, 0b110, 0, 0]),
        ((0x8000_0020, 1), [11, 0, 0, 15]),
        ((0x8000_0020, 2), [11, 0, 0, 15]),
    ]);
    leaves
}

#[test]
fn amds_limits_are_eighths_of_a_gigabyte() {
    let (tree, memory) = machine();
    memory.add(0xc000_0200..0xc000_0210, 2048);
    memory.add(0xc000_0280..0xc000_0290, 2048);
    let mut msr = with(&tree, &memory, &amd());
    let bandwidth = msr.capabilities().unwrap().bandwidth;
    let told: Vec<_> =
        bandwidth.iter().map(|one| (one.name.as_str(), one.unit, one.min, one.classes)).collect();
    let eighths = LimitUnit::EighthGbPerSecond;
    assert_eq!(told, [("MB", eighths, 1, 16), ("SMBA", eighths, 1, 16)]);
    msr.set("cos3", &[limit("MB", 80), limit("SMBA", 17)]).unwrap();
    assert_eq!((memory.get(0, 0xc000_0203), memory.get(1, 0xc000_0203)), (2048, 80));
    assert_eq!(memory.get(1, 0xc000_0283), 17);
    let limits: Vec<u32> = msr.classes().unwrap()[3].limits.iter().map(|limit| limit.value).collect();
    assert_eq!(limits, [2048, 80, 2048, 17]);
    let error = msr.set("cos3", &[limit("MB", 2049)]).unwrap_err().to_string();
    assert!(error.contains("no more than 2048"), "{error}");
    assert!(msr.set("cos3", &[limit("MB", 0)]).is_err());
    msr.remove_class("cos3").unwrap();
    assert_eq!((memory.get(1, 0xc000_0203), memory.get(1, 0xc000_0283)), (2048, 2048));
    assert_eq!(msr.create_class("").unwrap(), "cos1", "a class without limits is free");
}

#[test]
fn a_scale_that_is_not_linear_is_not_offered() {
    let (tree, memory) = machine();
    let mut leaves = intel();
    leaves.0.insert((0x10, 3), [89, 0, 0, 7]);
    assert!(with(&tree, &memory, &leaves).capabilities().unwrap().bandwidth.is_empty());
}

#[test]
fn a_haswell_server_takes_two_ways_at_least() {
    let (tree, memory) = machine();
    let mut leaves = Leaves([((0, 0), intel().0[&(0, 0)]), ((1, 0), [0x306f2, 0, 0, 0])].into());
    let mut msr = with(&tree, &memory, &leaves);
    let l3 = &msr.capabilities().unwrap().caches[0];
    assert_eq!((l3.ways, l3.classes, l3.rules.min_ways, l3.shareable_mask.bits()), (20, 4, 2, 0xc_0000));
    assert!(matches!(msr.set("cos1", &[mask("L3", 0, 0x10)]), Err(RdtError::BadMask { .. })));
    msr.set("cos1", &[mask("L3", 0, 0x30)]).unwrap();
    assert_eq!(memory.get(0, 0xc91), 0x30);
    // One that cannot allocate has no such register; another model is not asked.
    let none = Memory::default();
    none.add(0xc8f..0xc90, 0);
    let open = |leaves: &Leaves, memory: &Memory| {
        MsrAllocation::with(&tree.root, Box::new(memory.clone()), leaves, false)
            .err()
            .map(|error| error.to_string())
    };
    assert!(open(&leaves, &none).is_some_and(|error| error.contains("no cache allocation here")));
    leaves.0.insert((1, 0), [0x406f1, 0, 0, 0]);
    assert!(open(&leaves, &memory).is_some());
}

#[test]
fn a_divided_cache_is_not_monitored_by_registers() {
    let (tree, memory) = machine();
    for cpu in 0..2 {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}/cache/index3");
        tree.write(&format!("{dir}/id"), "0");
        tree.write(&format!("{dir}/shared_cpu_list"), "0-1");
        tree.write(&format!("sys/devices/system/node/node{cpu}/cpulist"), &cpu.to_string());
    }
    let msr = with(&tree, &memory, &intel());
    let capabilities = msr.capabilities().unwrap();
    assert_eq!(capabilities.monitoring, None);
    // Masks hold for both nodes, and of each way a node has half.
    let (l3, whole) =
        (&capabilities.caches[0], with(&machine().0, &memory, &intel()).capabilities().unwrap());
    assert_eq!((l3.caches.len(), l3.caches[0].nodes), (1, 2));
    assert_eq!(l3.way_bytes.map(|bytes| 2 * bytes), whole.caches[0].way_bytes);
    let error = msr.read(&Monitored::Class(DEFAULT_CLASS.to_owned())).unwrap_err().to_string();
    assert!(error.contains("sub-NUMA clustering"), "{error}");
}

#[test]
fn a_cpu_that_goes_offline_is_done_without() {
    let (tree, memory) = machine();
    for cpu in 0..2 {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}/cache/index3");
        tree.write(&format!("{dir}/id"), "0");
        tree.write(&format!("{dir}/shared_cpu_list"), "0-1");
    }
    let mut msr = with(&tree, &memory, &intel());
    memory.take_offline(0);
    // As long as it is listed as online its registers are missed.
    assert!(matches!(msr.classes(), Err(RdtError::Msr { cpu: 0, .. })));
    tree.write("sys/devices/system/cpu/online", "1\n");
    msr.set("cos3", &[mask("L3", 0, 0xf)]).unwrap();
    assert_eq!(memory.get(1, 0xc93), 0xf);
    let class = &msr.classes().unwrap()[3];
    assert_eq!((class.masks.len(), class.masks[0].mask.bits()), (1, 0xf));
    assert!(matches!(msr.assign_cpus("cos3", &[0]), Err(RdtError::NoCpu { cpu: 0 })));
    let whom = Monitored::Group { class: DEFAULT_CLASS.to_owned(), name: "rmid7".to_owned() };
    assert_eq!(msr.read(&whom).unwrap().len(), 3);
}

#[test]
fn a_monitor_is_taken_that_nobody_uses() {
    let (tree, memory) = machine();
    let mut leaves = intel();
    leaves.0.insert((0xf, 1), [8, 65536, 3, 0b111]);
    let mut msr = with(&tree, &memory, &leaves);
    memory.write(0, 0xc8f, 1).unwrap();
    // Of those that are free it is the one with the fewest lines, which grow with the number here.
    assert_eq!(msr.create_monitor(DEFAULT_CLASS, "watch").unwrap(), "rmid2");
    memory.write(1, 0xc8f, 2).unwrap();
    assert_eq!(msr.create_monitor("cos1", "watch").unwrap(), "rmid3");
    let groups = &msr.classes().unwrap()[0].monitor_groups;
    let members: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.cpus.as_slice())).collect();
    assert_eq!(members, [("rmid1", &[0][..]), ("rmid2", &[1])]);
    leaves.0.insert((0xf, 1), [8, 65536, 2, 0b111]);
    let mut msr = with(&tree, &memory, &leaves);
    assert!(matches!(msr.create_monitor("cos1", "watch"), Err(RdtError::NoMonitorLeft { max: 3 })));
}
