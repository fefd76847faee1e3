//! Packed floating point arithmetic and comparison.

use iced_x86::{Instruction, Mnemonic};

use super::ieee::{Float, arithmetic, chosen, holds, integral, root};
use super::lanes::{Done, computed, finish, immediate, low, sources, unary, width};
use super::pick::{Pick, rearranged};
use crate::code::Operation;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    arithmetics(instruction.mnemonic()).or_else(|| others(instruction))
}

fn arithmetics(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Addps | Vaddps => |m, o| packed::<f32>(m, o, |a, b| arithmetic(a, b, Float::add)),
        Addpd | Vaddpd => |m, o| packed::<f64>(m, o, |a, b| arithmetic(a, b, Float::add)),
        Subps | Vsubps => |m, o| packed::<f32>(m, o, |a, b| arithmetic(a, b, Float::subtract)),
        Subpd | Vsubpd => |m, o| packed::<f64>(m, o, |a, b| arithmetic(a, b, Float::subtract)),
        Mulps | Vmulps => |m, o| packed::<f32>(m, o, |a, b| arithmetic(a, b, Float::multiply)),
        Mulpd | Vmulpd => |m, o| packed::<f64>(m, o, |a, b| arithmetic(a, b, Float::multiply)),
        Divps | Vdivps => |m, o| packed::<f32>(m, o, |a, b| arithmetic(a, b, Float::divide)),
        Divpd | Vdivpd => |m, o| packed::<f64>(m, o, |a, b| arithmetic(a, b, Float::divide)),
        Minps | Vminps => |m, o| packed::<f32>(m, o, |a, b| chosen(a, b, f32::lt)),
        Minpd | Vminpd => |m, o| packed::<f64>(m, o, |a, b| chosen(a, b, f64::lt)),
        Maxps | Vmaxps => |m, o| packed::<f32>(m, o, |a, b| chosen(a, b, f32::gt)),
        Maxpd | Vmaxpd => |m, o| packed::<f64>(m, o, |a, b| chosen(a, b, f64::gt)),
        _ => return None,
    })
}

fn others(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    Some(match instruction.mnemonic() {
        Sqrtps | Vsqrtps => |m, o| unary::<f32>(m, o, root),
        Sqrtpd | Vsqrtpd => |m, o| unary::<f64>(m, o, root),
        Roundps | Vroundps => |m, o| unary::<f32>(m, o, |a| integral(a, immediate(o))),
        Roundpd | Vroundpd => |m, o| unary::<f64>(m, o, |a| integral(a, immediate(o))),
        Cmpps | Vcmpps if !instruction.op0_register().is_k() => |m, o| compare::<f32>(m, o),
        Cmppd | Vcmppd if !instruction.op0_register().is_k() => |m, o| compare::<f64>(m, o),
        Haddps | Vhaddps => |m, o| horizontal::<f32>(m, o, Float::add),
        Haddpd | Vhaddpd => |m, o| horizontal::<f64>(m, o, Float::add),
        Hsubps | Vhsubps => |m, o| horizontal::<f32>(m, o, Float::subtract),
        Hsubpd | Vhsubpd => |m, o| horizontal::<f64>(m, o, Float::subtract),
        _ => return None,
    })
}

fn packed<F: Float>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    compute: impl Fn(F, F) -> Option<F>,
) -> Done {
    let (first, second) = sources(machine, operation)?;
    let value = computed(&first, &second, width(operation), compute);
    finish(machine, operation, &value, F::BYTES)
}

/// `cmpps`: all bits of a lane are set if the predicate holds. Legacy and VEX differ in how many they have.
fn compare<F: Float>(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let (first, second) = sources(machine, operation)?;
    let value = compared::<F>(&first, &second, width(operation), predicate(operation));
    finish(machine, operation, &value, F::BYTES)
}

/// The predicate a comparison's immediate names.
pub(super) fn predicate(operation: &Operation) -> u8 {
    immediate(operation) & if operation.clears_upper { 0x1f } else { 7 }
}

/// A vector of all ones where the predicate holds and zeros where it does not.
pub(super) fn compared<F: Float>(first: &Vector, second: &Vector, width: usize, predicate: u8) -> Vector {
    let (mut bytes, mut known) = ([0; 64], 0);
    let both = first.known_bytes() & second.known_bytes();
    for place in (0..width).step_by(F::BYTES) {
        let needed = low(F::BYTES) << place;
        let (a, b) = (F::from_bytes(&first.bytes()[place..]), F::from_bytes(&second.bytes()[place..]));
        let Some(holds) = holds(a, b, predicate).filter(|_| both & needed == needed) else { continue };
        bytes[place..place + F::BYTES].fill(if holds { 0xff } else { 0 });
        known |= needed;
    }
    Vector::partly(bytes, known)
}

/// `haddps`: neighbours of the first source into the lower half of each 16 bytes, of the second into the upper.
fn horizontal<F: Float>(machine: &mut Machine<'_>, operation: &Operation, combine: fn(F, F) -> F) -> Done {
    let (first, second) = sources(machine, operation)?;
    let neighbour = |distance: usize| {
        rearranged(&first, &second, width(operation), |i| {
            let from = (i & !15) + i % 8 / F::BYTES * 2 * F::BYTES + distance + i % F::BYTES;
            if i & 8 == 0 { Pick::First(from) } else { Pick::Second(from) }
        })
    };
    let (even, odd) = (neighbour(0), neighbour(F::BYTES));
    let value = computed(&even, &odd, width(operation), |a, b| arithmetic(a, b, combine));
    finish(machine, operation, &value, F::BYTES)
}
