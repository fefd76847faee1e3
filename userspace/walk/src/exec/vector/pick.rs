//! Rearrangements: every byte of the result is a byte of a source, or 0.

use super::lanes::{Done, finish, source, sources, width};
use crate::code::Operation;
use crate::machine::Machine;
use crate::state::Vector;

/// Where a byte of the result comes from.
#[derive(Clone, Copy)]
pub(super) enum Pick {
    /// Byte of the first source.
    First(usize),
    /// Byte of the second source.
    Second(usize),
    /// It is 0.
    Zero,
    /// That depends on something unknown.
    Unknown,
}

/// The vector whose byte `index` is `pick(index)`, up to `width`.
pub(super) fn rearranged(
    first: &Vector,
    second: &Vector,
    width: usize,
    pick: impl Fn(usize) -> Pick,
) -> Vector {
    let (mut bytes, mut known) = ([0; 64], 0);
    for (index, byte) in bytes.iter_mut().enumerate().take(width) {
        let (from, place) = match pick(index) {
            Pick::First(place) => (first, place & 63),
            Pick::Second(place) => (second, place & 63),
            Pick::Zero => (&Vector::ZERO, 0),
            Pick::Unknown => (&Vector::UNKNOWN, 0),
        };
        *byte = from.bytes()[place];
        known |= (from.known_bytes() >> place & 1) << index;
    }
    Vector::cleared(bytes, known)
}

/// An instruction that rearranges its two sources, with a mask bit per `lane` bytes.
pub(super) fn two(
    machine: &mut Machine<'_>,
    operation: &Operation,
    lane: usize,
    pick: impl Fn(usize) -> Pick,
) -> Done {
    let (first, second) = sources(machine, operation)?;
    finish(machine, operation, &rearranged(&first, &second, width(operation), pick), lane)
}

/// An instruction that rearranges its second operand; `pick` says which byte comes to each place.
pub(super) fn one(
    machine: &mut Machine<'_>,
    operation: &Operation,
    lane: usize,
    pick: impl Fn(usize) -> usize,
) -> Done {
    let from = source(machine, operation, 1)?;
    let value = rearranged(&from, &from, width(operation), |index| Pick::First(pick(index)));
    finish(machine, operation, &value, lane)
}
