//! SSE, AVX and AVX-512: the families of vector instructions.
//!
//! A family is a file with a `select` like those of `exec`. It finds the executor by mnemonic, so that one entry serves
//! the legacy, VEX and EVEX forms: `lanes` and `shuffle` read their sources and write their results alike. What is not
//! known of an input makes those bytes of the result unknown that depend on it, and no others.
//!
//! Left to the fallback: MMX, approximations (`rcpps`), cryptography, EVEX forms with
//! a mask and a memory operand other than moves and comparisons, and EVEX forms that name a rounding mode.

use iced_x86::{Instruction, OpKind, Register, RoundingControl};

use super::Execute;

mod compare;
mod control;
mod convert;
mod float;
mod fused;
mod ieee;
mod insert;
mod integer;
mod lanes;
mod logic;
mod masked;
mod masks;
mod moves;
mod permute;
mod pick;
mod scalar;
mod shift;
mod shuffle;
mod test;
mod text;
mod widen;

/// All families; the first that knows an instruction has it.
const FAMILIES: [super::Select; 17] = [
    moves::select,
    logic::select,
    compare::select,
    test::select,
    integer::select,
    shift::select,
    shuffle::select,
    permute::select,
    insert::select,
    widen::select,
    float::select,
    scalar::select,
    convert::select,
    fused::select,
    masks::select,
    text::select,
    control::select,
];

/// The executor for a vector instruction, if its family has one.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    if has_mmx(instruction) || names_rounding(instruction) {
        return None;
    }
    if is_masked_access(instruction) {
        return masked::select(instruction).or_else(|| masked_comparison(instruction));
    }
    FAMILIES.iter().find_map(|family| family(instruction)).or_else(|| masked::select(instruction))
}

/// Comparisons into a mask register, which read their memory element by element.
fn masked_comparison(instruction: &Instruction) -> Option<Execute> {
    let reads_elements = instruction.op0_register().is_k() && !instruction.is_broadcast();
    reads_elements.then(|| masks::select(instruction))?
}

fn has_mmx(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| instruction.op_register(operand).is_mm())
}

fn names_rounding(instruction: &Instruction) -> bool {
    instruction.rounding_control() != RoundingControl::None
}

/// Elements of the memory operand that the mask leaves out are not accessed.
fn is_masked_access(instruction: &Instruction) -> bool {
    instruction.op_mask() != Register::None
        && (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory)
}
