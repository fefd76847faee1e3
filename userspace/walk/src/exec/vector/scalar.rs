//! Floating point arithmetic on the lowest lane; the rest comes from the first source.

use iced_x86::{Instruction, Mnemonic};

use super::float::{compared, predicate};
use super::ieee::{Float, arithmetic, chosen, integral, root};
use super::lanes::{Done, computed, immediate, low, sources};
use crate::code::Operation;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    let is_vector = instruction.op0_register().is_vector_register();
    if instruction.op_mask().is_k() || !is_vector {
        return None;
    }
    Some(match instruction.mnemonic() {
        Addss | Vaddss => |m, o| scalar::<f32>(m, o, |a, b| arithmetic(a, b, Float::add)),
        Addsd | Vaddsd => |m, o| scalar::<f64>(m, o, |a, b| arithmetic(a, b, Float::add)),
        Subss | Vsubss => |m, o| scalar::<f32>(m, o, |a, b| arithmetic(a, b, Float::subtract)),
        Subsd | Vsubsd => |m, o| scalar::<f64>(m, o, |a, b| arithmetic(a, b, Float::subtract)),
        Mulss | Vmulss => |m, o| scalar::<f32>(m, o, |a, b| arithmetic(a, b, Float::multiply)),
        Mulsd | Vmulsd => |m, o| scalar::<f64>(m, o, |a, b| arithmetic(a, b, Float::multiply)),
        Divss | Vdivss => |m, o| scalar::<f32>(m, o, |a, b| arithmetic(a, b, Float::divide)),
        Divsd | Vdivsd => |m, o| scalar::<f64>(m, o, |a, b| arithmetic(a, b, Float::divide)),
        Minss | Vminss => |m, o| scalar::<f32>(m, o, |a, b| chosen(a, b, f32::lt)),
        Minsd | Vminsd => |m, o| scalar::<f64>(m, o, |a, b| chosen(a, b, f64::lt)),
        Maxss | Vmaxss => |m, o| scalar::<f32>(m, o, |a, b| chosen(a, b, f32::gt)),
        Maxsd | Vmaxsd => |m, o| scalar::<f64>(m, o, |a, b| chosen(a, b, f64::gt)),
        Sqrtss | Vsqrtss => |m, o| of_second::<f32>(m, o, root),
        Sqrtsd | Vsqrtsd => |m, o| of_second::<f64>(m, o, root),
        Roundss | Vroundss => |m, o| of_second::<f32>(m, o, |a| integral(a, immediate(o))),
        Roundsd | Vroundsd => |m, o| of_second::<f64>(m, o, |a| integral(a, immediate(o))),
        Cmpss | Vcmpss => compare::<f32>,
        Cmpsd | Vcmpsd => compare::<f64>,
        _ => return None,
    })
}

fn scalar<F: Float>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    compute: impl Fn(F, F) -> Option<F>,
) -> Done {
    let (first, second) = sources(machine, operation)?;
    let lane = computed(&first, &second, F::BYTES, compute);
    machine.write_vector(operation, 0, &first.with(&lane, low(F::BYTES)))
}

/// An instruction that computes with the lowest lane of the second source only.
fn of_second<F: Float>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    compute: impl Fn(F) -> Option<F>,
) -> Done {
    let (first, second) = sources(machine, operation)?;
    let lane: Vector = computed(&second, &second, F::BYTES, |lane: F, _| compute(lane));
    machine.write_vector(operation, 0, &first.with(&lane, low(F::BYTES)))
}

fn compare<F: Float>(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let (first, second) = sources(machine, operation)?;
    let lane = compared::<F>(&first, &second, F::BYTES, predicate(operation));
    machine.write_vector(operation, 0, &first.with(&lane, low(F::BYTES)))
}
