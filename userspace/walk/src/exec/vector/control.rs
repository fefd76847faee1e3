//! `ldmxcsr`: the control of floating point.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::Done;
use crate::code::Operation;
use crate::end::Reason;
use crate::exec::Execute;
use crate::machine::Machine;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    matches!(instruction.mnemonic(), Mnemonic::Ldmxcsr | Mnemonic::Vldmxcsr).then_some(load)
}

/// Code that rounds other than to nearest is not followed. Exceptions and the treatment of denormals may change.
fn load(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    const ROUNDING: u64 = 3 << 13;
    let control = machine.read(operation, 0)?.get(4);
    if control.is_some_and(|control| control & ROUNDING == 0) { Ok(()) } else { Err(Reason::RoundingMode) }
}
