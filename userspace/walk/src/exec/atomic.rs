//! Exchanges: `xchg`, `xadd`, `cmpxchg`, `cmpxchg8b`, `cmpxchg16b`. A `lock` prefix changes nothing for one thread.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use super::alu;
use crate::code::{Operand, Operation};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, mask, register};

/// The executor of an exchange.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::Xchg => xchg,
        Mnemonic::Xadd => xadd,
        Mnemonic::Cmpxchg => cmpxchg,
        Mnemonic::Cmpxchg8b => cmpxchg_pair::<4>,
        Mnemonic::Cmpxchg16b => cmpxchg_pair::<8>,
        _ => return None,
    })
}

fn xchg(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let (a, b) = (machine.read(operation, 0)?, machine.read(operation, 1)?);
    // The first operand may be addressed by the second, so it is written first.
    machine.write(operation, 0, b)?;
    machine.write(operation, 1, a)
}

fn xadd(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    let (old, added) = (machine.read(operation, 0)?, machine.read(operation, 1)?);
    let sum = old.get(width).zip(added.get(width)).map(|(a, b)| alu::add(a, b, false, width));
    match sum {
        Some((_, flags)) => machine.state.flags.assign(Flags::STATUS, flags),
        None => machine.state.flags.forget(Flags::STATUS),
    }
    let sum = Value::from_option(sum.map(|(sum, _)| sum));
    if matches!(operation.operands[0], Operand::Memory { .. }) {
        machine.write(operation, 0, sum)?;
        machine.write(operation, 1, old)
    } else {
        machine.write(operation, 1, old)?;
        machine.write(operation, 0, sum)
    }
}

/// Memory is written whether the comparison succeeds or not, then with what it held.
fn cmpxchg(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    let (found, new) = (machine.read(operation, 0)?, machine.read(operation, 1)?);
    let expected = machine.general(register::RAX, width, false);
    let Some((expected, bits)) = expected.get(width).zip(found.get(width)) else {
        machine.state.flags.forget(Flags::STATUS);
        write_or_keep(machine, operation, Value::UNKNOWN)?;
        // Written only if the comparison fails: with 32 bits, it is not known whether the upper half is cleared.
        let written = if width == 4 { 8 } else { width };
        machine.set_general(register::RAX, written, false, Value::UNKNOWN);
        return Ok(());
    };
    let (difference, flags) = alu::sub(expected, bits, false, width);
    machine.state.flags.assign(Flags::STATUS, flags);
    if difference == 0 {
        machine.write(operation, 0, new)
    } else {
        write_or_keep(machine, operation, found)?;
        machine.set_general(register::RAX, width, false, found);
        Ok(())
    }
}

/// Writes the first operand. Processors differ in whether a 32-bit register that keeps its value loses its upper half.
fn write_or_keep(machine: &mut Machine<'_>, operation: &Operation, value: Value) -> Result<(), Reason> {
    match operation.operands[0] {
        Operand::General { number, width: 4, .. } => {
            let value = Value::partly(value.bits(), value.known_bits() & mask(4));
            machine.set_general(number, 8, false, value);
            Ok(())
        }
        _ => machine.write(operation, 0, value),
    }
}

/// Compares `rdx:rax` with two words of memory and replaces them by `rcx:rbx`; one access of both.
fn cmpxchg_pair<const WORD: u8>(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let address = machine.address(&operation.memory)?;
    let both = 2 * u16::from(WORD);
    let found = machine.load_vector(address, both)?;
    let (low, high) = (found.value(0, WORD), found.value(usize::from(WORD), WORD));
    let word = |machine: &Machine<'_>, number| machine.general(number, WORD, false);
    let expected = (word(machine, register::RAX).get(WORD), word(machine, register::RDX).get(WORD));
    let held = (low.get(WORD), high.get(WORD));
    let is_equal = match (expected, held) {
        ((Some(a), Some(b)), (Some(c), Some(d))) => Some((a, b) == (c, d)),
        _ => None,
    };
    machine.state.flags.set(Flag::Zero, is_equal);
    let (new_low, new_high) = match is_equal {
        Some(true) => (word(machine, register::RBX), word(machine, register::RCX)),
        Some(false) => (low, high),
        None => (Value::UNKNOWN, Value::UNKNOWN),
    };
    machine.store_pair(address, WORD, new_low, new_high);
    match is_equal {
        Some(true) => {}
        Some(false) => {
            machine.set_general(register::RAX, WORD, false, low);
            machine.set_general(register::RDX, WORD, false, high);
        }
        None => {
            machine.set_general(register::RAX, WORD, false, Value::UNKNOWN);
            machine.set_general(register::RDX, WORD, false, Value::UNKNOWN);
        }
    }
    Ok(())
}
