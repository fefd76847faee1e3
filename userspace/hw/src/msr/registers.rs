//! Addresses and fields of the registers.
//!
//! Source: Intel SDM vol. 4, table 2-2; vol. 3B, 19.18 and 19.19; AMD64 PQoS extensions; arch/x86/include/asm/msr-index.h.

use waytrace_model::cache_report::Use;

/// Bit 0: L3 masks are pairs for data and code.
pub const L3_QOS_CFG: u32 = 0xc81;
/// The same of the L2.
pub const L2_QOS_CFG: u32 = 0xc82;
/// Event in bits 7:0, RMID in 41:32.
pub const QM_EVTSEL: u32 = 0xc8d;
/// Bit 63 error, 62 unavailable, the rest the count.
pub const QM_CTR: u32 = 0xc8e;
/// RMID in bits 9:0, class in 63:32.
pub const PQR_ASSOC: u32 = 0xc8f;
const L3_MASK: u32 = 0xc90;
const L2_MASK: u32 = 0xd10;
/// First of Intel's bandwidth delays.
pub const MBA_DELAY: u32 = 0xd50;
/// First of AMD's bandwidth limits.
pub const AMD_MBA: u32 = 0xc000_0200;
/// The same of slow memory.
pub const AMD_SMBA: u32 = 0xc000_0280;

/// RMID of [`PQR_ASSOC`].
pub const RMID_BITS: u64 = 0x3ff;

/// The register of a class's mask.
pub fn mask(level: u32, used_for: Use, class: u32) -> u32 {
    let base = if level == 2 { L2_MASK } else { L3_MASK };
    match used_for {
        Use::Unified => base + class,
        Use::Data => base + 2 * class,
        Use::Code => base + 2 * class + 1,
    }
}
