//! Every instruction without an executor of its own: its accesses are reported, and what it writes becomes unknown.

use crate::access::Kind;
use crate::code::Operation;
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Value, Vector};

/// Carries out an instruction by its effects alone.
pub fn execute(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let Some(effects) = &operation.effects else { return Err(Reason::InvalidInstruction) };
    if let Some(reason) = effects.end {
        return Err(reason);
    }
    for (address, width, kind) in &effects.accesses {
        let address = machine.address(address)?;
        machine.touch(address, *width, *kind);
        // A load is made although its value is of no use: where nothing is mapped the target would fault.
        if *kind == Kind::Load {
            machine.probe(address)?;
        }
    }
    for (number, register) in machine.state.general.iter_mut().enumerate() {
        if effects.general >> number & 1 == 1 {
            *register = Value::UNKNOWN;
        }
    }
    for (number, register) in machine.state.vectors.iter_mut().enumerate() {
        if effects.vectors >> number & 1 == 1 {
            *register = Vector::UNKNOWN;
        }
    }
    for (number, register) in machine.state.masks.iter_mut().enumerate() {
        if effects.masks >> number & 1 == 1 {
            *register = Value::UNKNOWN;
        }
    }
    machine.state.flags.forget(effects.flags);
    if effects.fs {
        machine.state.fs_base = None;
    }
    if effects.gs {
        machine.state.gs_base = None;
    }
    Ok(())
}
