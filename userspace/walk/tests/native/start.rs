//! What a block starts from: code, memory and registers, known to both sides.

use iced_x86::Register;

use super::random::Random;

/// Where a block's code is. Below 2 GiB, as is the arena: 32-bit addresses and displacements reach both.
pub const CODE: u64 = 0x1000_0000;
pub const CODE_BYTES: usize = 4096;
/// The memory that blocks work on. Around it nothing is mapped, so that a byte too far faults.
pub const ARENA: u64 = 0x2000_0000;
pub const ARENA_BYTES: usize = 16384;
pub const ARENA_END: u64 = ARENA + ARENA_BYTES as u64;

/// A 512-bit register, lowest byte first.
pub type Vector = [u8; 64];

const CARRY_TO_OVERFLOW: u64 = 0x8d5; // CF PF AF ZF SF OF
const DIRECTION: u64 = 1 << 10;
/// Interrupts enabled, and the bit that always reads 1.
const FIXED_FLAGS: u64 = 0x202;
const DEFAULT_MXCSR: u32 = 0x1f80;
/// Denormal operands and results count as zero (DAZ and FTZ), as programs built with fast maths set it.
const FLUSHING_MXCSR: u32 = DEFAULT_MXCSR | 1 << 15 | 1 << 6;

#[derive(Clone)]
pub struct Start {
    pub gpr: [u64; 16],
    pub flags: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub mxcsr: u32,
    pub vectors: [Vector; 32],
    pub masks: [u64; 8],
    pub code: Vec<u8>,
    pub arena: Vec<u8>,
}

impl Start {
    /// Registers and memory of every sort; the registers that string and stack instructions address memory
    /// with mostly point into the arena.
    pub fn random(random: &mut Random) -> Self {
        let mut gpr: [u64; 16] = std::array::from_fn(|_| random.operand());
        for pointer in [3, 4, 5, 6, 7] {
            if !random.one_in(6) {
                gpr[pointer] = inside(random);
            }
        }
        for register in &mut gpr[8..] {
            if random.one_in(4) {
                *register = inside(random);
            }
        }
        if random.one_in(2) {
            gpr[1] = random.below(20);
        }
        let mut page = [0; 2048];
        page.chunks_mut(64).for_each(|line| random.fill(line));
        let arena = page.repeat(ARENA_BYTES / page.len());
        Self {
            gpr,
            flags: FIXED_FLAGS
                | random.word() & CARRY_TO_OVERFLOW
                | if random.one_in(4) { DIRECTION } else { 0 },
            fs_base: inside(random),
            gs_base: inside(random),
            mxcsr: if random.one_in(8) { FLUSHING_MXCSR } else { DEFAULT_MXCSR },
            vectors: std::array::from_fn(|_| {
                let mut vector = [0; 64];
                random.fill(&mut vector);
                vector
            }),
            masks: std::array::from_fn(|_| random.operand()),
            code: Vec::new(),
            arena,
        }
    }
}

impl Start {
    /// A general register or the base of a segment, for [`iced_x86::Instruction::virtual_address`].
    pub fn register(&self, register: Register) -> Option<u64> {
        Some(match register {
            Register::FS => self.fs_base,
            Register::GS => self.gs_base,
            Register::RIP | Register::EIP | Register::CS | Register::DS | Register::ES | Register::SS => 0,
            _ if register.is_gpr64() => self.gpr[register.number()],
            _ if register.is_gpr32() => self.gpr[register.number()] & 0xffff_ffff,
            Register::AL => self.gpr[0] & 0xff,
            _ => return None,
        })
    }
}

/// An address in the arena with room to both sides, aligned as a stack or an object would be.
fn inside(random: &mut Random) -> u64 {
    ARENA + 4096 + random.below(ARENA_BYTES as u64 - 8192) / 32 * 32
}
