//! `mul`, `imul`, `div`, `idiv`.

use iced_x86::{Instruction, Mnemonic};

use super::Execute;
use crate::code::Operation;
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value, mask, register};

/// The executor of a multiplication or division.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    Some(match (instruction.mnemonic(), instruction.op_count()) {
        (Mnemonic::Mul, _) => mul,
        (Mnemonic::Imul, 1) => imul_wide,
        (Mnemonic::Imul, 2) => imul::<0, 1>,
        (Mnemonic::Imul, 3) => imul::<1, 2>,
        (Mnemonic::Div, _) => div,
        (Mnemonic::Idiv, _) => idiv,
        _ => return None,
    })
}

fn bits(width: u8) -> u32 {
    8 * u32::from(width)
}

/// Carry and overflow say that the product does not fit; the other flags are undefined.
fn set_flags(machine: &mut Machine<'_>, is_cut: Option<bool>) {
    machine.state.flags.forget(Flags::STATUS);
    machine.state.flags.set(Flag::Carry, is_cut);
    machine.state.flags.set(Flag::Overflow, is_cut);
}

/// Writes a pair: `ah:al` for bytes, else `rdx:rax` in the operand's width.
fn write_pair(machine: &mut Machine<'_>, width: u8, pair: Option<(u64, u64)>) {
    let low = Value::from_option(pair.map(|(low, _)| low));
    let high = Value::from_option(pair.map(|(_, high)| high));
    machine.set_general(register::RAX, width, false, low);
    if width == 1 {
        machine.set_general(register::RAX, 1, true, high);
    } else {
        machine.set_general(register::RDX, width, false, high);
    }
}

fn split(product: u128, width: u8) -> (u64, u64) {
    (product as u64 & mask(width), (product >> bits(width)) as u64 & mask(width))
}

fn mul(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    let b = machine.read(operation, 0)?.get(width);
    let a = machine.general(register::RAX, width, false).get(width);
    let pair = a.zip(b).map(|(a, b)| split(u128::from(a) * u128::from(b), width));
    set_flags(machine, pair.map(|(_, high)| high != 0));
    write_pair(machine, width, pair);
    Ok(())
}

fn imul_wide(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    let b = machine.read(operation, 0)?.get_signed(width);
    let a = machine.general(register::RAX, width, false).get_signed(width);
    let product = a.zip(b).map(|(a, b)| i128::from(a) * i128::from(b));
    set_flags(machine, product.map(|product| is_cut(product, width)));
    write_pair(machine, width, product.map(|product| split(product as u128, width)));
    Ok(())
}

/// Whether a product does not fit `width` bytes with a sign.
fn is_cut(product: i128, width: u8) -> bool {
    let above = 128 - bits(width);
    product << above >> above != product
}

fn imul<const A: usize, const B: usize>(
    machine: &mut Machine<'_>,
    operation: &Operation,
) -> Result<(), Reason> {
    let width = operation.width;
    let (a, b) =
        (machine.read(operation, A)?.get_signed(width), machine.read(operation, B)?.get_signed(width));
    let product = a.zip(b).map(|(a, b)| i128::from(a) * i128::from(b));
    set_flags(machine, product.map(|product| is_cut(product, width)));
    let low = product.map(|product| product as u64 & mask(width));
    machine.write(operation, 0, Value::from_option(low))
}

/// The dividend: `ax` for bytes, else `rdx:rax` in the operand's width.
fn dividend(machine: &Machine<'_>, width: u8) -> Option<u128> {
    let low = machine.general(register::RAX, width, false).get(width)?;
    let high = if width == 1 {
        machine.general(register::RAX, 1, true).get(1)?
    } else {
        machine.general(register::RDX, width, false).get(width)?
    };
    Some(u128::from(high) << bits(width) | u128::from(low))
}

/// Unknown numbers are taken to divide without a fault.
fn div(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    let divisor = machine.read(operation, 0)?.get(width);
    let mut pair = None;
    if divisor == Some(0) {
        return Err(Reason::Fault);
    }
    if let Some((dividend, divisor)) = dividend(machine, width).zip(divisor) {
        let divisor = u128::from(divisor);
        let quotient = dividend / divisor;
        if quotient > u128::from(mask(width)) {
            return Err(Reason::Fault);
        }
        pair = Some((quotient as u64, (dividend % divisor) as u64));
    }
    machine.state.flags.forget(Flags::STATUS);
    write_pair(machine, width, pair);
    Ok(())
}

fn idiv(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let width = operation.width;
    let divisor = machine.read(operation, 0)?.get_signed(width);
    let mut pair = None;
    if divisor == Some(0) {
        return Err(Reason::Fault);
    }
    if let Some((dividend, divisor)) = dividend(machine, width).zip(divisor) {
        let above = 128 - 2 * bits(width);
        let dividend = (dividend << above) as i128 >> above;
        let divisor = i128::from(divisor);
        let (Some(quotient), Some(rest)) = (dividend.checked_div(divisor), dividend.checked_rem(divisor))
        else {
            return Err(Reason::Fault);
        };
        if is_cut(quotient, width) {
            return Err(Reason::Fault);
        }
        pair = Some((quotient as u64 & mask(width), rest as u64 & mask(width)));
    }
    machine.state.flags.forget(Flags::STATUS);
    write_pair(machine, width, pair);
    Ok(())
}
