//! Look-ups in a hash table of slices, with known accesses; the protocol and what counts are those of `access.h`.
//!
//! `access_rust lookup SECONDS [ROUNDS]`: each round reads the same 16 Ki queries in order, probes the keys of an
//! open-addressing table until it meets each, and counts up the value beside it. How many keys that reads is counted
//! in the round before "ready".

use std::env::args;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const SLOTS: usize = 64 * 1024;
const KEYS: usize = SLOTS / 2;
const QUERIES: usize = 16 * 1024;

static ROUNDS: AtomicU64 = AtomicU64::new(0);

struct Table {
    /// 0: empty.
    keys: Box<[u64; SLOTS]>,
    values: Box<[u64; SLOTS]>,
}

struct Region {
    name: &'static str,
    start: usize,
    bytes: usize,
    loads_each: u64,
    stores_each: u64,
}

/// splitmix64, as in `workload.h`.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn zeroes() -> Box<[u64; SLOTS]> {
    vec![0; SLOTS].try_into().expect("as many as that")
}

/// Puts keys into the table and gives back those to look for.
fn fill(table: &mut Table) -> Box<[u64]> {
    let mut state = 1;
    let mut keys = Vec::with_capacity(KEYS);
    for _ in 0..KEYS {
        let key = random(&mut state) | 1;
        let mut slot = key as usize >> 16;
        while table.keys[slot % SLOTS] != 0 {
            slot += 1;
        }
        table.keys[slot % SLOTS] = key;
        keys.push(key);
    }
    table.values.fill(1);
    (0..QUERIES).map(|_| keys[random(&mut state) as usize % KEYS]).collect()
}

/// Looks all queries up; gives back how many keys were read.
#[inline(never)]
fn round(table: &mut Table, queries: &[u64]) -> u64 {
    let mut probes = 0;
    for &query in queries {
        let mut slot = query as usize >> 16;
        while table.keys[slot % SLOTS] != query {
            slot += 1;
            probes += 1;
        }
        probes += 1;
        table.values[slot % SLOTS] += 1;
    }
    probes
}

fn work(table: &mut Table, queries: &[u64], seconds: u64, most_rounds: u64) -> Duration {
    let began = Instant::now();
    let is_over = |now: Duration| seconds > 0 && now >= Duration::from_secs(seconds);
    while ROUNDS.load(Relaxed) < most_rounds && !is_over(began.elapsed()) {
        round(table, queries);
        ROUNDS.store(ROUNDS.load(Relaxed) + 1, Relaxed);
    }
    began.elapsed()
}

fn regions(table: &Table, queries: &[u64], probes: u64) -> [Region; 3] {
    let count = queries.len() as u64;
    let region = |name, slice: &[u64], loads_each, stores_each| Region {
        name,
        start: slice.as_ptr() as usize,
        bytes: size_of_val(slice),
        loads_each,
        stores_each,
    };
    [
        region("queries", queries, count, 0),
        region("keys", &*table.keys, probes, 0),
        region("values", &*table.values, count, count),
    ]
}

fn truth(regions: &[Region], elapsed: Duration) -> String {
    let rounds = ROUNDS.load(Relaxed);
    let sum = |each: fn(&Region) -> u64| rounds * regions.iter().map(each).sum::<u64>();
    let (loads, stores) = (sum(|region| region.loads_each), sum(|region| region.stores_each));
    let mut text = format!(
        "truth {{\"pattern\":\"lookup\",\"optimised\":1,\"elapsed_ns\":{},\"total\":{{\"loads\":{loads},\
         \"stores\":{stores}}},\"regions\":[",
        elapsed.as_nanos()
    );
    for (place, Region { name, start, bytes, loads_each, stores_each }) in regions.iter().enumerate() {
        let (comma, end) = (if place > 0 { "," } else { "" }, start + bytes);
        let (loads_here, stores_here) = (rounds * loads_each, rounds * stores_each);
        let share = (loads_here + stores_here) as f64 / ((loads + stores) as f64).max(1.0);
        write!(
            text,
            "{comma}{{\"name\":\"{name}\",\"start\":{start},\"end\":{end},\"loads\":{loads_here},\
             \"stores\":{stores_here},\"share\":{share:.6}}}"
        )
        .expect("a string takes it");
    }
    text + "]}\n"
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
    let number = |index| args().nth(index).and_then(|text| text.parse().ok());
    let (Some("lookup"), Some(seconds)) = (args().nth(1).as_deref(), number(2)) else {
        eprintln!("usage: access_rust lookup SECONDS [ROUNDS]");
        std::process::exit(2);
    };
    let mut table = Table { keys: zeroes(), values: zeroes() };
    let queries = fill(&mut table);
    let probes = round(&mut table, &queries);
    say(&format!("rounds {:p}\nready {}\n", &raw const ROUNDS, std::process::id()));
    wait_line();
    let elapsed = work(&mut table, &queries, seconds, number(3).unwrap_or(u64::MAX));
    say(&truth(&regions(&table, &queries, probes), elapsed));
    wait_line();
}
