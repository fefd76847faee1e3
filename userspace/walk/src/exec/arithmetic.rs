//! Addition, subtraction and comparison, with their flags.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use super::alu::{self, Outcome};
use crate::code::{Operand, Operation};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, mask};

/// The executor of an arithmetic instruction.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::Add => add,
        Mnemonic::Sub => sub,
        Mnemonic::Cmp => cmp,
        Mnemonic::Adc => adc,
        Mnemonic::Sbb => sbb,
        Mnemonic::Inc => inc,
        Mnemonic::Dec => dec,
        Mnemonic::Neg => neg,
        Mnemonic::Adcx => adcx,
        Mnemonic::Adox => adox,
        _ => return None,
    })
}

/// Both operands, cut to the width, if known.
#[inline]
fn operands(machine: &mut Machine<'_>, operation: &Operation) -> Result<Option<(u64, u64)>, Reason> {
    let (a, b) = (machine.read(operation, 0)?, machine.read(operation, 1)?);
    let width = operation.width;
    Ok(a.get(width).zip(b.get(width)))
}

/// Whether both operands are one register, so that their difference is known even if they are not.
fn are_same(operation: &Operation) -> bool {
    matches!(operation.operands[0], Operand::General { .. }) && operation.operands[0] == operation.operands[1]
}

#[inline]
fn finish(
    machine: &mut Machine<'_>,
    operation: &Operation,
    outcome: Option<Outcome>,
    flags: u64,
) -> Result<(), Reason> {
    match outcome {
        Some((_, bits)) => machine.state.flags.assign(flags, bits),
        None => machine.state.flags.forget(flags),
    }
    machine.write(operation, 0, Value::from_option(outcome.map(|(result, _)| result)))
}

fn add(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let outcome = operands(machine, operation)?.map(|(a, b)| alu::add(a, b, false, operation.width));
    finish(machine, operation, outcome, Flags::STATUS)
}

fn difference(machine: &mut Machine<'_>, operation: &Operation) -> Result<Option<Outcome>, Reason> {
    let operands = match operands(machine, operation)? {
        None if are_same(operation) => Some((0, 0)),
        operands => operands,
    };
    Ok(operands.map(|(a, b)| alu::sub(a, b, false, operation.width)))
}

fn sub(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let outcome = difference(machine, operation)?;
    finish(machine, operation, outcome, Flags::STATUS)
}

fn cmp(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    match difference(machine, operation)? {
        Some((_, bits)) => machine.state.flags.assign(Flags::STATUS, bits),
        None => machine.state.flags.forget(Flags::STATUS),
    }
    Ok(())
}

fn adc(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let carry = machine.state.flags.get(Flag::Carry);
    let operands = operands(machine, operation)?.zip(carry);
    let outcome = operands.map(|((a, b), carry)| alu::add(a, b, carry, operation.width));
    finish(machine, operation, outcome, Flags::STATUS)
}

fn sbb(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let carry = machine.state.flags.get(Flag::Carry);
    let operands = match operands(machine, operation)? {
        None if are_same(operation) => Some((0, 0)),
        operands => operands,
    };
    let outcome = operands.zip(carry).map(|((a, b), carry)| alu::sub(a, b, carry, operation.width));
    finish(machine, operation, outcome, Flags::STATUS)
}

/// `inc` and `dec` leave the carry.
const WITHOUT_CARRY: u64 = Flags::STATUS & !(Flag::Carry as u64);

fn inc(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 0)?.get(operation.width);
    finish(machine, operation, value.map(|a| alu::add(a, 1, false, operation.width)), WITHOUT_CARRY)
}

fn dec(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 0)?.get(operation.width);
    finish(machine, operation, value.map(|a| alu::sub(a, 1, false, operation.width)), WITHOUT_CARRY)
}

fn neg(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 0)?.get(operation.width);
    finish(machine, operation, value.map(|a| alu::sub(0, a, false, operation.width)), Flags::STATUS)
}

fn adcx(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    add_with(machine, operation, Flag::Carry)
}

fn adox(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    add_with(machine, operation, Flag::Overflow)
}

/// Adds with carry in and out of one flag, leaving the others.
fn add_with(machine: &mut Machine<'_>, operation: &Operation, flag: Flag) -> Result<(), Reason> {
    let carry = machine.state.flags.get(flag);
    let sum = operands(machine, operation)?.zip(carry).map(|((a, b), carry)| {
        let sum = u128::from(a) + u128::from(b) + u128::from(carry);
        (sum as u64 & mask(operation.width), sum >> (8 * u32::from(operation.width)) != 0)
    });
    machine.state.flags.set(flag, sum.map(|(_, carry)| carry));
    machine.write(operation, 0, Value::from_option(sum.map(|(sum, _)| sum)))
}
