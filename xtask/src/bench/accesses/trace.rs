//! A full trace of memory accesses, from what `valgrind --tool=lackey --trace-mem=yes --trace-syscalls=yes` prints.
//!
//! Read as a stream, for there are millions of lines a second: ` L 1ffe,8` is a load, ` S` a store, ` M` both, `I` an
//! instruction (lackey's manual page and `lk_main.c`). Lines about system calls come in between and say where the
//! program stands: it writes a line to standard output before its work and one after it. Counted is what lies between
//! the two. Does not know the program: places.rs says what an address belongs to.

use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::io::BufRead;

const LINE_BYTES: u64 = 64;

/// Accesses of both kinds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub loads: u64,
    pub stores: u64,
}

impl Counts {
    pub fn total(self) -> u64 {
        self.loads + self.stores
    }
}

/// What the program accessed between its two lines.
#[derive(Debug, Default)]
pub struct Trace {
    /// By number of the 64-byte line, from the address of the first byte.
    pub lines: HashMap<u64, Counts>,
    /// Where the heap began when its end was first asked for: `brk(0)`.
    pub heap_start: Option<u64>,
    /// Where the stack began: the first instruction of a program calls, and so stores below it.
    pub stack_start: Option<u64>,
    /// Lines that say they are accesses and are none: two threads' output may mix.
    pub malformed: u64,
    /// The program wrote its second line; otherwise the trace ends with the stream.
    pub is_complete: bool,
}

impl Trace {
    /// Reads up to the second line the program writes, or to the end.
    pub fn read(mut from: impl BufRead) -> Result<Self> {
        let mut trace = Self::default();
        let (mut writes, mut line) = (0, Vec::new());
        while !trace.is_complete {
            line.clear();
            if from.read_until(b'\n', &mut line).context("cannot read valgrind's trace")? == 0 {
                break;
            }
            match line.first_chunk() {
                Some(kind @ (b" L " | b" S " | b" M ")) if writes == 1 => trace.count(kind[1], &line[3..]),
                Some(b" S ") if trace.stack_start.is_none() => {
                    trace.stack_start = address(&line[3..]).and_then(|address| address.checked_add(8));
                }
                Some(b"SYS") => {
                    writes += trace.system_call(&String::from_utf8_lossy(&line));
                    trace.is_complete = writes > 1;
                }
                _ => {}
            }
        }
        Ok(trace)
    }

    fn count(&mut self, kind: u8, rest: &[u8]) {
        let Some(address) = address(rest) else {
            self.malformed += 1;
            return;
        };
        let counts = self.lines.entry(address / LINE_BYTES).or_default();
        counts.loads += u64::from(kind != b'S');
        counts.stores += u64::from(kind != b'L');
    }

    /// How many lines of output the call writes: 1 or 0.
    fn system_call(&mut self, line: &str) -> u32 {
        if self.heap_start.is_none() && line.contains("sys_brk ( 0x0 )") {
            let end = line.split_once("Success(0x").and_then(|(_, rest)| rest.split_once(')'));
            self.heap_start = end.and_then(|(hex, _)| u64::from_str_radix(hex, 16).ok());
        }
        u32::from(line.contains("sys_write ( 1, "))
    }

    /// By address of the line.
    pub fn by_address(&self) -> impl Iterator<Item = (u64, Counts)> {
        self.lines.iter().map(|(line, counts)| (line * LINE_BYTES, *counts))
    }
}

/// From `1fff000778,8\n`.
fn address(text: &[u8]) -> Option<u64> {
    let (hex, size) = std::str::from_utf8(text).ok()?.trim_end().split_once(',')?;
    size.parse::<u32>().ok()?;
    u64::from_str_radix(hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
==7== Lackey, an example Valgrind tool
I  0401ab70,3
 S 1fff000778,8
SYSCALL[7,1](12) sys_brk ( 0x0 ) --> [pre-success] Success(0x4035000)
SYSCALL[7,1](12) sys_brk ( 0x4056000 ) --> [pre-success] Success(0x4056000)
SYSCALL[7,1](1) sys_write ( 4, 0x10a004, 6 ) --> [async] ...
 L 00001000,8
SYSCALL[7,1](1) sys_write ( 1, 0x10a004, 6 ) --> [async] ...
SYSCALL[7,1](1) ... [async] --> Success(0x6)
I  0401ab73,5
 L 00001000,8
 L 0000103f,8
 M 00001040,4
 S 00002000,16
 L 0000SYSCALL[7,2](202) ...
SYSCALL[7,1](1) sys_write ( 1, 0x10a004, 6 ) --> [async] ...
 L 00003000,8
";

    #[test]
    fn what_lies_between_the_two_lines_is_counted() {
        let trace = Trace::read(TEXT.as_bytes()).unwrap();
        let counts = |loads, stores| Counts { loads, stores };
        let expected = [(0x40, counts(2, 0)), (0x41, counts(1, 1)), (0x80, counts(0, 1))];
        assert_eq!(trace.lines, HashMap::from(expected));
        let by_address = HashMap::from_iter(trace.by_address());
        assert_eq!(by_address, expected.map(|(line, counts)| (line * 64, counts)).into());
        assert_eq!((trace.heap_start, trace.malformed, trace.is_complete), (Some(0x403_5000), 1, true));
        assert_eq!(trace.stack_start, Some(0x1f_ff00_0780));
    }

    #[test]
    fn one_that_ends_early_says_so() {
        let early = TEXT.split_inclusive('\n').take(12).collect::<String>();
        let trace = Trace::read(early.as_bytes()).unwrap();
        assert!(!trace.is_complete);
        assert_eq!(trace.lines[&0x40], Counts { loads: 2, stores: 0 });
        assert!(Trace::read(&b""[..]).unwrap().lines.is_empty());
        let garbage =
            Trace::read(&b"SYSCALL sys_write ( 1, \xff\n L \xff\n L \n L zz,8\n L 10,x\n\xff"[..]).unwrap();
        assert_eq!((garbage.lines.len(), garbage.malformed), (0, 4));
    }
}
