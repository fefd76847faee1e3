//! Moves of whole and partial vectors.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Done, finish, source};
use super::pick::{Pick, two};
use crate::code::{Operand, Operation};
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    let is_single = |number: u32| instruction.op_register(number).is_vector_register();
    Some(match instruction.mnemonic() {
        Movdqa | Movdqu | Vmovdqa | Vmovdqu | Lddqu | Vlddqu | Movntdq | Vmovntdq | Movntdqa | Vmovntdqa
        | Movaps | Vmovaps | Movups | Vmovups | Movntps | Vmovntps | Vmovdqa32 | Vmovdqu32 => {
            |m, o| copy(m, o, 4)
        }
        Movapd | Vmovapd | Movupd | Vmovupd | Movntpd | Vmovntpd | Vmovdqa64 | Vmovdqu64 => {
            |m, o| copy(m, o, 8)
        }
        Vmovdqu16 => |m, o| copy(m, o, 2),
        Vmovdqu8 => |m, o| copy(m, o, 1),
        Movd | Vmovd | Movq | Vmovq => copy_word,
        Movss | Vmovss if instruction.op_mask().is_k() => return None,
        Vmovsd if instruction.op_mask().is_k() => return None,
        Movss | Vmovss => |m, o| scalar(m, o, 4),
        Movsd if is_single(0) || is_single(1) => |m, o| scalar(m, o, 8),
        Vmovsd => |m, o| scalar(m, o, 8),
        Movlps | Vmovlps | Movlpd | Vmovlpd => |m, o| half(m, o, 0),
        Movhps | Vmovhps | Movhpd | Vmovhpd => |m, o| half(m, o, 8),
        Movlhps | Vmovlhps => |m, o| half(m, o, 8),
        Movhlps | Vmovhlps => {
            |m, o| two(m, o, 8, |i| if i < 8 { Pick::Second(i + 8) } else { Pick::First(i) })
        }
        Vzeroupper => |m, _| {
            for register in &mut m.state.vectors[..16] {
                *register = register.zero_extended(16);
            }
            Ok(())
        },
        Vzeroall => |m, _| {
            m.state.vectors[..16].fill(Vector::ZERO);
            Ok(())
        },
        _ => return None,
    })
}

fn copy(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let value = source(machine, operation, 1)?;
    finish(machine, operation, &value, lane)
}

/// `movd` and `movq`: one word, and 0 above it.
fn copy_word(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let value = machine.read(operation, 1)?;
    machine.write(operation, 0, value)
}

/// `movss` and `movsd`: memory goes to a cleared register, a register only to the lowest lane.
fn scalar(machine: &mut Machine<'_>, operation: &Operation, bytes: usize) -> Done {
    let is_memory = |operand: Operand| matches!(operand, Operand::Memory { .. });
    if is_memory(operation.operands[0]) || is_memory(operation.operands[1]) {
        return copy(machine, operation, bytes);
    }
    two(machine, operation, bytes, |i| if i < bytes { Pick::Second(i) } else { Pick::First(i) })
}

/// `movlps` and `movhps`: the half of a register that begins at byte `at`, from or to 8 bytes of memory.
fn half(machine: &mut Machine<'_>, operation: &Operation, at: usize) -> Done {
    if matches!(operation.operands[0], Operand::Memory { .. }) {
        let value = machine.read_vector(operation, 1)?.value(at, 8);
        return machine.write(operation, 0, value);
    }
    two(machine, operation, 8, |i| if i & 8 == at { Pick::Second(i - at) } else { Pick::First(i) })
}
