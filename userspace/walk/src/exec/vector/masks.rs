//! AVX-512 mask registers: moves, logic and tests of them, and the comparisons that make them.

use iced_x86::{Instruction, Mnemonic};

use super::float::compared;
use super::lanes::{Done, Lane, immediate, low, sources, width};
use crate::code::Operation;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, Vector, mask};

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    let mnemonic = instruction.mnemonic();
    registers(mnemonic).or_else(|| tests(mnemonic)).or_else(|| vectors(mnemonic)).or_else(|| {
        let makes_mask = instruction.op0_register().is_k();
        makes_mask.then(|| signed(mnemonic).or_else(|| unsigned(mnemonic)).or_else(|| bits(mnemonic)))?
    })
}

#[rustfmt::skip] // A table.
fn registers(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Kmovb => |m, o| copy(m, o, 1),
        Kmovw => |m, o| copy(m, o, 2),
        Kmovd => |m, o| copy(m, o, 4),
        Kmovq => |m, o| copy(m, o, 8),
        Knotb => |m, o| invert(m, o, 1),
        Knotw => |m, o| invert(m, o, 2),
        Knotd => |m, o| invert(m, o, 4),
        Knotq => |m, o| invert(m, o, 8),
        Kandb => |m, o| combine(m, o, 1, |a, b| a & b),
        Kandw => |m, o| combine(m, o, 2, |a, b| a & b),
        Kandd => |m, o| combine(m, o, 4, |a, b| a & b),
        Kandq => |m, o| combine(m, o, 8, |a, b| a & b),
        Kandnb => |m, o| combine(m, o, 1, |a, b| !a & b),
        Kandnw => |m, o| combine(m, o, 2, |a, b| !a & b),
        Kandnd => |m, o| combine(m, o, 4, |a, b| !a & b),
        Kandnq => |m, o| combine(m, o, 8, |a, b| !a & b),
        Korb => |m, o| combine(m, o, 1, |a, b| a | b),
        Korw => |m, o| combine(m, o, 2, |a, b| a | b),
        Kord => |m, o| combine(m, o, 4, |a, b| a | b),
        Korq => |m, o| combine(m, o, 8, |a, b| a | b),
        Kxorb => |m, o| combine(m, o, 1, |a, b| a ^ b),
        Kxorw => |m, o| combine(m, o, 2, |a, b| a ^ b),
        Kxord => |m, o| combine(m, o, 4, |a, b| a ^ b),
        Kxorq => |m, o| combine(m, o, 8, |a, b| a ^ b),
        Kxnorb => |m, o| combine(m, o, 1, |a, b| !(a ^ b)),
        Kxnorw => |m, o| combine(m, o, 2, |a, b| !(a ^ b)),
        Kxnord => |m, o| combine(m, o, 4, |a, b| !(a ^ b)),
        Kxnorq => |m, o| combine(m, o, 8, |a, b| !(a ^ b)),
        Kaddb => |m, o| combine(m, o, 1, u64::wrapping_add),
        Kaddw => |m, o| combine(m, o, 2, u64::wrapping_add),
        Kaddd => |m, o| combine(m, o, 4, u64::wrapping_add),
        Kaddq => |m, o| combine(m, o, 8, u64::wrapping_add),
        Kunpckbw => |m, o| combine(m, o, 2, |a, b| a << 8 | b & 0xff),
        Kunpckwd => |m, o| combine(m, o, 4, |a, b| a << 16 | b & 0xffff),
        Kunpckdq => |m, o| combine(m, o, 8, |a, b| a << 32 | b & 0xffff_ffff),
        Kshiftlb => |m, o| shift(m, o, 1, u64::checked_shl),
        Kshiftlw => |m, o| shift(m, o, 2, u64::checked_shl),
        Kshiftld => |m, o| shift(m, o, 4, u64::checked_shl),
        Kshiftlq => |m, o| shift(m, o, 8, u64::checked_shl),
        Kshiftrb => |m, o| shift(m, o, 1, u64::checked_shr),
        Kshiftrw => |m, o| shift(m, o, 2, u64::checked_shr),
        Kshiftrd => |m, o| shift(m, o, 4, u64::checked_shr),
        Kshiftrq => |m, o| shift(m, o, 8, u64::checked_shr),
        _ => return None,
    })
}

fn copy(machine: &mut Machine<'_>, operation: &Operation, bytes: u8) -> Done {
    let value = machine.read(operation, 1)?.zero_extended(mask(bytes));
    machine.write(operation, 0, value)
}

fn invert(machine: &mut Machine<'_>, operation: &Operation, bytes: u8) -> Done {
    let value = machine.read(operation, 1)?;
    let inverted = Value::partly(!value.bits(), value.known_bits());
    machine.write(operation, 0, inverted.zero_extended(mask(bytes)))
}

/// `kxor` and `kxnor` of a mask with itself are how all zeros and ones are made.
fn combine(
    machine: &mut Machine<'_>,
    operation: &Operation,
    bytes: u8,
    compute: fn(u64, u64) -> u64,
) -> Done {
    let (a, b) = (machine.read(operation, 1)?, machine.read(operation, 2)?);
    let is_constant = operation.operands[1] == operation.operands[2] && compute(0, 0) == compute(!0, !0);
    let result = if is_constant {
        Value::known(compute(0, 0))
    } else {
        Value::from_option(a.get(bytes).zip(b.get(bytes)).map(|(a, b)| compute(a, b)))
    };
    machine.write(operation, 0, result.zero_extended(mask(bytes)))
}

fn shift(
    machine: &mut Machine<'_>,
    operation: &Operation,
    bytes: u8,
    compute: fn(u64, u32) -> Option<u64>,
) -> Done {
    let count = immediate(operation);
    let value = machine.read(operation, 1)?.get(bytes);
    let result = value.map(|value| compute(value, count.into()).unwrap_or(0));
    machine.write(operation, 0, Value::from_option(result).zero_extended(mask(bytes)))
}

fn tests(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Kortestb => |m, o| or_test(m, o, 1),
        Kortestw => |m, o| or_test(m, o, 2),
        Kortestd => |m, o| or_test(m, o, 4),
        Kortestq => |m, o| or_test(m, o, 8),
        Ktestb => |m, o| and_test(m, o, 1),
        Ktestw => |m, o| and_test(m, o, 2),
        Ktestd => |m, o| and_test(m, o, 4),
        Ktestq => |m, o| and_test(m, o, 8),
        _ => return None,
    })
}

/// ZF: no bit set in either. CF: all bits set in one or the other.
fn or_test(machine: &mut Machine<'_>, operation: &Operation, bytes: u8) -> Done {
    let (a, b) = (machine.read(operation, 0)?.get(bytes), machine.read(operation, 1)?.get(bytes));
    let either = a.zip(b).map(|(a, b)| a | b);
    set_flags(machine, either.map(|either| either == 0), either.map(|either| either == mask(bytes)))
}

/// ZF: no bit set in both. CF: no bit of the second that is not in the first.
fn and_test(machine: &mut Machine<'_>, operation: &Operation, bytes: u8) -> Done {
    let (a, b) = (machine.read(operation, 0)?.get(bytes), machine.read(operation, 1)?.get(bytes));
    let both = a.zip(b);
    set_flags(machine, both.map(|(a, b)| a & b == 0), both.map(|(a, b)| !a & b == 0))
}

fn set_flags(machine: &mut Machine<'_>, zero: Option<bool>, carry: Option<bool>) -> Done {
    machine.state.flags.assign(Flags::STATUS, 0);
    machine.state.flags.set(Flag::Zero, zero);
    machine.state.flags.set(Flag::Carry, carry);
    Ok(())
}

fn signed(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Vpcmpeqb => |m, o| lanes(m, o, |a: i8, b| a == b),
        Vpcmpeqw => |m, o| lanes(m, o, |a: i16, b| a == b),
        Vpcmpeqd => |m, o| lanes(m, o, |a: i32, b| a == b),
        Vpcmpeqq => |m, o| lanes(m, o, |a: i64, b| a == b),
        Vpcmpgtb => |m, o| lanes(m, o, |a: i8, b| a > b),
        Vpcmpgtw => |m, o| lanes(m, o, |a: i16, b| a > b),
        Vpcmpgtd => |m, o| lanes(m, o, |a: i32, b| a > b),
        Vpcmpgtq => |m, o| lanes(m, o, |a: i64, b| a > b),
        Vpcmpb => ordered::<i8>,
        Vpcmpw => ordered::<i16>,
        Vpcmpd => ordered::<i32>,
        Vpcmpq => ordered::<i64>,
        _ => return None,
    })
}

fn unsigned(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Vpcmpub => ordered::<u8>,
        Vpcmpuw => ordered::<u16>,
        Vpcmpud => ordered::<u32>,
        Vpcmpuq => ordered::<u64>,
        _ => return None,
    })
}

fn bits(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Vptestmb => |m, o| lanes(m, o, |a: u8, b| a & b != 0),
        Vptestmw => |m, o| lanes(m, o, |a: u16, b| a & b != 0),
        Vptestmd => |m, o| lanes(m, o, |a: u32, b| a & b != 0),
        Vptestmq => |m, o| lanes(m, o, |a: u64, b| a & b != 0),
        Vptestnmb => |m, o| lanes(m, o, |a: u8, b| a & b == 0),
        Vptestnmw => |m, o| lanes(m, o, |a: u16, b| a & b == 0),
        Vptestnmd => |m, o| lanes(m, o, |a: u32, b| a & b == 0),
        Vptestnmq => |m, o| lanes(m, o, |a: u64, b| a & b == 0),
        Vcmpps => |m, o| {
            let (first, second) = sources(m, o)?;
            let ones = compared::<f32>(&first, &second, width(o), immediate(o) & 0x1f);
            put(m, o, &ones, width(o) / 4, 4)
        },
        Vcmppd => |m, o| {
            let (first, second) = sources(m, o)?;
            let ones = compared::<f64>(&first, &second, width(o), immediate(o) & 0x1f);
            put(m, o, &ones, width(o) / 8, 8)
        },
        Vpmovb2m => |m, o| signs(m, o, 1),
        Vpmovw2m => |m, o| signs(m, o, 2),
        Vpmovd2m => |m, o| signs(m, o, 4),
        Vpmovq2m => |m, o| signs(m, o, 8),
        _ => return None,
    })
}

/// `vpcmpb` and its like: the relation an immediate names.
fn ordered<L: Lane + Ord>(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let relation = immediate(operation);
    lanes(machine, operation, |a: L, b: L| match relation & 7 {
        0 => a == b,
        1 => a < b,
        2 => a <= b,
        3 => false,
        4 => a != b,
        5 => a >= b,
        6 => a > b,
        _ => true,
    })
}

fn lanes<L: Lane>(machine: &mut Machine<'_>, operation: &Operation, holds: impl Fn(L, L) -> bool) -> Done {
    let (first, second) = sources(machine, operation)?;
    let (mut bytes, mut known) = ([0; 64], 0);
    let both = first.known_bytes() & second.known_bytes();
    for place in (0..width(operation)).step_by(L::BYTES) {
        let needed = low(L::BYTES) << place;
        let (a, b) = (L::from_bytes(&first.bytes()[place..]), L::from_bytes(&second.bytes()[place..]));
        bytes[place + L::BYTES - 1] = if holds(a, b) { 0xff } else { 0 };
        known |= if both & needed == needed { needed } else { 0 };
    }
    put(machine, operation, &Vector::partly(bytes, known), width(operation) / L::BYTES, L::BYTES)
}

fn signs(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let vector = machine.read_vector(operation, 1)?;
    put(machine, operation, &vector, width(operation) / lane, lane)
}

/// Writes the sign of each of `count` lanes to the mask register that is the destination; where the instruction's own
/// mask has no bit, 0.
fn put(machine: &mut Machine<'_>, operation: &Operation, signs: &Vector, count: usize, lane: usize) -> Done {
    let (mut bits, mut known) = (0, u64::MAX);
    for bit in 0..count {
        let last = bit * lane + lane - 1;
        bits |= u64::from(signs.bytes()[last] >> 7) << bit;
        known &= !((!signs.known_bytes() >> last & 1) << bit);
    }
    let register = operation.instruction.op_mask();
    if register.is_k() {
        let own = machine.state.masks[register.number() & 7];
        let cleared = own.known_bits() & !own.bits();
        known = known & own.known_bits() | cleared;
        bits &= own.bits();
    }
    let result = Value::partly(bits, known).zero_extended(low(count));
    machine.write(operation, 0, result)
}

fn vectors(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Vpmovm2b => |m, o| spread_bits(m, o, 1),
        Vpmovm2w => |m, o| spread_bits(m, o, 2),
        Vpmovm2d => |m, o| spread_bits(m, o, 4),
        Vpmovm2q => |m, o| spread_bits(m, o, 8),
        _ => return None,
    })
}

/// A lane of all ones for every bit that is set.
fn spread_bits(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let bits = machine.read(operation, 1)?;
    let bytes = std::array::from_fn(|at| if bits.bits() >> (at / lane) & 1 == 1 { 0xff } else { 0 });
    let known = (0..64).fold(0, |known, at| known | (bits.known_bits() >> (at / lane) & 1) << at);
    machine.write_vector(operation, 0, &Vector::partly(bytes, known))
}
