//! The stack: `push`, `pop`, `pushf`, `popf`, `enter`, `leave`.

use iced_x86::{Code, Instruction, Mnemonic};

use super::Execute;
use crate::code::{Operand, Operation};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flags, Value, register};

/// The executor of a stack instruction.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::Push => push_operand,
        // `pop fs` and `pop gs` change a segment's base.
        Mnemonic::Pop if instruction.op0_register().is_segment_register() => return None,
        Mnemonic::Pop => pop_operand,
        Mnemonic::Pushfq => push_flags,
        Mnemonic::Popfq => pop_flags,
        Mnemonic::Enter => enter,
        Mnemonic::Leave if instruction.code() == Code::Leaveq => leave,
        _ => return None,
    })
}

/// Stores a word of `width` bytes below the top of the stack and moves the top there.
pub fn push(machine: &mut Machine<'_>, width: u8, value: Value) -> Result<(), Reason> {
    let top = machine.general(register::RSP, 8, false).get(8).ok_or(Reason::UnknownAddress)?;
    let top = top.wrapping_sub(u64::from(width));
    machine.store(top, u16::from(width), value);
    machine.set_general(register::RSP, 8, false, Value::known(top));
    Ok(())
}

/// Loads a word of `width` bytes from the top of the stack and takes it off.
pub fn pop(machine: &mut Machine<'_>, width: u8) -> Result<Value, Reason> {
    let top = machine.general(register::RSP, 8, false).get(8).ok_or(Reason::UnknownAddress)?;
    let value = machine.load(top, u16::from(width))?;
    machine.set_general(register::RSP, 8, false, Value::known(top.wrapping_add(u64::from(width))));
    Ok(value)
}

/// 8 bytes, or 2 with a `66` prefix; immediates and segment registers do not say it themselves.
fn width(operation: &Operation) -> u8 {
    match operation.operands[0] {
        Operand::General { .. } | Operand::Memory { .. } => operation.width,
        _ => operation.instruction.stack_pointer_increment().unsigned_abs() as u8,
    }
}

fn push_operand(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 0)?;
    push(machine, width(operation), value)
}

/// A destination in memory is addressed with the top of the stack as it is afterwards.
fn pop_operand(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = pop(machine, width(operation))?;
    machine.write(operation, 0, value)
}

/// Flags the walk does not follow are stored as unknown.
fn push_flags(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    let flags = machine.state.flags;
    push(machine, 8, Value::partly(flags.bits(), flags.known_bits()))
}

fn pop_flags(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    let value = pop(machine, 8)?;
    machine.state.flags.forget(Flags::ALL);
    machine.state.flags.assign(value.known_bits() & Flags::ALL, value.bits());
    Ok(())
}

/// A nested frame takes copies of the frame pointers of those around it.
fn enter(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = if operation.instruction.code() == Code::Enterq_imm16_imm8 { 8 } else { 2 };
    let level = operation.instruction.immediate8_2nd() & 31;
    let outer = machine.general(register::RBP, 8, false);
    push(machine, width, outer)?;
    let frame = machine.general(register::RSP, 8, false);
    if level > 0 {
        let mut around = outer;
        for _ in 1..level {
            let address = around.get(8).ok_or(Reason::UnknownAddress)?.wrapping_sub(u64::from(width));
            around = Value::known(address);
            let pointer = machine.load(address, u16::from(width))?;
            push(machine, width, pointer)?;
        }
        push(machine, width, frame)?;
    }
    machine.set_general(register::RBP, width, false, frame);
    let size = machine.read(operation, 0)?.get(2).unwrap_or(0);
    let top = machine.general(register::RSP, 8, false).get(8).map(|top| top.wrapping_sub(size));
    machine.set_general(register::RSP, 8, false, Value::from_option(top));
    Ok(())
}

fn leave(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    let frame = machine.general(register::RBP, 8, false);
    machine.set_general(register::RSP, 8, false, frame);
    let saved = pop(machine, 8)?;
    machine.set_general(register::RBP, 8, false, saved);
    Ok(())
}
