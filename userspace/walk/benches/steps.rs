//! What a walked instruction costs, a line each: nanoseconds of CPU time, a tab, of what.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/functions.rs"]
mod functions;
#[path = "../tests/support/own.rs"]
mod own;

use functions::{Call, FUNCTIONS, Function, words};
use own::{OwnCode, OwnMemory, call};
use waytrace_walk::{Limit, Walker};

/// Words a function is given at a time: a heap that grows would make a system call, where a walk ends.
const PIECE: usize = 100;

fn main() {
    let words = words(4000);
    for (name, function) in FUNCTIONS {
        println!("{:.2}\t{name}", to_return_ns(function, &words));
    }
    let text = FUNCTIONS[2].1;
    println!("{:.2}\twalks of 200 accesses", short_ns(text, &words[..PIECE], true));
    println!(
        "{:.2}\twalks of 200 accesses that decode all their code",
        short_ns(text, &words[..PIECE], false)
    );
}

/// Of walks from a function's first instruction to its return.
fn to_return_ns(function: Function, words: &[u64]) -> f64 {
    let mut walker = Walker::default();
    Call::new(function, &words[..PIECE / 2]).walk(&mut walker);
    let (mut instructions, mut seconds) = (0, 0.0);
    for piece in words.chunks(PIECE) {
        let mut call = Call::new(function, piece);
        let began = cpu_seconds();
        let walked = call.walk(&mut walker);
        seconds += cpu_seconds() - began;
        assert!(walked.result.is_some() && walked.accesses > PIECE as u64);
        instructions += walked.instructions;
    }
    seconds * 1e9 / instructions as f64
}

/// Of short walks, by a walker that keeps what it has decoded or not.
fn short_ns(function: Function, words: &[u64], keeps_code: bool) -> f64 {
    let mut stack = vec![0; 1 << 12];
    let arguments = [words.as_ptr() as u64, words.len() as u64];
    let start = call(function as *const () as usize, arguments, &mut stack);
    let (mut memory, mut code) = (OwnMemory::open(), OwnCode::open());
    let (mut walker, mut instructions) = (Walker::default(), 0);
    let began = cpu_seconds();
    for _ in 0..1000 {
        if !keeps_code {
            walker = Walker::default();
        }
        walker.walk(&start, &mut memory, &mut code, 200, Limit::default(), |_| {});
        instructions += walker.instructions();
    }
    (cpu_seconds() - began) * 1e9 / instructions as f64
}

/// Processor time of this thread so far, which others on the machine disturb less than the clock on the wall.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours to write.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
