//! From vectors to general registers and flags: sign masks, `ptest`, and the comparisons of single numbers.

use iced_x86::{Instruction, Mnemonic};

use super::ieee::Float;
use super::lanes::{Done, low, source, width};
use crate::code::Operation;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, Vector};

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    Some(match instruction.mnemonic() {
        Pmovmskb | Vpmovmskb => |m, o| signs(m, o, 1),
        Movmskps | Vmovmskps => |m, o| signs(m, o, 4),
        Movmskpd | Vmovmskpd => |m, o| signs(m, o, 8),
        Ptest | Vptest => |m, o| test(m, o, 0xff, 1),
        Vtestps => |m, o| test(m, o, 0x80, 4),
        Vtestpd => |m, o| test(m, o, 0x80, 8),
        Ucomiss | Vucomiss | Comiss | Vcomiss => order::<f32>,
        Ucomisd | Vucomisd | Comisd | Vcomisd => order::<f64>,
        _ => return None,
    })
}

/// The sign bit of each lane of the second operand.
fn signs(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let vector = machine.read_vector(operation, 1)?;
    let (mut bits, mut known) = (0, u64::MAX);
    for (bit, last) in (lane - 1..width(operation)).step_by(lane).enumerate() {
        bits |= u64::from(vector.bytes()[last] >> 7) << bit;
        known &= !((!vector.known_bytes() >> last & 1) << bit);
    }
    machine.write(operation, 0, Value::partly(bits, known))
}

/// ZF: no bit set in both. CF: no bit of the second that is not set in the first. Of each lane, only the bits `of_last`
/// of its last byte count, or all if lanes are bytes.
fn test(machine: &mut Machine<'_>, operation: &Operation, of_last: u8, lane: usize) -> Done {
    let first = source(machine, operation, 0)?;
    let second = source(machine, operation, 1)?;
    let places = || (lane - 1..width(operation)).step_by(lane);
    let flag = |invert: u8| {
        let mut sure = true;
        for place in places() {
            let of = |vector: &Vector, flip: u8| {
                (vector.known_bytes() >> place & 1 == 1).then(|| (vector.bytes()[place] ^ flip) & of_last)
            };
            match (of(&first, invert), of(&second, 0)) {
                (Some(0), _) | (_, Some(0)) => {}
                (Some(a), Some(b)) if a & b != 0 => return Some(false),
                (Some(_), Some(_)) => {}
                _ => sure = false,
            }
        }
        sure.then_some(true)
    };
    let (zero, carry) = (flag(0), flag(0xff));
    let flags = &mut machine.state.flags;
    flags.assign(Flags::STATUS, 0);
    flags.set(Flag::Zero, zero);
    flags.set(Flag::Carry, carry);
    Ok(())
}

/// `ucomiss` and its like: ZF, PF and CF say equal, unordered and less.
fn order<L: Float>(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let first = source(machine, operation, 0)?;
    let second = source(machine, operation, 1)?;
    let needed = low(L::BYTES);
    let (a, b) = (L::from_bytes(first.bytes()), L::from_bytes(second.bytes()));
    let flags = &mut machine.state.flags;
    flags.assign(Flags::STATUS, 0);
    if first.known_bytes() & second.known_bytes() & needed != needed || a.is_subnormal() || b.is_subnormal() {
        flags.forget(Flag::Zero as u64 | Flag::Parity as u64 | Flag::Carry as u64);
        return Ok(());
    }
    let unordered = a.is_nan() || b.is_nan();
    flags.set(Flag::Zero, Some(unordered || a == b));
    flags.set(Flag::Parity, Some(unordered));
    flags.set(Flag::Carry, Some(unordered || a < b));
    Ok(())
}
