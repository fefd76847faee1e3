//! Memory operands of every form that land in the arena: the registers they rest on hold what the block started with.

use iced_x86::{EncodingKind, Instruction, OpCodeOperandKind as Form, OpKind, Register};

use super::operands::{Context, numbered};
use super::random::Random;
use super::start::{ARENA, ARENA_BYTES, ARENA_END};

/// Makes an operand one in memory, if the form allows it.
pub fn memory(i: &mut Instruction, operand: u32, form: Form, context: &mut Context<'_>) -> Option<()> {
    let narrow = context.random.one_in(16);
    match form {
        Form::seg_rSI => {
            i.set_op_kind(operand, if narrow { OpKind::MemorySegESI } else { OpKind::MemorySegRSI });
        }
        Form::es_rDI => {
            i.set_op_kind(operand, if narrow { OpKind::MemoryESEDI } else { OpKind::MemoryESRDI });
        }
        Form::seg_rDI => {
            i.set_op_kind(operand, if narrow { OpKind::MemorySegEDI } else { OpKind::MemorySegRDI });
        }
        Form::seg_rBX_al => {
            i.set_op_kind(operand, OpKind::Memory);
            i.set_memory_base(if narrow { Register::EBX } else { Register::RBX });
            i.set_memory_index(Register::AL);
        }
        Form::mem_offs => {
            i.set_op_kind(operand, OpKind::Memory);
            i.set_memory_displ_size(8);
            i.set_memory_displacement64(target(i, context.random));
        }
        Form::mem_vsib32x | Form::mem_vsib64x => vector_indexed(i, operand, Register::XMM0, context)?,
        Form::mem_vsib32y | Form::mem_vsib64y => vector_indexed(i, operand, Register::YMM0, context)?,
        Form::mem_vsib32z | Form::mem_vsib64z => vector_indexed(i, operand, Register::ZMM0, context)?,
        Form::mem
        | Form::r8_or_mem
        | Form::r16_or_mem
        | Form::r32_or_mem
        | Form::r64_or_mem
        | Form::mm_or_mem
        | Form::xmm_or_mem
        | Form::ymm_or_mem
        | Form::zmm_or_mem
        | Form::k_or_mem => {
            addressed(i, operand, context)?;
        }
        _ => return None,
    }
    Some(())
}

/// Base, index, scale and displacement so that the operand is at [`target`].
fn addressed(i: &mut Instruction, operand: u32, context: &mut Context<'_>) -> Option<()> {
    i.set_op_kind(operand, OpKind::Memory);
    i.set_is_broadcast(i.op_code().can_broadcast() && context.random.one_in(3));
    let mut wanted = target(i, context.random);
    match context.random.below(16) {
        0 => i.set_segment_prefix(Register::FS),
        1 => i.set_segment_prefix(Register::GS),
        _ => {}
    }
    match i.segment_prefix() {
        Register::FS => wanted = wanted.wrapping_sub(context.start.fs_base),
        Register::GS => wanted = wanted.wrapping_sub(context.start.gs_base),
        _ => {}
    }
    if i.segment_prefix() == Register::None && context.random.one_in(8) {
        i.set_memory_base(Register::RIP);
        i.set_memory_displ_size(8);
        i.set_memory_displacement64(wanted);
        return Some(());
    }
    let narrow = i.segment_prefix() == Register::None && context.random.one_in(12);
    for _ in 0..40 {
        let base = context.intact_register().filter(|_| !context.random.one_in(8));
        let index = context.intact_register().filter(|index| *index != 4 && context.random.one_in(2));
        let scale = context.random.pick(&[1, 2, 4, 8]);
        let value = |number: Option<u16>| number.map_or(0, |number| context.start.gpr[usize::from(number)]);
        let mut displacement =
            wanted.wrapping_sub(value(base)).wrapping_sub(value(index).wrapping_mul(scale));
        if narrow {
            displacement = displacement as u32 as i32 as u64;
        }
        if i32::try_from(displacement as i64).is_err() || narrow && base.or(index).is_none() {
            continue;
        }
        let first = if narrow { Register::EAX } else { Register::RAX };
        let named =
            |number: Option<u16>| number.map_or(Register::None, |number| numbered(first, number.into()));
        i.set_memory_base(named(base));
        i.set_memory_index(named(index));
        i.set_memory_index_scale(if index.is_some() { scale as u32 } else { 1 });
        i.set_memory_displ_size(if base.is_none() { 8 } else { 1 });
        if narrow && base.is_none() {
            i.set_memory_displ_size(4);
        }
        i.set_memory_displacement64(displacement);
        return Some(());
    }
    None
}

/// A gather or scatter: its indices are whatever the vector holds, its base the middle of the arena.
fn vector_indexed(
    i: &mut Instruction,
    operand: u32,
    first: Register,
    context: &mut Context<'_>,
) -> Option<()> {
    let base = context.intact_register()?;
    let middle = ARENA + ARENA_BYTES as u64 / 2;
    let displacement = middle.wrapping_sub(context.start.gpr[usize::from(base)]);
    i32::try_from(displacement as i64).ok()?;
    i.set_op_kind(operand, OpKind::Memory);
    i.set_memory_base(numbered(Register::RAX, base.into()));
    let count = if i.op_code().encoding() == EncodingKind::EVEX { 32 } else { 16 };
    i.set_memory_index(numbered(first, context.random.below(count)));
    i.set_memory_index_scale(context.random.pick(&[1, 2, 4, 8]));
    i.set_memory_displ_size(1);
    i.set_memory_displacement64(displacement);
    Some(())
}

/// Where a memory operand is to be: mostly aligned, sometimes at an end of the arena, so that a byte too many faults.
fn target(i: &Instruction, random: &mut Random) -> u64 {
    let width = (i.memory_size().size() as u64).clamp(1, 1024);
    match random.below(10) {
        0 => ARENA_END - width,
        1 => ARENA,
        2 | 3 => ARENA + random.below(ARENA_BYTES as u64 - width),
        _ => ARENA + random.below((ARENA_BYTES as u64 - width) / 64) * 64,
    }
}
