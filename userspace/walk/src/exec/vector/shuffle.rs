//! Rearrangements within each 16 bytes: shuffles, interleaving, packing, blending.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Done, Lane, finish, finish_over, groups, immediate, sources, width};
use super::pick::{Pick, one, rearranged, two};
use crate::code::{Operand, Operation};
use crate::exec::Execute;
use crate::machine::Machine;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    let mnemonic = instruction.mnemonic();
    chosen(instruction)
        .or_else(|| interleaved(mnemonic))
        .or_else(|| packed(mnemonic))
        .or_else(|| blended(mnemonic))
}

fn chosen(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    let is_immediate = instruction.op_count() == 3 && !instruction.op2_register().is_vector_register();
    Some(match instruction.mnemonic() {
        Pshufd | Vpshufd => |m, o| one(m, o, 4, quarter(immediate(o))),
        Vpermilps if is_immediate && has_immediate(instruction) => |m, o| one(m, o, 4, quarter(immediate(o))),
        Vpermilpd if is_immediate && has_immediate(instruction) => |m, o| {
            let choice = usize::from(immediate(o));
            one(m, o, 8, |i| (i & !15) + 8 * (choice >> (i / 8) & 1) + i % 8)
        },
        Pshuflw | Vpshuflw => |m, o| words(m, o, 0),
        Pshufhw | Vpshufhw => |m, o| words(m, o, 8),
        Movshdup | Vmovshdup => |m, o| one(m, o, 4, |i| i | 4),
        Movsldup | Vmovsldup => |m, o| one(m, o, 4, |i| i & !4),
        Movddup | Vmovddup => |m, o| one(m, o, 8, |i| i & !8),
        Pshufb | Vpshufb => by_bytes,
        Shufps | Vshufps => |m, o| {
            let from = quarter(immediate(o));
            two(m, o, 4, |i| if i & 8 == 0 { Pick::First(from(i)) } else { Pick::Second(from(i)) })
        },
        Shufpd | Vshufpd => |m, o| {
            let choice = usize::from(immediate(o));
            let from = move |i: usize| (i & !15) + 8 * (choice >> (i / 8) & 1) + i % 8;
            two(m, o, 8, |i| if i & 8 == 0 { Pick::First(from(i)) } else { Pick::Second(from(i)) })
        },
        Palignr | Vpalignr => align,
        _ => return None,
    })
}

fn has_immediate(instruction: &Instruction) -> bool {
    instruction.op_kind(instruction.op_count() - 1) == iced_x86::OpKind::Immediate8
}

/// The place that an immediate of two bits for each 4 of 16 bytes chooses.
fn quarter(choice: u8) -> impl Fn(usize) -> usize {
    move |i| (i & !15) + 4 * usize::from(choice >> (2 * (i % 16 / 4)) & 3) + i % 4
}

/// `pshuflw` and `pshufhw`: the words of one half, which begins at byte `half` of each 16.
fn words(machine: &mut Machine<'_>, operation: &Operation, half: usize) -> Done {
    let choice = usize::from(immediate(operation));
    one(machine, operation, 2, |i| {
        if i & 8 == half { (i & !7) + 2 * (choice >> (2 * (i % 8 / 2)) & 3) + i % 2 } else { i }
    })
}

/// `pshufb`: each byte of the second source chooses one of the first, or 0.
fn by_bytes(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let (first, second) = sources(machine, operation)?;
    let value = rearranged(&first, &second, width(operation), |i| {
        let choice = second.bytes()[i];
        match second.known_bytes() >> i & 1 {
            0 => Pick::Unknown,
            _ if choice & 0x80 != 0 => Pick::Zero,
            _ => Pick::First((i & !15) + usize::from(choice & 15)),
        }
    });
    finish(machine, operation, &value, 1)
}

/// `palignr`: bytes of the second source, and then of the first, from a distance on.
fn align(machine: &mut Machine<'_>, operation: &Operation) -> Done {
    let distance = usize::from(immediate(operation));
    two(machine, operation, 1, |i| match i % 16 + distance {
        from @ 0..16 => Pick::Second((i & !15) + from),
        from @ 16..32 => Pick::First((i & !15) + from - 16),
        _ => Pick::Zero,
    })
}

fn interleaved(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Punpcklbw | Vpunpcklbw => |m, o| interleave(m, o, 1, 0),
        Punpcklwd | Vpunpcklwd => |m, o| interleave(m, o, 2, 0),
        Punpckldq | Vpunpckldq | Unpcklps | Vunpcklps => |m, o| interleave(m, o, 4, 0),
        Punpcklqdq | Vpunpcklqdq | Unpcklpd | Vunpcklpd => |m, o| interleave(m, o, 8, 0),
        Punpckhbw | Vpunpckhbw => |m, o| interleave(m, o, 1, 8),
        Punpckhwd | Vpunpckhwd => |m, o| interleave(m, o, 2, 8),
        Punpckhdq | Vpunpckhdq | Unpckhps | Vunpckhps => |m, o| interleave(m, o, 4, 8),
        Punpckhqdq | Vpunpckhqdq | Unpckhpd | Vunpckhpd => |m, o| interleave(m, o, 8, 8),
        _ => return None,
    })
}

/// Lanes of both sources in turn, from those that begin at byte `half` of each 16.
fn interleave(machine: &mut Machine<'_>, operation: &Operation, lane: usize, half: usize) -> Done {
    two(machine, operation, lane, |i| {
        let place = i % 16 / lane;
        let from = (i & !15) + half + place / 2 * lane + i % lane;
        if place.is_multiple_of(2) { Pick::First(from) } else { Pick::Second(from) }
    })
}

fn packed(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Packsswb | Vpacksswb => {
            |m, o| groups(m, o, 1, |a, b| narrowed(a, b, |word: i16| word.clamp(-128, 127) as i8))
        }
        Packuswb | Vpackuswb => {
            |m, o| groups(m, o, 1, |a, b| narrowed(a, b, |word: i16| word.clamp(0, 255) as u8))
        }
        Packssdw | Vpackssdw => {
            |m, o| groups(m, o, 2, |a, b| narrowed(a, b, |word: i32| word.clamp(-32768, 32767) as i16))
        }
        Packusdw | Vpackusdw => {
            |m, o| groups(m, o, 2, |a, b| narrowed(a, b, |word: i32| word.clamp(0, 65535) as u16))
        }
        _ => return None,
    })
}

/// All lanes of `a` and then of `b`, each narrowed to half its width.
fn narrowed<L: Lane, N: Lane>(a: [u8; 16], b: [u8; 16], narrow: impl Fn(L) -> N) -> [u8; 16] {
    let mut result = [0; 16];
    let lanes = a.chunks_exact(L::BYTES).chain(b.chunks_exact(L::BYTES));
    for (lane, into) in lanes.zip(result.chunks_exact_mut(N::BYTES)) {
        narrow(L::from_bytes(lane)).write(into);
    }
    result
}

fn blended(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Pblendw | Vpblendw => |m, o| blend(m, o, |i| i % 16 / 2),
        Blendps | Vblendps | Vpblendd => |m, o| blend(m, o, |i| i / 4),
        Blendpd | Vblendpd => |m, o| blend(m, o, |i| i / 8),
        Pblendvb | Vpblendvb => |m, o| blend_by_sign(m, o, 1),
        Blendvps | Vblendvps => |m, o| blend_by_sign(m, o, 4),
        Blendvpd | Vblendvpd => |m, o| blend_by_sign(m, o, 8),
        Vpblendmb => |m, o| blend_by_mask(m, o, 1),
        Vpblendmw => |m, o| blend_by_mask(m, o, 2),
        Vpblendmd | Vblendmps => |m, o| blend_by_mask(m, o, 4),
        Vpblendmq | Vblendmpd => |m, o| blend_by_mask(m, o, 8),
        _ => return None,
    })
}

/// Takes from the second source what the immediate has a bit set for; `bit` says which bit a byte has.
fn blend(machine: &mut Machine<'_>, operation: &Operation, bit: impl Fn(usize) -> usize) -> Done {
    let choice = usize::from(immediate(operation));
    two(machine, operation, 1, |i| if choice >> bit(i) & 1 == 1 { Pick::Second(i) } else { Pick::First(i) })
}

/// Takes from the second source the lanes whose sign is set in the fourth operand, or in `xmm0` if there is none.
fn blend_by_sign(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let signs = match operation.operands[3] {
        Operand::Vector { .. } => machine.read_vector(operation, 3)?,
        _ => machine.state.vectors[0],
    };
    two(machine, operation, lane, |i| {
        let last = i / lane * lane + lane - 1;
        match (signs.known_bytes() >> last & 1, signs.bytes()[last] >> 7) {
            (0, _) => Pick::Unknown,
            (_, 0) => Pick::First(i),
            _ => Pick::Second(i),
        }
    })
}

/// Takes from the second source the lanes the mask has set, from the first the others.
fn blend_by_mask(machine: &mut Machine<'_>, operation: &Operation, lane: usize) -> Done {
    let (first, second) = sources(machine, operation)?;
    finish_over(machine, operation, &second, &first, lane)
}
