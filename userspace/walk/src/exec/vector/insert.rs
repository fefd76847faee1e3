//! Parts of vectors: inserting, extracting and broadcasting them.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Done, finish, immediate, spread, width};
use super::pick::{Pick, rearranged, two};
use crate::code::{Operand, Operation};
use crate::exec::Execute;
use crate::machine::Machine;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    let mnemonic = instruction.mnemonic();
    inserting(mnemonic).or_else(|| extracting(mnemonic)).or_else(|| broadcasting(mnemonic))
}

fn inserting(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Pinsrb | Vpinsrb => |m, o| insert(m, o, 1, 1),
        Pinsrw | Vpinsrw => |m, o| insert(m, o, 2, 2),
        Pinsrd | Vpinsrd => |m, o| insert(m, o, 4, 4),
        Pinsrq | Vpinsrq => |m, o| insert(m, o, 8, 8),
        Insertps | Vinsertps => insert_single,
        Vinsertf128 | Vinserti128 | Vinsertf32x4 | Vinserti32x4 => |m, o| insert(m, o, 16, 4),
        Vinsertf64x2 | Vinserti64x2 => |m, o| insert(m, o, 16, 8),
        Vinsertf32x8 | Vinserti32x8 => |m, o| insert(m, o, 32, 4),
        Vinsertf64x4 | Vinserti64x4 => |m, o| insert(m, o, 32, 8),
        _ => return None,
    })
}

/// The first source with `bytes` bytes of the second at the place the immediate numbers.
fn insert(machine: &mut Machine<'_>, operation: &Operation, bytes: usize, lane: usize) -> Done {
    let at = usize::from(immediate(operation)) % (width(operation) / bytes) * bytes;
    two(machine, operation, lane, |i| match i.checked_sub(at) {
        Some(from) if from < bytes => Pick::Second(from),
        _ => Pick::First(i),
    })
}

/// `insertps`: a lane of the second source (memory has but one) at one of the first, then some lanes cleared.
fn insert_single(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let choice = usize::from(immediate(operation));
    let is_memory = operation.operands.iter().any(|operand| matches!(operand, Operand::Memory { .. }));
    let from = if is_memory { 0 } else { (choice >> 6) * 4 };
    two(machine, operation, 4, |i| match i / 4 {
        lane if choice >> lane & 1 == 1 => Pick::Zero,
        lane if lane == choice >> 4 & 3 => Pick::Second(from + i % 4),
        _ => Pick::First(i),
    })
}

fn extracting(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Pextrb | Vpextrb => |m, o| extract_word(m, o, 1),
        Pextrw | Vpextrw => |m, o| extract_word(m, o, 2),
        Pextrd | Vpextrd | Extractps | Vextractps => |m, o| extract_word(m, o, 4),
        Pextrq | Vpextrq => |m, o| extract_word(m, o, 8),
        Vextractf128 | Vextracti128 | Vextractf32x4 | Vextracti32x4 => |m, o| extract(m, o, 16, 4),
        Vextractf64x2 | Vextracti64x2 => |m, o| extract(m, o, 16, 8),
        Vextractf32x8 | Vextracti32x8 => |m, o| extract(m, o, 32, 4),
        Vextractf64x4 | Vextracti64x4 => |m, o| extract(m, o, 32, 8),
        _ => return None,
    })
}

fn extract_word(machine: &mut Machine<'_>, operation: &Operation, bytes: u8) -> Done {
    let vector = machine.read_vector(operation, 1)?;
    let at = usize::from(immediate(operation)) * usize::from(bytes) % 16;
    machine.write(operation, 0, vector.value(at, bytes))
}

fn extract(machine: &mut Machine<'_>, operation: &Operation, bytes: usize, lane: usize) -> Done {
    let vector = machine.read_vector(operation, 1)?;
    let from = match operation.operands[1] {
        Operand::Vector { width, .. } => usize::from(width),
        _ => 64,
    };
    let at = usize::from(immediate(operation)) % (from / bytes).max(1) * bytes;
    let value = rearranged(&vector, &vector, bytes, |i| Pick::First(at + i));
    finish(machine, operation, &value, lane)
}

fn broadcasting(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Vpbroadcastb => |m, o| broadcast(m, o, 1, 1),
        Vpbroadcastw => |m, o| broadcast(m, o, 2, 2),
        Vpbroadcastd | Vbroadcastss => |m, o| broadcast(m, o, 4, 4),
        Vpbroadcastq | Vbroadcastsd => |m, o| broadcast(m, o, 8, 8),
        Vbroadcastf32x2 | Vbroadcasti32x2 => |m, o| broadcast(m, o, 8, 4),
        Vbroadcastf128 | Vbroadcasti128 | Vbroadcastf32x4 | Vbroadcasti32x4 => |m, o| broadcast(m, o, 16, 4),
        Vbroadcastf64x2 | Vbroadcasti64x2 => |m, o| broadcast(m, o, 16, 8),
        Vbroadcastf32x8 | Vbroadcasti32x8 => |m, o| broadcast(m, o, 32, 4),
        Vbroadcastf64x4 | Vbroadcasti64x4 => |m, o| broadcast(m, o, 32, 8),
        _ => return None,
    })
}

fn broadcast(machine: &mut Machine<'_>, operation: &Operation, bytes: usize, lane: usize) -> Done {
    let vector = machine.read_vector(operation, 1)?;
    finish(machine, operation, &spread(&vector, bytes), lane)
}
