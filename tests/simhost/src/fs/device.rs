//! `/dev/cpu/N/msr` and `/dev/cpu/N/cpuid`: the offset is the register or the leaf.
//!
//! Source: `arch/x86/kernel/msr.c`, `arch/x86/kernel/cpuid.c`.

use crate::host::Host;
use crate::resctrl::Errno;
use crate::{cpuid, registers};

/// Reads a register; a longer read gives it again for every 8 bytes.
pub(super) fn read_msr(host: &Host, cpu: usize, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
    let address = address(host, cpu, offset, size)?;
    let value = registers::read(&host.machine, cpu, address).map_err(|_| libc::EIO)?;
    Ok(value.to_le_bytes().repeat(size / 8))
}

/// Writes a register, once for every 8 bytes.
pub(super) fn write_msr(host: &mut Host, cpu: usize, offset: u64, data: &[u8]) -> Result<(), Errno> {
    let address = address(host, cpu, offset, data.len())?;
    for chunk in data.chunks_exact(8) {
        let value = chunk.try_into().map(u64::from_le_bytes).map_err(|_| libc::EINVAL)?;
        registers::write(&mut host.machine, cpu, address, value).map_err(|_| libc::EIO)?;
    }
    Ok(())
}

/// Reads leaves, 16 bytes each.
pub(super) fn read_cpuid(host: &Host, cpu: usize, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
    check_online(host, cpu)?;
    cpuid::bytes(host.machine.spec(), cpu, offset, size).ok_or(libc::EINVAL)
}

/// A CPU that is offline has no registers.
pub(super) fn check_online(host: &Host, cpu: usize) -> Result<(), Errno> {
    if host.machine.is_online(cpu) { Ok(()) } else { Err(libc::ENXIO) }
}

fn address(host: &Host, cpu: usize, offset: u64, size: usize) -> Result<u32, Errno> {
    if !size.is_multiple_of(8) {
        return Err(libc::EINVAL);
    }
    check_online(host, cpu)?;
    u32::try_from(offset).map_err(|_| libc::EIO)
}
