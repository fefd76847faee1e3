//! Jumps, calls, returns and loops. Conditional jumps are in `condition`.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use super::{Execute, stack};
use crate::code::Operation;
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Value, mask, register};

/// The executor of a near branch.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    let is_direct = instruction.op_count() == 1 && instruction.op0_kind() == OpKind::NearBranch64;
    Some(match instruction.mnemonic() {
        Mnemonic::Jmp if is_direct => jump,
        Mnemonic::Jmp if is_near(instruction) => jump_indirect,
        Mnemonic::Call if is_direct => call,
        Mnemonic::Call if is_near(instruction) => call_indirect,
        Mnemonic::Ret if matches!(instruction.code(), Code::Retnq | Code::Retnq_imm16) => ret,
        Mnemonic::Loop | Mnemonic::Loope | Mnemonic::Loopne => looped,
        Mnemonic::Jrcxz => jump_if_zero::<8>,
        Mnemonic::Jecxz => jump_if_zero::<4>,
        _ => return None,
    })
}

/// Through a register or 8 bytes of memory; far ones go through more, and direct ones with other widths are not
/// of 64-bit mode.
fn is_near(instruction: &Instruction) -> bool {
    matches!(instruction.code(), Code::Jmp_rm64 | Code::Call_rm64)
}

fn jump(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    machine.state.rip = machine.ip.wrapping_add(operation.target);
    Ok(())
}

fn jump_indirect(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let target = machine.read(operation, 0)?;
    go_to(machine, target)
}

fn call(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let back = machine.state.rip;
    stack::push(machine, 8, Value::known(back))?;
    machine.state.rip = machine.ip.wrapping_add(operation.target);
    Ok(())
}

fn call_indirect(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let target = machine.read(operation, 0)?;
    let back = machine.state.rip;
    stack::push(machine, 8, Value::known(back))?;
    go_to(machine, target)
}

/// `ret`, and `ret n`, which drops `n` bytes more.
fn ret(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let target = stack::pop(machine, 8)?;
    let dropped = machine.read(operation, 0)?.get(2).unwrap_or(0);
    if dropped != 0 {
        let top = machine.general(register::RSP, 8, false).get(8);
        machine.set_general(
            register::RSP,
            8,
            false,
            Value::from_option(top.map(|top| top.wrapping_add(dropped))),
        );
    }
    go_to(machine, target)
}

fn go_to(machine: &mut Machine<'_>, target: Value) -> Result<(), Reason> {
    machine.state.rip = target.get(8).ok_or(Reason::UnknownBranch)?;
    Ok(())
}

/// Counts `rcx` (`ecx` with a `67` prefix) down and jumps unless it is 0, for two of the three also by the zero flag.
fn looped(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = match operation.instruction.code() {
        Code::Loop_rel8_64_ECX | Code::Loope_rel8_64_ECX | Code::Loopne_rel8_64_ECX => 4,
        _ => 8,
    };
    let count = machine.general(register::RCX, width, false).get(width);
    let left = count.map(|count| count.wrapping_sub(1) & mask(width));
    machine.set_general(register::RCX, width, false, Value::from_option(left));
    let zero = machine.state.flags.get(Flag::Zero);
    let may_go_on = match operation.instruction.mnemonic() {
        Mnemonic::Loope => zero,
        Mnemonic::Loopne => zero.map(|zero| !zero),
        _ => Some(true),
    };
    let jumps = match (left.map(|left| left != 0), may_go_on) {
        (Some(false), _) | (_, Some(false)) => false,
        (Some(true), Some(true)) => true,
        _ => return Err(Reason::UnknownBranch),
    };
    if jumps {
        machine.state.rip = machine.ip.wrapping_add(operation.target);
    }
    Ok(())
}

fn jump_if_zero<const WIDTH: u8>(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let count = machine.general(register::RCX, WIDTH, false).get(WIDTH).ok_or(Reason::UnknownBranch)?;
    if count == 0 {
        machine.state.rip = machine.ip.wrapping_add(operation.target);
    }
    Ok(())
}
