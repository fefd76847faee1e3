//! Integer arithmetic on lanes.

use iced_x86::{Instruction, Mnemonic};

use super::lanes::{Lane, binary, binary_or_constant, groups, unary};
use crate::exec::Execute;

pub(super) fn select(instruction: &Instruction) -> Option<Execute> {
    let mnemonic = instruction.mnemonic();
    sums(mnemonic)
        .or_else(|| products(mnemonic))
        .or_else(|| orders(mnemonic))
        .or_else(|| horizontal(mnemonic))
}

fn sums(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Paddb | Vpaddb => |m, o| binary(m, o, u8::wrapping_add),
        Paddw | Vpaddw => |m, o| binary(m, o, u16::wrapping_add),
        Paddd | Vpaddd => |m, o| binary(m, o, u32::wrapping_add),
        Paddq | Vpaddq => |m, o| binary(m, o, u64::wrapping_add),
        Psubb | Vpsubb => |m, o| binary_or_constant(m, o, u8::wrapping_sub),
        Psubw | Vpsubw => |m, o| binary_or_constant(m, o, u16::wrapping_sub),
        Psubd | Vpsubd => |m, o| binary_or_constant(m, o, u32::wrapping_sub),
        Psubq | Vpsubq => |m, o| binary_or_constant(m, o, u64::wrapping_sub),
        Paddsb | Vpaddsb => |m, o| binary(m, o, i8::saturating_add),
        Paddsw | Vpaddsw => |m, o| binary(m, o, i16::saturating_add),
        Paddusb | Vpaddusb => |m, o| binary(m, o, u8::saturating_add),
        Paddusw | Vpaddusw => |m, o| binary(m, o, u16::saturating_add),
        Psubsb | Vpsubsb => |m, o| binary_or_constant(m, o, i8::saturating_sub),
        Psubsw | Vpsubsw => |m, o| binary_or_constant(m, o, i16::saturating_sub),
        Psubusb | Vpsubusb => |m, o| binary_or_constant(m, o, u8::saturating_sub),
        Psubusw | Vpsubusw => |m, o| binary_or_constant(m, o, u16::saturating_sub),
        Pavgb | Vpavgb => |m, o| binary(m, o, |a: u8, b| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8),
        Pavgw | Vpavgw => |m, o| binary(m, o, |a: u16, b| ((u32::from(a) + u32::from(b) + 1) >> 1) as u16),
        Pabsb | Vpabsb => |m, o| unary(m, o, |a: i8| Some(a.wrapping_abs())),
        Pabsw | Vpabsw => |m, o| unary(m, o, |a: i16| Some(a.wrapping_abs())),
        Pabsd | Vpabsd => |m, o| unary(m, o, |a: i32| Some(a.wrapping_abs())),
        Vpabsq => |m, o| unary(m, o, |a: i64| Some(a.wrapping_abs())),
        Vpopcntb => |m, o| unary(m, o, |a: u8| Some(a.count_ones() as u8)),
        Vpopcntw => |m, o| unary(m, o, |a: u16| Some(a.count_ones() as u16)),
        Vpopcntd => |m, o| unary(m, o, |a: u32| Some(a.count_ones())),
        Vpopcntq => |m, o| unary(m, o, |a: u64| Some(a.count_ones().into())),
        Vplzcntd => |m, o| unary(m, o, |a: u32| Some(a.leading_zeros())),
        Vplzcntq => |m, o| unary(m, o, |a: u64| Some(a.leading_zeros().into())),
        Psignb | Vpsignb => |m, o| binary(m, o, |a: i8, b: i8| a.wrapping_mul(b.signum())),
        Psignw | Vpsignw => |m, o| binary(m, o, |a: i16, b: i16| a.wrapping_mul(b.signum())),
        Psignd | Vpsignd => |m, o| binary(m, o, |a: i32, b: i32| a.wrapping_mul(b.signum())),
        _ => return None,
    })
}

fn products(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Pmullw | Vpmullw => |m, o| binary(m, o, i16::wrapping_mul),
        Pmulld | Vpmulld => |m, o| binary(m, o, i32::wrapping_mul),
        Vpmullq => |m, o| binary(m, o, i64::wrapping_mul),
        Pmulhw | Vpmulhw => |m, o| binary(m, o, |a: i16, b| ((i32::from(a) * i32::from(b)) >> 16) as i16),
        Pmulhuw | Vpmulhuw => |m, o| binary(m, o, |a: u16, b| ((u32::from(a) * u32::from(b)) >> 16) as u16),
        Pmulhrsw | Vpmulhrsw => {
            |m, o| binary(m, o, |a: i16, b| ((((i32::from(a) * i32::from(b)) >> 14) + 1) >> 1) as i16)
        }
        Pmuludq | Vpmuludq => |m, o| binary(m, o, |a: u64, b| (a & 0xffff_ffff) * (b & 0xffff_ffff)),
        Pmuldq | Vpmuldq => |m, o| binary(m, o, |a: i64, b| i64::from(a as i32) * i64::from(b as i32)),
        Pmaddwd | Vpmaddwd => |m, o| groups::<4>(m, o, 4, multiply_add_words),
        Pmaddubsw | Vpmaddubsw => |m, o| groups::<2>(m, o, 2, multiply_add_bytes),
        Psadbw | Vpsadbw => |m, o| groups::<8>(m, o, 8, absolute_differences),
        _ => return None,
    })
}

fn orders(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Pminub | Vpminub => |m, o| binary(m, o, u8::min),
        Pminsb | Vpminsb => |m, o| binary(m, o, i8::min),
        Pminuw | Vpminuw => |m, o| binary(m, o, u16::min),
        Pminsw | Vpminsw => |m, o| binary(m, o, i16::min),
        Pminud | Vpminud => |m, o| binary(m, o, u32::min),
        Pminsd | Vpminsd => |m, o| binary(m, o, i32::min),
        Vpminuq => |m, o| binary(m, o, u64::min),
        Vpminsq => |m, o| binary(m, o, i64::min),
        Pmaxub | Vpmaxub => |m, o| binary(m, o, u8::max),
        Pmaxsb | Vpmaxsb => |m, o| binary(m, o, i8::max),
        Pmaxuw | Vpmaxuw => |m, o| binary(m, o, u16::max),
        Pmaxsw | Vpmaxsw => |m, o| binary(m, o, i16::max),
        Pmaxud | Vpmaxud => |m, o| binary(m, o, u32::max),
        Pmaxsd | Vpmaxsd => |m, o| binary(m, o, i32::max),
        Vpmaxuq => |m, o| binary(m, o, u64::max),
        Vpmaxsq => |m, o| binary(m, o, i64::max),
        _ => return None,
    })
}

fn horizontal(mnemonic: Mnemonic) -> Option<Execute> {
    use Mnemonic::*;
    Some(match mnemonic {
        Phaddw | Vphaddw => |m, o| groups::<16>(m, o, 2, |a, b| neighbours(a, b, i16::wrapping_add)),
        Phaddd | Vphaddd => |m, o| groups::<16>(m, o, 4, |a, b| neighbours(a, b, i32::wrapping_add)),
        Phaddsw | Vphaddsw => |m, o| groups::<16>(m, o, 2, |a, b| neighbours(a, b, i16::saturating_add)),
        Phsubw | Vphsubw => |m, o| groups::<16>(m, o, 2, |a, b| neighbours(a, b, i16::wrapping_sub)),
        Phsubd | Vphsubd => |m, o| groups::<16>(m, o, 4, |a, b| neighbours(a, b, i32::wrapping_sub)),
        Phsubsw | Vphsubsw => |m, o| groups::<16>(m, o, 2, |a, b| neighbours(a, b, i16::saturating_sub)),
        _ => return None,
    })
}

/// Combines each two neighbours, those of `a` into the lower half, those of `b` into the upper.
fn neighbours<L: Lane>(a: [u8; 16], b: [u8; 16], combine: fn(L, L) -> L) -> [u8; 16] {
    let mut result = [0; 16];
    let pairs = a.chunks_exact(2 * L::BYTES).chain(b.chunks_exact(2 * L::BYTES));
    for (pair, into) in pairs.zip(result.chunks_exact_mut(L::BYTES)) {
        combine(L::from_bytes(pair), L::from_bytes(&pair[L::BYTES..])).write(into);
    }
    result
}

fn multiply_add_words(a: [u8; 4], b: [u8; 4]) -> [u8; 4] {
    let product = |at: usize| i32::from(i16::from_bytes(&a[at..])) * i32::from(i16::from_bytes(&b[at..]));
    product(0).wrapping_add(product(2)).to_le_bytes()
}

/// Unsigned bytes of `a` times signed ones of `b`, added with saturation.
fn multiply_add_bytes(a: [u8; 2], b: [u8; 2]) -> [u8; 2] {
    let product = |at: usize| i32::from(a[at]) * i32::from(b[at] as i8);
    let sum = (product(0) + product(1)).clamp(i16::MIN.into(), i16::MAX.into());
    (sum as i16).to_le_bytes()
}

fn absolute_differences(a: [u8; 8], b: [u8; 8]) -> [u8; 8] {
    a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(b))).sum::<u64>().to_le_bytes()
}
