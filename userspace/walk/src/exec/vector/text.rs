//! SSE4.2 string comparison: `pcmpistri` and its like (SDM volume 2, 4.1).

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Done, immediate};
use crate::code::Operation;
use crate::exec::Execute;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, Vector, register};

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    Some(match instruction.mnemonic() {
        Pcmpistri | Vpcmpistri => |m, o| compare(m, o, None, index),
        Pcmpistrm | Vpcmpistrm => |m, o| compare(m, o, None, mask),
        Pcmpestri | Vpcmpestri => |m, o| compare(m, o, Some(4), index),
        Pcmpestrm | Vpcmpestrm => |m, o| compare(m, o, Some(4), mask),
        Pcmpestri64 | Vpcmpestri64 => |m, o| compare(m, o, Some(8), index),
        Pcmpestrm64 | Vpcmpestrm64 => |m, o| compare(m, o, Some(8), mask),
        _ => return None,
    })
}

/// The elements of a string and how many a register holds.
type Elements = ([i32; 16], usize);

/// A bit for each of `count` elements of the second string.
#[derive(Clone, Copy)]
struct Matches {
    bits: u32,
    count: u32,
}

/// Writes the result where the instruction has it; nothing is known of it if there are no matches to tell.
type Write = fn(&mut Machine<'_>, &Operation, Option<Matches>);

/// Compares two strings, as long as `rax` and `rdx` say (of that width in bytes) or up to their first zero.
fn compare(machine: &mut Machine<'_>, operation: &Operation, lengths: Option<u8>, write: Write) -> Done {
    let first = machine.read_vector(operation, 0)?.get::<16>();
    let second = machine.read_vector(operation, 1)?.get::<16>();
    let control = immediate(operation);
    let length = |number, (text, count): &Elements| match lengths {
        Some(width) => {
            let given = machine.general(number, 8, false).get_signed(width)?;
            Some(given.unsigned_abs().min(*count as u64) as usize)
        }
        None => Some(text[..*count].iter().position(|element| *element == 0).unwrap_or(*count)),
    };
    let strings = first.zip(second).and_then(|(first, second)| {
        let (first, second) = (elements(&first, control), elements(&second, control));
        let lengths = (length(register::RAX, &first)?, length(register::RDX, &second)?);
        Some((first, second, lengths))
    });
    let flags = &mut machine.state.flags;
    flags.assign(Flags::STATUS, 0);
    let Some((first, second, (first_length, second_length))) = strings else {
        for flag in [Flag::Carry, Flag::Zero, Flag::Sign, Flag::Overflow] {
            flags.set(flag, None);
        }
        write(machine, operation, None);
        return Ok(());
    };
    let ((first, _), (second, count)) = (first, second);
    let bits = matches(&first[..first_length], &second[..second_length], count, control);
    flags.set(Flag::Carry, Some(bits != 0));
    flags.set(Flag::Zero, Some(second_length < count));
    flags.set(Flag::Sign, Some(first_length < count));
    flags.set(Flag::Overflow, Some(bits & 1 == 1));
    write(machine, operation, Some(Matches { bits, count: count as u32 }));
    Ok(())
}

/// Bytes or words, signed or not.
fn elements(bytes: &[u8; 16], control: u8) -> Elements {
    let mut elements = [0; 16];
    for (at, element) in elements.iter_mut().enumerate() {
        let word = || u16::from_le_bytes([bytes[2 * at % 16], bytes[2 * at % 16 + 1]]);
        *element = match control & 3 {
            0 => bytes[at].into(),
            1 => word().into(),
            2 => (bytes[at] as i8).into(),
            _ => (word() as i16).into(),
        };
    }
    (elements, if control & 1 == 0 { 16 } else { 8 })
}

/// Which of the second string's `count` elements match.
fn matches(first: &[i32], second: &[i32], count: usize, control: u8) -> u32 {
    let is_match = |place: usize| match control >> 2 & 3 {
        0 => second.get(place).is_some_and(|element| first.contains(element)),
        1 => second.get(place).is_some_and(|element| {
            first.chunks_exact(2).any(|range| range[0] <= *element && *element <= range[1])
        }),
        2 => first.get(place) == second.get(place),
        // A part of the first string that would lie beyond the register counts as found.
        _ => first
            .iter()
            .take(count - place)
            .enumerate()
            .all(|(at, element)| second.get(place + at) == Some(element)),
    };
    let found = (0..count).filter(|place| is_match(*place)).fold(0, |bits, place| bits | 1 << place);
    let all = |count: usize| (1_u32 << count) - 1;
    match control >> 4 & 3 {
        1 => found ^ all(count),
        3 => found ^ all(second.len()),
        _ => found,
    }
}

/// The first or last match goes to `ecx`.
fn index(machine: &mut Machine<'_>, operation: &Operation, matches: Option<Matches>) {
    let is_last = immediate(operation) & 0x40 != 0;
    let place = matches.map(|Matches { bits, count }| match bits {
        0 => count,
        _ if is_last => bits.ilog2(),
        _ => bits.trailing_zeros(),
    });
    machine.set_general(register::RCX, 4, false, Value::from_option(place.map(u64::from)));
}

/// The matches go to `xmm0`, as bits or as elements of all ones.
fn mask(machine: &mut Machine<'_>, operation: &Operation, matches: Option<Matches>) {
    let value = match matches {
        None => Vector::UNKNOWN,
        Some(Matches { bits, .. }) if immediate(operation) & 0x40 == 0 => Vector::known(&bits.to_le_bytes()),
        Some(Matches { bits, count }) => {
            let width = 16 / count as usize;
            Vector::known(&std::array::from_fn::<u8, 16, _>(|at| {
                if bits >> (at / width) & 1 == 1 { 0xff } else { 0 }
            }))
        }
    };
    let register = &mut machine.state.vectors[0];
    *register = if operation.clears_upper { value.zero_extended(16) } else { register.with(&value, 0xffff) };
}
