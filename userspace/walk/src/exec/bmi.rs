//! Bit manipulation with a destination of its own: BMI1, BMI2.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use super::alu::{LOGIC, zero_sign_parity};
use super::logic::both;
use crate::code::Operation;
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, mask, register};

/// The executor of a BMI instruction.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::Andn => andn,
        Mnemonic::Bextr => bextr,
        Mnemonic::Blsi => blsi,
        Mnemonic::Blsr => blsr,
        Mnemonic::Blsmsk => blsmsk,
        Mnemonic::Bzhi => bzhi,
        Mnemonic::Pdep => pdep,
        Mnemonic::Pext => pext,
        Mnemonic::Rorx => rorx,
        Mnemonic::Sarx => sarx,
        Mnemonic::Shlx => shlx,
        Mnemonic::Shrx => shrx,
        Mnemonic::Mulx => mulx,
        _ => return None,
    })
}

/// Both sources, cut to the width, if known.
fn sources(machine: &mut Machine<'_>, operation: &Operation) -> Result<Option<(u64, u64)>, Reason> {
    let (a, b) = (machine.read(operation, 1)?, machine.read(operation, 2)?);
    Ok(a.get(operation.width).zip(b.get(operation.width)))
}

fn write(machine: &mut Machine<'_>, operation: &Operation, result: Option<u64>) -> Result<(), Reason> {
    let width = mask(operation.width);
    machine.write(operation, 0, Value::from_option(result.map(|result| result & width)))
}

/// Writes the result and its zero and sign flags, overflow cleared, parity and adjust undefined.
fn write_with_flags(
    machine: &mut Machine<'_>,
    operation: &Operation,
    result: Option<u64>,
    carry: Option<bool>,
) -> Result<(), Reason> {
    let flags = &mut machine.state.flags;
    match result {
        Some(result) => flags.assign(LOGIC, zero_sign_parity(result, operation.width)),
        None => flags.forget(Flags::STATUS),
    }
    flags.forget(Flag::Parity as u64 | Flag::Adjust as u64);
    flags.set(Flag::Overflow, Some(false));
    flags.set(Flag::Carry, carry);
    write(machine, operation, result)
}

fn andn(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let (a, b) = (machine.read(operation, 1)?, machine.read(operation, 2)?);
    let result = both(Value::partly(!a.bits(), a.known_bits()), b);
    write_with_flags(machine, operation, result.get(operation.width), Some(false))?;
    machine.write(operation, 0, result)
}

fn bextr(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let result = sources(machine, operation)?.map(|(value, control)| {
        let (start, length) = (control & 0xff, control >> 8 & 0xff);
        let moved = value.checked_shr(start as u32).unwrap_or(0);
        if length >= 64 { moved } else { moved & ((1 << length) - 1) }
    });
    write_with_flags(machine, operation, result, Some(false))?;
    // Unlike its relatives it leaves the sign undefined.
    machine.state.flags.forget(Flag::Sign as u64);
    Ok(())
}

/// One of the three on the lowest bit set: the result, and whether the carry is set for a source of 0 or for others.
fn lowest(
    machine: &mut Machine<'_>,
    operation: &Operation,
    by: impl Fn(u64) -> u64,
    carry_if_zero: bool,
) -> Result<(), Reason> {
    let source = machine.read(operation, 1)?.get(operation.width);
    let carry = source.map(|source| (source == 0) == carry_if_zero);
    let width = operation.width;
    write_with_flags(machine, operation, source.map(|source| by(source) & mask(width)), carry)
}

fn blsi(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    lowest(machine, operation, |source| source & source.wrapping_neg(), false)
}

fn blsr(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    lowest(machine, operation, |source| source & source.wrapping_sub(1), true)
}

fn blsmsk(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    lowest(machine, operation, |source| source ^ source.wrapping_sub(1), true)
}

fn bzhi(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let size = 8 * u64::from(operation.width);
    let sources = sources(machine, operation)?.map(|(value, index)| (value, index & 0xff));
    let result = sources.map(|(value, index)| if index >= 64 { value } else { value & ((1 << index) - 1) });
    write_with_flags(machine, operation, result, sources.map(|(_, index)| index >= size))
}

fn pdep(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let result = sources(machine, operation)?.map(|(mut source, mut left)| {
        let mut result = 0;
        while left != 0 {
            let lowest = left & left.wrapping_neg();
            result |= if source & 1 == 1 { lowest } else { 0 };
            source >>= 1;
            left ^= lowest;
        }
        result
    });
    write(machine, operation, result)
}

fn pext(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let result = sources(machine, operation)?.map(|(source, mut left)| {
        let (mut result, mut position) = (0, 0);
        while left != 0 {
            let lowest = left & left.wrapping_neg();
            result |= u64::from(source & lowest != 0) << position;
            position += 1;
            left ^= lowest;
        }
        result
    });
    write(machine, operation, result)
}

/// The value and the count cut to the width's bits.
fn counted(machine: &mut Machine<'_>, operation: &Operation) -> Result<Option<(u64, u32)>, Reason> {
    let limit = 8 * u64::from(operation.width) - 1;
    let value = machine.read(operation, 1)?.get(operation.width);
    let count = machine.read(operation, 2)?.get(1);
    Ok(value.zip(count).map(|(value, count)| (value, (count & limit) as u32)))
}

fn rorx(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let size = 8 * u32::from(operation.width);
    let result = counted(machine, operation)?
        .map(|(value, count)| if count == 0 { value } else { value >> count | value << (size - count) });
    write(machine, operation, result)
}

fn sarx(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let above = 64 - 8 * u32::from(operation.width);
    let result =
        counted(machine, operation)?.map(|(value, count)| ((value << above) as i64 >> above >> count) as u64);
    write(machine, operation, result)
}

fn shlx(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let result = counted(machine, operation)?.map(|(value, count)| value << count);
    write(machine, operation, result)
}

fn shrx(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let result = counted(machine, operation)?.map(|(value, count)| value >> count);
    write(machine, operation, result)
}

/// The product of `rdx` and the last operand, upper half to the first, lower to the second; the upper half stays if
/// both are one register. No flags.
fn mulx(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    let a = machine.general(register::RDX, width, false).get(width);
    let b = machine.read(operation, 2)?.get(width);
    let product = a.zip(b).map(|(a, b)| u128::from(a) * u128::from(b));
    let low = Value::from_option(product.map(|product| product as u64 & mask(width)));
    machine.write(operation, 1, low)?;
    write(machine, operation, product.map(|product| (product >> (8 * u32::from(width))) as u64))
}
