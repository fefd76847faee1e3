//! Fused multiply and add.

use iced_x86::{Instruction, Mnemonic};

use super::ieee::{Float, settled};
use super::lanes::{Done, finish, low, source, width};
use crate::code::Operation;
use crate::end::Reason;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

/// Which operands are multiplied and which one is added.
type Order = [usize; 3];
const ORDER_132: Order = [0, 2, 1];
const ORDER_213: Order = [1, 0, 2];
const ORDER_231: Order = [1, 2, 0];

#[rustfmt::skip] // A table.
pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    if instruction.op_mask().is_k() {
        return None;
    }
    Some(match instruction.mnemonic() {
        Vfmadd132ps => |m, o| packed::<f32>(m, o, ORDER_132, false, false),
        Vfmadd213ps => |m, o| packed::<f32>(m, o, ORDER_213, false, false),
        Vfmadd231ps => |m, o| packed::<f32>(m, o, ORDER_231, false, false),
        Vfmadd132pd => |m, o| packed::<f64>(m, o, ORDER_132, false, false),
        Vfmadd213pd => |m, o| packed::<f64>(m, o, ORDER_213, false, false),
        Vfmadd231pd => |m, o| packed::<f64>(m, o, ORDER_231, false, false),
        Vfmadd132ss => |m, o| scalar::<f32>(m, o, ORDER_132, false, false),
        Vfmadd213ss => |m, o| scalar::<f32>(m, o, ORDER_213, false, false),
        Vfmadd231ss => |m, o| scalar::<f32>(m, o, ORDER_231, false, false),
        Vfmadd132sd => |m, o| scalar::<f64>(m, o, ORDER_132, false, false),
        Vfmadd213sd => |m, o| scalar::<f64>(m, o, ORDER_213, false, false),
        Vfmadd231sd => |m, o| scalar::<f64>(m, o, ORDER_231, false, false),
        Vfmsub132ps => |m, o| packed::<f32>(m, o, ORDER_132, false, true),
        Vfmsub213ps => |m, o| packed::<f32>(m, o, ORDER_213, false, true),
        Vfmsub231ps => |m, o| packed::<f32>(m, o, ORDER_231, false, true),
        Vfmsub132pd => |m, o| packed::<f64>(m, o, ORDER_132, false, true),
        Vfmsub213pd => |m, o| packed::<f64>(m, o, ORDER_213, false, true),
        Vfmsub231pd => |m, o| packed::<f64>(m, o, ORDER_231, false, true),
        Vfmsub132ss => |m, o| scalar::<f32>(m, o, ORDER_132, false, true),
        Vfmsub213ss => |m, o| scalar::<f32>(m, o, ORDER_213, false, true),
        Vfmsub231ss => |m, o| scalar::<f32>(m, o, ORDER_231, false, true),
        Vfmsub132sd => |m, o| scalar::<f64>(m, o, ORDER_132, false, true),
        Vfmsub213sd => |m, o| scalar::<f64>(m, o, ORDER_213, false, true),
        Vfmsub231sd => |m, o| scalar::<f64>(m, o, ORDER_231, false, true),
        Vfnmadd132ps => |m, o| packed::<f32>(m, o, ORDER_132, true, false),
        Vfnmadd213ps => |m, o| packed::<f32>(m, o, ORDER_213, true, false),
        Vfnmadd231ps => |m, o| packed::<f32>(m, o, ORDER_231, true, false),
        Vfnmadd132pd => |m, o| packed::<f64>(m, o, ORDER_132, true, false),
        Vfnmadd213pd => |m, o| packed::<f64>(m, o, ORDER_213, true, false),
        Vfnmadd231pd => |m, o| packed::<f64>(m, o, ORDER_231, true, false),
        Vfnmadd132ss => |m, o| scalar::<f32>(m, o, ORDER_132, true, false),
        Vfnmadd213ss => |m, o| scalar::<f32>(m, o, ORDER_213, true, false),
        Vfnmadd231ss => |m, o| scalar::<f32>(m, o, ORDER_231, true, false),
        Vfnmadd132sd => |m, o| scalar::<f64>(m, o, ORDER_132, true, false),
        Vfnmadd213sd => |m, o| scalar::<f64>(m, o, ORDER_213, true, false),
        Vfnmadd231sd => |m, o| scalar::<f64>(m, o, ORDER_231, true, false),
        Vfnmsub132ps => |m, o| packed::<f32>(m, o, ORDER_132, true, true),
        Vfnmsub213ps => |m, o| packed::<f32>(m, o, ORDER_213, true, true),
        Vfnmsub231ps => |m, o| packed::<f32>(m, o, ORDER_231, true, true),
        Vfnmsub132pd => |m, o| packed::<f64>(m, o, ORDER_132, true, true),
        Vfnmsub213pd => |m, o| packed::<f64>(m, o, ORDER_213, true, true),
        Vfnmsub231pd => |m, o| packed::<f64>(m, o, ORDER_231, true, true),
        Vfnmsub132ss => |m, o| scalar::<f32>(m, o, ORDER_132, true, true),
        Vfnmsub213ss => |m, o| scalar::<f32>(m, o, ORDER_213, true, true),
        Vfnmsub231ss => |m, o| scalar::<f32>(m, o, ORDER_231, true, true),
        Vfnmsub132sd => |m, o| scalar::<f64>(m, o, ORDER_132, true, true),
        Vfnmsub213sd => |m, o| scalar::<f64>(m, o, ORDER_213, true, true),
        Vfnmsub231sd => |m, o| scalar::<f64>(m, o, ORDER_231, true, true),
        _ => return None,
    })
}

fn packed<F: Float>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    order: Order,
    negates_product: bool,
    negates_term: bool,
) -> Done {
    let value = fused::<F>(machine, operation, order, width(operation), negates_product, negates_term)?;
    finish(machine, operation, &value, F::BYTES)
}

/// As [`packed`] on the lowest lane; the others keep what they are.
fn scalar<F: Float>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    order: Order,
    negates_product: bool,
    negates_term: bool,
) -> Done {
    let rest = machine.read_vector(operation, 0)?;
    let value = fused::<F>(machine, operation, order, F::BYTES, negates_product, negates_term)?;
    machine.write_vector(operation, 0, &rest.with(&value, low(F::BYTES)))
}

fn fused<F: Float>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    order: Order,
    width: usize,
    negates_product: bool,
    negates_term: bool,
) -> Result<Vector, Reason> {
    let operands =
        [source(machine, operation, 0)?, source(machine, operation, 1)?, source(machine, operation, 2)?];
    let (mut bytes, mut known) = ([0; 64], 0);
    let all = operands.iter().fold(u64::MAX, |all, operand| all & operand.known_bytes());
    for place in (0..width).step_by(F::BYTES) {
        let needed = low(F::BYTES) << place;
        let [factor, other, term] = order.map(|operand| F::from_bytes(&operands[operand].bytes()[place..]));
        let factor = if negates_product { factor.negated() } else { factor };
        let term = if negates_term { term.negated() } else { term };
        if let Some(lane) = result(factor, other, term).filter(|_| all & needed == needed) {
            lane.write(&mut bytes[place..]);
            known |= needed;
        }
    }
    Ok(Vector::partly(bytes, known))
}

/// Which NaN of three is passed on differs between processors, so that it is unknown.
fn result<F: Float>(factor: F, other: F, term: F) -> Option<F> {
    let unsure = |number: F| number.is_nan() || number.is_subnormal();
    if unsure(factor) || unsure(other) || unsure(term) {
        return None;
    }
    settled(factor.multiply_add(other, term))
}
