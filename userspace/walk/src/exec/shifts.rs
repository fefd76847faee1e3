//! Shifts and rotates, with the flags each count leaves defined.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use super::alu::{LOGIC, top, zero_sign_parity};
use crate::code::Operation;
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, mask};

/// The executor of a shift.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::Shl | Mnemonic::Sal => shl,
        Mnemonic::Shr => shr,
        Mnemonic::Sar => sar,
        Mnemonic::Rol => rol,
        Mnemonic::Ror => ror,
        Mnemonic::Rcl => rcl,
        Mnemonic::Rcr => rcr,
        Mnemonic::Shld => shld,
        Mnemonic::Shrd => shrd,
        _ => return None,
    })
}

/// A shift's result: the value, the last bit shifted out, and the overflow flag, which only a count of 1 defines.
struct Shifted {
    value: u64,
    carry: Option<bool>,
    overflow: Option<bool>,
}

const CARRY: u64 = Flag::Carry as u64;
const OVERFLOW: u64 = Flag::Overflow as u64;

/// Reads destination and count (cut to 5 or 6 bits), shifts, writes back. A count of 0 writes the value but no flag.
#[inline]
fn shift(
    machine: &mut Machine<'_>,
    operation: &Operation,
    counted_by: usize,
    flags: u64,
    by: impl Fn(u64, u32, &Machine<'_>) -> Option<Shifted>,
) -> Result<(), Reason> {
    let value = machine.read(operation, 0)?;
    let limit = if operation.width == 8 { 63 } else { 31 };
    let count = machine.read(operation, counted_by)?.get(1).map(|count| (count & limit) as u32);
    if count == Some(0) {
        return machine.write(operation, 0, value);
    }
    let shifted = count.zip(value.get(operation.width)).and_then(|(count, bits)| by(bits, count, machine));
    let Some(shifted) = shifted else {
        machine.state.flags.forget(flags);
        return machine.write(operation, 0, Value::UNKNOWN);
    };
    if flags & Flag::Zero as u64 != 0 {
        machine
            .state
            .flags
            .assign(LOGIC & !(CARRY | OVERFLOW), zero_sign_parity(shifted.value, operation.width));
        machine.state.flags.forget(Flag::Adjust as u64);
    }
    machine.state.flags.set(Flag::Carry, shifted.carry);
    machine.state.flags.set(Flag::Overflow, shifted.overflow);
    machine.write(operation, 0, Value::known(shifted.value))
}

fn bits(width: u8) -> u32 {
    8 * u32::from(width)
}

/// Bit `index` of a value, if the value is that wide.
fn bit(value: u64, index: u32, width: u8) -> Option<bool> {
    (index < bits(width)).then(|| value >> index & 1 == 1)
}

fn shl(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    shift(machine, operation, 1, Flags::STATUS, |value, count, _| {
        let result = value << count & mask(width);
        let carry = bits(width).checked_sub(count).and_then(|index| bit(value, index, width));
        let overflow = carry.filter(|_| count == 1).map(|carry| top(result, width) != carry);
        Some(Shifted { value: result, carry, overflow })
    })
}

fn shr(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    shift(machine, operation, 1, Flags::STATUS, |value, count, _| {
        let overflow = (count == 1).then(|| top(value, width));
        Some(Shifted { value: value >> count, carry: bit(value, count - 1, width), overflow })
    })
}

fn sar(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    shift(machine, operation, 1, Flags::STATUS, |value, count, _| {
        let above = 64 - bits(width);
        let signed = (value << above) as i64 >> above;
        let carry = Some(signed >> (count - 1).min(63) & 1 == 1);
        let overflow = (count == 1).then_some(false);
        Some(Shifted { value: (signed >> count.min(63)) as u64 & mask(width), carry, overflow })
    })
}

/// Rotated to the left by `count` of `size` bits.
fn rotated(value: u128, count: u32, size: u32) -> u128 {
    let count = count % size;
    if count == 0 { value } else { (value << count | value >> (size - count)) & ((1 << size) - 1) }
}

fn rol(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    shift(machine, operation, 1, CARRY | OVERFLOW, |value, count, _| {
        let result = rotated(u128::from(value), count, bits(width)) as u64;
        let carry = result & 1 == 1;
        let overflow = (count == 1).then(|| top(result, width) != carry);
        Some(Shifted { value: result, carry: Some(carry), overflow })
    })
}

fn ror(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    shift(machine, operation, 1, CARRY | OVERFLOW, |value, count, _| {
        let size = bits(width);
        let result = rotated(u128::from(value), size - count % size, size) as u64;
        let overflow = (count == 1).then(|| top(result, width) != top(result << 1, width));
        Some(Shifted { value: result, carry: Some(top(result, width)), overflow })
    })
}

/// Rotates value and carry together to the left.
fn through_carry(value: u64, carry: bool, count: u32, width: u8) -> (u64, bool) {
    let joined = u128::from(carry) << bits(width) | u128::from(value);
    let result = rotated(joined, count, bits(width) + 1);
    (result as u64 & mask(width), result >> bits(width) & 1 == 1)
}

fn rcl(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    shift(machine, operation, 1, CARRY | OVERFLOW, |value, count, machine| {
        let carry = machine.state.flags.get(Flag::Carry)?;
        let (result, carry) = through_carry(value, carry, count, width);
        let overflow = (count == 1).then(|| top(result, width) != carry);
        Some(Shifted { value: result, carry: Some(carry), overflow })
    })
}

fn rcr(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    shift(machine, operation, 1, CARRY | OVERFLOW, |value, count, machine| {
        let carry = machine.state.flags.get(Flag::Carry)?;
        let size = bits(width) + 1;
        let (result, after) = through_carry(value, carry, size - count % size, width);
        let overflow = (count == 1).then(|| top(value, width) != carry);
        Some(Shifted { value: result, carry: Some(after), overflow })
    })
}

fn shld(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    double(machine, operation, |high, low, count, size| {
        let joined = u128::from(high) << size | u128::from(low);
        ((joined << count >> size) as u64, high >> (size - count) & 1 == 1)
    })
}

fn shrd(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    double(machine, operation, |low, high, count, size| {
        let joined = u128::from(high) << size | u128::from(low);
        ((joined >> count) as u64, low >> (count - 1) & 1 == 1)
    })
}

/// A shift with bits from a second register. A count beyond the width leaves everything undefined.
fn double(
    machine: &mut Machine<'_>,
    operation: &Operation,
    by: impl Fn(u64, u64, u32, u32) -> (u64, bool),
) -> Result<(), Reason> {
    let width = operation.width;
    let filler = machine.read(operation, 1)?.get(width);
    shift(machine, operation, 2, Flags::STATUS, |value, count, _| {
        let filler = filler.filter(|_| count <= bits(width))?;
        let (result, carry) = by(value, filler, count, bits(width));
        let result = result & mask(width);
        let overflow = (count == 1).then(|| top(result, width) != top(value, width));
        Some(Shifted { value: result, carry: Some(carry), overflow })
    })
}
