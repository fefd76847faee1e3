//! What CPUID says of allocation and monitoring.
//!
//! Source: Intel SDM vol. 3B, 19.18.5 (leaf 0xF) and 19.19.4 (leaf 0x10); AMD64 PQoS extensions; `rdt_init_res_defs` in
//! arch/x86/kernel/cpu/resctrl/core.c (`cache_alloc_hsw_probe`, `__rdt_get_mem_config_amd`) for what CPUID leaves open.

use waytrace_model::cache::{MaskRules, WayMask};

use super::access::CpuidAccess;
use super::registers::{AMD_MBA, AMD_SMBA, MBA_DELAY};
use crate::rdt::RdtError;

/// A level of cache that can be allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatFeature {
    /// 2 or 3.
    pub level: u32,
    /// What masks it takes.
    pub rules: MaskRules,
    /// Ways other agents use, too.
    pub shareable: WayMask,
    /// Registers for masks; with CDP on, two per class.
    pub registers: u32,
    /// Whether code and data can be told apart.
    pub cdp: bool,
}

/// Memory bandwidth that can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MbaFeature {
    /// As schemata name it: `MB`, of slow memory `SMBA`.
    pub name: &'static str,
    /// What the registers hold.
    pub scale: MbaScale,
    /// Register of class 0; those of the others follow.
    pub first: u32,
    /// Classes.
    pub classes: u32,
}

/// What a register of bandwidth holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MbaScale {
    /// A delay, percent, linear (Intel).
    Delay {
        /// Greatest one.
        max: u32,
    },
    /// A limit, eighths of GB/s (AMD).
    Limit {
        /// The value without a limit.
        none: u32,
    },
}

impl MbaFeature {
    /// Limit of a class that has none, in the resource's unit.
    pub fn unlimited(&self) -> u32 {
        match self.scale {
            MbaScale::Delay { .. } => 100,
            MbaScale::Limit { none } => none,
        }
    }
}

/// What can be monitored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CmtFeature {
    /// RMIDs there are.
    pub rmids: u32,
    /// Bytes of one count.
    pub upscale_bytes: u32,
    /// Bits of a bandwidth counter, 24–62.
    pub counter_bits: u32,
    /// Events: bit 0 occupancy, 1 total, 2 local bandwidth.
    pub events: u32,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// L2 and L3.
    pub cat: Vec<CatFeature>,
    /// Bandwidth.
    pub mba: Vec<MbaFeature>,
    /// Monitoring.
    pub cmt: Option<CmtFeature>,
    /// A Haswell server, some of which can allocate and do not say so.
    pub is_haswell_server: bool,
    /// Whether it is Intel's.
    pub is_intel: bool,
}

impl Features {
    /// Whether there is anything to allocate or monitor.
    pub fn is_empty(&self) -> bool {
        self.cat.is_empty() && self.mba.is_empty() && self.cmt.is_none()
    }
}

/// What a Haswell server can allocate, if it can: CPUID tells nothing of it.
pub fn of_haswell_server() -> CatFeature {
    CatFeature {
        level: 3,
        rules: MaskRules { full_mask: WayMask::lowest(20), min_ways: 2, sparse: false },
        shareable: WayMask::from_bits(0xc_0000),
        registers: 4,
        cdp: false,
    }
}

const NARROWEST: u32 = 24;
/// What AMD's CPUs add that do not say so.
const AMD_OFFSET: u32 = 20;
/// Bits 63 and 62 of a counter say that it is none.
const WIDEST: u32 = 62;
/// AMD's leaf of limits.
const AMD_LIMITS: u32 = 0x8000_0020;
/// Family 6, model 63 in leaf 1, EAX, without the stepping.
const HASWELL_SERVER: u32 = 0x306f0;
const FAMILY_AND_MODEL: u32 = 0x0fff_0ff0;

/// Reads them.
///
/// # Errors
/// CPUID cannot be read.
pub fn read(cpuid: &dyn CpuidAccess) -> Result<Features, RdtError> {
    let vendor = cpuid.leaf(0, 0)?;
    let [last, ..] = vendor;
    // "Auth" of AuthenticAMD, "Hygo" of HygonGenuine.
    let is_amd = matches!(vendor[1], 0x6874_7541 | 0x6f67_7948);
    // "Genu" of GenuineIntel.
    let is_intel = vendor[1] == 0x756e_6547;
    let signature = if last >= 1 { cpuid.leaf(1, 0)?[0] } else { 0 };
    let is_haswell_server = is_intel && signature & FAMILY_AND_MODEL == HASWELL_SERVER;
    let mut features = Features { is_haswell_server, is_intel, ..Features::default() };
    let extended = if last >= 7 { cpuid.leaf(7, 0)?[1] } else { 0 };
    let (monitors, allocates) = (extended & 1 << 12 != 0, extended & 1 << 15 != 0);
    if allocates && last >= 0x10 {
        let [_, resources, ..] = cpuid.leaf(0x10, 0)?;
        for (level, subleaf) in [(3, 1), (2, 2)] {
            if resources & 1 << subleaf != 0 {
                features.cat.push(cat(level, cpuid.leaf(0x10, subleaf)?, is_amd));
            }
        }
        if resources & 1 << 3 != 0 {
            let [delay, _, flags, classes] = cpuid.leaf(0x10, 3)?;
            let max = (delay & 0xfff) + 1;
            // Other scales are tables the CPU does not tell; neither the kernel nor pqos uses them.
            if flags & 1 << 2 != 0 && max < 100 {
                let classes = (classes & 0xffff) + 1;
                let scale = MbaScale::Delay { max };
                features.mba.push(MbaFeature { name: "MB", scale, first: MBA_DELAY, classes });
            }
        }
    }
    if is_amd && cpuid.leaf(0x8000_0000, 0)?[0] >= AMD_LIMITS {
        let [_, kinds, ..] = cpuid.leaf(AMD_LIMITS, 0)?;
        for (name, subleaf, first) in [("MB", 1, AMD_MBA), ("SMBA", 2, AMD_SMBA)] {
            if kinds & 1 << subleaf != 0 {
                let [bits, _, _, classes] = cpuid.leaf(AMD_LIMITS, subleaf)?;
                let scale = MbaScale::Limit { none: 1u32.checked_shl(bits & 0x1f).unwrap_or(u32::MAX) };
                features.mba.push(MbaFeature { name, scale, first, classes: (classes & 0xffff) + 1 });
            }
        }
    }
    if monitors && last >= 0xf && cpuid.leaf(0xf, 0)?[3] & 1 << 1 != 0 {
        let [width, upscale_bytes, max_rmid, events] = cpuid.leaf(0xf, 1)?;
        let offset = match width & 0xff {
            0 if is_amd => AMD_OFFSET,
            offset => offset,
        };
        features.cmt = Some(CmtFeature {
            rmids: max_rmid.saturating_add(1),
            upscale_bytes,
            counter_bits: (NARROWEST + offset).min(WIDEST),
            events: events & 0b111,
        });
    }
    Ok(features)
}

fn cat(level: u32, [length, shareable, flags, classes]: [u32; 4], is_amd: bool) -> CatFeature {
    CatFeature {
        level,
        rules: MaskRules {
            full_mask: WayMask::lowest((length & 0x1f) + 1),
            min_ways: 1,
            sparse: is_amd || flags & 1 << 3 != 0,
        },
        shareable: WayMask::from_bits(u64::from(shareable)),
        registers: (classes & 0xffff) + 1,
        cdp: flags & 1 << 2 != 0,
    }
}
