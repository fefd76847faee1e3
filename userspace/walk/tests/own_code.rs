//! Functions of this process, walked from their first instruction to their return: the result must be what the
//! processor makes of them.
#![allow(clippy::unwrap_used)]

#[path = "support/own.rs"]
mod own;

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;

use own::{OwnCode, OwnMemory, RETURN, call, cpu_seconds};
use waytrace_walk::{End, Limit, Reason, Walker};

type Function = extern "C" fn(*const u64, u64) -> u64;

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

const FUNCTIONS: [(&str, Function); 4] =
    [("hash", hash), ("sort", sort), ("text", text), ("numbers", numbers)];

fn words(count: usize) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count).map(|_| next()).collect()
}

/// What came of a walk to a function's return.
struct Walked {
    result: Option<u64>,
    instructions: u64,
    accesses: u64,
    seconds: f64,
}

/// Walks a function to its return.
fn walked(walker: &mut Walker, function: Function, words: &[u64]) -> Walked {
    let mut stack = vec![0; 1 << 15];
    let start = call(function as *const () as usize, [words.as_ptr() as u64, words.len() as u64], &mut stack);
    let mut accesses = 0;
    let limit = Limit { instructions: 50_000_000 };
    let (mut memory, mut code) = (OwnMemory::open(), OwnCode::open());
    let began = cpu_seconds();
    let end = walker.walk(&start, &mut memory, &mut code, u32::MAX, limit, |_| accesses += 1);
    let seconds = cpu_seconds() - began;
    assert_eq!(end, End::Unresolved(Reason::UnreadableCode), "at {:#x}", walker.state().rip);
    assert_eq!(walker.state().rip, RETURN);
    let result = walker.state().general[0].get(8);
    Walked { result, instructions: walker.instructions(), accesses, seconds }
}

#[test]
fn walked_functions_give_what_the_processor_gives() {
    let words = words(40);
    for (name, function) in FUNCTIONS {
        let truth = black_box(function)(words.as_ptr(), words.len() as u64);
        let walk = walked(&mut Walker::default(), function, &words);
        assert_eq!(walk.result, Some(truth), "{name} after {} instructions", walk.instructions);
        assert!(walk.accesses > words.len() as u64, "{name}");
    }
}

/// Prints what a walked instruction costs; run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_a_walked_instruction() {
    let words = words(4000);
    for (name, function) in FUNCTIONS {
        let mut walker = Walker::default();
        walked(&mut walker, function, &words[..50]);
        let (mut instructions, mut accesses, mut seconds) = (0, 0, 0.0);
        // Small pieces: a heap that grows would make a system call, where a walk ends.
        for piece in words.chunks(100) {
            let walk = walked(&mut walker, function, piece);
            instructions += walk.instructions;
            accesses += walk.accesses;
            seconds += walk.seconds;
        }
        let nanoseconds = seconds * 1e9 / instructions as f64;
        println!(
            "{name}: {instructions} instructions, {accesses} accesses, {nanoseconds:.1} ns per instruction"
        );
    }
    let mut stack = vec![0; 1 << 12];
    let start = call(text as *const () as usize, [words.as_ptr() as u64, 100], &mut stack);
    let (mut memory, mut code) = (OwnMemory::open(), OwnCode::open());
    for (name, keeps_code) in [("", true), (" that decode all their code", false)] {
        let mut walker = Walker::default();
        let mut instructions = 0;
        let began = cpu_seconds();
        for _ in 0..1000 {
            if !keeps_code {
                walker = Walker::default();
            }
            walker.walk(&start, &mut memory, &mut code, 200, Limit::default(), |_| {});
            instructions += walker.instructions();
        }
        let nanoseconds = (cpu_seconds() - began) * 1e9 / instructions as f64;
        println!(
            "1000 walks of 200 accesses{name}: {instructions} instructions, {nanoseconds:.1} ns per instruction"
        );
    }
}
