//! Registers in memory, and CPUID as two CPUs of Intel and one of AMD have it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::rc::Rc;

use waytrace_model::cache::{CacheId, WayMask};

use super::*;
use crate::rdt::{Members, Reading, Request, apply};
use crate::testing::Tree;

/// Two CPUs with an L3 each. A register that is not there fails as the driver does.
#[derive(Clone, Default)]
pub(super) struct Memory(pub(super) Rc<RefCell<BTreeMap<(u32, u32), u64>>>);

impl Memory {
    pub(super) fn get(&self, cpu: u32, register: u32) -> u64 {
        self.0.borrow()[&(cpu, register)]
    }
}

/// What the driver says of a register the CPU has not, and of a CPU that is not there.
fn fault(registers: &BTreeMap<(u32, u32), u64>, verb: &'static str, cpu: u32, register: u32) -> RdtError {
    let is_there = registers.keys().any(|(own, _)| *own == cpu);
    let source = io::Error::from_raw_os_error(if is_there { libc::EIO } else { libc::ENXIO });
    RdtError::Msr { verb, register, cpu, path: "msr".into(), source }
}

impl MsrAccess for Memory {
    fn read(&self, cpu: u32, register: u32) -> Result<u64, RdtError> {
        let registers = self.0.borrow();
        let value = registers.get(&(cpu, register)).copied();
        value.ok_or_else(|| fault(&registers, "reading", cpu, register))
    }

    fn write(&self, cpu: u32, register: u32, value: u64) -> Result<(), RdtError> {
        let mut registers = self.0.borrow_mut();
        // A mask no CPU takes, although CPUID does not forbid it.
        if (0xc90..0xd10).contains(&register) && value == 0x800 {
            return Err(fault(&registers, "writing", cpu, register));
        }
        if !registers.contains_key(&(cpu, register)) {
            return Err(fault(&registers, "writing", cpu, register));
        }
        registers.insert((cpu, register), value);
        if register == 0xc8d {
            let (event, rmid) = (value & 0xff, value >> 32);
            let count = match event {
                1 => 16 + rmid,
                2 => 1 << 62,
                _ => 1 << 63,
            };
            registers.insert((cpu, 0xc8e), count);
        }
        Ok(())
    }
}

impl Memory {
    /// Takes a CPU's registers away, as going offline does.
    pub(super) fn take_offline(&self, cpu: u32) {
        self.0.borrow_mut().retain(|(own, _), _| *own != cpu);
    }

    /// Adds registers to all CPUs.
    pub(super) fn add(&self, registers: std::ops::Range<u32>, value: u64) {
        let all = registers.flat_map(|register| (0..2).map(move |cpu| ((cpu, register), value)));
        self.0.borrow_mut().extend(all);
    }
}

pub(super) struct Leaves(pub(super) HashMap<(u32, u32), [u32; 4]>);

impl CpuidAccess for Leaves {
    fn leaf(&self, leaf: u32, subleaf: u32) -> Result<[u32; 4], RdtError> {
        Ok(self.0.get(&(leaf, subleaf)).copied().unwrap_or_default())
    }
}

/// 12 ways, 16 masks, CDP possible; delays up to 90 %; 32 RMIDs of 64 KiB, counters of 32 bits.
pub(super) fn intel() -> Leaves {
    Leaves(HashMap::from([
        ((0, 0), [0x16, 0x756e_6547, 0x6c65_746e, 0x4965_6e69]),
        ((7, 0), [0, 1 << 12 | 1 << 15, 0, 0]),
        ((0xf, 0), [0, 31, 0, 1 << 1]),
        ((0xf, 1), [8, 65536, 31, 0b111]),
        ((0x10, 0), [0, 0b1010, 0, 0]),
        ((0x10, 1), [11, 0xc00, 1 << 2, 15]),
        ((0x10, 3), [89, 0, 1 << 2, 7]),
        ((0x15, 0), [2, 216, 25_000_000, 0]),
    ]))
}

pub(super) fn machine() -> (Tree, Memory) {
    let tree = Tree::new(&[("sys/devices/system/cpu/online", "0-1\n")]);
    let memory = Memory::default();
    for cpu in 0..2u32 {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}/cache/index3");
        for (file, text) in [("level", "3"), ("type", "Unified"), ("size", "24576K")] {
            tree.write(&format!("{dir}/{file}"), text);
        }
        tree.write(&format!("{dir}/id"), &cpu.to_string());
        tree.write(&format!("{dir}/shared_cpu_list"), &cpu.to_string());
        let mut registers = memory.0.borrow_mut();
        registers.extend((0xc90..0xca0).map(|register| ((cpu, register), 0xfff)));
        registers.extend((0xd50..0xd58).map(|register| ((cpu, register), 0)));
        registers.extend([0xc81, 0xc8d, 0xc8e, 0xc8f].map(|register| ((cpu, register), 0)));
    }
    (tree, memory)
}

fn open(tree: &Tree, memory: &Memory) -> MsrAllocation {
    MsrAllocation::with(&tree.root, Box::new(memory.clone()), &intel(), false).unwrap()
}

pub(super) fn mask(resource: &str, id: u32, bits: u64) -> Setting {
    Setting::Mask { resource: resource.to_owned(), cache_id: CacheId(id), mask: WayMask::from_bits(bits) }
}

#[test]
fn cpuid_says_what_there_is() {
    let (tree, memory) = machine();
    let msr = open(&tree, &memory);
    let capabilities = msr.capabilities().unwrap();
    let l3 = &capabilities.caches[0];
    assert_eq!((l3.ways, l3.classes, l3.shareable_mask.bits(), l3.way_bytes), (12, 16, 0xc00, Some(2 << 20)));
    assert_eq!((capabilities.max_classes, capabilities.bandwidth[0].min), (8, 10));
    assert_eq!((capabilities.monitoring.unwrap().max_rmids, msr.wrap_bytes()), (32, Some(1 << 48)));
    assert_eq!(tsc::told_hz(&intel()).unwrap(), Some(2_700_000_000));
    let mut no_crystal = intel();
    no_crystal.0.insert((0x15, 0), [2, 216, 0, 0]);
    assert_eq!(tsc::told_hz(&no_crystal).unwrap(), None);
    no_crystal.0.insert((0x16, 0), [2100, 0, 0, 0]);
    assert_eq!(tsc::told_hz(&no_crystal).unwrap(), Some(2_100_000_000));
}

#[test]
fn amd_has_sparse_masks_and_counters_of_its_own_width() {
    let (tree, memory) = machine();
    let mut amd = intel();
    amd.0.insert((0, 0), [0x10, 0x6874_7541, 0x444d_4163, 0x6974_6e65]);
    amd.0.insert((0xf, 1), [0, 64, 31, 0b111]);
    amd.0.insert((0x10, 0), [0, 0b0010, 0, 0]);
    let msr = MsrAllocation::with(&tree.root, Box::new(memory), &amd, false).unwrap();
    let capabilities = msr.capabilities().unwrap();
    assert!(capabilities.caches[0].rules.sparse && capabilities.bandwidth.is_empty());
    assert_eq!(msr.wrap_bytes(), Some(1 << 50));
}

#[test]
fn masks_and_limits_go_into_the_registers_of_their_cache() {
    let (tree, memory) = machine();
    let mut msr = open(&tree, &memory);
    let limit = Setting::Limit { resource: "MB".to_owned(), cache_id: CacheId(1), value: 35 };
    msr.set("cos3", &[mask("L3", 1, 0xf0), limit]).unwrap();
    assert_eq!((memory.get(0, 0xc93), memory.get(1, 0xc93)), (0xfff, 0xf0));
    assert_eq!((memory.get(0, 0xd53), memory.get(1, 0xd53)), (0, 60), "35 % is rounded up to 40");
    assert!(matches!(msr.set("cos8", &[]), Err(RdtError::NoClass { .. })));
    let class = &msr.classes().unwrap()[3];
    assert_eq!((class.masks[1].mask.bits(), class.limits[1].value), (0xf0, 40));
}

#[test]
fn with_cdp_masks_are_pairs() {
    let (tree, memory) = machine();
    memory.write(0, 0xc81, 1).unwrap();
    let mut msr = open(&tree, &memory);
    assert_eq!(msr.capabilities().unwrap().max_classes, 8);
    msr.set("cos2", &[mask("L3DATA", 0, 0xf), mask("L3CODE", 0, 0xf0)]).unwrap();
    assert_eq!((memory.get(0, 0xc94), memory.get(0, 0xc95)), (0xf, 0xf0));
    assert!(matches!(msr.set("cos2", &[mask("L3", 0, 0xf)]), Err(RdtError::NoResource { .. })));
}

#[test]
fn a_class_and_a_monitor_leave_one_another_alone() {
    let (tree, memory) = machine();
    let mut msr = open(&tree, &memory);
    msr.assign_cpus("cos3", &[1]).unwrap();
    msr.monitor_cpus("cos3", "rmid5", &[1]).unwrap();
    assert_eq!(memory.get(1, 0xc8f), 3 << 32 | 5);
    msr.assign_cpus("cos2", &[1]).unwrap();
    assert_eq!(memory.get(1, 0xc8f), 2 << 32 | 5);
    assert_eq!(msr.classes().unwrap()[2].monitor_groups[0].name, "rmid5");
    msr.remove_monitor("cos2", "rmid5").unwrap();
    assert_eq!(memory.get(1, 0xc8f), 2 << 32);
    for name in ["rmid0", "rmid32", "rmid-1"] {
        assert!(matches!(msr.create_monitor("default", name), Err(RdtError::BadName { .. })), "{name}");
    }
    assert!(matches!(msr.assign_tasks("cos1", &[1]), Err(RdtError::Unsupported { .. })));
    assert!(matches!(msr.assign_cpus("cos1", &[2]), Err(RdtError::NoCpu { cpu: 2 })));
}

#[test]
fn counters_that_are_none_are_told_apart() {
    let (tree, memory) = machine();
    let msr = open(&tree, &memory);
    let whom = Monitored::Group { class: DEFAULT_CLASS.to_owned(), name: "rmid7".to_owned() };
    let readings: Vec<Reading> =
        msr.read(&whom).unwrap().into_iter().map(|reading| reading.reading).collect();
    let of_one = [Reading::Value(23 * 65536), Reading::Unavailable, Reading::Error];
    assert_eq!(readings, [of_one, of_one].concat());
}

#[test]
fn a_failed_request_leaves_the_registers_as_they_were() {
    let (tree, memory) = machine();
    let mut msr = open(&tree, &memory);
    memory.write(1, 0xc8f, 4 << 32).unwrap();
    let before = memory.0.borrow().clone();
    let request = |bits, cpus: &[u32]| Request {
        class: "batch".to_owned(),
        settings: vec![mask("L3", 0, 0x3), mask("L3", 1, bits)],
        members: Members::Cpus(cpus.to_vec()),
    };
    assert!(matches!(apply(&mut msr, &request(0x800, &[1])), Err(RdtError::Msr { verb: "writing", .. })));
    assert_eq!(*memory.0.borrow(), before);
    assert!(matches!(apply(&mut msr, &request(0x3, &[1, 7])), Err(RdtError::NoCpu { cpu: 7 })));
    assert_eq!(*memory.0.borrow(), before);
    let change = apply(&mut msr, &request(0x3, &[1])).unwrap();
    assert_eq!((change.class.as_str(), memory.get(1, 0xc8f), memory.get(1, 0xc91)), ("cos1", 1 << 32, 0x3));
    msr.remove_class("cos1").unwrap();
    assert_eq!((memory.get(1, 0xc8f), memory.get(1, 0xc91)), (0, 0xfff));
}

#[test]
fn registers_are_the_kernels_while_resctrl_is_mounted() {
    let (tree, memory) = machine();
    tree.write("proc/mounts", "resctrl /sys/fs/resctrl resctrl rw 0 0\n");
    let open = |force| MsrAllocation::with(&tree.root, Box::new(memory.clone()), &intel(), force);
    assert!(matches!(open(false), Err(RdtError::Mounted { .. })));
    assert!(open(true).is_ok());
    let nothing =
        MsrAllocation::with(&machine().0.root, Box::new(memory.clone()), &Leaves(HashMap::new()), false);
    assert!(matches!(nothing, Err(RdtError::Unavailable { .. })));
}
