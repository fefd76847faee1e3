//! Allocators and programs as installed: probes against `objdump`, frame distances against `readelf`.

use std::collections::HashMap;
use std::path::Path;

use super::*;
use crate::allocators::{Family, FreedSize};
use crate::elf::ImageFile;
use crate::error::Error;

const LIBRARIES: [&str; 5] =
    ["libc.so.6", "libstdc++.so.6", "libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"];

/// Address and text of every instruction from `from` on, as `objdump` decodes them.
fn disassemble(path: &Path, from: u64, bytes: u64) -> Option<Vec<(u64, String)>> {
    let (start, stop) = (format!("--start-address={from:#x}"), format!("--stop-address={:#x}", from + bytes));
    let text = output("objdump", &["-d", "--no-show-raw-insn", &start, &stop, path.to_str().unwrap()])?;
    let parse = |line: &str| {
        let (address, text) = line.trim().split_once(":\t")?;
        Some((u64::from_str_radix(address, 16).ok()?, text.trim().to_owned()))
    };
    Some(text.lines().filter_map(parse).collect())
}

/// Address at which the byte at `offset` in the file is loaded, by the program headers `readelf` prints.
fn address_of(path: &Path, offset: u64) -> Option<u64> {
    let text = output("readelf", &["-lW", path.to_str().unwrap()])?;
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    text.lines().filter(|line| line.trim_start().starts_with("LOAD")).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (start, address, bytes) = (hex(fields[1]), hex(fields[2]), hex(fields[4]));
        (start..start + bytes).contains(&offset).then(|| address + (offset - start))
    })
}

fn is_emulated(text: &str) -> bool {
    let mnemonic = text.trim_start_matches("bnd ").split_whitespace().next().unwrap_or_default();
    match mnemonic {
        "push" | "call" | "jmp" => !text.contains('*') && !text.contains('$') && !text.contains("(%"),
        "nop" => text == "nop",
        "jrcxz" | "jecxz" => false,
        _ => mnemonic.starts_with('j'),
    }
}

#[test]
fn probes_sit_on_instructions_that_the_kernel_emulates() {
    for path in LIBRARIES.into_iter().filter_map(library) {
        for probe in find_in(&path).probes {
            let Some(entry) = address_of(&path, probe.entry_file_offset) else { return };
            let Some(code) = disassemble(&path, entry, u64::from(probe.function_offset) + 16) else { return };
            let at = entry + u64::from(probe.function_offset);
            assert_eq!(address_of(&path, probe.file_offset), Some(at), "{probe:?}");
            let text = &code.iter().find(|(address, _)| *address == at).expect("an instruction boundary").1;
            assert_ne!(is_emulated(text), probe.single_stepped, "{text}: {probe:?}");
        }
    }
}

#[test]
fn the_common_functions_of_the_common_allocators_are_never_single_stepped() {
    for (file, functions) in [
        ("libc.so.6", &["malloc", "calloc", "realloc", "free", "posix_memalign", "memalign"][..]),
        ("libjemalloc.so.2", &["malloc", "calloc", "realloc", "free", "posix_memalign", "_Znwm", "_ZdlPvm"]),
        ("libtcmalloc_minimal.so.4", &["malloc", "calloc", "realloc", "free", "_Znwm", "_ZdlPvm"]),
        ("libmimalloc.so.2", &["malloc", "free", "mi_heap_realloc", "_Znwm"]),
    ] {
        let Some(path) = library(file) else { continue };
        let map = find_in(&path);
        for function in functions {
            assert!(!probe(&map, function).single_stepped, "{function} in {file}");
        }
    }
}

#[test]
fn the_first_emulated_instruction_is_taken_and_free_skips_null() {
    for file in ["libc.so.6", "libjemalloc.so.2"] {
        let Some(path) = library(file) else { continue };
        let map = find_in(&path);
        for function in ["malloc", "calloc", "realloc", "free"] {
            let probe = probe(&map, function);
            let Some(entry) = address_of(&path, probe.entry_file_offset) else { return };
            let Some(code) = disassemble(&path, entry, 96) else { return };
            let mut cheap =
                code.iter().filter(|(_, text)| is_emulated(text)).map(|(address, _)| address - entry);
            let tests_null = code[0].1 == "test   %rdi,%rdi" && code[1].1.starts_with("je ");
            let expected = if function == "free" && tests_null { cheap.nth(1) } else { cheap.next() };
            assert_eq!(Some(u64::from(probe.function_offset)), expected, "{function} in {file}");
        }
    }
}

/// A function's bytes from the stack pointer up to the end of the return address, as `.eh_frame` has them.
struct FrameTable {
    code: std::ops::Range<u64>,
    /// First address, and the size from there on; `None` where it is counted from another register.
    rows: Vec<(u64, Option<u64>)>,
}

fn frame_sizes(path: &Path) -> Option<Vec<FrameTable>> {
    let text = output("readelf", &["-W", "--debug-dump=frames-interp", path.to_str().unwrap()])?;
    let mut frames: Vec<FrameTable> = Vec::new();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    for line in text.lines() {
        if let Some((_, range)) = line.split_once(" FDE ").and_then(|(_, rest)| rest.split_once("pc=")) {
            let (from, to) = range.split_once("..").unwrap();
            frames.push(FrameTable { code: hex(from).unwrap()..hex(to).unwrap(), rows: Vec::new() });
        } else if line.contains(" CIE ") {
            frames.push(FrameTable { code: 0..0, rows: Vec::new() });
        } else if let Some((address, rest)) = line.split_once(' ').filter(|(address, _)| address.len() == 16)
        {
            let size = rest.split_whitespace().next().and_then(|cfa| cfa.strip_prefix("rsp+")?.parse().ok());
            if let (Some(address), Some(frame)) = (hex(address), frames.last_mut()) {
                frame.rows.push((address, size));
            }
        }
    }
    Some(frames)
}

fn frame_size(frames: &[FrameTable], address: u64) -> Option<u64> {
    let rows = &frames.iter().find(|frame| frame.code.contains(&address))?.rows;
    // Without rows the frame is as at the entry throughout.
    if rows.is_empty() { Some(8) } else { rows.iter().rev().find(|(from, _)| *from <= address)?.1 }
}

#[test]
fn distances_to_return_addresses_agree_with_the_unwind_tables() {
    let mut compared: HashMap<String, usize> = HashMap::new();
    for path in LIBRARIES.into_iter().filter_map(library) {
        let file = path.display().to_string();
        let Some(frames) = frame_sizes(&path) else { return };
        let map = find_in(&path);
        for probe in &map.probes {
            let address = address_of(&path, probe.file_offset).unwrap();
            let Some(size) = frame_size(&frames, address) else { continue };
            assert_eq!(u64::from(probe.return_slot), size - 8, "{probe:?}");
            *compared.entry(file.clone()).or_default() += 1;
        }
        for wrapper in &map.wrappers {
            // After the call the stack pointer is 8 above where it was at the callee's entry.
            let address = address_of(&path, wrapper.return_file_offset).unwrap();
            let Some(size) = frame_size(&frames, address - 1) else { continue };
            assert_eq!(u64::from(wrapper.cfa_return_slot), size, "{wrapper:?}");
            *compared.entry(file.clone()).or_default() += 1;
        }
    }
    for (file, count) in compared {
        assert!(count >= 5, "{file}: only {count} compared");
    }
}

#[test]
fn layers_of_the_standard_libraries_are_told_apart() {
    if let Some(path) = library("libstdc++.so.6") {
        let map = find_in(&path);
        assert_eq!(names(&map), [""; 0], "every operator passes on to libc");
        assert!(map.wrappers.iter().any(|wrapper| wrapper.function == "_Znwm"));
        assert_eq!(map.notes, [""; 0]);
    }
    if let Some(path) = library("libc.so.6") {
        let map = find_in(&path);
        assert!(!names(&map).contains(&"reallocarray"), "it jumps to realloc");
        for probe in &map.probes {
            let sized = matches!(probe.function.as_str(), "free" | "realloc");
            assert_eq!(probe.allocator, Family::Glibc);
            assert_eq!(probe.freed_size(), if sized { FreedSize::GlibcChunk } else { FreedSize::Unknown });
        }
    }
    if let Some(path) = library("libjemalloc.so.2") {
        let map = find_in(&path);
        assert!(names(&map).contains(&"_Znwm"), "it allocates by itself");
        assert!(!names(&map).contains(&"_ZdlPv"), "it jumps to free");
        assert_eq!(probe(&map, "_ZdlPvm").freed_size(), FreedSize::SizedArg);
        assert_eq!(probe(&map, "free").freed_size(), FreedSize::Unknown);
    }
}

#[test]
fn a_rust_program_passes_on_to_libc() {
    let path = std::env::current_exe().unwrap();
    let map = find_in(&path);
    assert_eq!(names(&map), [""; 0]);
    let wraps = |name: &str| map.wrappers.iter().any(|wrapper| wrapper.function.ends_with(name));
    assert!(wraps("__rdl_alloc") && wraps("__rdl_realloc") && wraps("__rdl_alloc_zeroed"));
    assert_eq!(map.notes, [""; 0]);
}

#[test]
fn a_file_without_an_allocator_says_what_was_looked_at() {
    let Some(path) = library("libm.so.6") else { return };
    let error = find_in_file(&path).unwrap_err();
    assert!(
        matches!(&error, Error::NoAllocator { looked_at, notes } if looked_at == &["libm.so.6"] && notes.is_empty()),
        "{error}"
    );
    assert!(matches!(
        find_in_file(Path::new("/proc/self/maps")),
        Err(Error::Read { .. } | Error::Elf { .. })
    ));
    assert!(matches!(find_in_file(Path::new("/nonexistent")), Err(Error::Read { .. })));
}

#[test]
fn file_offsets_lead_to_the_code_they_name() {
    let Some(path) = library("libc.so.6") else { return };
    let bytes = std::fs::read(&path).unwrap();
    let file = ImageFile::open(&path).unwrap();
    let elf = file.elf().unwrap();
    let malloc = elf.functions().find(|symbol| symbol.name == b"malloc").unwrap();
    let offset = elf.file_offset(malloc.address).unwrap() as usize;
    assert_eq!(elf.code_at(malloc.address)[..16], bytes[offset..offset + 16]);
    assert!(elf.code_at(u64::MAX).is_empty() && elf.file_offset(u64::MAX).is_none());
}

#[test]
fn a_static_stripped_program_is_named_as_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let source = ("empty.c", "int main(void) { return 0; }");
    let Some(path) = build(directory.path(), "cc", source, &["-static", "-s"], "empty") else { return };
    let text = find_in_file(&path).unwrap_err().to_string();
    assert!(
        text.starts_with("no allocation function found in empty (empty is static and stripped"),
        "{text}"
    );
}
