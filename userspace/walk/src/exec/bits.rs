//! Single bits and counts of bits: `bt*`, `bsf`, `bsr`, `popcnt`, `lzcnt`, `tzcnt`, `crc32`.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use crate::code::{Operand, Operation};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, mask};

/// The executor of a bit instruction.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::Bt => bt,
        Mnemonic::Bts => bts,
        Mnemonic::Btr => btr,
        Mnemonic::Btc => btc,
        Mnemonic::Bsf => bsf,
        Mnemonic::Bsr => bsr,
        Mnemonic::Popcnt => popcnt,
        Mnemonic::Lzcnt => lzcnt,
        Mnemonic::Tzcnt => tzcnt,
        Mnemonic::Crc32 => crc32,
        _ => return None,
    })
}

/// Tests a bit and changes it with `change(value, bit)`; `bt` changes nothing.
fn test_bit(
    machine: &mut Machine<'_>,
    operation: &Operation,
    change: Option<fn(u64, u64) -> u64>,
) -> Result<(), Reason> {
    let width = operation.width;
    let size = 8 * u64::from(width);
    let index = machine.read(operation, 1)?;
    let offset = index.get(width);
    let (place, value) = match operation.operands[0] {
        Operand::Memory { width } => {
            let mut place = operation.memory;
            // An index in a register may lead anywhere: whole words away, also downwards.
            if let Operand::General { width: index_width, .. } = operation.operands[1] {
                let offset = index.get_signed(index_width).ok_or(Reason::UnknownAddress)?;
                let words = offset >> size.trailing_zeros();
                let bytes = (words as u64).wrapping_mul(u64::from(width));
                place.displacement = place.displacement.wrapping_add(bytes);
            }
            let address = machine.address(&place)?;
            (Some((address, width)), machine.load(address, width)?)
        }
        _ => (None, machine.read(operation, 0)?),
    };
    let bit = offset.map(|offset| 1_u64 << (offset % size));
    let carry = bit.filter(|bit| value.known_bits() & bit != 0).map(|bit| value.bits() & bit != 0);
    machine.state.flags.set(Flag::Carry, carry);
    machine.state.flags.forget(Flags::STATUS & !(Flag::Carry as u64 | Flag::Zero as u64));
    let Some(change) = change else { return Ok(()) };
    let changed = match (bit, value.get(width)) {
        (Some(bit), Some(value)) => Value::known(change(value, bit)),
        _ => Value::UNKNOWN,
    };
    match place {
        Some((address, width)) => machine.store(address, width, changed),
        None => return machine.write(operation, 0, changed),
    }
    Ok(())
}

fn bt(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    test_bit(machine, operation, None)
}

fn bts(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    test_bit(machine, operation, Some(|value, bit| value | bit))
}

fn btr(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    test_bit(machine, operation, Some(|value, bit| value & !bit))
}

fn btc(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    test_bit(machine, operation, Some(|value, bit| value ^ bit))
}

/// The source if known. All status flags become unknown: the caller sets those it defines.
fn source(machine: &mut Machine<'_>, operation: &Operation) -> Result<Option<u64>, Reason> {
    machine.state.flags.forget(Flags::STATUS);
    Ok(machine.read(operation, 1)?.get(operation.width))
}

fn scan(machine: &mut Machine<'_>, operation: &Operation, find: impl Fn(u64) -> u32) -> Result<(), Reason> {
    let source = source(machine, operation)?;
    machine.state.flags.set(Flag::Zero, source.map(|source| source == 0));
    if let Some(source @ 1..) = source {
        return machine.write(operation, 0, Value::known(u64::from(find(source))));
    }
    // For a source of 0 the destination stays; whether the upper half of a 32-bit one does differs between processors.
    let Operand::General { number, width, .. } = operation.operands[0] else { return Ok(()) };
    let lost = match (source, width) {
        (Some(_), 4) => !mask(4),
        (Some(_), _) => 0,
        (None, 4) => u64::MAX,
        (None, _) => mask(width),
    };
    let old = machine.general(number, 8, false);
    machine.set_general(number, 8, false, old.with(Value::UNKNOWN, lost));
    Ok(())
}

fn bsf(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    scan(machine, operation, u64::trailing_zeros)
}

fn bsr(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    scan(machine, operation, |source| 63 - source.leading_zeros().min(63))
}

fn popcnt(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let source = source(machine, operation)?;
    machine.state.flags.assign(Flags::STATUS, 0);
    machine.state.flags.set(Flag::Zero, source.map(|source| source == 0));
    machine.write(operation, 0, Value::from_option(source.map(|source| u64::from(source.count_ones()))))
}

/// Counts, with the carry for a source of 0 and the zero flag for a count of 0.
fn count(machine: &mut Machine<'_>, operation: &Operation, by: impl Fn(u64) -> u32) -> Result<(), Reason> {
    let source = source(machine, operation)?;
    let count = source.map(by);
    machine.state.flags.set(Flag::Carry, source.map(|source| source == 0));
    machine.state.flags.set(Flag::Zero, count.map(|count| count == 0));
    machine.write(operation, 0, Value::from_option(count.map(u64::from)))
}

fn lzcnt(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let above = 64 - 8 * u32::from(operation.width);
    count(machine, operation, |source| source.leading_zeros() - above)
}

fn tzcnt(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let size = 8 * u32::from(operation.width);
    count(machine, operation, |source| source.trailing_zeros().min(size))
}

/// CRC-32C, bits reflected, as iSCSI has it.
fn crc32(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = match operation.operands[1] {
        Operand::General { width, .. } => width,
        Operand::Memory { width } => width as u8,
        _ => 8,
    };
    let before = machine.read(operation, 0)?.get(4);
    let data = machine.read(operation, 1)?.get(width);
    let after = before.zip(data).map(|(crc, data)| {
        let mut crc = crc ^ data;
        // Data wider than the sum is taken byte by byte from the low end, as it lies in memory.
        for _ in 0..8 * u32::from(width) {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
        crc
    });
    machine.write(operation, 0, Value::from_option(after))
}
