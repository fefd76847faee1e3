//! String instructions, one element a step: a repeated one stays where it is until it is through, as on the machine,
//! where an interrupt between two elements finds the registers up to date. So a walk ends inside a long one at its
//! k-th access, however large the count is.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use super::Execute;
use super::alu;
use crate::code::{Operation, Segment};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, mask, register};

/// The executor of a string instruction.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::{
        Cmpsb, Cmpsd, Cmpsq, Cmpsw, Lodsb, Lodsd, Lodsq, Lodsw, Movsb, Movsd, Movsq, Movsw, Scasb, Scasd,
        Scasq, Scasw, Stosb, Stosd, Stosq, Stosw,
    };
    // `movsd` and `cmpsd` are SSE instructions too.
    if !instruction.is_string_instruction() || instruction.code() == Code::INVALID {
        return None;
    }
    Some(match instruction.mnemonic() {
        Movsb => movs::<1>,
        Movsw => movs::<2>,
        Movsd => movs::<4>,
        Movsq => movs::<8>,
        Stosb => stos::<1>,
        Stosw => stos::<2>,
        Stosd => stos::<4>,
        Stosq => stos::<8>,
        Lodsb => lods::<1>,
        Lodsw => lods::<2>,
        Lodsd => lods::<4>,
        Lodsq => lods::<8>,
        Scasb => scas::<1>,
        Scasw => scas::<2>,
        Scasd => scas::<4>,
        Scasq => scas::<8>,
        Cmpsb => cmps::<1>,
        Cmpsw => cmps::<2>,
        Cmpsd => cmps::<4>,
        Cmpsq => cmps::<8>,
        _ => return None,
    })
}

/// Width of the pointers and the counter: 4 with a `67` prefix.
fn pointer_width(operation: &Operation) -> u8 {
    let is_narrow = |kind| matches!(kind, OpKind::MemorySegESI | OpKind::MemorySegEDI | OpKind::MemoryESEDI);
    let instruction = &operation.instruction;
    if is_narrow(instruction.op0_kind()) || is_narrow(instruction.op1_kind()) { 4 } else { 8 }
}

/// Whether there is an element to do. An instruction that is not repeated has always one.
fn has_element(machine: &Machine<'_>, operation: &Operation) -> Result<bool, Reason> {
    if !is_repeated(operation) {
        return Ok(true);
    }
    let width = pointer_width(operation);
    let count = machine.general(register::RCX, width, false).get(width).ok_or(Reason::UnknownBranch)?;
    Ok(count != 0)
}

fn is_repeated(operation: &Operation) -> bool {
    operation.instruction.has_rep_prefix() || operation.instruction.has_repne_prefix()
}

/// The element's address by `rsi` (with the instruction's segment) or `rdi`.
fn element(machine: &Machine<'_>, operation: &Operation, pointer: u8) -> Result<u64, Reason> {
    let width = pointer_width(operation);
    let offset = machine.general(pointer, width, false).get(width).ok_or(Reason::UnknownAddress)?;
    let base = match operation.memory.segment {
        Segment::Fs if pointer == register::RSI => machine.state.fs_base,
        Segment::Gs if pointer == register::RSI => machine.state.gs_base,
        _ => Some(0),
    };
    base.map(|base| base.wrapping_add(offset)).ok_or(Reason::UnknownAddress)
}

/// Moves a pointer to the next element.
fn advance(machine: &mut Machine<'_>, operation: &Operation, pointer: u8, bytes: u8) {
    let width = pointer_width(operation);
    let old = machine.general(pointer, width, false).get(width);
    let new = old.zip(machine.state.flags.get(Flag::Direction)).map(|(old, is_down)| {
        let bytes = u64::from(bytes);
        (if is_down { old.wrapping_sub(bytes) } else { old.wrapping_add(bytes) }) & mask(width)
    });
    machine.set_general(pointer, width, false, Value::from_option(new));
}

/// Counts an element and stays at the instruction if more are to be done and `may_go_on`.
fn count(machine: &mut Machine<'_>, operation: &Operation, may_go_on: Option<bool>) -> Result<(), Reason> {
    if !is_repeated(operation) {
        return Ok(());
    }
    let width = pointer_width(operation);
    let left = machine.general(register::RCX, width, false).get(width).ok_or(Reason::UnknownBranch)?;
    let left = left.wrapping_sub(1) & mask(width);
    machine.set_general(register::RCX, width, false, Value::known(left));
    if left != 0 && may_go_on.ok_or(Reason::UnknownBranch)? {
        machine.state.rip = machine.ip;
    }
    Ok(())
}

fn movs<const BYTES: u8>(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    if !has_element(machine, operation)? {
        return Ok(());
    }
    let from = element(machine, operation, register::RSI)?;
    let to = element(machine, operation, register::RDI)?;
    let value = machine.load(from, u16::from(BYTES))?;
    machine.store(to, u16::from(BYTES), value);
    advance(machine, operation, register::RSI, BYTES);
    advance(machine, operation, register::RDI, BYTES);
    count(machine, operation, Some(true))
}

fn stos<const BYTES: u8>(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    if !has_element(machine, operation)? {
        return Ok(());
    }
    let to = element(machine, operation, register::RDI)?;
    let value = machine.general(register::RAX, BYTES, false);
    machine.store(to, u16::from(BYTES), value);
    advance(machine, operation, register::RDI, BYTES);
    count(machine, operation, Some(true))
}

fn lods<const BYTES: u8>(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    if !has_element(machine, operation)? {
        return Ok(());
    }
    let from = element(machine, operation, register::RSI)?;
    let value = machine.load(from, u16::from(BYTES))?;
    machine.set_general(register::RAX, BYTES, false, value);
    advance(machine, operation, register::RSI, BYTES);
    count(machine, operation, Some(true))
}

/// Sets the flags of `a - b` and counts: `repe` goes on while they are equal, `repne` while they differ.
fn compare<const BYTES: u8>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    a: Value,
    b: Value,
) -> Result<(), Reason> {
    let outcome = a.get(BYTES).zip(b.get(BYTES)).map(|(a, b)| alu::sub(a, b, false, BYTES));
    match outcome {
        Some((_, flags)) => machine.state.flags.assign(Flags::STATUS, flags),
        None => machine.state.flags.forget(Flags::STATUS),
    }
    let while_equal = !operation.instruction.has_repne_prefix();
    let may_go_on = outcome.map(|(difference, _)| (difference == 0) == while_equal);
    count(machine, operation, may_go_on)
}

fn scas<const BYTES: u8>(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    if !has_element(machine, operation)? {
        return Ok(());
    }
    let at = element(machine, operation, register::RDI)?;
    let found = machine.load(at, u16::from(BYTES))?;
    let sought = machine.general(register::RAX, BYTES, false);
    advance(machine, operation, register::RDI, BYTES);
    compare::<BYTES>(machine, operation, sought, found)
}

fn cmps<const BYTES: u8>(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    if !has_element(machine, operation)? {
        return Ok(());
    }
    let first = element(machine, operation, register::RSI)?;
    let second = element(machine, operation, register::RDI)?;
    let a = machine.load(first, u16::from(BYTES))?;
    let b = machine.load(second, u16::from(BYTES))?;
    advance(machine, operation, register::RSI, BYTES);
    advance(machine, operation, register::RDI, BYTES);
    compare::<BYTES>(machine, operation, a, b)
}
