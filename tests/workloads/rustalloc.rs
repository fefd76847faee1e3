//! Rust's allocator: boxes, growing vectors, zeroed and over-aligned memory, counted by construction.
//!
//! `rustalloc [N]`: N (200) rounds of each phase. Speaks the protocol of `workload.h`. After "ready" nothing but the
//! phases allocates: the truth is formatted into a buffer made before.

use std::env::args;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Read, Write};

#[derive(Default)]
struct Account {
    alloc_count: u64,
    alloc_bytes: u64,
    free_count: u64,
    freed_bytes: u64,
}

impl Account {
    fn alloc(&mut self, bytes: usize) {
        self.alloc_count += 1;
        self.alloc_bytes += bytes as u64;
    }

    fn free(&mut self, bytes: usize) {
        self.free_count += 1;
        self.freed_bytes += bytes as u64;
    }
}

#[repr(align(256))]
struct Aligned([u8; 512]);

#[inline(never)]
fn boxes(account: &mut Account, n: usize) {
    for i in 0..n {
        let block = black_box(Box::new([0x5a_u8; 120]));
        account.alloc(120);
        if i % 2 == 0 {
            account.free(120);
            drop(block);
        } else {
            std::mem::forget(block);
        }
    }
}

/// `with_capacity` is one allocation of exactly that capacity.
#[inline(never)]
fn vectors(account: &mut Account, n: usize) {
    for i in 1..=n {
        let vector: Vec<u64> = black_box(Vec::with_capacity(i));
        account.alloc(8 * i);
        account.free(8 * i);
        drop(vector);
    }
}

/// Zeroed memory goes through `calloc`.
#[inline(never)]
fn zeroed(account: &mut Account, n: usize) {
    for _ in 0..n {
        let vector = black_box(vec![0_u8; 3000]);
        account.alloc(3000);
        std::mem::forget(vector);
    }
}

/// Alignment beyond malloc's own goes through `posix_memalign`.
#[inline(never)]
fn aligned(account: &mut Account, n: usize) {
    for _ in 0..n {
        let block = black_box(Box::new(Aligned([1; 512])));
        black_box(block.0[0]);
        account.alloc(512);
        account.free(512);
        drop(block);
    }
}

fn wait_line() {
    let mut byte = [0];
    while matches!(std::io::stdin().lock().read(&mut byte), Ok(1)) && byte[0] != b'\n' {}
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).expect("stdout takes a line");
}

fn main() {
    let n = args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut text = String::with_capacity(4096);
    let mut account = Account::default();
    let _ = std::io::stdin().lock(); // its buffer is made here
    say(&format!("ready {}\n", std::process::id()));
    wait_line();
    boxes(&mut account, n);
    vectors(&mut account, n);
    zeroed(&mut account, n);
    aligned(&mut account, n);
    let Account { alloc_count, alloc_bytes, free_count, freed_bytes } = account;
    let live_bytes = alloc_bytes - freed_bytes;
    write!(
        text,
        "truth {{\"total\":{{\"alloc_count\":{alloc_count},\"alloc_bytes\":{alloc_bytes},\
         \"free_count\":{free_count},\"freed_bytes\":{freed_bytes},\"live_bytes\":{live_bytes}}}}}"
    )
    .expect("the buffer takes it");
    text.push('\n');
    say(&text);
    wait_line();
}
