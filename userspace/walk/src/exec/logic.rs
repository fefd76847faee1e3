//! `and`, `or`, `xor`, `not`, `test`: bit by bit, also in what is known.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use super::alu::{LOGIC, zero_sign_parity};
use crate::code::{Operand, Operation};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Value};

/// The executor of a logical instruction.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::And => and,
        Mnemonic::Or => or,
        Mnemonic::Xor => xor,
        Mnemonic::Test => test,
        Mnemonic::Not => not,
        _ => return None,
    })
}

/// A bit is known if both are, or if one of them is a known 0.
#[inline]
pub fn both(a: Value, b: Value) -> Value {
    let zero = (a.known_bits() & !a.bits()) | (b.known_bits() & !b.bits());
    Value::partly(a.bits() & b.bits(), (a.known_bits() & b.known_bits()) | zero)
}

/// A bit is known if both are, or if one of them is a known 1.
#[inline]
fn either(a: Value, b: Value) -> Value {
    let known = (a.known_bits() & b.known_bits()) | a.bits() | b.bits();
    Value::partly(a.bits() | b.bits(), known)
}

#[inline]
fn set_flags(machine: &mut Machine<'_>, result: Value, width: u8) {
    match result.get(width) {
        Some(bits) => machine.state.flags.assign(LOGIC, zero_sign_parity(bits, width)),
        None => {
            machine.state.flags.forget(LOGIC);
            // Whatever the rest is, these are cleared; and one bit that is set is enough against zero.
            machine.state.flags.assign(Flag::Carry as u64 | Flag::Overflow as u64, 0);
            if result.bits() & crate::state::mask(width) != 0 {
                machine.state.flags.set(Flag::Zero, Some(false));
            }
        }
    }
    machine.state.flags.forget(Flag::Adjust as u64);
}

fn and(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let (a, b) = (machine.read(operation, 0)?, machine.read(operation, 1)?);
    let result = both(a, b);
    set_flags(machine, result, operation.width);
    machine.write(operation, 0, result)
}

fn test(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let (a, b) = (machine.read(operation, 0)?, machine.read(operation, 1)?);
    set_flags(machine, both(a, b), operation.width);
    Ok(())
}

fn or(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let (a, b) = (machine.read(operation, 0)?, machine.read(operation, 1)?);
    let result = either(a, b);
    set_flags(machine, result, operation.width);
    machine.write(operation, 0, result)
}

fn xor(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let (a, b) = (machine.read(operation, 0)?, machine.read(operation, 1)?);
    let is_same = matches!(operation.operands[0], Operand::General { .. })
        && operation.operands[0] == operation.operands[1];
    let result = if is_same {
        Value::known(0)
    } else {
        Value::partly(a.bits() ^ b.bits(), a.known_bits() & b.known_bits())
    };
    set_flags(machine, result, operation.width);
    machine.write(operation, 0, result)
}

fn not(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 0)?;
    machine.write(operation, 0, Value::partly(!value.bits(), value.known_bits()))
}
