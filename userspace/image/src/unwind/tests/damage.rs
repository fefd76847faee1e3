//! Garbage in registers, stack bytes and files: a short answer, never a panic or a loop.

use std::process::Command;
use std::sync::Arc;

use framehop::FrameAddress;
use proptest::prelude::*;

use super::support::{Stopped, compile};
use crate::process::{Mapping, mappings};
use crate::unwind::coverage::Coverage;
use crate::unwind::image::Image;
use crate::unwind::space::{Place, Space};
use crate::unwind::{End, Registers, Stack, Unwinder, walk};

const LIMIT: usize = 128;

/// Words that look like a stack: addresses of code and of the stack itself among noise.
fn word(code: Vec<(u64, u64)>, sp: u64) -> impl Strategy<Value = u64> {
    let code = prop::sample::select(code).prop_flat_map(|(start, end)| start..end);
    prop_oneof![code, sp..sp + 4096, any::<u64>(), 0_u64..64]
}

fn own_code() -> (Vec<Mapping>, Vec<(u64, u64)>) {
    let maps = mappings(std::process::id()).unwrap();
    let code = maps.iter().filter(|m| m.executable).map(|m| (m.start, m.end)).collect();
    (maps, code)
}

fn walk_from(space: &mut Space, registers: Registers, bytes: &[u8]) -> Stack {
    walk::walk(space, FrameAddress::from_instruction_pointer(registers.ip), registers, bytes, LIMIT)
}

#[test]
fn random_stacks_end() {
    let (maps, code) = own_code();
    let mut unwinder = Unwinder::new();
    unwinder.sync(1, &maps);
    let unwinder = std::cell::RefCell::new(unwinder);
    let sp = 0x7ffd_0000_0000_u64;
    let any_sp = prop_oneof![Just(sp), any::<u64>(), Just(u64::MAX - 8)];
    let words = prop::collection::vec(word(code.clone(), sp), 0..256);
    let strategy = (word(code.clone(), sp), any_sp, word(code, sp), words, 0_usize..8);
    let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((ip, sp, bp, words, cut) in strategy)| {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(bytes.len().saturating_sub(cut));
        let stack = unwinder.borrow_mut().unwind(1, Registers { ip, sp, bp }, &bytes, LIMIT);
        prop_assert!(stack.addresses.len() <= LIMIT);
        prop_assert_eq!(stack.addresses[0], ip);
    });
}

#[test]
fn damaged_tables_end() {
    let directory = tempfile::tempdir().unwrap();
    let source = "#include <signal.h>\nint main(void) { raise(SIGSTOP); return 0; }";
    let program = compile(directory.path(), "gcc", "c", source, &["-O2", "-static"]);
    let bytes = std::fs::read(&program).unwrap();
    let stopped = Stopped::run(&mut Command::new(&program));
    let capture = stopped.capture(4096).remove(0);
    let pristine = Image::from_bytes(bytes.clone()).unwrap();
    let tables = pristine.layout.section(".eh_frame").unwrap().file.clone();
    let code = stopped.maps.iter().find(|m| m.executable && m.path().is_some()).unwrap();
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let edits = prop::collection::vec((tables, any::<u8>()), 1..400);
    proptest!(config, |(edits in edits, seeds in prop::collection::vec(code.start..code.end, 32))| {
        let mut damaged = bytes.clone();
        edits.iter().for_each(|&(at, value)| damaged[at] = value);
        let Some(image) = Image::from_bytes(damaged) else { return Ok(()) };
        let image = Arc::new(image);
        let mut space = Space::default();
        space.update(&stopped.maps, |mapping| mapping.path().map(|_| Arc::clone(&image)));
        for ip in seeds.into_iter().chain([capture.registers.ip]) {
            let stack = walk_from(&mut space, Registers { ip, ..capture.registers }, &capture.bytes);
            prop_assert!(stack.addresses.len() <= LIMIT);
        }
    });
}

#[test]
fn damaged_headers_end() {
    let (maps, code) = own_code();
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let edits = prop::collection::vec((0_usize..1024, any::<u8>()), 1..8);
    proptest!(config, |(edits in edits, index in prop::sample::select(code))| {
        let mut damaged = bytes.clone();
        edits.iter().for_each(|&(at, value)| damaged[at] = value);
        let Some(image) = Image::from_bytes(damaged) else { return Ok(()) };
        let image = Arc::new(image);
        let mut space = Space::default();
        space.update(&maps, |_| Some(Arc::clone(&image)));
        for ip in (index.0..index.1).step_by(997).take(64) {
            let stack = walk_from(&mut space, Registers { ip, sp: 4096, bp: 4200 }, &[0x55; 512]);
            prop_assert!(stack.addresses.len() <= LIMIT);
        }
    });
}

#[test]
fn an_expression_that_loops_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    // DW_CFA_def_cfa_expression of DW_OP_skip -3.
    let source = r#"
#include <signal.h>
void halt(void) { raise(SIGSTOP); }
void loops(void);
__asm__(".text\n.globl loops\n.type loops, @function\nloops: .cfi_startproc\n sub $8, %rsp\n"
        ".cfi_escape 0x0f, 3, 0x2f, 0xfd, 0xff\n call halt\n add $8, %rsp\n ret\n.cfi_endproc\n.size loops, . - loops\n");
int main(void) { loops(); return 0; }
"#;
    let program = compile(directory.path(), "gcc", "c", source, &["-O2", "-no-pie"]);
    let stopped = Stopped::run(&mut Command::new(program));
    let stack = stopped.unwind(&stopped.capture(4096)[0]);
    let names = stopped.names(&stack);
    assert_eq!(names.last().map(String::as_str), Some("loops"), "{names:?}");
    assert_eq!(stack.end, End::NoUnwindInfo { address: *stack.addresses.last().unwrap() });
}

#[test]
fn places_follow_the_maps() {
    let (maps, _) = own_code();
    let function = places_follow_the_maps as *const () as u64;
    let mut space = Space::default();
    let load = |_: &Mapping| {
        Image::open(&std::fs::File::open(std::env::current_exe().unwrap()).unwrap()).map(Arc::new)
    };
    assert_eq!(space.place(function), Place::Nowhere);
    space.update(&maps, load);
    assert_eq!(space.place(function), Place::File(Coverage::Covered));
    let anonymous: Vec<Mapping> = maps
        .iter()
        .map(|m| Mapping { kind: crate::process::MappingKind::Anon, inode: 0, ..m.clone() })
        .collect();
    space.update(&anonymous, |_| None);
    assert_eq!(space.place(function), Place::Generated);
    space.update(&maps, load);
    assert_eq!(space.place(function), Place::File(Coverage::Covered));
    space.update(&[], load);
    assert_eq!(space.place(function), Place::Nowhere);
}
