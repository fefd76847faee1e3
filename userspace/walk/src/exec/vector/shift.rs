//! Shifts and rotations of lanes, and byte shifts of each 16 bytes.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Done, Lane, binary, computed, finish, immediate, pair, source, width};
use super::pick::{Pick, rearranged};
use crate::code::{Operand, Operation};
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    by_count(instruction.mnemonic()).or_else(|| by_lane(instruction.mnemonic()))
}

fn by_count(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Psllw | Vpsllw => |m, o| shift(m, o, left_16),
        Pslld | Vpslld => |m, o| shift(m, o, left_32),
        Psllq | Vpsllq => |m, o| shift(m, o, left_64),
        Psrlw | Vpsrlw => |m, o| shift(m, o, right_16),
        Psrld | Vpsrld => |m, o| shift(m, o, right_32),
        Psrlq | Vpsrlq => |m, o| shift(m, o, right_64),
        Psraw | Vpsraw => |m, o| shift(m, o, |lane: i16, count| lane >> count.min(15)),
        Psrad | Vpsrad => |m, o| shift(m, o, |lane: i32, count| lane >> count.min(31)),
        Vpsraq => |m, o| shift(m, o, |lane: i64, count| lane >> count.min(63)),
        Vprold => |m, o| shift(m, o, |lane: u32, count| lane.rotate_left(count as u32 % 32)),
        Vprolq => |m, o| shift(m, o, |lane: u64, count| lane.rotate_left(count as u32 % 64)),
        Vprord => |m, o| shift(m, o, |lane: u32, count| lane.rotate_right(count as u32 % 32)),
        Vprorq => |m, o| shift(m, o, |lane: u64, count| lane.rotate_right(count as u32 % 64)),
        Pslldq | Vpslldq => |m, o| bytes(m, o, |at, distance| at.checked_sub(distance)),
        Psrldq | Vpsrldq => |m, o| bytes(m, o, |at, distance| Some(at + distance).filter(|from| *from < 16)),
        _ => return None,
    })
}

fn by_lane(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Vpsllvw => |m, o| binary(m, o, |lane, count: u16| left_16(lane, count.into())),
        Vpsllvd => |m, o| binary(m, o, |lane, count: u32| left_32(lane, count.into())),
        Vpsllvq => |m, o| binary(m, o, left_64),
        Vpsrlvw => |m, o| binary(m, o, |lane, count: u16| right_16(lane, count.into())),
        Vpsrlvd => |m, o| binary(m, o, |lane, count: u32| right_32(lane, count.into())),
        Vpsrlvq => |m, o| binary(m, o, right_64),
        Vpsravw => |m, o| binary(m, o, |lane: i16, count| lane >> (count as u16).min(15)),
        Vpsravd => |m, o| binary(m, o, |lane: i32, count| lane >> (count as u32).min(31)),
        Vpsravq => |m, o| binary(m, o, |lane: i64, count| lane >> (count as u64).min(63)),
        Vprolvd => |m, o| binary(m, o, |lane: u32, count| lane.rotate_left(count % 32)),
        Vprolvq => |m, o| binary(m, o, |lane: u64, count| lane.rotate_left(count as u32 % 64)),
        Vprorvd => |m, o| binary(m, o, |lane: u32, count| lane.rotate_right(count % 32)),
        Vprorvq => |m, o| binary(m, o, |lane: u64, count| lane.rotate_right(count as u32 % 64)),
        _ => return None,
    })
}

fn left_16(lane: u16, count: u64) -> u16 {
    if count < 16 { lane << count } else { 0 }
}

fn left_32(lane: u32, count: u64) -> u32 {
    if count < 32 { lane << count } else { 0 }
}

fn left_64(lane: u64, count: u64) -> u64 {
    if count < 64 { lane << count } else { 0 }
}

fn right_16(lane: u16, count: u64) -> u16 {
    if count < 16 { lane >> count } else { 0 }
}

fn right_32(lane: u32, count: u64) -> u32 {
    if count < 32 { lane >> count } else { 0 }
}

fn right_64(lane: u64, count: u64) -> u64 {
    if count < 64 { lane >> count } else { 0 }
}

/// Shifts all lanes by one count: an immediate, or the lowest 8 bytes of the second source.
fn shift<L: Lane>(machine: &mut Machine<'_>, operation: &Operation, compute: fn(L, u64) -> L) -> Done {
    let (from, count) = match shifted_by_immediate(operation) {
        Some(operand) => (source(machine, operation, operand)?, Some(immediate(operation).into())),
        None => {
            let (first, second) = pair(operation);
            let from = source(machine, operation, first)?;
            (from, machine.read_vector(operation, second)?.value(0, 8).get(8))
        }
    };
    let value = computed(&from, &from, width(operation), |lane, _| Some(compute(lane, count?)));
    finish(machine, operation, &value, L::BYTES)
}

/// The operand that is shifted, if the count is an immediate.
fn shifted_by_immediate(operation: &Operation) -> Option<usize> {
    let place = operation.operands.iter().position(|operand| matches!(operand, Operand::Immediate(_)))?;
    Some(if place == 1 { 0 } else { 1 })
}

/// `pslldq` and `psrldq`; `from` says which byte of 16 comes to a place.
fn bytes(machine: &mut Machine<'_>, operation: &Operation, from: fn(usize, usize) -> Option<usize>) -> Done {
    let vector = source(machine, operation, shifted_by_immediate(operation).unwrap_or(0))?;
    let distance = usize::from(immediate(operation));
    let value = rearranged(&vector, &Vector::ZERO, width(operation), |i| match from(i % 16, distance) {
        Some(place) => Pick::First((i & !15) + place),
        None => Pick::Zero,
    });
    finish(machine, operation, &value, 1)
}
