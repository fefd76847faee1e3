//! What CPUID says of allocation and monitoring.
//!
//! Source: Intel SDM vol. 3B, 19.18.5 (leaf 0xF) and 19.19.4 (leaf 0x10); AMD64 PQoS extensions; `rdt_init_res_defs` in
//! arch/x86/kernel/cpu/resctrl/core.c for what CPUID leaves open.

use waytrace_model::cache::{MaskRules, WayMask};

use super::access::CpuidAccess;
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

/// Memory bandwidth that can be limited, on a linear scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MbaFeature {
    /// Greatest delay, percent.
    pub max_delay: u32,
    /// Classes.
    pub classes: u32,
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
    pub mba: Option<MbaFeature>,
    /// Monitoring.
    pub cmt: Option<CmtFeature>,
}

const NARROWEST: u32 = 24;
/// What AMD's CPUs add that do not say so.
const AMD_OFFSET: u32 = 20;
/// Bits 63 and 62 of a counter say that it is none.
const WIDEST: u32 = 62;

/// Reads them.
///
/// # Errors
/// CPUID cannot be read.
pub fn read(cpuid: &dyn CpuidAccess) -> Result<Features, RdtError> {
    let mut features = Features::default();
    let vendor = cpuid.leaf(0, 0)?;
    let [last, ..] = vendor;
    // "Auth" of AuthenticAMD, "Hygo" of HygonGenuine.
    let is_amd = matches!(vendor[1], 0x6874_7541 | 0x6f67_7948);
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
            let max_delay = (delay & 0xfff) + 1;
            // Other scales are tables the CPU does not tell; the kernel does not use them either.
            let linear = flags & 1 << 2 != 0 && max_delay < 100;
            features.mba = linear.then_some(MbaFeature { max_delay, classes: (classes & 0xffff) + 1 });
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
