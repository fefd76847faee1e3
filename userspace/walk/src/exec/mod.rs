//! What instructions do: one file per family.
//!
//! A family is a file with `pub fn select(instruction: &Instruction) -> Option<Execute>`: the executor for an
//! instruction of the family, or `None` if it is another's (or a form the family leaves to the fallback). It is asked
//! once, when the instruction is decoded; add a family to [`FAMILIES`].
//!
//! An executor (`fn(&mut Machine, &Operation) -> Result<(), Reason>`) finds `machine.ip` at the instruction and
//! `machine.state.rip` already at the next one; a branch overwrites the latter. It
//! - reads operands with [`Machine::read`] (words) and [`Machine::read_vector`], writes them with [`Machine::write`]
//!   and [`Machine::write_vector`]: registers and memory alike, and a memory operand is recorded as an access each time
//!   it is read or written, so it reads every operand once, and also when it does not need the value;
//! - works with unknown input by making its output unknown, never by failing;
//! - sets every flag the instruction sets, and forgets those the manual calls undefined;
//! - returns an error only if the walk cannot go on: the reason.
//!
//! Implicit memory (stack, strings) goes through [`Machine::load`] and [`Machine::store`].

use iced_x86::Instruction;

use crate::code::Operation;
use crate::end::Reason;
use crate::machine::Machine;

mod alu;
mod arithmetic;
mod atomic;
mod bits;
mod bmi;
mod condition;
mod control;
mod conversion;
pub(crate) mod fallback;
mod logic;
mod moves;
mod multiply;
mod neutral;
mod shifts;
mod stack;
mod string;
pub(crate) mod vector;

/// Carries out one instruction.
pub type Execute = fn(&mut Machine<'_>, &Operation) -> Result<(), Reason>;

/// Finds a family's executor for an instruction.
pub type Select = fn(&Instruction) -> Option<Execute>;

/// All families; the first that knows an instruction has it.
const FAMILIES: [Select; 15] = [
    moves::select,
    arithmetic::select,
    logic::select,
    control::select,
    condition::select,
    stack::select,
    shifts::select,
    bits::select,
    bmi::select,
    multiply::select,
    conversion::select,
    string::select,
    atomic::select,
    neutral::select,
    vector::select,
];

/// The executor of an instruction's family, if one has it.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    FAMILIES.iter().find_map(|family| family(instruction))
}
