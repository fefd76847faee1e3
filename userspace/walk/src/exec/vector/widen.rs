//! Integer lanes made wider or narrower.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Done, finish, low, width};
use super::pick::{Pick, rearranged};
use crate::code::{Operand, Operation};
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    Some(match instruction.mnemonic() {
        Pmovzxbw | Vpmovzxbw => |m, o| widen(m, o, 1, 2, false),
        Pmovzxbd | Vpmovzxbd => |m, o| widen(m, o, 1, 4, false),
        Pmovzxbq | Vpmovzxbq => |m, o| widen(m, o, 1, 8, false),
        Pmovzxwd | Vpmovzxwd => |m, o| widen(m, o, 2, 4, false),
        Pmovzxwq | Vpmovzxwq => |m, o| widen(m, o, 2, 8, false),
        Pmovzxdq | Vpmovzxdq => |m, o| widen(m, o, 4, 8, false),
        Pmovsxbw | Vpmovsxbw => |m, o| widen(m, o, 1, 2, true),
        Pmovsxbd | Vpmovsxbd => |m, o| widen(m, o, 1, 4, true),
        Pmovsxbq | Vpmovsxbq => |m, o| widen(m, o, 1, 8, true),
        Pmovsxwd | Vpmovsxwd => |m, o| widen(m, o, 2, 4, true),
        Pmovsxwq | Vpmovsxwq => |m, o| widen(m, o, 2, 8, true),
        Pmovsxdq | Vpmovsxdq => |m, o| widen(m, o, 4, 8, true),
        Vpmovwb => |m, o| narrow(m, o, 2, 1),
        Vpmovdb => |m, o| narrow(m, o, 4, 1),
        Vpmovdw => |m, o| narrow(m, o, 4, 2),
        Vpmovqb => |m, o| narrow(m, o, 8, 1),
        Vpmovqw => |m, o| narrow(m, o, 8, 2),
        Vpmovqd => |m, o| narrow(m, o, 8, 4),
        _ => return None,
    })
}

/// Lanes of `from` bytes to lanes of `to`.
fn widen(machine: &mut Machine<'_>, operation: &Operation, from: usize, to: usize, is_signed: bool) -> Done {
    let source = machine.read_vector(operation, 1)?;
    let signs = if is_signed { signs(&source) } else { Vector::ZERO };
    let value = rearranged(&source, &signs, width(operation), |i| {
        let first = i / to * from;
        if i % to < from { Pick::First(first + i % to) } else { Pick::Second(first + from - 1) }
    });
    finish(machine, operation, &value, to)
}

/// 0xff for every byte whose highest bit is set, 0 for the others.
fn signs(vector: &Vector) -> Vector {
    Vector::partly(vector.bytes().map(|byte| if byte & 0x80 != 0 { 0xff } else { 0 }), vector.known_bytes())
}

/// Lanes of `from` bytes cut to their lowest `to`; above them the register is 0.
fn narrow(machine: &mut Machine<'_>, operation: &Operation, from: usize, to: usize) -> Done {
    let source = machine.read_vector(operation, 1)?;
    let Operand::Vector { width, .. } = operation.operands[1] else { return Ok(()) };
    let bytes = usize::from(width) / from * to;
    let value = rearranged(&source, &source, bytes, |i| Pick::First(i / to * from + i % to));
    finish(machine, operation, &Vector::ZERO.with(&value, low(bytes)), to)?;
    if let Operand::Vector { number, .. } = operation.operands[0] {
        let register = &mut machine.state.vectors[usize::from(number & 31)];
        *register = register.zero_extended(bytes as u16); // Under a mask, too.
    }
    Ok(())
}
