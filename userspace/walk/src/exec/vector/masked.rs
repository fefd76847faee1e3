//! Moves of the elements a mask selects, and gathers. Only the selected ones are accessed; each run of neighbours is
//! one access. An unknown mask or index ends the walk.

use iced_x86::{Instruction, Mnemonic, Register};

use super::lanes::{Done, Lane, low, width};
use crate::code::{Address, Operand, Operation};
use crate::end::Reason;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::Vector;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    Some(match instruction.mnemonic() {
        Vmovdqu8 => |m, o| by_mask_register(m, o, 1),
        Vmovdqu16 => |m, o| by_mask_register(m, o, 2),
        Vmovdqu32 | Vmovdqa32 | Vmovaps | Vmovups => |m, o| by_mask_register(m, o, 4),
        Vmovdqu64 | Vmovdqa64 | Vmovapd | Vmovupd => |m, o| by_mask_register(m, o, 8),
        Vmaskmovps | Vpmaskmovd => |m, o| by_signs(m, o, 4),
        Vmaskmovpd | Vpmaskmovq => |m, o| by_signs(m, o, 8),
        Vpgatherdd | Vgatherdps => |m, o| gather::<i32>(m, o, 4),
        Vpgatherdq | Vgatherdpd => |m, o| gather::<i32>(m, o, 8),
        Vpgatherqd | Vgatherqps => |m, o| gather::<i64>(m, o, 4),
        Vpgatherqq | Vgatherqpd => |m, o| gather::<i64>(m, o, 8),
        _ => return None,
    })
}

/// Bits of the elements that are selected.
fn selected(machine: &Machine<'_>, register: Register, count: usize) -> Result<u64, Reason> {
    let mask = machine.state.masks[register.number() & 7];
    let needed = low(count);
    if mask.known_bits() & needed != needed {
        return Err(Reason::MaskedAccess);
    }
    Ok(mask.bits() & needed)
}

/// The signs of the elements of a vector as bits.
fn signs(vector: &Vector, count: usize, lane: usize) -> Result<u64, Reason> {
    let mut bits = 0;
    for element in 0..count {
        let last = element * lane + lane - 1;
        if vector.known_bytes() >> last & 1 == 0 {
            return Err(Reason::MaskedAccess);
        }
        bits |= u64::from(vector.bytes()[last] >> 7) << element;
    }
    Ok(bits)
}

/// EVEX moves from or to memory.
fn by_mask_register(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let count = width(operation) / lane;
    let selected = selected(machine, operation.instruction.op_mask(), count)?;
    let address = machine.address(&operation.memory)?;
    if matches!(operation.operands[0], Operand::Memory { .. }) {
        let from = machine.read_vector(operation, 1)?;
        store(machine, address, &from, selected, lane);
        return Ok(());
    }
    let rest = if operation.instruction.zeroing_masking() {
        Vector::ZERO
    } else {
        machine.read_vector(operation, 0)?
    };
    let value = load(machine, address, rest, selected, lane)?;
    machine.write_vector(operation, 0, &value)
}

/// A source in memory, of which the instruction's mask selects elements; the others are 0.
pub(super) fn source(machine: &mut Machine<'_>, operation: &Operation) -> Result<Vector, Reason> {
    let lane = operation.instruction.memory_size().element_size().max(1);
    let selected = selected(machine, operation.instruction.op_mask(), width(operation) / lane)?;
    let address = machine.address(&operation.memory)?;
    load(machine, address, Vector::ZERO, selected, lane)
}

/// `vmaskmovps` and its like: the second operand's signs select.
fn by_signs(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let mask = machine.read_vector(operation, 1)?;
    let selected = signs(&mask, width(operation) / lane, lane)?;
    let address = machine.address(&operation.memory)?;
    if matches!(operation.operands[0], Operand::Memory { .. }) {
        let from = machine.read_vector(operation, 2)?;
        store(machine, address, &from, selected, lane);
        return Ok(());
    }
    let value = load(machine, address, Vector::ZERO, selected, lane)?;
    machine.write_vector(operation, 0, &value)
}

/// `into` with the selected elements loaded.
fn load(
    machine: &mut Machine<'_>,
    address: u64,
    mut into: Vector,
    selected: u64,
    lane: usize,
) -> Result<Vector, Reason> {
    for (first, bytes) in runs(selected, lane) {
        let part = machine.load_vector(address.wrapping_add(first as u64), bytes as u16)?;
        into = into.with(&moved_up(&part, first), low(bytes) << first);
    }
    Ok(into)
}

fn store(machine: &mut Machine<'_>, address: u64, from: &Vector, selected: u64, lane: usize) {
    for (first, bytes) in runs(selected, lane) {
        machine.store_vector(address.wrapping_add(first as u64), bytes as u16, &moved_down(from, first));
    }
}

/// Runs of neighbouring selected elements: first byte and number of bytes.
fn runs(selected: u64, lane: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut element = 0;
    std::iter::from_fn(move || {
        let left = selected.checked_shr(element).filter(|left| *left != 0)?;
        let first = element + left.trailing_zeros();
        let length = (selected >> first).trailing_ones();
        element = first + length;
        Some((first as usize * lane, length as usize * lane))
    })
}

fn moved_up(vector: &Vector, bytes: usize) -> Vector {
    let mut moved = [0; 64];
    moved[bytes..].copy_from_slice(&vector.bytes()[..64 - bytes]);
    Vector::partly(moved, vector.known_bytes() << bytes)
}

fn moved_down(vector: &Vector, bytes: usize) -> Vector {
    let mut moved = [0; 64];
    moved[..64 - bytes].copy_from_slice(&vector.bytes()[bytes..]);
    Vector::partly(moved, vector.known_bytes() >> bytes)
}

/// A gather: one access for each selected element. The mask is cleared, as the processor does.
fn gather<Index: Lane + Into<i64>>(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let indices = machine.state.vectors[operation.instruction.memory_index().number() & 31];
    let index_width = operation.instruction.memory_index().size();
    let count = (width(operation) / lane).min(index_width / Index::BYTES);
    let mask = operation.instruction.op_mask();
    let selected = if mask.is_k() {
        selected(machine, mask, count)?
    } else {
        signs(&machine.read_vector(operation, 2)?, count, lane)?
    };
    let base = machine.address(&Address { is_vector_indexed: false, index: None, ..operation.memory })?;
    let mut value = machine.read_vector(operation, 0)?;
    for element in (0..count).filter(|element| selected >> element & 1 == 1) {
        let at = element * Index::BYTES;
        if indices.known_bytes() >> at & low(Index::BYTES) != low(Index::BYTES) {
            return Err(Reason::MaskedAccess);
        }
        let index: i64 = Index::from_bytes(&indices.bytes()[at..]).into();
        let offset = (index as u64).wrapping_mul(operation.memory.scale.into());
        let part = machine.load_vector(base.wrapping_add(offset), lane as u16)?;
        value = value.with(&moved_up(&part, element * lane), low(lane) << (element * lane));
    }
    if mask.is_k() {
        machine.state.masks[mask.number() & 7] = crate::state::Value::known(0);
    } else if let Operand::Vector { number, .. } = operation.operands[2] {
        machine.state.vectors[usize::from(number & 31)] = Vector::ZERO;
    }
    // Elements above those gathered are 0.
    machine.write_vector(operation, 0, &value.zero_extended((count * lane) as u16))
}
