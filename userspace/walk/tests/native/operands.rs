//! Random operands for an instruction form: registers, immediates, and memory operands that land in the arena.

use iced_x86::{Code, Instruction, OpCodeOperandKind as Form, OpKind, Register};

use super::addressing::memory;
use super::random::Random;
use super::start::Start;

/// What the operands of the next instruction may rest on.
pub struct Context<'a> {
    pub random: &'a mut Random,
    pub start: &'a Start,
    /// Bit per general register that the block has not written so far, so that its value is the one it started with.
    pub intact: u16,
}

/// An instruction of the form `code` with random operands, or none if it has an operand that is not generated.
/// Branches have no target yet.
pub fn instruction(code: Code, context: &mut Context<'_>) -> Option<Instruction> {
    let form = code.op_code();
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    decorate(&mut instruction, context.random);
    for (operand, kind) in form.op_kinds().iter().enumerate() {
        set_operand(&mut instruction, operand as u32, *kind, context)?;
    }
    Some(instruction)
}

/// Prefixes, and for AVX-512 masks, zeroing and rounding.
fn decorate(instruction: &mut Instruction, random: &mut Random) {
    let form = instruction.op_code();
    instruction.set_has_lock_prefix(form.can_use_lock_prefix() && random.one_in(4));
    if form.can_use_rep_prefix() && random.one_in(2) {
        instruction.set_has_rep_prefix(true);
    } else if form.can_use_repne_prefix() && random.one_in(2) {
        instruction.set_has_repne_prefix(true);
    }
    if form.require_op_mask_register() || form.can_use_op_mask_register() && random.one_in(2) {
        instruction.set_op_mask(numbered(Register::K1, random.below(7)));
        instruction.set_zeroing_masking(form.can_use_zeroing_masking() && random.one_in(2));
    }
}

fn set_operand(i: &mut Instruction, operand: u32, form: Form, context: &mut Context<'_>) -> Option<()> {
    if set_immediate(i, operand, form, context.random) {
        return Some(());
    }
    if let Some(register) = fixed(form).or_else(|| register(form, context.random)) {
        i.set_op_kind(operand, OpKind::Register);
        i.set_op_register(operand, register);
        return Some(());
    }
    memory(i, operand, form, context)
}

/// The register that the opcode names.
fn fixed(form: Form) -> Option<Register> {
    Some(match form {
        Form::al => Register::AL,
        Form::cl => Register::CL,
        Form::ax => Register::AX,
        Form::dx => Register::DX,
        Form::eax => Register::EAX,
        Form::rax => Register::RAX,
        Form::st0 => Register::ST0,
        Form::es => Register::ES,
        Form::cs => Register::CS,
        Form::ss => Register::SS,
        Form::ds => Register::DS,
        Form::fs => Register::FS,
        Form::gs => Register::GS,
        _ => return None,
    })
}

fn register(form: Form, random: &mut Random) -> Option<Register> {
    let or_memory = matches!(
        form,
        Form::r8_or_mem
            | Form::r16_or_mem
            | Form::r32_or_mem
            | Form::r64_or_mem
            | Form::mm_or_mem
            | Form::xmm_or_mem
            | Form::ymm_or_mem
            | Form::zmm_or_mem
            | Form::k_or_mem
    );
    if or_memory && !random.one_in(3) {
        return None;
    }
    let (first, count) = match form {
        Form::r8_or_mem | Form::r8_reg | Form::r8_opcode => (Register::AL, 20),
        Form::r16_or_mem | Form::r16_reg | Form::r16_rm | Form::r16_opcode => (Register::AX, 16),
        Form::r32_or_mem | Form::r32_reg | Form::r32_rm | Form::r32_opcode | Form::r32_vvvv => {
            (Register::EAX, 16)
        }
        Form::r64_or_mem | Form::r64_reg | Form::r64_rm | Form::r64_opcode | Form::r64_vvvv => {
            (Register::RAX, 16)
        }
        Form::mm_or_mem | Form::mm_reg | Form::mm_rm => (Register::MM0, 8),
        Form::xmm_or_mem | Form::xmm_reg | Form::xmm_rm | Form::xmm_vvvv | Form::xmm_is4 | Form::xmm_is5 => {
            (Register::XMM0, 32)
        }
        Form::ymm_or_mem | Form::ymm_reg | Form::ymm_rm | Form::ymm_vvvv | Form::ymm_is4 | Form::ymm_is5 => {
            (Register::YMM0, 32)
        }
        Form::zmm_or_mem | Form::zmm_reg | Form::zmm_rm | Form::zmm_vvvv => (Register::ZMM0, 32),
        Form::k_or_mem | Form::k_reg | Form::k_rm | Form::k_vvvv => (Register::K0, 8),
        Form::sti_opcode => (Register::ST0, 8),
        _ => return None,
    };
    // Half of the vector registers exist only for AVX-512; the others are preferred so that forms meet each other.
    let count = if count == 32 && random.one_in(2) { 8 } else { count };
    let register = numbered(first, random.below(count));
    // A lost stack pointer ends most blocks, so it is rarely named.
    if register.full_register() == Register::RSP && !random.one_in(4) { Some(first) } else { Some(register) }
}

pub fn numbered(first: Register, offset: u64) -> Register {
    Register::try_from(first as usize + offset as usize).unwrap_or(first)
}

fn set_immediate(i: &mut Instruction, operand: u32, form: Form, random: &mut Random) -> bool {
    let (kind, bytes) = match form {
        Form::imm8 if i.op_kinds().take(operand as usize).any(|kind| kind == OpKind::Immediate16) => {
            (OpKind::Immediate8_2nd, 1)
        }
        Form::imm8 => {
            match i.op_kinds().take(operand as usize).filter(|kind| *kind == OpKind::Immediate8).count() {
                0 => (OpKind::Immediate8, 1),
                _ => (OpKind::Immediate8_2nd, 1),
            }
        }
        Form::imm8_const_1 => (OpKind::Immediate8, 1),
        Form::imm8sex16 => (OpKind::Immediate8to16, 1),
        Form::imm8sex32 => (OpKind::Immediate8to32, 1),
        Form::imm8sex64 => (OpKind::Immediate8to64, 1),
        Form::imm16 => (OpKind::Immediate16, 2),
        Form::imm32 => (OpKind::Immediate32, 4),
        Form::imm32sex64 => (OpKind::Immediate32to64, 4),
        Form::imm64 => (OpKind::Immediate64, 8),
        _ => return false,
    };
    let value = match form {
        Form::imm8_const_1 => 1,
        _ => random.operand(),
    };
    i.set_op_kind(operand, kind);
    // Sign-extended as the form has it; the others take the low bytes.
    let shift = 64 - 8 * bytes;
    if matches!(form, Form::imm8 | Form::imm16 | Form::imm32 | Form::imm8_const_1) {
        i.set_immediate_u64(operand, value << shift >> shift);
    } else {
        i.set_immediate_i64(operand, (value << shift) as i64 >> shift);
    }
    true
}

impl Context<'_> {
    /// A general register whose value is known.
    pub fn intact_register(&mut self) -> Option<u16> {
        (0..16).map(|_| self.random.below(16) as u16).find(|number| self.intact >> number & 1 == 1)
    }
}
