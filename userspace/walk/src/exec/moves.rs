//! `mov` and its relatives: plain and extending moves, `lea`, `bswap`, `movbe`, `xlat`.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use crate::code::{Operand, Operation};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Value, mask, register};

/// The executor of a move.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::Mov if has_special_register(instruction) => return None,
        Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movnti | Mnemonic::Movdiri => mov,
        Mnemonic::Movsx | Mnemonic::Movsxd => movsx,
        Mnemonic::Lea => lea,
        Mnemonic::Bswap => bswap,
        Mnemonic::Movbe => movbe,
        Mnemonic::Xlatb => xlat,
        _ => return None,
    })
}

/// Segment, control and debug registers are left to the fallback.
fn has_special_register(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|index| {
        let register = instruction.op_register(index);
        register != iced_x86::Register::None && !register.is_gpr()
    })
}

/// Reading zero-extends, so this is `movzx` too.
fn mov(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 1)?;
    machine.write(operation, 0, value)
}

fn movsx(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 1)?;
    let width = match operation.operands[1] {
        Operand::General { width, .. } => width,
        Operand::Memory { width } => width as u8,
        _ => 8,
    };
    let extended = match value.get_signed(width) {
        Some(bits) => Value::known(bits as u64),
        None => Value::partly(value.bits(), value.known_bits() & mask(width)),
    };
    machine.write(operation, 0, extended)
}

fn lea(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let offset = Value::from_option(machine.offset(&operation.memory));
    machine.write(operation, 0, offset)
}

fn bswap(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 0)?;
    // The manual leaves the 16-bit form undefined.
    let swapped = if operation.width < 4 { Value::UNKNOWN } else { swap(value, operation.width) };
    machine.write(operation, 0, swapped)
}

fn movbe(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let value = machine.read(operation, 1)?;
    machine.write(operation, 0, swap(value, operation.width))
}

fn swap(value: Value, width: u8) -> Value {
    let shift = 64 - 8 * u32::from(width.clamp(1, 8));
    Value::partly(value.bits().swap_bytes() >> shift, value.known_bits().swap_bytes() >> shift)
}

/// `al` becomes the byte at `rbx + al`.
fn xlat(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let index = machine.general(register::RAX, 1, false).get(1).ok_or(Reason::UnknownAddress)?;
    let mut address = operation.memory;
    address.index = None;
    address.displacement = index;
    let address = machine.address(&address)?;
    let value = machine.load(address, 1)?;
    machine.set_general(register::RAX, 1, false, value);
    Ok(())
}
