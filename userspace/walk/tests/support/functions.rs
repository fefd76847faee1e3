//! Functions of this process, walked from their first instruction to their return.

use std::collections::{BTreeMap, HashMap};

use waytrace_walk::{End, Limit, Reason, State, Walker};

use super::own::{OwnCode, OwnMemory, RETURN, call};

/// A function to be walked: words, and how many.
pub type Function = extern "C" fn(*const u64, u64) -> u64;

/// FNV-1a over words, with a table look-up and a division in it.
extern "C" fn hash(words: *const u64, count: u64) -> u64 {
    // SAFETY: callers pass a slice's pointer and length.
    let words = unsafe { std::slice::from_raw_parts(words, count as usize) };
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (index, word) in words.iter().enumerate() {
        hash = (hash ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(5);
        hash ^= words[(hash % count) as usize] >> (index & 7);
    }
    hash
}

/// Sorts a copy and folds it: branches that data decides, vector moves, stores. At most 4096 words.
extern "C" fn sort(words: *const u64, count: u64) -> u64 {
    // SAFETY: callers pass a slice's pointer and length.
    let words = unsafe { std::slice::from_raw_parts(words, count as usize) };
    let mut room = [0; 4096];
    let copy = &mut room[..words.len()];
    copy.copy_from_slice(words);
    copy.sort_unstable();
    copy.iter().fold(0, |sum: u64, word| sum.wrapping_mul(31).wrapping_add(*word))
}

/// A map, strings and formatting: calls through tables, string functions, deep stacks.
extern "C" fn text(words: *const u64, count: u64) -> u64 {
    // SAFETY: callers pass a slice's pointer and length.
    let words = unsafe { std::slice::from_raw_parts(words, count as usize) };
    let mut map = BTreeMap::new();
    for word in words {
        let name = format!("{:x}-{}", word % 1000, word % 7);
        *map.entry(name).or_insert(0) += 1;
    }
    map.iter().map(|(name, times)| name.len() as u64 * times + u64::from(name.as_bytes()[0])).sum()
}

/// Floating point, its printing and reading, hashing with thread-local keys, wide division.
extern "C" fn numbers(words: *const u64, count: u64) -> u64 {
    // SAFETY: callers pass a slice's pointer and length.
    let words = unsafe { std::slice::from_raw_parts(words, count as usize) };
    let mut seen = HashMap::new();
    let mut sum = 0.0_f64;
    for word in words {
        let number = (*word >> 20) as f64 / 1e3;
        let read: f64 = format!("{:.2}", number.sqrt()).parse().unwrap_or(0.0);
        sum += read * f64::from(*word as u32 as f32);
        let wide = (u128::from(*word) << 50) / u128::from(word % 1_000_003 + 1);
        *seen.entry(wide as u64 % 50).or_insert(0_u64) += word.count_ones() as u64;
    }
    let counted = seen.iter().fold(0, |all: u64, (key, ones)| all.wrapping_add(key.wrapping_mul(*ones)));
    sum.to_bits() ^ counted
}

/// What there is to walk, by name.
pub const FUNCTIONS: [(&str, Function); 4] =
    [("hash", hash), ("sort", sort), ("text", text), ("numbers", numbers)];

/// Words without a pattern.
pub fn words(count: usize) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count).map(|_| next()).collect()
}

/// A function about to be called.
pub struct Call {
    start: State,
    memory: OwnMemory,
    code: OwnCode,
    /// Its stack, which the memory is a copy of.
    _stack: Vec<u64>,
}

/// What came of a walk to its return.
pub struct Walked {
    pub result: Option<u64>,
    pub instructions: u64,
    pub accesses: u64,
}

impl Call {
    pub fn new(function: Function, words: &[u64]) -> Self {
        let mut stack = vec![0; 1 << 15];
        let arguments = [words.as_ptr() as u64, words.len() as u64];
        let start = call(function as *const () as usize, arguments, &mut stack);
        Self { start, memory: OwnMemory::open(), code: OwnCode::open(), _stack: stack }
    }

    /// Walks it to its return.
    pub fn walk(&mut self, walker: &mut Walker) -> Walked {
        let mut accesses = 0;
        let limit = Limit { instructions: 50_000_000 };
        let end =
            walker.walk(&self.start, &mut self.memory, &mut self.code, u32::MAX, limit, |_| accesses += 1);
        assert_eq!(end, End::Unresolved(Reason::UnreadableCode), "at {:#x}", walker.state().rip);
        assert_eq!(walker.state().rip, RETURN);
        let result = walker.state().general[0].get(8);
        Walked { result, instructions: walker.instructions(), accesses }
    }
}
