//! From bytes to an [`Operation`].

use iced_x86::{Decoder, DecoderError, DecoderOptions, EncodingKind, Instruction, OpKind, Register};

use super::effects::{Effects, base, general, segment};
use super::operation::{Address, Operand, Operation};
use crate::end::Reason;
use crate::exec::{self, fallback};

/// Decodes the first instruction of `bytes`.
///
/// # Errors
/// [`Reason::InvalidInstruction`], or [`Reason::UnreadableCode`] if the instruction goes on beyond `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Operation, Reason> {
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let instruction = decoder.decode();
    match decoder.last_error() {
        DecoderError::None => Ok(operation(instruction)),
        DecoderError::NoMoreBytes => Err(Reason::UnreadableCode),
        _ => Err(Reason::InvalidInstruction),
    }
}

fn operation(instruction: Instruction) -> Operation {
    let mut operands = [Operand::None; 5];
    for (index, operand) in operands.iter_mut().enumerate().take(instruction.op_count() as usize) {
        *operand = self::operand(&instruction, index as u32);
    }
    let selected = exec::select(&instruction);
    Operation {
        execute: selected.unwrap_or(fallback::execute),
        effects: if selected.is_some() { None } else { Some(Box::new(Effects::of(&instruction))) },
        operands,
        memory: address(&instruction),
        width: width(operands[0]),
        length: instruction.len() as u8,
        clears_upper: instruction.encoding() != EncodingKind::Legacy,
        target: instruction.near_branch_target(),
        instruction,
    }
}

fn width(operand: Operand) -> u8 {
    match operand {
        Operand::General { width, .. } | Operand::Vector { width, .. } => width,
        Operand::Memory { width } => width.min(64) as u8,
        Operand::Mask(_) => 8,
        Operand::None | Operand::Immediate(_) | Operand::Other => 0,
    }
}

fn operand(instruction: &Instruction, index: u32) -> Operand {
    match instruction.op_kind(index) {
        OpKind::Register => register(instruction.op_register(index)),
        OpKind::Memory => {
            let size = instruction.memory_size();
            Operand::Memory { width: size.size() as u16 }
        }
        _ => instruction.try_immediate(index).map_or(Operand::Other, Operand::Immediate),
    }
}

fn register(register: Register) -> Operand {
    let number = register.number() as u8;
    let width = register.size() as u8;
    if let Some(number) = general(register) {
        let high = matches!(register, Register::AH | Register::CH | Register::DH | Register::BH);
        Operand::General { number, width, high }
    } else if register.is_vector_register() {
        Operand::Vector { number, width }
    } else if register.is_k() {
        Operand::Mask(number)
    } else {
        Operand::Other
    }
}

fn address(instruction: &Instruction) -> Address {
    let (first, index) = (instruction.memory_base(), instruction.memory_index());
    let is_32_bit = first == Register::EIP
        || first.is_gpr32()
        || index.is_gpr32()
        || (first == Register::None && index == Register::None && instruction.memory_displ_size() == 4);
    Address {
        base: base(first),
        index: general(index),
        scale: instruction.memory_index_scale() as u8,
        displacement: instruction.memory_displacement64(),
        segment: segment(instruction.memory_segment()),
        is_32_bit,
        is_vector_indexed: index.is_vector_register(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::{Base, Segment};
    use super::*;

    fn only(bytes: &[u8]) -> Operation {
        decode(bytes).unwrap()
    }

    #[test]
    fn operands_have_their_registers_and_widths() {
        let mov = only(&[0x88, 0xe1]); // mov cl, ah
        assert_eq!(mov.operands[0], Operand::General { number: 1, width: 1, high: false });
        assert_eq!(mov.operands[1], Operand::General { number: 0, width: 1, high: true });
        let store = only(&[0x66, 0x44, 0x89, 0x4c, 0xb5, 0xf0]); // mov [rbp+rsi*4-16], r9w
        assert_eq!(store.operands[0], Operand::Memory { width: 2 });
        assert_eq!(
            (store.memory.base, store.memory.index, store.memory.scale),
            (Base::General(5), Some(6), 4)
        );
        assert_eq!(store.memory.displacement as i64, -16);
        assert_eq!(only(&[0x48, 0x83, 0xc0, 0xff]).operands[1], Operand::Immediate(u64::MAX)); // add rax, -1
    }

    #[test]
    fn addresses_are_relative_to_the_instruction() {
        let load = only(&[0x48, 0x8b, 0x05, 0x10, 0, 0, 0]); // mov rax, [rip+0x10]
        assert_eq!((load.memory.base, load.memory.displacement), (Base::Instruction, 0x17));
        assert_eq!(only(&[0xeb, 0xfe]).target, 0); // jmp to itself
        let tls = only(&[0x64, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0]); // mov rax, fs:[0x28]
        assert_eq!(
            (tls.memory.segment, tls.memory.base, tls.memory.displacement),
            (Segment::Fs, Base::None, 0x28)
        );
        assert!(!tls.memory.is_32_bit);
        assert!(only(&[0x67, 0x8b, 0x00]).memory.is_32_bit); // mov eax, [eax]
    }

    #[test]
    fn what_is_cut_short_is_told_from_what_is_invalid() {
        assert_eq!(decode(&[0x48, 0x8b]).err(), Some(Reason::UnreadableCode));
        assert_eq!(decode(&[0x06, 0]).err(), Some(Reason::InvalidInstruction));
        assert_eq!(decode(&[]).err(), Some(Reason::UnreadableCode));
    }
}
