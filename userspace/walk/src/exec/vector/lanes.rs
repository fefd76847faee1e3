//! What most vector instructions share: sources, lanes computed each for itself, and the result under a mask.

use super::masked;
use crate::code::{Operand, Operation};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Value, Vector};

pub(super) type Done = Result<(), Reason>;

/// A number a vector consists of.
pub(super) trait Lane: Copy + Default {
    /// Width in bytes.
    const BYTES: usize;
    /// The lane from its bytes, of which there are at least [`Lane::BYTES`].
    fn from_bytes(bytes: &[u8]) -> Self;
    /// Writes the lane over the first bytes of `into`.
    fn write(self, into: &mut [u8]);
}

macro_rules! lane {
    ($($number:ty)*) => {$(
        impl Lane for $number {
            const BYTES: usize = size_of::<$number>();
            #[inline]
            fn from_bytes(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or(Self::default(), |bytes| Self::from_le_bytes(*bytes))
            }
            #[inline]
            fn write(self, into: &mut [u8]) {
                into[..Self::BYTES].copy_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
lane!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);

/// The lowest `bytes` bits, for masks with a bit per byte.
pub(super) fn low(bytes: usize) -> u64 {
    if bytes >= 64 { u64::MAX } else { (1 << bytes) - 1 }
}

/// Width in bytes of the first vector operand, 16 if there is none.
pub(super) fn width(operation: &Operation) -> usize {
    let width = operation.operands.iter().find_map(|operand| match operand {
        Operand::Vector { width, .. } => Some(usize::from(*width)),
        _ => None,
    });
    width.unwrap_or(16)
}

/// The last immediate.
pub(super) fn immediate(operation: &Operation) -> u8 {
    let immediate = operation.operands.iter().rev().find_map(|operand| match operand {
        Operand::Immediate(bits) => Some(*bits as u8),
        _ => None,
    });
    immediate.unwrap_or(0)
}

/// The operands an instruction with two sources computes with: the last two that are not immediates. A legacy
/// instruction has its destination as the first of them.
pub(super) fn pair(operation: &Operation) -> (usize, usize) {
    match operation.operands[2] {
        Operand::None | Operand::Immediate(_) => (0, 1),
        _ => (1, 2),
    }
}

/// A source; an EVEX broadcast is spread over the whole vector, and of memory under a mask only what it selects is read.
pub(super) fn source(
    machine: &mut Machine<'_>,
    operation: &Operation,
    operand: usize,
) -> Result<Vector, Reason> {
    if matches!(operation.operands[operand], Operand::Memory { .. }) && operation.instruction.op_mask().is_k()
    {
        return masked::source(machine, operation);
    }
    let vector = machine.read_vector(operation, operand)?;
    match operation.operands[operand] {
        Operand::Memory { width } if operation.instruction.is_broadcast() => {
            Ok(spread(&vector, usize::from(width)))
        }
        _ => Ok(vector),
    }
}

/// The lowest `bytes` bytes, over and over.
pub(super) fn spread(vector: &Vector, bytes: usize) -> Vector {
    let bytes = bytes.clamp(1, 64);
    let (mut spread, mut known) = ([0; 64], 0);
    for (index, byte) in spread.iter_mut().enumerate() {
        *byte = vector.bytes()[index % bytes];
        known |= (vector.known_bytes() >> (index % bytes) & 1) << index;
    }
    Vector::partly(spread, known)
}

/// Both sources of a two-source instruction.
pub(super) fn sources(machine: &mut Machine<'_>, operation: &Operation) -> Result<(Vector, Vector), Reason> {
    let (first, second) = pair(operation);
    Ok((source(machine, operation, first)?, source(machine, operation, second)?))
}

/// Writes the result to the first operand; under an EVEX mask (a bit per `lane` bytes) only where it is set.
pub(super) fn finish(machine: &mut Machine<'_>, operation: &Operation, value: &Vector, lane: usize) -> Done {
    if !operation.instruction.op_mask().is_k() {
        return machine.write_vector(operation, 0, value);
    }
    let rest = machine.read_vector(operation, 0)?;
    finish_over(machine, operation, value, &rest, lane)
}

/// As [`finish`]; where the mask has no bit, the result is `rest`, or 0 if the instruction zeroes.
pub(super) fn finish_over(
    machine: &mut Machine<'_>,
    operation: &Operation,
    value: &Vector,
    rest: &Vector,
    lane: usize,
) -> Done {
    let mask = operation.instruction.op_mask();
    let bits = if mask.is_k() { machine.state.masks[mask.number() & 7] } else { Value::known(u64::MAX) };
    let (mut set, mut unsure) = (0, 0);
    for byte in 0..64 {
        let bit = byte / lane.max(1);
        set |= (bits.bits() >> bit & 1) << byte;
        unsure |= (!bits.known_bits() >> bit & 1) << byte;
    }
    let rest = if operation.instruction.zeroing_masking() { &Vector::ZERO } else { rest };
    let merged = rest.with(value, set).with(&Vector::UNKNOWN, unsure);
    machine.write_vector(operation, 0, &merged)
}

/// Computes groups of `N` bytes of two vectors, each from the bytes at the same place.
#[inline]
pub(super) fn grouped<const N: usize>(
    first: &Vector,
    second: &Vector,
    width: usize,
    compute: impl Fn([u8; N], [u8; N]) -> Option<[u8; N]>,
) -> Vector {
    let (mut bytes, mut known) = ([0; 64], 0);
    let both = first.known_bytes() & second.known_bytes();
    let groups = first.bytes().chunks_exact(N).zip(second.bytes().chunks_exact(N));
    for (index, (group, (a, b))) in bytes.chunks_exact_mut(N).zip(groups).enumerate().take(width / N) {
        let place = low(N) << (index * N);
        let (Some(a), Some(b)) = (a.first_chunk(), b.first_chunk()) else { continue };
        if both & place == place
            && let Some(result) = compute(*a, *b)
        {
            group.copy_from_slice(&result);
            known |= place;
        }
    }
    Vector::cleared(bytes, known)
}

/// As [`grouped`], by lanes.
#[inline]
pub(super) fn computed<L: Lane>(
    first: &Vector,
    second: &Vector,
    width: usize,
    compute: impl Fn(L, L) -> Option<L>,
) -> Vector {
    let (mut bytes, mut known) = ([0; 64], 0);
    let both = first.known_bytes() & second.known_bytes();
    let lanes = first.bytes().chunks_exact(L::BYTES).zip(second.bytes().chunks_exact(L::BYTES));
    let mut needed = low(L::BYTES);
    for (into, (a, b)) in bytes[..width.min(64)].chunks_exact_mut(L::BYTES).zip(lanes) {
        if both & needed == needed
            && let Some(lane) = compute(L::from_bytes(a), L::from_bytes(b))
        {
            lane.write(into);
            known |= needed;
        }
        needed <<= L::BYTES;
    }
    Vector::cleared(bytes, known)
}

/// An instruction that computes each lane from those of two sources.
#[inline]
pub(super) fn binary<L: Lane>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    compute: impl Fn(L, L) -> L,
) -> Done {
    let (first, second) = sources(machine, operation)?;
    let value = computed(&first, &second, width(operation), |a, b| Some(compute(a, b)));
    finish(machine, operation, &value, L::BYTES)
}

/// As [`binary`], where a register with itself gives the same whatever it holds.
#[inline]
pub(super) fn binary_or_constant<L: Lane>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    compute: impl Fn(L, L) -> L,
) -> Done {
    if !is_with_itself(operation) {
        return binary(machine, operation, compute);
    }
    let value = computed(&Vector::ZERO, &Vector::ZERO, width(operation), |a, b| Some(compute(a, b)));
    finish(machine, operation, &value, L::BYTES)
}

/// Whether both sources are the same register.
pub(super) fn is_with_itself(operation: &Operation) -> bool {
    let (first, second) = pair(operation);
    matches!(operation.operands[first], Operand::Vector { .. })
        && operation.operands[first] == operation.operands[second]
}

/// An instruction that computes groups of `N` bytes from those of two sources, with a mask bit per `lane` bytes.
#[inline]
pub(super) fn groups<const N: usize>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    lane: usize,
    compute: impl Fn([u8; N], [u8; N]) -> [u8; N],
) -> Done {
    let (first, second) = sources(machine, operation)?;
    let value = grouped(&first, &second, width(operation), |a, b| Some(compute(a, b)));
    finish(machine, operation, &value, lane)
}

/// An instruction that computes each lane from that of its one source, the second operand.
#[inline]
pub(super) fn unary<L: Lane>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    compute: impl Fn(L) -> Option<L>,
) -> Done {
    let vector = source(machine, operation, 1)?;
    let value = computed(&vector, &vector, width(operation), |lane, _| compute(lane));
    finish(machine, operation, &value, L::BYTES)
}
