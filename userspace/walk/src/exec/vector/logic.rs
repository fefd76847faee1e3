//! Bitwise logic. A byte of which one source says enough is known: 0 of `and`, 0xff of `or`.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Done, finish, is_with_itself, source, sources, width};
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

/// `and` of the sources, the first of them xor `invert`.
fn and(machine: &mut Machine<'_>, operation: &Operation, invert: u8, lane: usize) -> Done {
    if invert != 0 && is_with_itself(operation) {
        return finish(machine, operation, &Vector::ZERO, lane);
    }
    let (first, second) = sources(machine, operation)?;
    let value = bytewise(&first, &second, |a, b| {
        let a = a.map(|a| a ^ invert);
        match (a, b) {
            (Some(0), _) | (_, Some(0)) => Some(0),
            _ => Some(a? & b?),
        }
    });
    finish(machine, operation, &value, lane)
}

fn or(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let (first, second) = sources(machine, operation)?;
    let value = bytewise(&first, &second, |a, b| match (a, b) {
        (Some(0xff), _) | (_, Some(0xff)) => Some(0xff),
        _ => Some(a? | b?),
    });
    finish(machine, operation, &value, lane)
}

fn xor(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    if is_with_itself(operation) {
        return finish(machine, operation, &Vector::ZERO, lane);
    }
    let (first, second) = sources(machine, operation)?;
    let value = bytewise(&first, &second, |a, b| Some(a? ^ b?));
    finish(machine, operation, &value, lane)
}

fn bytewise(
    first: &Vector,
    second: &Vector,
    compute: impl Fn(Option<u8>, Option<u8>) -> Option<u8>,
) -> Vector {
    let (mut bytes, mut known) = ([0; 64], 0);
    for (index, byte) in bytes.iter_mut().enumerate() {
        let of = |vector: &Vector| (vector.known_bytes() >> index & 1 == 1).then(|| vector.bytes()[index]);
        if let Some(result) = compute(of(first), of(second)) {
            *byte = result;
            known |= 1 << index;
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
