//! Names of real programs' addresses, compiled here with known functions, lines and inlining.

use std::path::Path;
use std::process::Command;

use waytrace_model::stack::Frame;

use super::{Modules, Settings, Symbolizer, build_id};
use crate::process::mappings;
use crate::unwind::tests::support::{Stopped, compile};

const ALL: usize = 1 << 20;

/// `leaf` and `middle` are inlined into `outer`.
const INLINED: &str = r#"#include <signal.h>
volatile int sink;
static inline __attribute__((always_inline)) void leaf(int n) {
  sink += n;
  raise(SIGSTOP); // in leaf
  sink += n;
}
static inline __attribute__((always_inline)) void middle(int n) {
  leaf(n); // in middle
  sink++;
}
__attribute__((noinline)) static int outer(int n) {
  middle(n); // in outer
  return sink + n;
}
int main(int argc, char **argv) {
  (void)argv;
  return outer(argc) == 0; // in main
}
"#;

fn line_of(source: &str, marker: &str) -> Option<u32> {
    source.lines().position(|line| line.ends_with(marker)).map(|index| index as u32 + 1)
}

/// The stack of a stopped program, symbolised with `settings`.
fn stack(stopped: &Stopped, modules: &Modules, settings: Settings) -> Vec<Frame> {
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    Symbolizer::new(settings).symbolise(modules, &stack.addresses).concat()
}

fn modules(stopped: &Stopped) -> Modules {
    let mut modules = Modules::new();
    modules.sync(stopped.pid()).unwrap();
    modules
}

fn names(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(Frame::label).collect()
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Checks the three functions and `main`, with their lines and what is inlined, wherever they stand in the stack.
fn check_inlined(frames: &[Frame]) {
    let at = frames
        .iter()
        .position(|f| f.function.as_deref() == Some("leaf"))
        .unwrap_or_else(|| panic!("{frames:?}"));
    for (frame, (function, marker, inlined)) in frames[at..].iter().zip([
        ("leaf", "// in leaf", true),
        ("middle", "// in middle", true),
        ("outer", "// in outer", false),
        ("main", "// in main", false),
    ]) {
        assert_eq!(frame.function.as_deref(), Some(function), "{frames:?}");
        assert_eq!((frame.line, frame.inlined), (line_of(INLINED, marker), inlined), "{frame:?}");
        assert!(frame.file.as_deref().is_some_and(|file| file.ends_with("/program.c")), "{frame:?}");
        assert_eq!(frame.module.as_deref(), Some("program"));
    }
}

#[test]
fn lines_and_inlined_functions() {
    for flags in [&["-O2", "-g"][..], &["-O2", "-g", "-static"], &["-O2", "-g", "-no-pie", "-gz"]] {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), "gcc", "c", INLINED, flags);
        let stopped = Stopped::run(&mut Command::new(program));
        check_inlined(&stack(&stopped, &modules(&stopped), Settings::default()));
    }
}

#[test]
fn without_debug_information_the_symbol_table_serves() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", INLINED, &["-O2", "-g"]);
    let stopped = Stopped::run(&mut Command::new(program));
    let frames = stack(&stopped, &modules(&stopped), Settings { debug_max_bytes: 0 });
    let at = frames.iter().position(|f| f.function.as_deref() == Some("outer")).unwrap();
    assert_eq!(frames[at + 1].function.as_deref(), Some("main"));
    assert_eq!((frames[at].line, frames[at].inlined), (None, false));
    assert!(frames[at].offset > 0);
}

#[test]
fn stripped_code_is_module_and_offset() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", INLINED, &["-O2"]);
    let named = Stopped::run(&mut Command::new(&program));
    let with_names = stack(&named, &modules(&named), Settings::default());
    let places: Vec<u64> = {
        let modules = modules(&named);
        let stack = named.unwind(&named.capture(ALL)[0]);
        stack.addresses.iter().filter_map(|&a| modules.locate(a)).map(|l| l.file_offset).collect()
    };
    let stripped = directory.path().join("stripped");
    run(Command::new("strip").arg("-o").args([&stripped, &program]));
    let bare = Stopped::run(&mut Command::new(&stripped));
    let frames = stack(&bare, &modules(&bare), Settings::default());
    let outer = with_names.iter().position(|f| f.function.as_deref() == Some("outer")).unwrap();
    assert_eq!(frames[outer].label(), format!("stripped+{:#x}", places[outer]));
    assert_eq!((frames[outer].offset, &frames[outer].function), (places[outer], &None));
}

#[test]
fn debug_link_beside_the_program() {
    for build_id in ["-Wl,--build-id", "-Wl,--build-id=none"] {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), "gcc", "c", INLINED, &["-O2", "-g", build_id]);
        let debug = directory.path().join("program.debug");
        run(Command::new("objcopy").arg("--only-keep-debug").args([&program, &debug]));
        run(Command::new("objcopy")
            .arg("--strip-all")
            .arg(format!("--add-gnu-debuglink={}", debug.display()))
            .arg(&program));
        let stopped = Stopped::run(&mut Command::new(&program));
        check_inlined(&stack(&stopped, &modules(&stopped), Settings::default()));
        // Another program's debug file under the same name is not believed.
        compile(directory.path(), "gcc", "c", &INLINED.replace("outer", "wrong"), &["-O2", "-g", build_id]);
        run(Command::new("objcopy").arg("--only-keep-debug").args([&program, &debug]));
        let frames = stack(&stopped, &modules(&stopped), Settings::default());
        assert!(!names(&frames).iter().any(|name| name == "wrong" || name == "leaf"), "{frames:?}");
    }
}

#[test]
fn separate_debug_files_by_build_id() {
    let libc = "/lib/x86_64-linux-gnu/libc.so.6";
    let Some(id) = build_id(Path::new(libc)) else { return println!("SKIP: no {libc}") };
    if !Path::new(&format!("/usr/lib/debug/.build-id/{}/{}.debug", &id[..2], &id[2..])).exists() {
        return println!("SKIP: no debug information of libc (package libc6-dbg)");
    }
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", INLINED, &["-O2"]);
    let stopped = Stopped::run(&mut Command::new(program));
    let frames = stack(&stopped, &modules(&stopped), Settings::default());
    let start = frames.iter().find(|f| f.function.as_deref() == Some("__libc_start_call_main")).unwrap();
    assert!(start.file.as_deref().is_some_and(|file| file.ends_with("libc_start_call_main.h")), "{start:?}");
    assert_eq!(start.module.as_deref(), Some("libc.so.6"));
}

#[test]
fn the_allocator_goes_by_its_public_name() {
    let pid = std::process::id();
    let mut modules = Modules::new();
    modules.sync(pid).unwrap();
    // SAFETY: the names are C strings and the default scope is always valid.
    let of = |name: &std::ffi::CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) } as u64;
    let addresses = [of(c"malloc"), of(c"free"), of(c"calloc"), of(c"realloc"), of(c"memalign")];
    for settings in [Settings::default(), Settings { debug_max_bytes: 0 }] {
        let frames = Symbolizer::new(settings).symbolise(&modules, &addresses).concat();
        assert_eq!(names(&frames), ["malloc", "free", "calloc", "realloc", "memalign"]);
        assert!(frames.iter().all(|f| f.offset == 0));
    }
}

#[test]
fn cpp_and_rust_names_are_readable() {
    let directory = tempfile::tempdir().unwrap();
    let source = r#"#include <csignal>
namespace shop { template <typename T> struct Basket { __attribute__((noinline, noclone)) T add(T n) { raise(SIGSTOP); return n + 1; } }; }
int main(int argc, char **) { shop::Basket<long> b; return b.add(argc) + 1 == 0; }
"#;
    let program = compile(directory.path(), "g++", "cc", source, &["-O2", "-fno-ipa-icf"]);
    let stopped = Stopped::run(&mut Command::new(program));
    let found = names(&stack(&stopped, &modules(&stopped), Settings::default()));
    assert!(found.iter().any(|name| name == "shop::Basket<long>::add(long)"), "{found:?}");

    let source = r#"
unsafe extern "C" { fn raise(signal: i32) -> i32; }
mod shop { pub struct Basket<T>(pub T); impl<T: Copy> Basket<T> { #[inline(never)] pub fn add(&mut self, n: T) { self.0 = n; unsafe { crate::raise(19) }; self.0 = n; } } }
fn main() { let mut b = shop::Basket(1_u32); b.add(2); println!("{}", b.0); }
"#;
    for mangling in [&[][..], &["-C", "symbol-mangling-version=v0"]] {
        let flags = [&["-O", "--edition=2024"], mangling].concat();
        let program = compile(directory.path(), "rustc", "rs", source, &flags);
        let stopped = Stopped::run(&mut Command::new(program));
        let found = names(&stack(&stopped, &modules(&stopped), Settings::default()));
        let wanted = |name: &&String| name.contains("shop::Basket<") && name.ends_with(">::add");
        assert!(found.iter().any(|name| wanted(&name)), "{mangling:?}: {found:?}");
        assert!(found.iter().any(|name| name == "program::main"), "{mangling:?}: {found:?}");
    }
}

#[test]
fn a_deleted_program_is_named_after_it_exited() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", INLINED, &["-O2", "-g"]);
    let stopped = Stopped::run(&mut Command::new(&program));
    std::fs::remove_file(&program).unwrap();
    let modules = modules(&stopped);
    let addresses = stopped.unwind(&stopped.capture(ALL)[0]).addresses;
    let pid = stopped.pid();
    drop(stopped);
    assert!(mappings(pid).is_err());
    let mut symbolizer = Symbolizer::new(Settings::default());
    let frames = symbolizer.symbolise(&modules, &addresses);
    check_inlined(&frames.concat());
    assert_eq!(symbolizer.symbolise(&modules, &addresses), frames);
}

#[test]
fn a_program_in_another_mount_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", INLINED, &["-O2", "-g"]);
    let hidden = directory.path().join("hidden");
    std::fs::create_dir(&hidden).unwrap();
    let script = format!(
        "mount -t tmpfs none {0} && cp {1} {0}/program && rm {1} && exec {0}/program",
        hidden.display(),
        program.display()
    );
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        return println!("SKIP: cannot make mount namespaces (needs root)");
    }
    let stopped = Stopped::run(Command::new("unshare").args(["-m", "sh", "-c", &script]));
    assert!(!hidden.join("program").exists());
    check_inlined(&stack(&stopped, &modules(&stopped), Settings::default()));
}

#[test]
fn own_code_is_told_from_the_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("libmine.so");
    let source = "int mine(int (*f)(int)) { return f(1) + 1; }";
    let input = directory.path().join("mine.c");
    std::fs::write(&input, source).unwrap();
    run(Command::new("gcc").args(["-O2", "-shared", "-fPIC", "-o"]).args([&library, &input]));
    let source = "#include <signal.h>\nint mine(int (*)(int));\n\
                  int back(int n) { return raise(SIGSTOP) + n; }\nint main(void) { return mine(back) == 0; }";
    let libraries = format!("-L{0} -lmine -Wl,-rpath,{0}", directory.path().display());
    let flags: Vec<&str> = ["-O2"].into_iter().chain(libraries.split(' ')).collect();
    let program = compile(directory.path(), "gcc", "c", source, &flags);
    let stopped = Stopped::run(&mut Command::new(program));
    let modules = modules(&stopped);
    let stack = stopped.unwind(&stopped.capture(ALL)[0]);
    let mut own: Vec<(String, bool)> = stack
        .addresses
        .iter()
        .map(|&a| {
            (
                modules.name(modules.locate(a).unwrap().module_index).unwrap().to_owned(),
                modules.is_own_code(a),
            )
        })
        .collect();
    own.dedup();
    let expected = [
        ("libc.so.6", false),
        ("program", true),
        ("libmine.so", true),
        ("program", true),
        ("libc.so.6", false),
        ("program", true),
    ];
    assert_eq!(own, expected.map(|(name, own)| (name.to_owned(), own)));
    assert!(!modules.is_own_code(0));
}

#[test]
fn generated_code_is_named_by_its_runtime() {
    let pid = std::process::id();
    let length = 4096;
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    // SAFETY: a fresh anonymous mapping; never run, only its address is of interest.
    let page = unsafe {
        libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    } as u64;
    let map = format!("/tmp/perf-{pid}.map");
    std::fs::write(&map, format!("{page:x} 40 old\n{:x} 10 LazyCompile:*add a.js:3\n", page + 0x10)).unwrap();
    let mut modules = Modules::new();
    modules.sync(pid).unwrap();
    let addresses = [page + 0x18, page + 0x30, page + 0x80];
    let frames = Symbolizer::default().symbolise(&modules, &addresses).concat();
    std::fs::remove_file(map).unwrap();
    assert_eq!(frames[0].function.as_deref(), Some("LazyCompile:*add a.js:3"));
    assert_eq!((frames[0].offset, frames[1].function.as_deref(), frames[1].offset), (8, Some("old"), 0x30));
    assert_eq!(
        (&frames[2].function, frames[2].offset, frames[2].module.as_deref()),
        (&None, page + 0x80, Some("[anon]"))
    );
    assert!(modules.is_own_code(page));
    assert_eq!(Symbolizer::default().symbolise(&modules, &[1]), [[Frame { offset: 1, ..Frame::default() }]]);
}

#[test]
fn what_is_unmapped_keeps_its_name_until_its_place_is_taken() {
    let pid = std::process::id();
    let maps = mappings(pid).unwrap();
    let address = line_of as *const () as u64;
    let mut modules = Modules::new();
    modules.sync_with(pid, &maps);
    let before = modules.locate(address);
    assert!(before.is_some());
    let without: Vec<_> = maps.iter().filter(|m| !m.contains(address)).cloned().collect();
    modules.sync_with(pid, &without);
    assert_eq!(modules.locate(address), before);
    let taken: Vec<_> = maps
        .iter()
        .filter(|m| m.contains(address))
        .map(|m| crate::process::Mapping { kind: crate::process::MappingKind::Anon, inode: 0, ..m.clone() })
        .collect();
    modules.sync_with(pid, &taken);
    assert_eq!(modules.locate(address), None);
    modules.sync(pid).unwrap();
    assert_eq!(modules.locate(address), before);
}

#[test]
fn build_ids_are_those_readelf_prints() {
    let directory = tempfile::tempdir().unwrap();
    let program = compile(directory.path(), "gcc", "c", INLINED, &["-Wl,--build-id=0x00ff10ab"]);
    assert_eq!(build_id(&program).as_deref(), Some("00ff10ab"));
    let program = compile(directory.path(), "gcc", "c", INLINED, &["-Wl,--build-id=none"]);
    assert_eq!(build_id(&program), None);
    assert_eq!(build_id(Path::new("/proc/self/cmdline")), None);
}

#[test]
fn both_halves_move_to_a_thread_of_their_own() {
    fn send<T: Send>(_: &T) {}
    send(&Modules::new());
    send(&Symbolizer::default());
    send(&crate::unwind::Unwinder::new());
}
