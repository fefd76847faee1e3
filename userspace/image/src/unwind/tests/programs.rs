//! Known call chains, compiled here.

use std::process::Command;

use super::support::{Stopped, compile};
use crate::unwind::{End, Registers, Unwinder};

const ALL: usize = 1 << 20;

const CHAIN: &str = r#"
#include <signal.h>
#include <stdlib.h>
#define KEEP __attribute__((noinline, noclone))
volatile int sink;
KEEP void stop(void) { raise(SIGSTOP); sink++; }
KEEP int c(int depth) { volatile char pad[48]; pad[0] = depth; if (depth > 1) c(depth - 1); else stop(); return sink += pad[0]; }
KEEP int b(int n) { int r = c(n); return r + ++sink; }
KEEP int a(int n) { int r = b(n); return r + ++sink; }
int main(void) { a(20); return sink == -1; }
"#;

const LEAN: [&str; 3] = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"];

/// The functions from the outermost one of `first..` on, which must be there.
fn from<'a>(names: &'a [String], first: &str) -> Vec<&'a str> {
    let at = names.iter().position(|name| name == first).unwrap_or_else(|| panic!("{first} in {names:?}"));
    names[at..].iter().map(String::as_str).collect()
}

fn chain() -> Vec<&'static str> {
    let mut expected = vec!["stop"];
    expected.extend([["c"; 20].as_slice(), &["b", "a", "main"]].concat());
    expected
}

fn check_chain(compiler_flags: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", CHAIN, &[&LEAN, compiler_flags].concat());
    let stopped = Stopped::run(&mut Command::new(program));
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    let names = stopped.names(&stack);
    assert_eq!(from(&names, "stop")[..24], chain(), "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("_start"), "{names:?}");
    assert_eq!(stack.end, End::Complete);
}

#[test]
fn position_independent_program() {
    check_chain(&["-pie", "-fPIE"]);
}

#[test]
fn fixed_program() {
    check_chain(&["-no-pie"]);
}

#[test]
fn static_program() {
    check_chain(&["-static"]);
}

#[test]
fn static_position_independent_program() {
    check_chain(&["-static-pie", "-fPIE"]);
}

#[test]
fn short_copies_end_truncated_and_spoil_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", CHAIN, &LEAN);
    let stopped = Stopped::run(&mut Command::new(program));
    let capture = stopped.capture(ALL).remove(0);
    let whole = stopped.unwind(&capture);
    assert_eq!(whole.end, End::Complete);
    let mut unwinder = Unwinder::new();
    unwinder.sync(stopped.pid(), &stopped.maps);
    let mut complete_count = 0;
    for len in (0..capture.bytes.len().min(8192)).step_by(8) {
        let stack = unwinder.unwind(stopped.pid(), capture.registers, &capture.bytes[..len], 256);
        assert_eq!(stack.addresses, whole.addresses[..stack.addresses.len()], "{len} bytes");
        let complete = stack.addresses.len() == whole.addresses.len() && stack.end == End::Complete;
        assert!(complete || stack.end == End::Truncated, "{len} bytes: {:?}", stack.end);
        complete_count += usize::from(complete);
    }
    assert!(complete_count > 0);
    let limited = unwinder.unwind(stopped.pid(), capture.registers, &capture.bytes, 5);
    assert_eq!((limited.addresses.len(), limited.end), (5, End::Limit));
}

#[test]
fn a_walk_from_any_caller_is_the_rest_of_the_walk() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", CHAIN, &LEAN);
    let stopped = Stopped::run(&mut Command::new(program));
    let capture = stopped.capture(ALL).remove(0);
    let whole = stopped.unwind(&capture);
    let mut unwinder = Unwinder::new();
    unwinder.sync(stopped.pid(), &stopped.maps);
    // The chain keeps nothing in rbp, and each return address lies on the stack once per frame.
    let word = |at: usize| u64::from_le_bytes(capture.bytes[at..at + 8].try_into().unwrap());
    let mut caller_count = 0;
    for at in (0..capture.bytes.len().min(2048)).step_by(8) {
        let Some(depth) = whole.addresses.iter().position(|&a| a + 1 == word(at)) else { continue };
        if whole.addresses.iter().filter(|&&a| a + 1 == word(at)).count() > 1 {
            continue;
        }
        let sp = capture.registers.sp + at as u64 + 8;
        let registers = Registers { ip: word(at), sp, bp: 1 };
        let rest = unwinder.unwind_caller(stopped.pid(), registers, &capture.bytes[at + 8..], 256);
        assert_eq!((&rest.addresses[..], rest.end), (&whole.addresses[depth..], End::Complete));
        caller_count += 1;
    }
    assert!(caller_count >= 5, "{caller_count}");
}

#[test]
fn callback_from_the_c_library() {
    let directory = tempfile::tempdir().unwrap();
    let source = r#"
#include <signal.h>
#include <stdlib.h>
static int values[64];
int compare(const void *x, const void *y) { raise(SIGSTOP); return *(const int *)x - *(const int *)y; }
int main(void) { qsort(values, 64, sizeof *values, compare); return 0; }
"#;
    let program = compile(directory.path(), "gcc", "c", source, &LEAN);
    let stopped = Stopped::run(&mut Command::new(program));
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    let names = stopped.names(&stack);
    let outer = from(&names, "compare");
    assert!(outer.iter().any(|name| name.starts_with("qsort")), "{names:?}");
    assert!(outer.contains(&"main"), "{names:?}");
    assert_eq!((outer.last(), stack.end), (Some(&"_start"), End::Complete));
}

#[test]
fn signal_handler_on_the_interrupted_function() {
    let directory = tempfile::tempdir().unwrap();
    // `trap` faults at its very first instruction: looked up one byte lower it would be another function.
    let source = r#"
#include <signal.h>
void handler(int signal) { (void)signal; raise(SIGSTOP); }
void trap(void);
__asm__(".text\n.globl before\n.type before, @function\nbefore: .cfi_startproc\n sub $64, %rsp\n"
        ".cfi_adjust_cfa_offset 64\n ud2\n.cfi_endproc\n.size before, . - before\n"
        ".globl trap\n.type trap, @function\ntrap: .cfi_startproc\n ud2\n ret\n.cfi_endproc\n.size trap, . - trap\n");
__attribute__((noinline)) int outer(int n) { trap(); return n + 1; }
int main(int argc, char **argv) { (void)argv; signal(SIGILL, handler); return outer(argc); }
"#;
    for flags in [&[][..], &["-static"]] {
        let program = compile(directory.path(), "gcc", "c", source, &[&LEAN, flags].concat());
        let stopped = Stopped::run(&mut Command::new(program));
        let stack = stopped.unwind(&stopped.capture(ALL)[0]);
        let names = stopped.names(&stack);
        let outer = from(&names, "handler");
        assert_eq!(outer[2..5], ["trap", "outer", "main"], "{names:?}");
        assert_eq!((outer.last(), stack.end), (Some(&"_start"), End::Complete));
    }
}

#[test]
fn thread_ends_where_it_began() {
    let directory = tempfile::tempdir().unwrap();
    let source = r#"
#include <pthread.h>
#include <signal.h>
__attribute__((noinline)) void *work(void *p) { raise(SIGSTOP); return p; }
int main(void) { pthread_t t; pthread_create(&t, 0, work, 0); pthread_join(t, 0); return 0; }
"#;
    let program = compile(directory.path(), "gcc", "c", source, &[&LEAN[..], &["-pthread"]].concat());
    let stopped = Stopped::run(&mut Command::new(program));
    let captures = stopped.capture(ALL);
    let main = stopped.unwind(&captures[0]);
    assert!(stopped.names(&main).contains(&"main".to_owned()));
    assert_eq!(main.end, End::Complete);
    let worker = stopped.unwind(&captures[1]);
    let names = stopped.names(&worker);
    // start_thread and what starts it are local symbols of a stripped libc: unnamed, but two frames.
    assert_eq!(from(&names, "work").len(), 3, "{names:?}");
    assert_eq!(worker.end, End::Complete);
}

#[test]
fn cpp_through_its_library() {
    let directory = tempfile::tempdir().unwrap();
    let source = r#"
#include <csignal>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>
extern "C" void *malloc(size_t size) { static char heap[1 << 20]; static size_t used; if (size == 77777) raise(SIGSTOP); used = (used + 15) & ~15ul; void *p = heap + used; used += size; return p; }
extern "C" void free(void *) {}
struct Maker { virtual ~Maker() = default; __attribute__((noinline, noclone)) virtual char *make(int n) { char *p = new char[n]; p[1] = 0; return p; } };
extern "C" __attribute__((noinline)) char *build(Maker *m) { char *p = m->make(77777); p[0] = 1; return p; }
int main() { std::vector<std::string> v{"x"}; Maker m; try { build(&m); } catch (const std::bad_alloc &) { return 2; } return 0; }
"#;
    let program = compile(directory.path(), "g++", "cc", source, &[&LEAN[..], &["-rdynamic"]].concat());
    let stopped = Stopped::run(&mut Command::new(program));
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    let names = stopped.names(&stack);
    let outer = from(&names, "malloc");
    let wanted = ["malloc", "_Znwm", "_ZN5Maker4makeEi", "build", "main"];
    let kept: Vec<_> = outer.iter().copied().filter(|name| wanted.contains(name)).collect();
    assert_eq!(kept, wanted, "{names:?}");
    assert_eq!((outer.last(), stack.end), (Some(&"_start"), End::Complete));
}

#[test]
fn rust_through_its_library() {
    let directory = tempfile::tempdir().unwrap();
    let source = r#"
unsafe extern "C" { fn raise(signal: i32) -> i32; }
#[unsafe(no_mangle)] #[inline(never)] fn halt(n: &mut [u32]) { unsafe { raise(19) }; n[0] += 1; }
#[unsafe(no_mangle)] #[inline(never)] fn sorted(n: &mut Vec<u32>) { n.sort_by_key(|x| { if *x == 7 { halt(&mut [*x]); } *x }); n.push(1); }
fn main() { let mut n: Vec<u32> = (0..300).rev().collect(); sorted(&mut n); println!("{}", n.len()); }
"#;
    let program = compile(directory.path(), "rustc", "rs", source, &["-O", "--edition=2024"]);
    let stopped = Stopped::run(&mut Command::new(program));
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    let names = stopped.names(&stack);
    let outer = from(&names, "halt");
    assert!(outer.contains(&"sorted") && outer.contains(&"main"), "{names:?}");
    assert_eq!((outer.last(), stack.end), (Some(&"_start"), End::Complete));
}

#[test]
fn frame_pointers_carry_through_generated_code() {
    let directory = tempfile::tempdir().unwrap();
    // The bytes are `push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret`, run from anonymous memory.
    let source = r#"
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
__attribute__((noinline)) void halt(void) { raise(SIGSTOP); }
__attribute__((noinline)) int enter(void *page) { ((void (*)(void (*)(void)))page)(halt); return 1; }
int main(void) {
  void *page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, sizeof code);
  return enter(page);
}
"#;
    let program = compile(directory.path(), "gcc", "c", source, &["-O2", "-fno-optimize-sibling-calls"]);
    let stopped = Stopped::run(&mut Command::new(program));
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    let names = stopped.names(&stack);
    assert_eq!(from(&names, "halt")[..4], ["halt", "[anon]", "enter", "main"], "{names:?}");
    assert_eq!(stack.end, End::Complete);
}

#[test]
fn signal_trampoline_without_tables() {
    let directory = tempfile::tempdir().unwrap();
    let source = r#"
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
void restore(void);
__asm__(".text\n.globl restore\n.type restore, @function\nrestore: mov $15, %rax\n syscall\n.size restore, . - restore\n");
__attribute__((noinline)) void handler(int signal) { (void)signal; raise(SIGSTOP); }
struct { void (*handler)(int); unsigned long flags; void (*restorer)(void); unsigned long mask; } action;
__attribute__((noinline)) int outer(int n) { __asm__ volatile("ud2"); return n + 1; }
int main(int argc, char **argv) {
  (void)argv;
  action.handler = handler; action.flags = 0x04000000; action.restorer = restore;
  syscall(SYS_rt_sigaction, SIGILL, &action, 0, 8);
  return outer(argc);
}
"#;
    let program = compile(directory.path(), "gcc", "c", source, &LEAN);
    let stopped = Stopped::run(&mut Command::new(program));
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    let names = stopped.names(&stack);
    // The trampoline is looked up one byte before its start, where no symbol lies.
    assert_eq!(from(&names, "handler")[2..4], ["outer", "main"], "{names:?}");
    assert_eq!(stack.end, End::Complete);
}

/// Debian's interpreter: no frame pointers, deep recursion in C, and a library it loads itself.
#[test]
fn python_running_a_script() {
    let python = "/usr/bin/python3";
    if !std::path::Path::new(python).exists() {
        println!("SKIP: no {python}");
        return;
    }
    let script = "import os, signal\ndef f(n):\n  if n: return [f(n - 1)]\n  os.kill(os.getpid(), signal.SIGSTOP)\n\
                  print(sorted([3, 1, 2], key=lambda x: f(5)))";
    let stopped = Stopped::run(Command::new(python).args(["-c", script]));
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    let names = stopped.names(&stack);
    let last = names.iter().rev().take(4).rev().map(String::as_str).collect::<Vec<_>>();
    assert_eq!([last[0], last[2], last[3]], ["Py_BytesMain", "__libc_start_main", "_start"], "{names:?}");
    assert!(names.iter().any(|name| name == "_PyEval_EvalFrameDefault"), "{names:?}");
    assert_eq!(stack.end, End::Complete);
}

#[test]
fn a_deleted_program_and_one_that_exited_unwind_still() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", CHAIN, &LEAN);
    let stopped = Stopped::run(&mut Command::new(&program));
    let capture = stopped.capture(ALL).remove(0);
    let before = stopped.unwind(&capture);
    std::fs::remove_file(&program).unwrap();
    let maps = crate::process::mappings(stopped.pid()).unwrap();
    let pid = stopped.pid();
    let mut unwinder = Unwinder::new();
    unwinder.sync(pid, &maps);
    drop(stopped);
    assert_eq!(unwinder.unwind(pid, capture.registers, &capture.bytes, 256), before);
    assert_eq!(before.end, End::Complete);
    unwinder.forget(pid);
    let forgotten = unwinder.unwind(pid, capture.registers, &capture.bytes, 256);
    assert_eq!(forgotten.end, End::NoUnwindInfo { address: capture.registers.ip });
}

#[test]
fn processes_of_one_program_share_its_files() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", CHAIN, &LEAN);
    let processes = [(); 3].map(|()| Stopped::run(&mut Command::new(&program)));
    let mut unwinder = Unwinder::new();
    let mut counts = processes.each_ref().map(|process| {
        unwinder.sync(process.pid(), &process.maps);
        unwinder.files.len()
    });
    // The program, the C library, the loader.
    assert_eq!(counts, [3; 3]);
    for process in &processes {
        let capture = process.capture(ALL).remove(0);
        let stack = unwinder.unwind(process.pid(), capture.registers, &capture.bytes, 256);
        assert_eq!(
            (from(&process.names(&stack), "stop")[..24].to_vec(), stack.end),
            (chain(), End::Complete)
        );
    }
    counts = processes.each_ref().map(|process| {
        unwinder.forget(process.pid());
        unwinder.files.len()
    });
    assert_eq!(counts, [3, 3, 0]);
}
