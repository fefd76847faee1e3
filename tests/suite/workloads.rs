//! The workloads' truths against another's count: valgrind replaces the allocator and counts every call, and it prints
//! every access to memory.
//!
//! Start-up code allocates and accesses too, so runs with more and less work are compared: the differences must be equal.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{ChildStderr, Command, Stdio};

use serde::Deserialize;

use crate::harness::pipes::Lines;
use crate::harness::skip;
use crate::harness::truth::Truth;
use crate::or_skip;
use waytrace_tests::build::{self, BuildError, Variant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    alloc_count: u64,
    free_count: u64,
    alloc_bytes: u64,
}

/// What valgrind counted and what the program said.
fn counted(file: &str, args: &[&str]) -> Result<(Counted, Truth), String> {
    skip::program("valgrind", "valgrind")?;
    let program = match build::workload(file, Variant::Plain) {
        Err(error @ BuildError::NoTool { .. }) => return Err(error.to_string()),
        other => other.unwrap(),
    };
    let mut child = Command::new("valgrind")
        .args(["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"])
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) =
        (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
    let (out, err) = (out.read_to_end(), err.read_to_end());
    assert!(child.wait().unwrap().success(), "{file} under valgrind:\n{out}\n{err}");
    let truth = out.lines().find_map(|line| line.strip_prefix("truth ")).unwrap_or_else(|| panic!("{out}"));
    let usage =
        err.lines().rev().find(|line| line.contains("total heap usage")).unwrap_or_else(|| panic!("{err}"));
    Ok((heap_usage(usage), Truth::parse(truth)))
}

/// `==1== total heap usage: 1,052 allocs, 952 frees, 70,144 bytes allocated`
fn heap_usage(line: &str) -> Counted {
    let text = line.split("usage:").nth(1).unwrap();
    let number = |word: &str| word.replace(',', "").parse::<u64>().ok();
    let numbers: Vec<u64> = text.split_whitespace().filter_map(number).collect();
    Counted { alloc_count: numbers[0], free_count: numbers[1], alloc_bytes: numbers[2] }
}

fn minus(a: Counted, b: Counted) -> Counted {
    Counted {
        alloc_count: a.alloc_count - b.alloc_count,
        free_count: a.free_count - b.free_count,
        alloc_bytes: a.alloc_bytes - b.alloc_bytes,
    }
}

fn said(truth: &Truth) -> Counted {
    let Truth { total, .. } = truth;
    Counted { alloc_count: total.alloc_count, free_count: total.free_count, alloc_bytes: total.alloc_bytes }
}

fn check(file: &str, with: &[&str], without: &[&str]) -> Result<(), String> {
    let (counted_with, truth_with) = counted(file, with)?;
    let (counted_without, truth_without) = counted(file, without)?;
    assert_eq!(
        minus(counted_with, counted_without),
        minus(said(&truth_with), said(&truth_without)),
        "{file}"
    );
    assert!(truth_with.total.alloc_count > truth_without.total.alloc_count, "{file} did nothing");
    Ok(())
}

#[test]
fn sites_agrees_with_valgrind() {
    or_skip!(check("sites.c", &["50"], &["0"]));
}

#[test]
fn peak_agrees_with_valgrind() {
    or_skip!(check("peak.c", &[], &["nothing"]));
}

#[test]
fn traced_agrees_with_valgrind() {
    or_skip!(check("traced.c", &["2000"], &["0"]));
}

#[test]
fn cxx_agrees_with_valgrind() {
    or_skip!(check("cxx.cpp", &["200"], &["1"]));
}

#[test]
fn rust_agrees_with_valgrind() {
    or_skip!(check("rustalloc.rs", &["200"], &["000"]));
}

/// libc makes one block for each thread created, in no account.
#[test]
fn threads_agrees_with_valgrind() {
    or_skip!(check("threads.c", &["long", "50"], &["long", "0"]));
}

/// Under valgrind no block is resized in place, and pvalloc ends the program; failing calls it counts.
#[test]
fn malloc_sizes_agrees_with_valgrind() {
    let phases = "malloc calloc realloc_null realloc_grow realloc_inplace realloc_shrink realloc_zero aligned libc free_null";
    let args: Vec<&str> = ["100"].into_iter().chain(phases.split(' ')).collect();
    let (counted, truth) = or_skip!(counted("malloc_sizes.c", &args));
    assert_eq!(counted, said(&truth));
    assert_eq!((truth.number("inplace_count"), truth.number("null_free_count")), (0, 100));
}

/// A region of an `access_*` program.
#[derive(Deserialize)]
struct Region {
    name: String,
    start: u64,
    end: u64,
    loads: u64,
    stores: u64,
}

/// Loads and stores by region: what the program said, and what valgrind saw. Regions of one name are one, as are those
/// that two threads have in common.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    said: [u64; 2],
    seen: [u64; 2],
}

/// By address: loads and stores between "ready" and "truth", which are the writes to standard output.
fn traced(stderr: ChildStderr) -> BTreeMap<u64, [u64; 2]> {
    let mut accesses: BTreeMap<u64, [u64; 2]> = BTreeMap::new();
    let (mut writes, mut line) = (0, Vec::new());
    let mut stream = BufReader::with_capacity(1 << 20, stderr);
    // Tens of millions of lines, most of them instructions: one buffer for all.
    while stream.read_until(b'\n', &mut line).unwrap() > 0 {
        match line.first_chunk() {
            Some(kind @ (b" L " | b" S " | b" M ")) if writes == 1 => {
                let text = std::str::from_utf8(&line[3..]).unwrap();
                let address = u64::from_str_radix(text.split(',').next().unwrap(), 16).unwrap();
                let [loads, stores] = accesses.entry(address).or_default();
                *loads += u64::from(kind[1] != b'S');
                *stores += u64::from(kind[1] != b'L');
            }
            Some(b"SYS") => writes += u32::from(String::from_utf8_lossy(&line).contains("sys_write ( 1, ")),
            _ => {}
        }
        line.clear();
    }
    accesses
}

fn accessed(
    file: &str,
    variant: Variant,
    pattern: &str,
    rounds: &str,
) -> Result<(BTreeMap<String, Seen>, Truth), String> {
    skip::program("valgrind", "valgrind")?;
    let program = match build::workload(file, variant) {
        Err(error @ BuildError::NoTool { .. }) => return Err(error.to_string()),
        other => other.unwrap(),
    };
    let mut child = Command::new("valgrind")
        .args(["--tool=lackey", "--trace-mem=yes", "--trace-syscalls=yes"])
        // Go interrupts threads that run for long by a signal. A write that is interrupted is made again, and writes are counted.
        .env("GODEBUG", "asyncpreemptoff=1")
        .arg(program)
        .args([pattern, "0", rounds])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let accesses = traced(child.stderr.take().unwrap());
    let out = Lines::of(child.stdout.take().unwrap()).read_to_end();
    assert!(child.wait().unwrap().success(), "{file} {pattern} under valgrind:\n{out}");
    let line = out.lines().find_map(|line| line.strip_prefix("truth ")).unwrap_or_else(|| panic!("{out}"));
    let truth = Truth::parse(line);
    let regions: Vec<Region> = serde_json::from_value(truth.rest["regions"].clone()).unwrap();
    let mut by_name: BTreeMap<String, Seen> = BTreeMap::new();
    for (place, region) in regions.iter().enumerate() {
        let of_name = by_name.entry(region.name.clone()).or_default();
        of_name.said[0] += region.loads;
        of_name.said[1] += region.stores;
        let is_known = regions[..place].iter().any(|other| other.start == region.start);
        for counts in accesses.range(region.start..region.end).map(|(_, counts)| counts).filter(|_| !is_known)
        {
            of_name.seen[0] += counts[0];
            of_name.seen[1] += counts[1];
        }
    }
    Ok((by_name, truth))
}

/// Those whose regions are also used by the work around them: there two more rounds are compared.
const WITH_OTHERS: [&str; 5] = ["stack", "switch_table", "indirect", "virtual", "never_touched"];

/// Rounds make as many loads and stores as the program says, region by region.
fn check_accesses(file: &str, variant: Variant, patterns: &[&str]) -> Result<(), String> {
    for pattern in patterns {
        let (after, truth) = accessed(file, variant, pattern, "3")?;
        let before = match WITH_OTHERS.contains(pattern) {
            true => accessed(file, variant, pattern, "1")?.0,
            false => after.keys().map(|name| (name.clone(), Seen::default())).collect(),
        };
        let is_words = truth.rest.get("words").is_some_and(|words| *words == 1);
        let growth = |of: fn(&Seen) -> [u64; 2], name: &str| {
            let (before, after) = (of(&before[name]), of(&after[name]));
            [after[0] - before[0], after[1] - before[1]]
        };
        let sum = |of: fn(&Seen) -> [u64; 2]| -> u64 {
            after.keys().map(|name| growth(of, name).iter().sum::<u64>()).sum()
        };
        let (said_sum, seen_sum) = (sum(|seen| seen.said), sum(|seen| seen.seen));
        assert!(said_sum > 0, "{file} {pattern} did nothing");
        for name in after.keys() {
            let (said, seen) = (growth(|seen| seen.said, name), growth(|seen| seen.seen, name));
            for (said, seen) in said.into_iter().zip(seen) {
                // libc chooses its widths, so the program counts words: the shares are the same.
                let expected = if is_words { said * seen_sum / said_sum } else { said };
                // Stacks and data are used by the loop too, by a few accesses a round.
                let allowed =
                    if ["stack", "data", "virtual tables"].contains(&name.as_str()) { 100 } else { 0 };
                assert!(
                    seen.abs_diff(expected) <= allowed,
                    "{file} {pattern}, {name}: {seen}, not {expected}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn access_arrays_agree_with_valgrind() {
    let patterns = ["seq", "stride", "chase", "hotcold", "zipf", "two_arrays", "phases"];
    or_skip!(check_accesses("access_arrays.c", Variant::Plain, &patterns));
    or_skip!(check_accesses("access_arrays.c", Variant::Unoptimised, &["seq", "hotcold", "two_arrays"]));
}

#[test]
fn access_code_agrees_with_valgrind() {
    let patterns = ["stack", "pointers", "memcpy", "memset", "rep", "vector_sse", "switch_table", "indirect"];
    or_skip!(check_accesses("access_code.c", Variant::Plain, &patterns));
    if !std::arch::is_x86_feature_detected!("avx2") {
        return skip::say("this CPU has no AVX2");
    }
    or_skip!(check_accesses("access_code.c", Variant::Plain, &["vector_avx"]));
}

#[test]
fn access_threads_agree_with_valgrind() {
    let patterns = ["threads", "false_sharing", "true_sharing", "padded"];
    or_skip!(check_accesses("access_threads.c", Variant::Plain, &patterns));
}

#[test]
fn access_heap_agrees_with_valgrind() {
    or_skip!(check_accesses("access_heap.c", Variant::Plain, &["never_touched"]));
}

#[test]
fn access_virtual_agrees_with_valgrind() {
    or_skip!(check_accesses("access_virtual.cpp", Variant::Plain, &["virtual"]));
}

#[test]
fn access_rust_agrees_with_valgrind() {
    or_skip!(check_accesses("access_rust.rs", Variant::Plain, &["lookup"]));
}

#[test]
fn access_go_agrees_with_valgrind() {
    or_skip!(check_accesses("access_go.go", Variant::Plain, &["lookup"]));
}
