//! No bytes, registers or memory make a walk panic, and none makes it go on beyond its limit.

use proptest::prelude::*;
use waytrace_walk::state::{Flags, Value, Vector};
use waytrace_walk::{Code, Limit, Memory, Origin, State, Unreadable, Walker};

/// A target whose memory is the same few bytes everywhere, or nothing in every fourth page.
struct Repeated(Vec<u8>);

impl Memory for Repeated {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        match address >> 12 & 3 {
            0 => return Err(Unreadable::Unknown),
            1 if address >> 40 != 0 => return Err(Unreadable::Unmapped),
            _ => {}
        }
        for (index, byte) in into.iter_mut().enumerate() {
            *byte = self.0[(address as usize).wrapping_add(index) % self.0.len()];
        }
        Ok(())
    }
}

impl Code for Repeated {
    fn origin(&mut self, address: u64) -> Option<Origin> {
        (address & 1 << 20 == 0).then_some(Origin::Anonymous)
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> usize {
        for (index, byte) in into.iter_mut().enumerate() {
            *byte = self.0[(address as usize).wrapping_add(index) % self.0.len()];
        }
        into.len()
    }
}

fn words() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..64_u64, (0..64_u64).prop_map(u64::wrapping_neg), 0x1000..0x10_0000_u64]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_walk_is_total(
        code in proptest::collection::vec(any::<u8>(), 1..48),
        general in proptest::array::uniform16((words(), any::<bool>())),
        flags in any::<u64>(),
        rip in words(),
        known_vectors in any::<bool>(),
    ) {
        let mut start = State::unknown(rip);
        for (register, (bits, known)) in start.general.iter_mut().zip(general) {
            *register = if known { Value::known(bits) } else { Value::partly(bits, 0xff00_00ff) };
        }
        start.flags = Flags::known(flags);
        if known_vectors {
            start.vectors = [Vector::known(&code); 32];
            start.masks = [Value::known(flags); 8];
        }
        let mut walker = Walker::default();
        let mut visited = 0;
        let limit = Limit { instructions: 300 };
        let (mut memory, mut target) = (Repeated(code.clone()), Repeated(code));
        walker.walk(&start, &mut memory, &mut target, 500, limit, |_| visited += 1);
        prop_assert!(visited <= 500);
        prop_assert!(walker.instructions() <= 300);
    }
}
