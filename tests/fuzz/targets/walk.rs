//! Any bytes as code, walked from any registers: an end is always found, and every access is one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_walk::state::{Flags, Value, Vector};
use waytrace_walk::{Code, Limit, Memory, Origin, State, Unreadable, Walker};

const START: u64 = 0x40_0000;
const LIMIT: Limit = Limit { instructions: 300 };
/// Registers, one byte each, and flags.
const HEAD: usize = 17;

/// The code where it starts, and the same bytes as data everywhere but in some pages.
struct Target<'a>(&'a [u8]);

impl Target<'_> {
    fn fill(&self, address: u64, into: &mut [u8]) {
        for (offset, byte) in (0..).zip(into) {
            *byte = self.0[(address.wrapping_add(offset) % self.0.len() as u64) as usize];
        }
    }
}

impl Memory for Target<'_> {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        match address >> 12 & 7 {
            0 => return Err(Unreadable::Unknown),
            1 if address >> 40 != 0 => return Err(Unreadable::Unmapped),
            _ => self.fill(address, into),
        }
        Ok(())
    }
}

impl Code for Target<'_> {
    fn origin(&mut self, address: u64) -> Option<Origin> {
        (address >= START).then_some(Origin::Anonymous)
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> usize {
        let left = (address - START.min(address)).min(self.0.len() as u64) as usize;
        let bytes = &self.0[left..];
        let len = bytes.len().min(into.len());
        into[..len].copy_from_slice(&bytes[..len]);
        len
    }
}

fuzz_target!(|data: &[u8]| {
    if data.len() <= HEAD {
        return;
    }
    let (head, code) = data.split_at(HEAD);
    let mut start = State::unknown(START);
    for (register, byte) in start.general.iter_mut().zip(head) {
        *register = match byte % 4 {
            0 => Value::known(u64::from(*byte)),
            1 => Value::known(u64::from(*byte) << 16),
            2 => Value::known((*byte as i8 as i64) as u64),
            _ => Value::partly(u64::from(*byte), 0xff00_00ff),
        };
    }
    start.flags = Flags::known(u64::from(head[16]) * 0x0101);
    if head[16] % 2 == 0 {
        start.vectors = [Vector::known(&code[..code.len().min(64)]); 32];
        start.masks = [Value::known(u64::from(head[0])); 8];
    }
    let (mut memory, mut bytes) = (Target(code), Target(code));
    let mut walker = Walker::default();
    let mut seen = 0;
    walker.walk(&start, &mut memory, &mut bytes, 200, LIMIT, |access| {
        assert!(access.width_bytes > 0, "{access:?}");
        seen += 1;
    });
    assert!(seen <= 200 && walker.instructions() <= u64::from(LIMIT.instructions));
});
