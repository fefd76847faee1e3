//! Conversions between integers, singles and doubles.

use iced_x86::{Instruction, Mnemonic};

use super::ieee::{Float, settled};
use super::lanes::{Done, Lane, finish, low, pair, sources, width};
use crate::code::{Operand, Operation};
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::{Value, Vector};

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    if instruction.is_broadcast() || instruction.op_mask().is_k() {
        return None;
    }
    scalars(instruction.mnemonic()).or_else(|| packed(instruction.mnemonic()))
}

fn scalars(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Cvtsi2ss | Vcvtsi2ss => |m, o| from_integer(m, o, |number| number as f32),
        Cvtsi2sd | Vcvtsi2sd => |m, o| from_integer(m, o, |number| number as f64),
        Cvttss2si | Vcvttss2si => |m, o| to_integer::<f32>(m, o, 3),
        Cvttsd2si | Vcvttsd2si => |m, o| to_integer::<f64>(m, o, 3),
        Cvtss2si | Vcvtss2si => |m, o| to_integer::<f32>(m, o, 0),
        Cvtsd2si | Vcvtsd2si => |m, o| to_integer::<f64>(m, o, 0),
        Cvtss2sd | Vcvtss2sd => |m, o| resized(m, o, to_double),
        Cvtsd2ss | Vcvtsd2ss => |m, o| resized(m, o, to_single),
        _ => return None,
    })
}

fn packed(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Cvtdq2ps | Vcvtdq2ps => |m, o| each(m, o, |number: i32| Some(number as f32)),
        Cvtdq2pd | Vcvtdq2pd => |m, o| each(m, o, |number: i32| Some(f64::from(number))),
        Cvttps2dq | Vcvttps2dq => |m, o| each(m, o, |number: f32| Some(integer(number, 4, 3) as i32)),
        Cvtps2dq | Vcvtps2dq => |m, o| each(m, o, |number: f32| Some(integer(number, 4, 0) as i32)),
        Cvttpd2dq | Vcvttpd2dq => |m, o| each(m, o, |number: f64| Some(integer(number, 4, 3) as i32)),
        Cvtpd2dq | Vcvtpd2dq => |m, o| each(m, o, |number: f64| Some(integer(number, 4, 0) as i32)),
        Cvtps2pd | Vcvtps2pd => |m, o| each(m, o, to_double),
        Cvtpd2ps | Vcvtpd2ps => |m, o| each(m, o, to_single),
        _ => return None,
    })
}

/// A general register or memory of 4 or 8 bytes to the lowest lane.
fn from_integer<F: Float>(machine: &mut Machine<'_>, operation: &Operation, convert: fn(i64) -> F) -> Done {
    let (first, second) = pair(operation);
    let first = machine.read_vector(operation, first)?;
    let number = machine.read(operation, second)?.get_signed(operand_width(operation.operands[second]));
    let lane = match number {
        Some(number) => lowest(convert(number)),
        None => Vector::UNKNOWN,
    };
    machine.write_vector(operation, 0, &first.with(&lane, low(F::BYTES)))
}

fn operand_width(operand: Operand) -> u8 {
    match operand {
        Operand::General { width, .. } | Operand::Vector { width, .. } => width,
        Operand::Memory { width } => width.min(64) as u8,
        _ => 8,
    }
}

/// The lowest lane to a general register, rounded by `mode`.
fn to_integer<F: Float>(machine: &mut Machine<'_>, operation: &Operation, mode: u8) -> Done {
    let vector = machine.read_vector(operation, 1)?;
    let is_known = vector.known_bytes() & low(F::BYTES) == low(F::BYTES);
    let width = operand_width(operation.operands[0]);
    let number = is_known.then(|| integer(F::from_bytes(vector.bytes()), width, mode) as u64);
    machine.write(operation, 0, Value::from_option(number))
}

/// `number` as an integer of `width` bytes; the most negative one if it is none or does not fit.
fn integer<F: Float>(number: F, width: u8, mode: u8) -> i64 {
    let rounded = number.double().rounded(mode);
    let (limit, indefinite) = if width == 4 {
        (2_147_483_648.0, i64::from(i32::MIN))
    } else {
        (9_223_372_036_854_775_808.0, i64::MIN)
    };
    if rounded >= -limit && rounded < limit { rounded as i64 } else { indefinite }
}

fn to_double(number: f32) -> Option<f64> {
    match () {
        () if number.is_subnormal() => None,
        () if number.is_nan() => {
            let bits = u64::from(number.quiet().to_bits());
            Some(f64::from_bits((bits & 0x8000_0000) << 32 | 0x7ff << 52 | (bits & 0x7f_ffff) << 29))
        }
        () => Some(number.into()),
    }
}

fn to_single(number: f64) -> Option<f32> {
    match () {
        () if number.is_subnormal() => None,
        () if number.is_nan() => {
            let bits = number.quiet().to_bits();
            Some(f32::from_bits((bits >> 32 & 0x8000_0000 | 0x7f80_0000 | bits >> 29 & 0x7f_ffff) as u32))
        }
        () => settled(number as f32),
    }
}

/// The lowest lane of the second source in the other size, over that of the first.
fn resized<F: Float, T: Float>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    convert: fn(F) -> Option<T>,
) -> Done {
    let (first, second) = sources(machine, operation)?;
    let lane = converted(&second, 1, convert);
    machine.write_vector(operation, 0, &first.with(&lane, low(T::BYTES)))
}

/// Every lane that both sides have room for; above them the result is 0.
fn each<F: Lane, T: Lane>(
    machine: &mut Machine<'_>,
    operation: &Operation,
    convert: fn(F) -> Option<T>,
) -> Done {
    let source = machine.read_vector(operation, 1)?;
    let wide = width(operation).max(usize::from(operand_width(operation.operands[1])));
    let value = converted(&source, wide / F::BYTES.max(T::BYTES), convert);
    finish(machine, operation, &value, T::BYTES)
}

fn converted<F: Lane, T: Lane>(source: &Vector, lanes: usize, convert: fn(F) -> Option<T>) -> Vector {
    let (mut bytes, mut known) = ([0; 64], u64::MAX);
    for lane in 0..lanes {
        let needed = low(F::BYTES) << (lane * F::BYTES);
        let number = (source.known_bytes() & needed == needed)
            .then(|| convert(F::from_bytes(&source.bytes()[lane * F::BYTES..])))
            .flatten();
        match number {
            Some(number) => number.write(&mut bytes[lane * T::BYTES..]),
            None => known &= !(low(T::BYTES) << (lane * T::BYTES)),
        }
    }
    Vector::partly(bytes, known)
}

fn lowest<F: Float>(number: F) -> Vector {
    let mut bytes = [0; 64];
    number.write(&mut bytes);
    Vector::known(&bytes)
}
