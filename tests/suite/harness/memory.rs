//! Whether a process's code is what its files say: a breakpoint left behind is a byte that differs.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// One executable mapping of a file.
#[derive(Debug)]
struct Mapping {
    start: u64,
    len: u64,
    file_offset: u64,
    path: String,
}

/// Executable mappings of regular files. Deleted files and the vdso have nothing to be compared with.
fn executable_mappings(pid: u32) -> Vec<Mapping> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    maps.lines().filter_map(parse).collect()
}

/// `7f00-7f10 r-xp 00001000 fe:00 123   /lib/libc.so.6`
fn parse(line: &str) -> Option<Mapping> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let executable = fields.next()?.contains('x');
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let file_offset = hex(fields.next()?)?;
    let path = fields.nth(2).filter(|path| path.starts_with('/'))?;
    let (start, end) = (hex(start)?, hex(end)?);
    executable.then(|| Mapping { start, len: end - start, file_offset, path: path.to_owned() })
}

/// How many bytes of the process's code differ from its files, and how many were compared.
pub fn changed_code_bytes(pid: u32) -> (u64, u64) {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let (mut changed, mut compared) = (0, 0);
    for mapping in executable_mappings(pid) {
        let Ok(file) = File::open(&mapping.path) else { continue };
        let left = file.metadata().unwrap().len().saturating_sub(mapping.file_offset);
        let len = usize::try_from(mapping.len.min(left)).unwrap();
        let (mut live, mut stored) = (vec![0; len], vec![0; len]);
        memory.read_exact_at(&mut live, mapping.start).unwrap();
        file.read_exact_at(&mut stored, mapping.file_offset).unwrap();
        changed += live.iter().zip(&stored).filter(|(a, b)| a != b).count() as u64;
        compared += len as u64;
    }
    (changed, compared)
}

#[test]
fn a_mapping_is_read_from_its_line() {
    let mapping = parse("7f001000-7f003000 r-xp 00026000 fe:00 4242          /usr/lib/libc.so.6").unwrap();
    assert_eq!((mapping.start, mapping.len, mapping.file_offset), (0x7f00_1000, 0x2000, 0x26000));
    assert_eq!(mapping.path, "/usr/lib/libc.so.6");
    for other in [
        "7f001000-7f003000 r--p 00026000 fe:00 4242          /usr/lib/libc.so.6",
        "7fff1000-7fff3000 r-xp 00000000 00:00 0             [vdso]",
        "7fff1000-7fff3000 rwxp 00000000 00:00 0",
    ] {
        assert!(parse(other).is_none(), "{other}");
    }
}

#[test]
fn untouched_code_is_its_file_and_a_patched_byte_is_seen() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    while executable_mappings(child.id()).len() < 2 {
        std::thread::yield_now();
    }
    let (changed, compared) = changed_code_bytes(child.id());
    assert!(changed == 0 && compared > 100_000, "{changed} of {compared}");
    let start = executable_mappings(child.id())[0].start;
    let memory = File::options().read(true).write(true).open(format!("/proc/{}/mem", child.id())).unwrap();
    let mut byte = [0];
    memory.read_exact_at(&mut byte, start).unwrap();
    memory.write_all_at(&[!byte[0]], start).unwrap();
    assert_eq!(changed_code_bytes(child.id()).0, 1);
    child.kill().unwrap();
    child.wait().unwrap();
}
