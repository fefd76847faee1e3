//! Bitwise logic. A byte of which one source says enough is known: 0 of `and`, 0xff of `or`.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Done, Lane, finish, is_with_itself, source, sources, width};
use crate::code::Operation;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    Some(match instruction.mnemonic() {
        Pand | Vpand | Andps | Vandps | Vpandd => |m, o| and(m, o, 0, 4),
        Andpd | Vandpd | Vpandq => |m, o| and(m, o, 0, 8),
        Pandn | Vpandn | Andnps | Vandnps | Vpandnd => |m, o| and(m, o, 0xff, 4),
        Andnpd | Vandnpd | Vpandnq => |m, o| and(m, o, 0xff, 8),
        Por | Vpor | Orps | Vorps | Vpord => |m, o| or(m, o, 4),
        Orpd | Vorpd | Vporq => |m, o| or(m, o, 8),
        Pxor | Vpxor | Xorps | Vxorps | Vpxord => |m, o| xor(m, o, 4),
        Xorpd | Vxorpd | Vpxorq => |m, o| xor(m, o, 8),
        Vpternlogd => |m, o| ternary(m, o, 4),
        Vpternlogq => |m, o| ternary(m, o, 8),
        _ => return None,
    })
}

/// `and` of the sources, or `andn`, which takes the complement of the first.
fn and(machine: &mut Machine<'_>, operation: &Operation, invert: u8, lane: usize) -> Done {
    if invert != 0 && is_with_itself(operation) {
        return finish(machine, operation, &Vector::ZERO, lane);
    }
    let (first, second) = sources(machine, operation)?;
    let inverted = u64::from_le_bytes([invert; 8]);
    let value = combined(&first, &second, |a, b| (a ^ inverted) & b, Some([invert, 0]));
    finish(machine, operation, &value, lane)
}

fn or(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let (first, second) = sources(machine, operation)?;
    finish(machine, operation, &combined(&first, &second, |a, b| a | b, Some([0xff; 2])), lane)
}

fn xor(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    if is_with_itself(operation) {
        return finish(machine, operation, &Vector::ZERO, lane);
    }
    let (first, second) = sources(machine, operation)?;
    finish(machine, operation, &combined(&first, &second, |a, b| a ^ b, None), lane)
}

/// Combines two vectors bit by bit. A byte of the first or the second that is `decisive` says the result, whatever the
/// other one is; unknown bytes take part as 0, which gives that result.
#[inline]
fn combined(
    first: &Vector,
    second: &Vector,
    combine: impl Fn(u64, u64) -> u64,
    decisive: Option<[u8; 2]>,
) -> Vector {
    let mut bytes = [0; 64];
    let words = first.bytes().chunks_exact(8).zip(second.bytes().chunks_exact(8));
    for (into, (a, b)) in bytes.chunks_exact_mut(8).zip(words) {
        combine(u64::from_bytes(a), u64::from_bytes(b)).write(into);
    }
    let mut known = first.known_bytes() & second.known_bytes();
    if let Some([in_first, in_second]) = decisive.filter(|_| known != u64::MAX) {
        let decides = |vector: &Vector, byte: u8, at: usize| {
            vector.known_bytes() >> at & 1 == 1 && vector.bytes()[at] == byte
        };
        for at in 0..64 {
            let is_decided = decides(first, in_first, at) || decides(second, in_second, at);
            known |= u64::from(is_decided) << at;
        }
    }
    Vector::partly(bytes, known)
}

/// Any function of three bits; the immediate is its table of truth. `0xff` and `0` are how AVX-512 makes constants.
fn ternary(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let table = super::lanes::immediate(operation);
    let inputs =
        [source(machine, operation, 0)?, source(machine, operation, 1)?, source(machine, operation, 2)?];
    let constant = table == 0 || table == 0xff;
    let known = inputs.iter().fold(u64::MAX, |known, input| known & input.known_bytes());
    let mut bytes = [0; 64];
    for (index, byte) in bytes.iter_mut().enumerate().take(width(operation)) {
        for bit in 0..8 {
            let row = inputs.iter().fold(0, |row, input| row << 1 | (input.bytes()[index] >> bit & 1));
            *byte |= (table >> row & 1) << bit;
        }
    }
    let known = if constant { u64::MAX } else { known };
    finish(machine, operation, &Vector::partly(bytes, known), lane)
}
