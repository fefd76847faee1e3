//! What a machine's cache allocation can do and is set to: what `cache show --json` prints.

use serde::{Deserialize, Serialize};

use crate::cache::{CacheId, ClosId, MaskRules, Rmid, WayMask};

/// Version of [`CacheReport`]'s JSON; fields are added without raising it.
pub const SCHEMA_VERSION: u32 = 1;

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// How it was asked.
    pub interface: Interface,
    /// What the machine can do.
    pub capabilities: Capabilities,
    /// Its classes, the default one first.
    pub classes: Vec<Class>,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    /// The kernel's resctrl file system.
    Resctrl,
    /// The CPUs' model-specific registers.
    Msr,
}

/// What can be allocated and monitored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Classes there can be, with the default one: the fewest of all resources.
    pub max_classes: u32,
    /// Caches that can be allocated; with CDP one for code and one for data.
    pub caches: Vec<CacheResource>,
    /// Memory bandwidth that can be limited.
    pub bandwidth: Vec<BandwidthResource>,
    /// What can be monitored; null where nothing can.
    pub monitoring: Option<Monitoring>,
}

/// What accesses a mask is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// All of them.
    Unified,
    /// Instruction fetches (CDP).
    Code,
    /// Loads and stores (CDP).
    Data,
}

/// A level of cache that can be allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheResource {
    /// As schemata name it: `L3`, `L3CODE`, `L2DATA`.
    pub name: String,
    /// Level, 2 or 3.
    pub level: u32,
    /// What its masks are for.
    pub used_for: Use,
    /// What masks it takes.
    #[serde(flatten)]
    pub rules: MaskRules,
    /// Ways that devices and other agents use, too (`shareable_bits`).
    pub shareable_mask: WayMask,
    /// Ways a mask can tell apart.
    pub ways: u32,
    /// Bytes of one of them, where sysfs tells; of a divided cache, those in one node, for a node's memory is cached in its part.
    pub way_bytes: Option<u64>,
    /// Classes this resource has.
    pub classes: u32,
    /// Whether devices can have a class of their own (`io_alloc`): `enabled`, `disabled`, `not supported`; null on older kernels.
    pub io_alloc: Option<String>,
    /// The caches of this level.
    pub caches: Vec<CacheDomain>,
}

/// One cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheDomain {
    /// Its number.
    pub id: CacheId,
    /// Its size, where sysfs tells.
    pub size_bytes: Option<u64>,
    /// CPUs that share it; none where sysfs does not tell.
    pub cpus: Vec<u32>,
    /// NUMA nodes it is divided into (Intel's sub-NUMA clustering), each with its part of every way; 1: it is whole.
    #[serde(default = "whole")]
    pub nodes: u32,
}

fn whole() -> u32 {
    1
}

/// In what a bandwidth limit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitUnit {
    /// Percent of what there is (Intel, Arm).
    Percent,
    /// MiB/s, held by the kernel (mount option `mba_MBps`).
    MibPerSecond,
    /// Eighths of GB/s (AMD).
    EighthGbPerSecond,
}

impl LimitUnit {
    /// The value of a class without a limit: 100 %, what the kernel's controller takes for none, and of AMD's registers so far the bit
    /// above all limits (`MBA_MAX_MBPS`, `MAX_MBA_BW_AMD`).
    pub fn unlimited(self) -> u32 {
        match self {
            Self::Percent => 100,
            Self::MibPerSecond => u32::MAX,
            Self::EighthGbPerSecond => 2048,
        }
    }
}

/// Memory bandwidth that can be limited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BandwidthResource {
    /// As schemata name it: `MB`, `SMBA`.
    pub name: String,
    /// In what limits are written.
    pub unit: LimitUnit,
    /// Least limit, in its unit.
    pub min: u32,
    /// Steps between limits, in its unit; others are rounded up by the kernel.
    pub step: u32,
    /// Whether the delays behind the limits are linear; null where it is not told.
    pub linear: Option<bool>,
    /// What a core does whose threads have different limits (`max`, `per-thread`); null where it is not told.
    pub throttle_mode: Option<String>,
    /// Classes this resource has.
    pub classes: u32,
    /// The caches behind which traffic is limited.
    pub caches: Vec<CacheId>,
}

/// What can be monitored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitoring {
    /// Events, as the kernel names them: `llc_occupancy`, `mbm_total_bytes`, `mbm_local_bytes`.
    pub events: Vec<String>,
    /// Monitors there can be at once, with those of the classes.
    pub max_rmids: u32,
    /// Whether counters are assigned to groups (`mbm_event`) or every group has them (`default`); null on older kernels.
    pub assign_mode: Option<String>,
    /// Bandwidth counters of each cache, where they are assigned to groups; else empty.
    #[serde(default)]
    pub counters: Vec<AssignableCounters>,
    /// Occupancy below which an RMID may be given away again, bytes.
    pub max_threshold_occupancy_bytes: Option<u64>,
}

/// Bandwidth counters that are assigned to groups: each takes one for every event it is to be told (AMD's ABMC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignableCounters {
    /// Of which cache.
    pub cache_id: CacheId,
    /// Counters there are.
    pub count: u32,
    /// Those no group has; null where it is not told.
    pub free: Option<u32>,
}

/// How a class shares what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Others may have the same ways.
    Shareable,
    /// They may not.
    Exclusive,
    /// About to be locked; has no masks yet.
    PseudoLocksetup,
    /// Its ways are filled once and then given to nobody.
    PseudoLocked,
}

/// A class: what its tasks may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Directory of resctrl, or `cos0`, `cos1`…; the default class of resctrl is `default`.
    pub name: String,
    /// Its number, where the interface tells (resctrl: only when mounted with `debug`).
    pub clos_id: Option<ClosId>,
    /// How it shares; null where there is no such thing.
    pub mode: Option<Mode>,
    /// Its masks.
    pub masks: Vec<ClassMask>,
    /// Its bandwidth limits.
    pub limits: Vec<ClassLimit>,
    /// CPUs that belong to it.
    pub cpus: Vec<u32>,
    /// Threads that belong to it. Of the default class, and where CPUs alone have classes, none are told.
    pub tasks: Vec<u32>,
    /// How many threads belong to it; null where only CPUs have classes.
    pub task_count: Option<u64>,
    /// Monitoring groups within it.
    pub monitor_groups: Vec<MonitorGroup>,
}

/// One mask of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassMask {
    /// As [`CacheResource::name`].
    pub resource: String,
    /// Which cache.
    pub cache_id: CacheId,
    /// Ways.
    pub mask: WayMask,
}

/// One bandwidth limit of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassLimit {
    /// As [`BandwidthResource::name`].
    pub resource: String,
    /// Behind which cache.
    pub cache_id: CacheId,
    /// Limit in the resource's unit.
    pub value: u32,
}

/// Tasks or CPUs monitored apart, whatever their class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorGroup {
    /// Name within its class.
    pub name: String,
    /// Its number, where the interface tells.
    pub rmid: Option<Rmid>,
    /// CPUs that belong to it.
    #[serde(default)]
    pub cpus: Vec<u32>,
    /// Threads that belong to it; none where CPUs alone have monitors.
    #[serde(default)]
    pub tasks: Vec<u32>,
}
