//! Comparisons of integer lanes whose result is a vector of all ones and zeros.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Lane, binary_or_constant};
use crate::exec::Execute;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    use Mnemonic::*;
    if instruction.op0_register().is_k() {
        return None;
    }
    Some(match instruction.mnemonic() {
        Pcmpeqb | Vpcmpeqb => |m, o| binary_or_constant(m, o, |a: i8, b| ones(a == b, -1)),
        Pcmpeqw | Vpcmpeqw => |m, o| binary_or_constant(m, o, |a: i16, b| ones(a == b, -1)),
        Pcmpeqd | Vpcmpeqd => |m, o| binary_or_constant(m, o, |a: i32, b| ones(a == b, -1)),
        Pcmpeqq | Vpcmpeqq => |m, o| binary_or_constant(m, o, |a: i64, b| ones(a == b, -1)),
        Pcmpgtb | Vpcmpgtb => |m, o| binary_or_constant(m, o, |a: i8, b| ones(a > b, -1)),
        Pcmpgtw | Vpcmpgtw => |m, o| binary_or_constant(m, o, |a: i16, b| ones(a > b, -1)),
        Pcmpgtd | Vpcmpgtd => |m, o| binary_or_constant(m, o, |a: i32, b| ones(a > b, -1)),
        Pcmpgtq | Vpcmpgtq => |m, o| binary_or_constant(m, o, |a: i64, b| ones(a > b, -1)),
        _ => return None,
    })
}

/// All bits set if `condition` holds, none otherwise; `set` is the lane of all ones.
fn ones<L: Lane>(condition: bool, set: L) -> L {
    if condition { set } else { L::default() }
}
