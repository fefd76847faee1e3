//! The frequency of the time stamp counter.
//!
//! Source: Intel SDM vol. 2 CPUID, leaves 0x15 and 0x16; `native_calibrate_tsc` in arch/x86/kernel/tsc.c.

use super::access::CpuidAccess;
use crate::rdt::RdtError;

/// The frequency CPUID tells, Hz; `None` where it tells none. From leaf 0x16 it is exact to a MHz only.
///
/// # Errors
/// CPUID cannot be read.
pub fn told_hz(cpuid: &dyn CpuidAccess) -> Result<Option<u64>, RdtError> {
    let [last, ..] = cpuid.leaf(0, 0)?;
    let [denominator, numerator, crystal_hz, _] = if last >= 0x15 { cpuid.leaf(0x15, 0)? } else { [0; 4] };
    if denominator != 0 && numerator != 0 && crystal_hz != 0 {
        return Ok(Some(u64::from(crystal_hz) * u64::from(numerator) / u64::from(denominator)));
    }
    let base_mhz = if last >= 0x16 { cpuid.leaf(0x16, 0)?[0] & 0xffff } else { 0 };
    Ok((base_mhz != 0).then_some(u64::from(base_mhz) * 1_000_000))
}

/// The frequency measured on this machine against `CLOCK_MONOTONIC_RAW`, Hz; takes 50 ms. `None` where there is no such counter.
pub fn measured_hz() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        let (first_ns, first) = pair()?;
        std::thread::sleep(std::time::Duration::from_millis(50));
        let (last_ns, last) = pair()?;
        let (ticks, ns) = (u128::from(last.checked_sub(first)?), u128::from(last_ns.checked_sub(first_ns)?));
        u64::try_from((ticks * 1_000_000_000).checked_div(ns)?).ok()
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// The clock and the counter at the same time: of a few tries that which took least.
#[cfg(target_arch = "x86_64")]
fn pair() -> Option<(u64, u64)> {
    // SAFETY: RDTSC reads a counter into registers and touches no memory.
    let tsc = || unsafe { std::arch::x86_64::_rdtsc() };
    let tries = (0..16).filter_map(|_| {
        let before = tsc();
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: clock_gettime writes one timespec, which `now` is, and it lives through the call.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &raw mut now) };
        let took = tsc().checked_sub(before)?;
        let ns = u64::try_from(now.tv_sec).ok()? * 1_000_000_000 + u64::try_from(now.tv_nsec).ok()?;
        (result == 0).then_some((took, ns, before + took / 2))
    });
    tries.min_by_key(|(took, ..)| *took).map(|(_, ns, tsc)| (ns, tsc))
}
