//! The workloads' truths against another's count: valgrind replaces the allocator and counts every call.
//!
//! Start-up code allocates too, so runs with and without work are compared: the differences must be equal.

use std::process::{Command, Stdio};

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
