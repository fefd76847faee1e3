//! What an instruction touches, for those whose values are not followed: from iced's tables, worked out at decoding.

use iced_x86::{
    CodeSize, FlowControl, Instruction, InstructionInfo, InstructionInfoFactory, Mnemonic, OpAccess,
    Register, RflagsBits, UsedMemory,
};

use super::operation::{Address, Base, Segment};
use crate::access::Kind;
use crate::end::Reason;
use crate::state::Flag;

/// Accesses an instruction makes, and what it leaves unknown.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// The walk cannot go beyond it.
    pub end: Option<Reason>,
    /// Accesses in order: address, bytes, direction.
    pub accesses: Vec<(Address, u16, Kind)>,
    /// General registers written, a bit for each.
    pub general: u16,
    /// Vector registers written.
    pub vectors: u32,
    /// Mask registers written.
    pub masks: u8,
    /// Flags changed, in `rflags` positions.
    pub flags: u64,
    /// `fs` is written.
    pub fs: bool,
    /// `gs` is written.
    pub gs: bool,
}

impl Effects {
    /// The effects of an instruction decoded as if at address 0.
    pub fn of(instruction: &Instruction) -> Self {
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(instruction);
        let mut effects =
            Self { end: ending(instruction), flags: flags(instruction.rflags_modified()), ..Self::default() };
        effects.registers(info);
        let touched: Vec<_> = info.used_memory().iter().filter(|used| touches(used)).collect();
        if effects.end.is_none() && touched.iter().any(|used| is_masked(used, instruction)) {
            effects.end = Some(Reason::MaskedAccess);
        }
        if effects.end.is_none() && touched.iter().any(|used| used.memory_size().size() == 0) {
            effects.end = Some(Reason::StateSave);
        }
        if effects.end.is_none() {
            for kind in [Kind::Load, Kind::Store] {
                let matching = touched.iter().filter(|used| does(used.access(), kind));
                effects.accesses.extend(matching.map(|used| access(used, instruction, kind)));
            }
        }
        effects
    }

    fn registers(&mut self, info: &InstructionInfo) {
        let written = info
            .used_registers()
            .iter()
            .filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead));
        for register in written.map(iced_x86::UsedRegister::register) {
            let number = register.number();
            if register.is_gpr() {
                self.general |= 1 << register.full_register().number();
            } else if register.is_vector_register() {
                self.vectors |= 1 << number;
            } else if register.is_k() {
                self.masks |= 1 << number;
            }
            self.fs |= register == Register::FS;
            self.gs |= register == Register::GS;
        }
    }
}

/// iced's bits for flags, which are its own, as positions in `rflags`.
pub fn flags(bits: u32) -> u64 {
    let places = [
        (RflagsBits::CF, Flag::Carry),
        (RflagsBits::PF, Flag::Parity),
        (RflagsBits::AF, Flag::Adjust),
        (RflagsBits::ZF, Flag::Zero),
        (RflagsBits::SF, Flag::Sign),
        (RflagsBits::DF, Flag::Direction),
        (RflagsBits::OF, Flag::Overflow),
    ];
    places.iter().filter(|(bit, _)| bits & bit != 0).fold(0, |all, (_, flag)| all | *flag as u64)
}

/// Why the walk ends at an instruction that has no executor, if it does.
fn ending(instruction: &Instruction) -> Option<Reason> {
    use Mnemonic::{Getsec, In, Insb, Insd, Insw, Out, Outsb, Outsd, Outsw, Syscall, Sysenter};
    match instruction.mnemonic() {
        Syscall | Sysenter => return Some(Reason::SystemCall),
        In | Out | Insb | Insw | Insd | Outsb | Outsw | Outsd | Getsec => return Some(Reason::Interrupt),
        _ => {}
    }
    match instruction.flow_control() {
        FlowControl::Next if instruction.is_save_restore_instruction() => Some(Reason::StateSave),
        FlowControl::Next if instruction.is_privileged() => Some(Reason::Interrupt),
        FlowControl::Next => None,
        FlowControl::Interrupt => Some(Reason::Interrupt),
        FlowControl::XbeginXabortXend => Some(Reason::Transactional),
        FlowControl::Exception => Some(Reason::InvalidInstruction),
        _ => Some(Reason::FarControl),
    }
}

fn touches(used: &UsedMemory) -> bool {
    !matches!(used.access(), OpAccess::None | OpAccess::NoMemAccess)
}

/// Whether which bytes are accessed depends on a mask or on vector indices.
fn is_masked(used: &UsedMemory, instruction: &Instruction) -> bool {
    used.vsib_size() != 0
        || instruction.op_mask() != Register::None
        || matches!(used.access(), OpAccess::CondRead | OpAccess::CondWrite | OpAccess::ReadCondWrite)
}

fn does(access: OpAccess, kind: Kind) -> bool {
    match kind {
        Kind::Load => matches!(access, OpAccess::Read | OpAccess::ReadWrite),
        Kind::Store => matches!(access, OpAccess::Write | OpAccess::ReadWrite),
    }
}

fn access(used: &UsedMemory, instruction: &Instruction, kind: Kind) -> (Address, u16, Kind) {
    let is_relative = instruction.is_ip_rel_memory_operand()
        && used.base() == Register::None
        && used.index() == Register::None;
    let address = Address {
        base: if is_relative { Base::Instruction } else { base(used.base()) },
        index: general(used.index()),
        scale: used.scale() as u8,
        displacement: used.displacement(),
        segment: segment(used.segment()),
        is_32_bit: used.address_size() == CodeSize::Code32,
        is_vector_indexed: used.vsib_size() != 0,
    };
    (address, used.memory_size().size() as u16, kind)
}

/// The number of a general register.
pub(super) fn general(register: Register) -> Option<u8> {
    register.is_gpr().then(|| register.full_register().number() as u8)
}

pub(super) fn base(register: Register) -> Base {
    match register {
        Register::RIP | Register::EIP => Base::Instruction,
        other => general(other).map_or(Base::None, Base::General),
    }
}

pub(super) fn segment(register: Register) -> Segment {
    match register {
        Register::FS => Segment::Fs,
        Register::GS => Segment::Gs,
        _ => Segment::Flat,
    }
}
