//! The walk from the same start, with all or only some of it known, and what it must agree with.

use iced_x86::Instruction;
use waytrace_walk::memory::Overlay;
use waytrace_walk::state::{Flags, Value, Vector};
use waytrace_walk::{Access, Code, Memory, Origin, Reason, State, Unreadable, Walker};

use super::encoding::{disagreement, undefined_flag};
use super::random::Random;
use super::start::{ARENA, ARENA_END, CODE, CODE_BYTES, Start};

/// More steps than any block takes, repetitions included.
const MOST_STEPS: usize = 100_000;

/// One step of a walk.
pub struct Step {
    pub ip: u64,
    pub accesses: Vec<Access>,
    /// Registers were all known before and are after; flags too, but for those the manual leaves undefined.
    pub is_followed: bool,
    /// What the encoding says about the step's accesses and the walk does not, or the other way round.
    pub disagreement: Option<String>,
}

/// What the walk is told about the memory it starts from.
pub struct Seen<'a> {
    start: &'a Start,
    /// A bit per 256 bytes of the arena that are unknown.
    unknown: u64,
    block: u64,
}

impl Memory for Seen<'_> {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let (offset, width) = (address.wrapping_sub(ARENA) as usize, into.len());
        if let Some(bytes) = self.start.arena.get(offset..offset.wrapping_add(width)) {
            into.copy_from_slice(bytes);
            let is_unknown = |at: usize| self.unknown >> (at / 256) & 1 == 1;
            return if is_unknown(offset) || is_unknown(offset + width - 1) {
                Err(Unreadable::Unknown)
            } else {
                Ok(())
            };
        }
        let offset = address.wrapping_sub(CODE) as usize;
        if offset.checked_add(width).is_none_or(|end| end > CODE_BYTES) {
            return Err(Unreadable::Unmapped);
        }
        into.fill(0xcc);
        for (byte, code) in into.iter_mut().zip(self.start.code.get(offset..).unwrap_or(&[])) {
            *byte = *code;
        }
        Ok(())
    }
}

impl Code for Seen<'_> {
    fn origin(&mut self, address: u64) -> Option<Origin> {
        let is_code = (CODE..CODE + CODE_BYTES as u64).contains(&address);
        is_code.then_some(Origin::File { file: self.block, offset: address - CODE })
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> usize {
        let count = into.len().min((CODE + CODE_BYTES as u64 - address) as usize);
        Memory::read(self, address, &mut into[..count]).map_or(0, |()| count)
    }
}

pub struct Emulator {
    walker: Walker,
    blocks: u64,
}

impl Emulator {
    pub fn new() -> Self {
        Self { walker: Walker::default(), blocks: 0 }
    }

    /// Walks from `state` to the first of `ends`; gives the steps taken, and why it ended if not there.
    pub fn walk(&mut self, start: &Start, known: &Known, ends: &[u64]) -> (Vec<Step>, Option<Reason>) {
        self.blocks += 1;
        let mut seen = Seen { start, unknown: known.unknown_memory, block: self.blocks };
        let mut code = Seen { start, unknown: 0, block: self.blocks };
        self.walker.begin(&known.state);
        let mut steps = Vec::new();
        while !ends.contains(&self.walker.state().rip) && steps.len() < MOST_STEPS {
            let before = self.walker.state().clone();
            let result = self.walker.step(&mut seen, &mut code);
            let accesses = self.walker.accesses().to_vec();
            let instruction = start.instruction_at(before.rip);
            steps.push(Step {
                ip: before.rip,
                is_followed: result.is_ok() && is_followed(&before, self.walker.state(), &instruction),
                disagreement: disagreement(&before, &instruction, &accesses)
                    .or_else(|| undefined_flag(self.walker.state(), &instruction))
                    .filter(|_| result.is_ok()),
                accesses,
            });
            if let Err(reason) = result {
                return (steps, Some(reason));
            }
        }
        (steps, None)
    }

    pub fn state(&self) -> &State {
        self.walker.state()
    }

    pub fn stores(&self) -> &Overlay {
        self.walker.stores()
    }
}

/// What a walk is told of a start.
pub struct Known {
    pub is_all: bool,
    state: State,
    unknown_memory: u64,
}

impl Known {
    /// All of it.
    pub fn all(start: &Start) -> Self {
        let mut state = State::captured(start.gpr, CODE, start.flags);
        state.vectors = start.vectors.map(|vector| Vector::known(&vector));
        state.masks = start.masks.map(Value::known);
        (state.fs_base, state.gs_base) = (Some(start.fs_base), Some(start.gs_base));
        Self { is_all: true, state, unknown_memory: 0 }
    }

    /// Some registers, bytes of vectors, flags and memory less.
    pub fn some(start: &Start, random: &mut Random) -> Self {
        let mut known = Self { is_all: false, ..Self::all(start) };
        let state = &mut known.state;
        for register in &mut state.general {
            let mask = match random.below(8) {
                0 => 0,
                1 => random.word(),
                2 => 0xff << (8 * random.below(8)),
                _ => u64::MAX,
            };
            *register = Value::partly(register.bits(), mask);
        }
        for vector in &mut state.vectors {
            let mask = random.pick(&[0, 0xff, 0xffff, u64::MAX, u64::MAX, 0xffff_0000_ffff_ff0f]);
            *vector = Vector::partly(*vector.bytes(), mask);
        }
        for mask in &mut state.masks {
            *mask = Value::partly(mask.bits(), random.pick(&[0, 0xff, u64::MAX, u64::MAX]));
        }
        state.flags.forget(if random.one_in(2) { random.word() & Flags::ALL } else { 0 });
        known.unknown_memory = random.word() & random.word() & random.word();
        known
    }
}

fn is_followed(before: &State, after: &State, instruction: &Instruction) -> bool {
    let all_known = |state: &State| {
        state.general.iter().chain(&state.masks).all(|value| value.known_bits() == u64::MAX)
            && state.vectors.iter().all(|vector| vector.known_bytes() == u64::MAX)
    };
    let defined = Flags::ALL & !waytrace_walk::code::flags(instruction.rflags_undefined());
    all_known(before)
        && all_known(after)
        && after.flags.known_bits() & defined == defined & before.flags.known_bits()
}

/// Whether an access lies in memory that the block may touch.
pub fn is_mapped(access: &Access) -> bool {
    let end = access.address.checked_add(access.width_bytes.into());
    let within = |first: u64, last: u64| access.address >= first && end.is_some_and(|end| end <= last);
    within(ARENA, ARENA_END) || within(CODE, CODE + CODE_BYTES as u64)
}
