//! Sign extension inside the accumulator: `cbw`, `cwde`, `cdqe`, `cwd`, `cdq`, `cqo`.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use crate::code::Operation;
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Value, register};

/// The executor of a conversion.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match instruction.mnemonic() {
        Mnemonic::Cbw => widen::<1>,
        Mnemonic::Cwde => widen::<2>,
        Mnemonic::Cdqe => widen::<4>,
        Mnemonic::Cwd => spread::<2>,
        Mnemonic::Cdq => spread::<4>,
        Mnemonic::Cqo => spread::<8>,
        _ => return None,
    })
}

/// The lowest `WIDTH` bytes of `rax`, extended to twice the width.
fn widen<const WIDTH: u8>(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    let value = machine.general(register::RAX, WIDTH, false).get_signed(WIDTH);
    let value = Value::from_option(value.map(|value| value as u64));
    machine.set_general(register::RAX, 2 * WIDTH, false, value);
    Ok(())
}

/// `rdx` becomes the sign of `rax`.
fn spread<const WIDTH: u8>(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    let value = machine.general(register::RAX, WIDTH, false).get_signed(WIDTH);
    let sign = Value::from_option(value.map(|value| (value >> 63) as u64));
    machine.set_general(register::RDX, WIDTH, false, sign);
    Ok(())
}
