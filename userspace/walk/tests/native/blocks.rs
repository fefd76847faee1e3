//! Random blocks: instruction forms with operands, encoded one after the other.

use iced_x86::{
    Code, Decoder, DecoderOptions, Encoder, FlowControl, Instruction, InstructionInfoFactory, OpAccess,
    OpKind,
};

use super::operands::{Context, instruction};
use super::random::Random;
use super::start::{ARENA, CODE, Start};

/// A block and what it starts from; [`Start::code`] is its bytes.
pub struct Block {
    pub start: Start,
    pub instructions: Vec<Instruction>,
}

/// A block of the given forms, or none if an operand of one of them is not generated. Branches lead to the instruction
/// behind them or over it.
pub fn block(forms: &[Code], random: &mut Random) -> Option<Block> {
    let mut block = Builder { start: Start::random(random), intact: u16::MAX, over_next: None };
    for form in forms {
        block.append(*form, random)?;
    }
    let instructions = block.start.decoded();
    Some(Block { start: block.start, instructions })
}

impl Start {
    /// The instructions of the code.
    fn decoded(&self) -> Vec<Instruction> {
        Decoder::with_ip(64, &self.code, CODE, DecoderOptions::NONE).iter().collect()
    }

    /// The instruction at `ip`; behind the code, an invalid one.
    pub fn instruction_at(&self, ip: u64) -> Instruction {
        let code = self.code.get(ip.wrapping_sub(CODE) as usize..).unwrap_or(&[]);
        Decoder::with_ip(64, code, ip, DecoderOptions::NONE).decode()
    }

    fn end(&self) -> u64 {
        CODE + self.code.len() as u64
    }
}

struct Builder {
    start: Start,
    intact: u16,
    /// Where the displacement of the branch ends that leads over the next instruction, and its bytes.
    over_next: Option<(usize, usize)>,
}

impl Builder {
    fn append(&mut self, form: Code, random: &mut Random) -> Option<()> {
        for _ in 0..8 {
            let mut context = Context { random, start: &self.start, intact: self.intact };
            let candidate = instruction(form, &mut context)?;
            if self.encode(candidate).is_some() {
                self.point_branches(random);
                return Some(());
            }
        }
        None
    }

    /// Appends an instruction, behind what it needs to go on behind itself if it is an indirect branch.
    fn encode(&mut self, mut instruction: Instruction) -> Option<()> {
        let before = self.start.code.len();
        let target = matches!(instruction.op0_kind(), OpKind::Register) && is_indirect(&instruction);
        if target {
            let number = instruction.op0_register().full_register().number() as u8;
            self.intact &= !(1 << number);
            self.start.code.extend([0x48 | number >> 3, 0xc7, 0xc0 | number & 7, 0, 0, 0, 0]); // mov r64, imm32
        }
        let operand_end = self.start.code.len();
        if instruction.op0_kind() == OpKind::NearBranch64 {
            instruction.set_near_branch64(self.start.end() + 2);
        }
        let mut encoder = Encoder::new(64);
        let encoded = encoder.encode(&instruction, self.start.end()).ok().map(|_| encoder.take_buffer());
        let Some(encoded) = encoded.filter(|bytes| decodes_as(bytes, &instruction)) else {
            self.start.code.truncate(before);
            return None;
        };
        self.start.code.extend(encoded);
        if target {
            let end = (self.start.end() as u32).to_le_bytes();
            self.start.code[operand_end - 4..operand_end].copy_from_slice(&end);
        } else if is_indirect(&instruction) {
            self.point_memory(&instruction);
        }
        self.intact &= !written(&instruction);
        Some(())
    }

    /// Lets the branch before the last instruction lead over it, and that instruction, if it is one, to the next.
    fn point_branches(&mut self, random: &mut Random) {
        let Some(last) = self.start.decoded().pop() else { return };
        if let Some((end, bytes)) = self.over_next.take() {
            self.start.code[end - bytes] = last.len() as u8;
        }
        if last.op0_kind() == OpKind::NearBranch64 {
            let end = self.start.code.len();
            let bytes = if last.len() >= 5 { 4 } else { 1 };
            self.start.code[end - bytes..].fill(0);
            self.over_next = random.one_in(2).then_some((end, bytes));
        }
    }

    /// Puts the address behind an indirect branch where it is read from.
    fn point_memory(&mut self, instruction: &Instruction) {
        let from = match instruction.flow_control() {
            FlowControl::Return => Some(self.start.gpr[4]).filter(|_| self.intact >> 4 & 1 == 1),
            _ => instruction.virtual_address(0, 0, |register, _, _| self.start.register(register)),
        };
        let end = self.start.end().to_le_bytes();
        let place = from.and_then(|from| usize::try_from(from.wrapping_sub(ARENA)).ok());
        if let Some(into) = place.and_then(|place| self.start.arena.get_mut(place..)?.first_chunk_mut()) {
            *into = end;
        }
    }
}

fn is_indirect(instruction: &Instruction) -> bool {
    use FlowControl::{IndirectBranch, IndirectCall, Return};
    matches!(instruction.flow_control(), IndirectBranch | IndirectCall | Return)
}

fn decodes_as(bytes: &[u8], instruction: &Instruction) -> bool {
    Decoder::new(64, bytes, DecoderOptions::NONE).decode().code() == instruction.code()
}

/// The general registers an instruction writes or may write.
fn written(instruction: &Instruction) -> u16 {
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(instruction).used_registers().iter();
    let written = used.filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead));
    written
        .map(|used| used.register().full_register())
        .filter(|register| register.is_gpr())
        .fold(0, |all, register| all | 1 << register.number())
}
