//! Everything the walk calls known must be what the processor has.

use waytrace_walk::State;
use waytrace_walk::memory::Overlay;

use super::processor::Finish;
use super::start::{ARENA, Start};

const GENERAL: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

/// Every difference, described; none if the walk is right.
pub fn differences(state: &State, stores: &Overlay, start: &Start, truth: &Finish) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = |name: &str, walked: u64, known: u64, is: u64| {
        if walked != is & known {
            found.push(format!("{name}: walked {walked:#x} of {known:#x}, the processor has {is:#x}"));
        }
    };
    for (number, value) in state.general.iter().enumerate() {
        word(GENERAL[number], value.bits(), value.known_bits(), truth.gpr[number]);
    }
    for (number, value) in state.masks.iter().enumerate() {
        word(&format!("k{number}"), value.bits(), value.known_bits(), truth.masks[number]);
    }
    for (name, base, is) in [("fs", state.fs_base, truth.fs_base), ("gs", state.gs_base, truth.gs_base)] {
        word(name, base.unwrap_or(is), u64::MAX, is);
    }
    word("rflags", state.flags.bits(), state.flags.known_bits(), truth.flags);
    for (number, vector) in state.vectors.iter().enumerate() {
        let is = truth.vectors[number];
        if (0..64).any(|byte| vector.known_bytes() >> byte & 1 == 1 && vector.bytes()[byte] != is[byte]) {
            let (walked, known) = (vector.bytes(), vector.known_bytes());
            found.push(format!(
                "zmm{number}: walked\n    {walked:02x?}\n  of {known:#x}, the processor has\n    {is:02x?}"
            ));
        }
    }
    found.extend(memory(stores, start, truth));
    found
}

/// The first difference in memory: a value, or a change without a store.
fn memory(stores: &Overlay, start: &Start, truth: &Finish) -> Option<String> {
    for (line, (before, is)) in start.arena.chunks(64).zip(truth.arena.chunks(64)).enumerate() {
        let address = ARENA + 64 * line as u64;
        if before == is && stores.covers_none(address, 64) {
            continue;
        }
        let mut walked = before.to_vec();
        let known = stores.apply(address, &mut walked, u64::MAX);
        for byte in 0..64 {
            if known >> byte & 1 == 1 && walked[byte] != is[byte] {
                let (walked, is) = (walked[byte], is[byte]);
                return Some(format!(
                    "memory {:#x}: walked {walked:#04x}, the processor has {is:#04x}",
                    address + byte as u64
                ));
            }
        }
    }
    None
}
