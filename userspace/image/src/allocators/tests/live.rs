//! A program that makes calls of known sizes from known places, run under every allocator and stopped by `gdb` at
//! every probe point: arguments, return addresses and wrappers must lead to exactly those calls.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use super::*;
use crate::allocators::{Action, Register, Wrapper, find, find_for_command};
use crate::process::{Mapping, mappings};

/// Each call stands in a section of its own, whose bounds are the truth about the caller.
const CALLS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <malloc.h>
#define AT(name) extern char __start_##name, __stop_##name; \
    __attribute__((noinline, section(#name))) static void *do_##name(void *p)
static void *out;
AT(at_malloc) { void *q = malloc(1001); __asm__("" : "+r"(q)); return q; }
AT(at_calloc) { void *q = calloc(7, 143); __asm__("" : "+r"(q)); return q; }
AT(at_realloc) { void *q = realloc(p, 2003); __asm__("" : "+r"(q)); return q; }
AT(at_realloc_null) { void *q = realloc(0, 2011); __asm__("" : "+r"(q)); return q; }
AT(at_reallocarray) { void *q = reallocarray(p, 11, 301); __asm__("" : "+r"(q)); return q; }
AT(at_posix_memalign) { int e = posix_memalign(&out, 64, 4005); __asm__("" : "+r"(e)); return out; }
AT(at_memalign) { void *q = memalign(64, 5007); __asm__("" : "+r"(q)); return q; }
AT(at_aligned_alloc) { void *q = aligned_alloc(64, 6400); __asm__("" : "+r"(q)); return q; }
AT(at_free) { free(p); __asm__(""); return p; }
#ifdef __cplusplus
#include <new>
AT(at_new) { void *q = operator new(7009); __asm__("" : "+r"(q)); return q; }
AT(at_new_array) { void *q = operator new[](7011); __asm__("" : "+r"(q)); return q; }
AT(at_new_nothrow) { void *q = operator new[](7013, std::nothrow); __asm__("" : "+r"(q)); return q; }
AT(at_new_aligned) { void *q = operator new(7040, std::align_val_t(64)); __asm__("" : "+r"(q)); return q; }
AT(at_delete) { operator delete(p); __asm__(""); return p; }
AT(at_delete_sized) { operator delete[](p, (size_t)7011); __asm__(""); return p; }
#endif
#define SHOW(name, size, p) printf(#name " %d %p %p %p\n", size, (void *)(p), (void *)&__start_##name, (void *)&__stop_##name)
int main(void) {
    static char buffer[8192];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    free(malloc(1));
    puts("ready"); fflush(stdout);
    char line[8]; if (!read_line(line)) return 1;
    void *a = do_at_malloc(0), *b = do_at_calloc(0), *c = do_at_realloc(a), *d = do_at_reallocarray(b), *n = do_at_realloc_null(0);
    void *e = do_at_posix_memalign(0), *f = do_at_memalign(0), *g = do_at_aligned_alloc(0);
    do_at_free(g);
    SHOW(at_malloc, 1001, 0); SHOW(at_calloc, 1001, 0); SHOW(at_realloc, 2003, a); SHOW(at_reallocarray, 3311, b);
    SHOW(at_posix_memalign, 4005, 0); SHOW(at_memalign, 5007, 0); SHOW(at_aligned_alloc, 6400, 0); SHOW(at_free, 0, g); SHOW(at_realloc_null, 2011, 0);
#ifdef __cplusplus
    void *h = do_at_new(0), *i = do_at_new_array(0), *j = do_at_new_nothrow(0), *k = do_at_new_aligned(0);
    do_at_delete(h); do_at_delete_sized(i);
    SHOW(at_new, 7009, 0); SHOW(at_new_array, 7011, 0); SHOW(at_new_nothrow, 7013, 0); SHOW(at_new_aligned, 7040, 0);
    SHOW(at_delete, 0, h); SHOW(at_delete_sized, 0, i);
    (void)j; (void)k;
#endif
    (void)c; (void)d; (void)e; (void)f; (void)n;
    puts("end"); fflush(stdout);
    return 0;
}
"#;

/// Reads without stdio's buffer, which would be allocated.
const READ_LINE: &str =
    "#include <unistd.h>\nstatic int read_line(char *line) { return read(0, line, 8) > 0; }\n";

/// The same for Rust's allocator, which passes on to libc.
const RUST_CALLS: &str = r#"
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::hint::black_box;
macro_rules! at {
    ($name:ident, $section:literal, $start:literal, $stop:literal, |$p:ident| $body:expr) => {
        mod $name {
            use super::*;
            unsafe extern "C" {
                #[link_name = $start] static START: u8;
                #[link_name = $stop] static STOP: u8;
            }
            #[inline(never)]
            #[unsafe(link_section = $section)]
            pub fn call($p: *mut u8) -> *mut u8 { black_box(unsafe { $body }) }
            pub fn show(size: usize, p: *mut u8) {
                println!("{} {size} {p:p} {:p} {:p}", $section, &raw const START, &raw const STOP);
            }
        }
    };
}
fn layout(size: usize, align: usize) -> Layout { black_box(Layout::from_size_align(size, align).unwrap()) }
at!(plain, "at_plain", "__start_at_plain", "__stop_at_plain", |_p| alloc(layout(9001, 1)));
at!(aligned, "at_aligned", "__start_at_aligned", "__stop_at_aligned", |_p| alloc(layout(9024, 64)));
at!(zeroed, "at_zeroed", "__start_at_zeroed", "__stop_at_zeroed", |_p| alloc_zeroed(layout(9005, 1)));
at!(resized, "at_resized", "__start_at_resized", "__stop_at_resized", |p| realloc(p, layout(9001, 1), black_box(9007)));
at!(given, "at_given", "__start_at_given", "__stop_at_given", |p| { dealloc(p, layout(9005, 1)); p });
fn main() {
    println!("ready");
    let mut line = [0; 8];
    std::io::Read::read(&mut std::io::stdin(), &mut line).unwrap();
    let none = std::ptr::null_mut();
    let (a, _b, c) = (plain::call(none), aligned::call(none), zeroed::call(none));
    resized::call(a);
    given::call(c);
    plain::show(9001, none);
    aligned::show(9024, none);
    zeroed::show(9005, none);
    resized::show(9007, a);
    given::show(0, c);
    println!("end");
}
"#;

/// A call the program made.
struct Expected {
    name: String,
    size: u64,
    pointer: u64,
    caller: std::ops::Range<u64>,
}

/// A stop at a probe: which one, four argument registers, and the stack from the stack pointer up.
struct Hit {
    probe: usize,
    registers: [u64; 4],
    stack_pointer: u64,
    stack: Vec<u64>,
}

impl Hit {
    fn word(&self, address: u64) -> Option<u64> {
        self.stack.get(usize::try_from(address.checked_sub(self.stack_pointer)? / 8).ok()?).copied()
    }

    /// Who called, seen through wrappers.
    fn caller(&self, probe: &ProbePoint, wrappers: &HashMap<u64, &Wrapper>) -> Option<u64> {
        let mut slot = self.stack_pointer + u64::from(probe.return_slot);
        while let Some(wrapper) = wrappers.get(&self.word(slot)?) {
            slot += u64::from(wrapper.cfa_return_slot);
        }
        self.word(slot)
    }
}

/// Where the byte at `offset` of the file `key` is mapped executable.
fn mapped(all: &[Mapping], key: super::super::FileKey, offset: u64) -> u64 {
    let holds = |mapping: &&Mapping| {
        let bytes = mapping.end - mapping.start;
        let inside = (mapping.file_offset..mapping.file_offset + bytes).contains(&offset);
        mapping.executable && (mapping.dev, mapping.inode) == (key.dev, key.inode) && inside
    };
    let mapping = all.iter().find(holds).expect("a mapping of the probe's file");
    mapping.start + (offset - mapping.file_offset)
}

fn debugger_script(addresses: &[u64]) -> String {
    let mut script = "set pagination off\nset confirm off\nset auto-load off\nset width 0\n".to_owned();
    for (number, address) in addresses.iter().enumerate() {
        script += &format!(
            "break *{address:#x}\ncommands\nsilent\nprintf \"\\nHIT {number} %lx %lx %lx %lx %lx\\n\", \
             $rdi, $rsi, $rdx, $rcx, $rsp\nx/64gx $rsp\ncontinue\nend\n"
        );
    }
    script + "shell touch attached\ncontinue\n"
}

fn parse_hits(text: &str) -> Vec<Hit> {
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let mut hits: Vec<Hit> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("HIT ") {
            let (number, rest) = rest.split_once(' ').unwrap();
            let values: Vec<u64> = rest.split(' ').filter_map(hex).collect();
            let registers = [values[0], values[1], values[2], values[3]];
            hits.push(Hit {
                probe: number.parse().unwrap(),
                registers,
                stack_pointer: values[4],
                stack: Vec::new(),
            });
        } else if let (Some((_, words)), Some(hit)) = (line.split_once(":\t"), hits.last_mut()) {
            hit.stack.extend(words.split('\t').filter_map(hex));
        }
    }
    hits
}

fn parse_expected(line: &str) -> Option<Expected> {
    let fields: Vec<&str> = line.split(' ').collect();
    let pointer = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(0);
    let [name, size, block, from, to] = fields[..] else { return None };
    let caller = pointer(from)..pointer(to);
    Some(Expected { name: name.to_owned(), size: size.parse().ok()?, pointer: pointer(block), caller })
}

struct Target {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Target {
    fn start(program: &Path, preload: Option<&Path>) -> Self {
        let mut command = Command::new(program);
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        Self { child, lines }
    }

    /// Lets it make its calls under the debugger; what it says it did, and where the debugger stopped.
    fn run(mut self, addresses: &[u64]) -> Option<(Vec<Expected>, Vec<Hit>)> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("script"), debugger_script(addresses)).unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let debugger = Command::new("gdb")
            .args(["-nx", "-batch", "-p", &self.child.id().to_string(), "-x", "script"])
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let Ok(mut debugger) = debugger else {
            println!("SKIP: gdb is not installed");
            self.child.kill().unwrap();
            self.child.wait().unwrap();
            return None;
        };
        while !directory.path().join("attached").exists() && debugger.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        self.child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let said: Vec<String> = self.lines.map_while(Result::ok).collect();
        debugger.wait().unwrap();
        self.child.wait().unwrap();
        let text = std::fs::read_to_string(directory.path().join("log")).unwrap();
        assert_eq!(said.last().map(String::as_str), Some("end"), "{text}");
        Some((said.iter().filter_map(|line| parse_expected(line)).collect(), parse_hits(&text)))
    }
}

fn value(hit: &Hit, register: Option<Register>) -> Option<u64> {
    register.map(|register| hit.registers[usize::from(register.number())])
}

/// A call that the probed function leaves to another one.
fn passed_on(hit: &Hit, probe: &ProbePoint) -> bool {
    probe.null_passed_on && value(hit, probe.arguments.pointer) == Some(0)
}

/// Every call must be seen once, with its size and pointer, and with its own caller.
fn check(program: &Path, preload: Option<&Path>, expected_count: usize) {
    let target = Target::start(program, preload);
    let pid = target.child.id();
    let all = mappings(pid).unwrap();
    let map = find(pid, &all).unwrap();
    let wrappers: HashMap<u64, &Wrapper> =
        map.wrappers.iter().map(|w| (mapped(&all, w.key, w.return_file_offset), w)).collect();
    let addresses: Vec<u64> = map.probes.iter().map(|p| mapped(&all, p.key, p.file_offset)).collect();
    assert_eq!(
        foreseen(program, preload).probes,
        opened_from_here(&map),
        "what was foreseen before the start"
    );
    let Some((expected, hits)) = target.run(&addresses) else { return };
    assert_eq!(expected.len(), expected_count);
    for call in expected {
        let from_here = |hit: &&Hit| {
            let caller = hit.caller(&map.probes[hit.probe], &wrappers);
            // A return address may be the first byte after the caller's last instruction.
            caller.is_some_and(|caller| call.caller.contains(&(caller - 1)))
        };
        let hits: Vec<&Hit> =
            hits.iter().filter(|hit| !passed_on(hit, &map.probes[hit.probe])).filter(from_here).collect();
        let place = format!("{} of {program:?} with {preload:?}", call.name);
        assert_eq!(hits.len(), 1, "hits from {place}");
        let probe = &map.probes[hits[0].probe];
        if probe.kind.action() != Action::Free {
            let size = value(hits[0], probe.arguments.size).unwrap()
                * value(hits[0], probe.arguments.count).unwrap_or(1);
            assert_eq!(size, call.size, "size from {place}, seen in {probe:?}");
        }
        if matches!(probe.kind.action(), Action::Free | Action::Realloc) {
            assert_eq!(
                value(hits[0], probe.arguments.pointer),
                Some(call.pointer),
                "pointer from {place}, seen in {probe:?}"
            );
        }
    }
}

/// What [`find_for_command`] would have probed.
fn foreseen(program: &Path, preload: Option<&Path>) -> AllocatorMap {
    let environment =
        |name: &str| preload.filter(|_| name == "LD_PRELOAD").map(|path| path.as_os_str().to_owned());
    let mut map = find_for_command(program, &environment).unwrap();
    map.probes.sort_by_key(|probe| (probe.key.inode, probe.file_offset));
    map
}

/// The probes with the paths as they are without a process.
fn opened_from_here(map: &AllocatorMap) -> Vec<ProbePoint> {
    let mut probes = map.probes.clone();
    for probe in &mut probes {
        let text = probe.path.to_string_lossy().into_owned();
        probe.path =
            text.split_once("/root/").map_or(probe.path.clone(), |(_, path)| Path::new("/").join(path));
    }
    probes.sort_by_key(|probe| (probe.key.inode, probe.file_offset));
    probes
}

const C_CALLS: usize = 9;
const CPP_CALLS: usize = 15;
const RUST_CALLS_COUNT: usize = 5;

#[test]
fn every_call_is_seen_under_every_allocator() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("#define _GNU_SOURCE\n{READ_LINE}{CALLS}");
    let flags = ["-O1", "-w", "-fno-optimize-sibling-calls"];
    let Some(program) = build(directory.path(), "g++", ("calls.cc", &text), &flags, "calls") else { return };
    check(&program, None, CPP_CALLS);
    for name in ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"] {
        if let Some(library) = library(name) {
            check(&program, Some(&library), CPP_CALLS);
        }
    }
}

#[test]
fn every_call_is_seen_in_stripped_and_static_programs() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("#define _GNU_SOURCE\n{READ_LINE}{CALLS}");
    let flags = ["-O1", "-w", "-fno-optimize-sibling-calls"];
    let (stripped, fixed) = ([&flags[..], &["-s"]].concat(), [&flags[..], &["-static"]].concat());
    if let Some(program) = build(directory.path(), "g++", ("calls.cc", &text), &stripped, "stripped") {
        check(&program, None, CPP_CALLS);
    }
    if let Some(program) = build(directory.path(), "g++", ("calls.cc", &text), &fixed, "static") {
        check(&program, None, CPP_CALLS);
    }
    if let Some(program) = build(directory.path(), "musl-gcc", ("calls.c", &text), &fixed, "musl") {
        check(&program, None, C_CALLS);
    }
}

#[test]
fn every_call_is_seen_in_rust_programs() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--edition=2024", "-Copt-level=1"];
    if let Some(program) = build(directory.path(), "rustc", ("calls.rs", RUST_CALLS), &flags, "rust") {
        check(&program, None, RUST_CALLS_COUNT);
    }
}
