//! A made-up target: code at one address, data at another, nothing else.

use waytrace_walk::{Access, Code, End, Limit, Memory, Origin, State, Unreadable, Walker};

/// Where the code lies.
pub const CODE: u64 = 0x40_0000;
/// Where the data lies.
pub const DATA: u64 = 0x7f_0000;
/// Above the data, never captured: its values are unknown.
pub const UNCAPTURED: u64 = 0x10_0000_0000;

/// Data of a target.
pub struct Flat(pub Vec<u8>);

impl Memory for Flat {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        if address >= UNCAPTURED {
            return Err(Unreadable::Unknown);
        }
        let from = address.checked_sub(DATA).ok_or(Unreadable::Unmapped)? as usize;
        let to = from.checked_add(into.len()).ok_or(Unreadable::Unmapped)?;
        into.copy_from_slice(self.0.get(from..to).ok_or(Unreadable::Unmapped)?);
        Ok(())
    }
}

/// Code of a target, and how often it was read.
pub struct Program {
    pub bytes: Vec<u8>,
    pub is_file: bool,
    pub reads: u32,
}

impl Program {
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), is_file: true, reads: 0 }
    }
}

impl Code for Program {
    fn origin(&mut self, address: u64) -> Option<Origin> {
        let offset = address.checked_sub(CODE).filter(|offset| *offset < self.bytes.len() as u64)?;
        Some(if self.is_file { Origin::File { file: 1, offset } } else { Origin::Anonymous })
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> usize {
        self.reads += 1;
        let from = (address - CODE) as usize;
        let count = into.len().min(self.bytes.len() - from);
        into[..count].copy_from_slice(&self.bytes[from..from + count]);
        count
    }
}

/// Registers of a thread at the start of the code: the stack's top in the middle of the data, all others 0.
pub fn start() -> State {
    let mut general = [0; 16];
    general[4] = DATA + 0x800;
    State::captured(general, CODE, 0x202)
}

/// Walks code over data of 0, 1, 2… until `accesses_to_go`; gives the end, the accesses and the registers there.
pub fn walk(code: &[u8], start: &State, accesses_to_go: u32) -> (End, Vec<Access>, State) {
    let mut walker = Walker::default();
    let mut memory = Flat((0..0x1000).map(|index| index as u8).collect());
    let mut accesses = Vec::new();
    let limit = Limit { instructions: 10_000 };
    let end = walker.walk(start, &mut memory, &mut Program::of(code), accesses_to_go, limit, |access| {
        accesses.push(*access);
    });
    (end, accesses, walker.state().clone())
}
