//! Rearrangements across the whole register.

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::lanes::{Done, finish, immediate, source, sources, width};
use super::pick::{Pick, one, rearranged, two};
use crate::code::Operation;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    let by_immediate = instruction.op_kind(instruction.op_count().saturating_sub(1)) == OpKind::Immediate8;
    Some(match instruction.mnemonic() {
        Vpermq | Vpermpd if by_immediate => |m, o| {
            let choice = usize::from(immediate(o));
            one(m, o, 8, |i| (i & !31) + 8 * (choice >> (2 * (i % 32 / 8)) & 3) + i % 8)
        },
        Vpermq | Vpermpd => |m, o| by_index(m, o, 8),
        Vpermd | Vpermps => |m, o| by_index(m, o, 4),
        Vpermw => |m, o| by_index(m, o, 2),
        Vpermb => |m, o| by_index(m, o, 1),
        Vpermi2d | Vpermi2ps => |m, o| of_two(m, o, 4, [0, 1]),
        Vpermi2q | Vpermi2pd => |m, o| of_two(m, o, 8, [0, 1]),
        Vpermi2w => |m, o| of_two(m, o, 2, [0, 1]),
        Vpermi2b => |m, o| of_two(m, o, 1, [0, 1]),
        Vpermt2d | Vpermt2ps => |m, o| of_two(m, o, 4, [1, 0]),
        Vpermt2q | Vpermt2pd => |m, o| of_two(m, o, 8, [1, 0]),
        Vpermt2w => |m, o| of_two(m, o, 2, [1, 0]),
        Vpermt2b => |m, o| of_two(m, o, 1, [1, 0]),
        Vpermilps => |m, o| within_halves(m, o, 4),
        Vpermilpd => |m, o| within_halves(m, o, 8),
        Vperm2f128 | Vperm2i128 => halves,
        Valignd => |m, o| align(m, o, 4),
        Valignq => |m, o| align(m, o, 8),
        Vshuff32x4 | Vshufi32x4 => |m, o| quarters(m, o, 4),
        Vshuff64x2 | Vshufi64x2 => |m, o| quarters(m, o, 8),
        _ => return None,
    })
}

/// Each lane of the first source is the number of a lane of the second.
fn by_index(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let (indices, from) = sources(machine, operation)?;
    let width = width(operation);
    let value = rearranged(&from, &from, width, |i| match index(&indices, i / lane * lane) {
        Some(index) => Pick::First(usize::from(index) % (width / lane) * lane + i % lane),
        None => Pick::Unknown,
    });
    finish(machine, operation, &value, lane)
}

/// `vpermi2d` and `vpermt2d`: each lane of the indices numbers a lane of two tables; the second is the last operand.
/// `operands` are those of the indices and the first table.
fn of_two(machine: &mut Machine<'_>, operation: &Operation, lane: usize, operands: [usize; 2]) -> Done {
    let [indices, first] = operands;
    let (indices, first) = (source(machine, operation, indices)?, source(machine, operation, first)?);
    let second = source(machine, operation, 2)?;
    let count = width(operation) / lane;
    let value = rearranged(&first, &second, width(operation), |i| match index(&indices, i / lane * lane) {
        Some(index) => {
            let place = usize::from(index) % count * lane + i % lane;
            if usize::from(index) & count == 0 { Pick::First(place) } else { Pick::Second(place) }
        }
        None => Pick::Unknown,
    });
    finish(machine, operation, &value, lane)
}

/// `vpermilps` and `vpermilpd`: each lane of the second source chooses one of the same 16 bytes of the first.
fn within_halves(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let (from, choices) = sources(machine, operation)?;
    let value = rearranged(&from, &from, width(operation), |i| match index(&choices, i / lane * lane) {
        Some(choice) => {
            let place = if lane == 8 { choice >> 1 & 1 } else { choice & 3 };
            Pick::First((i & !15) + usize::from(place) * lane + i % lane)
        }
        None => Pick::Unknown,
    });
    finish(machine, operation, &value, lane)
}

fn index(vector: &Vector, at: usize) -> Option<u8> {
    (vector.known_bytes() >> at & 1 == 1).then(|| vector.bytes()[at])
}

/// `vperm2i128`: each half is a half of either source, or 0.
fn halves(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let choice = usize::from(immediate(operation));
    two(machine, operation, 16, |i| {
        let choice = choice >> (i / 16 * 4);
        let from = (choice & 1) * 16 + i % 16;
        match choice & 0b1010 {
            0b0000 => Pick::First(from),
            0b0010 => Pick::Second(from),
            _ => Pick::Zero,
        }
    })
}

/// `valignd`: lanes of the second source, and then of the first, from a distance on.
fn align(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let width = width(operation);
    let distance = usize::from(immediate(operation)) % (width / lane) * lane;
    two(machine, operation, lane, |i| match i + distance {
        from if from < width => Pick::Second(from),
        from => Pick::First(from - width),
    })
}

/// `vshufi32x4`: quarters of 16 bytes (of a `ymm`, halves), the lower ones of the first source, the upper of the second.
fn quarters(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let count = width(operation) / 16;
    let bits = if count > 2 { 2 } else { 1 };
    let choice = usize::from(immediate(operation));
    two(machine, operation, lane, |i| {
        let place = i / 16;
        let from = (choice >> (place * bits)) % count * 16 + i % 16;
        if place < count / 2 { Pick::First(from) } else { Pick::Second(from) }
    })
}
