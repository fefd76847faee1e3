//! An instruction prepared for execution: everything a step needs, worked out once.

use iced_x86::Instruction;

use super::effects::Effects;
use crate::exec::Execute;

/// One decoded instruction. It holds no absolute address, so that it serves every process that maps the same file.
#[derive(Clone)]
pub struct Operation {
    /// What carries it out.
    pub execute: Execute,
    /// The operands in Intel order, explicit ones only; [`Operand::None`] after the last.
    pub operands: [Operand; 5],
    /// The memory operand, meaningful if an operand is [`Operand::Memory`].
    pub memory: Address,
    /// Width of the first operand in bytes; 0 if it has none.
    pub width: u8,
    /// Length of the instruction in bytes.
    pub length: u8,
    /// A write to an `xmm` or `ymm` register clears the bits above (VEX and EVEX do, legacy SSE does not).
    pub clears_upper: bool,
    /// Distance from the instruction's address to the target of a direct branch.
    pub target: u64,
    /// The instruction, decoded as if at address 0: mnemonic, prefixes, EVEX mask, broadcast, rounding.
    pub instruction: Instruction,
    /// What the fallback needs; nothing for instructions with an executor of their own.
    pub effects: Option<Box<Effects>>,
}

/// An explicit operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// No such operand.
    None,
    /// A general register or a part of one.
    General {
        /// Its number in [`crate::State::general`].
        number: u8,
        /// 1, 2, 4 or 8 bytes.
        width: u8,
        /// One of `ah`, `ch`, `dh`, `bh`: the second byte, not the first.
        high: bool,
    },
    /// A vector register.
    Vector {
        /// 0 to 31.
        number: u8,
        /// 16, 32 or 64 bytes.
        width: u8,
    },
    /// A mask register `k0` to `k7`.
    Mask(u8),
    /// The instruction's memory operand.
    Memory {
        /// Bytes accessed; 0 if the instruction does not say (`lea`, `xsave`). A broadcast has its element's width.
        width: u16,
    },
    /// An immediate, extended to 64 bits as the instruction does.
    Immediate(u64),
    /// Something the walk does not follow: x87, MMX, segment, control, debug and bound registers, tiles, branches.
    Other,
}

/// How a memory operand's address is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The base, if any.
    pub base: Base,
    /// The index register, if any; never a vector register, see [`Address::is_vector_indexed`].
    pub index: Option<u8>,
    /// 1, 2, 4 or 8.
    pub scale: u8,
    /// Added to the others, wrapping.
    pub displacement: u64,
    /// The segment whose base is added.
    pub segment: Segment,
    /// The sum is cut to 32 bits before the segment's base is added (`67` prefix).
    pub is_32_bit: bool,
    /// The index is a vector register: gathers and scatters.
    pub is_vector_indexed: bool,
}

/// The base of a memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// None.
    None,
    /// A general register by number.
    General(u8),
    /// The instruction's own address (the displacement is counted from there, not from its end).
    Instruction,
}

/// Segments with a base in 64-bit mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Any of those whose base is 0.
    Flat,
    /// `fs`.
    Fs,
    /// `gs`.
    Gs,
}
