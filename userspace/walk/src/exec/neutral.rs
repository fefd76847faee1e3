//! Instructions that touch no memory and at most a flag or a segment's base: hints, fences, `stc`, `cld`, `lahf`.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use crate::code::Operation;
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, register};

/// The executor of such an instruction.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::{
        Clc, Cld, Cldemote, Clflush, Clflushopt, Clwb, Cmc, Endbr32, Endbr64, Lahf, Lfence, Mfence, Nop,
        Pause, Prefetch, Prefetchit0, Prefetchit1, Prefetchnta, Prefetcht0, Prefetcht1, Prefetcht2,
        Prefetchw, Prefetchwt1, Rdfsbase, Rdgsbase, Reservednop, Sahf, Serialize, Sfence, Stc, Std, Wait,
        Wrfsbase, Wrgsbase,
    };
    Some(match instruction.mnemonic() {
        Nop | Reservednop | Endbr32 | Endbr64 | Pause | Lfence | Mfence | Sfence | Serialize | Wait => {
            nothing
        }
        Prefetch | Prefetchit0 | Prefetchit1 | Prefetchnta | Prefetcht0 | Prefetcht1 | Prefetcht2 => nothing,
        Prefetchw | Prefetchwt1 | Cldemote | Clflush | Clflushopt | Clwb => nothing,
        Clc => set::<{ Flag::Carry as u64 }, 0>,
        Stc => set::<{ Flag::Carry as u64 }, { u64::MAX }>,
        Cld => set::<{ Flag::Direction as u64 }, 0>,
        Std => set::<{ Flag::Direction as u64 }, { u64::MAX }>,
        Cmc => cmc,
        Lahf => lahf,
        Sahf => sahf,
        Rdfsbase => rdfsbase,
        Rdgsbase => rdgsbase,
        Wrfsbase => wrfsbase,
        Wrgsbase => wrgsbase,
        _ => return None,
    })
}

fn nothing(_: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    Ok(())
}

fn set<const MASK: u64, const BITS: u64>(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    machine.state.flags.assign(MASK, BITS);
    Ok(())
}

fn cmc(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    let carry = machine.state.flags.get(Flag::Carry);
    machine.state.flags.set(Flag::Carry, carry.map(|carry| !carry));
    Ok(())
}

/// The flags `lahf` and `sahf` move: all status flags but overflow.
const LOW: u64 = Flags::STATUS & 0xff;

/// Bit 1 is always set, bits 3 and 5 always clear.
fn lahf(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    let flags = machine.state.flags;
    let value = Value::partly(flags.bits() & LOW | 2, flags.known_bits() & LOW | !LOW);
    machine.set_general(register::RAX, 1, true, value);
    Ok(())
}

fn sahf(machine: &mut Machine<'_>, _: &Operation) -> Result<(), Reason> {
    let value = machine.general(register::RAX, 1, true);
    machine.state.flags.forget(LOW);
    machine.state.flags.assign(LOW & value.known_bits(), value.bits());
    Ok(())
}

fn rdfsbase(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let base = Value::from_option(machine.state.fs_base);
    machine.write(operation, 0, base)
}

fn rdgsbase(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let base = Value::from_option(machine.state.gs_base);
    machine.write(operation, 0, base)
}

fn wrfsbase(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    machine.state.fs_base = machine.read(operation, 0)?.get(8);
    Ok(())
}

fn wrgsbase(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    machine.state.gs_base = machine.read(operation, 0)?.get(8);
    Ok(())
}
