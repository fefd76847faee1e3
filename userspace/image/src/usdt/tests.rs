//! Notes as a compiler writes them, against what binutils reads; and damaged ones.

use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::testing::Random;

/// The workload of the live suite, built as asked; `None` without the compiler.
fn built(compiler: &str, flags: &[&str], directory: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/workloads/otel_memory.c");
    let output = directory.join(format!("{compiler}{}", flags.concat()));
    let mut command = Command::new(compiler);
    command.args(["-O2", "-fno-builtin", "-fomit-frame-pointer"]).args(flags);
    match command.arg(source).arg("-o").arg(&output).status() {
        Ok(status) => assert!(status.success(), "{command:?}"),
        Err(_) => return None,
    }
    Some(output)
}

/// Provider, name, location, semaphore, arguments.
type Read = (String, String, u64, u64, String);

/// What `readelf -n` says of each probe.
fn readelf(path: &Path) -> Option<Vec<Read>> {
    let output = Command::new("readelf").arg("-n").arg(path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut probes = Vec::new();
    for block in text.split("Provider: ").skip(1) {
        let line = |number: usize| block.lines().nth(number).unwrap_or_default().trim();
        let name = line(1).trim_start_matches("Name: ").to_owned();
        let address = |what: &str| {
            let rest = line(2).split(what).nth(1).unwrap();
            let digits = rest.trim_start_matches(": 0x").split(',').next().unwrap();
            u64::from_str_radix(digits, 16).unwrap()
        };
        let arguments = line(3).trim_start_matches("Arguments:").trim().to_owned();
        probes.push((line(0).to_owned(), name, address("Location"), address("Semaphore"), arguments));
    }
    Some(probes)
}

#[test]
fn notes_are_what_binutils_reads() {
    let directory = tempfile::tempdir().unwrap();
    for (compiler, flags) in [
        ("cc", &["-pie"][..]),
        ("cc", &["-no-pie"]),
        ("cc", &["-static"]),
        ("cc", &["-shared", "-fPIC"]),
        ("cc", &["-O0", "-s"]),
        ("musl-gcc", &["-static"]),
    ] {
        let Some(path) = built(compiler, flags, directory.path()) else { continue };
        let Some(expected) = readelf(&path) else { continue };
        let file = ImageFile::open(&path).unwrap();
        let (isa, notes) = notes::read(file.bytes()).unwrap();
        assert_eq!(Some(isa), Isa::NATIVE);
        assert!(expected.len() >= 7, "{expected:?}");
        let elf = file.elf().unwrap();
        let offset = |address| elf.file_offset(address);
        let read: Vec<_> = notes
            .iter()
            .map(|n| (n.provider, n.name, Some(n.file_offset), n.semaphore, n.arguments))
            .collect();
        let wanted: Vec<_> = expected
            .iter()
            .map(|(provider, name, at, semaphore, arguments)| {
                (&**provider, &**name, offset(*at), offset(*semaphore), &**arguments)
            })
            .collect();
        assert_eq!(read, wanted, "{compiler} {flags:?}");

        let mut samples = Samples::default();
        search(&path, "own", FileKey::default(), &mut samples);
        assert_eq!(samples.points.len(), 6, "all but the other provider's: {samples:?}");
        assert!(samples.are_offered() && samples.tell_frees() && samples.notes.is_empty());
    }
}

#[test]
fn a_program_without_probes_offers_nothing() {
    let own = std::process::id();
    let samples = find(own, &process::mappings(own).unwrap());
    // The C library has probes of its own, of another provider.
    assert_eq!(samples, Samples::default());
}

#[test]
fn frees_are_told_only_where_every_file_with_allocations_tells_them() {
    let point = |event, inode| ProbePoint {
        module: String::new(),
        path: PathBuf::new(),
        key: FileKey { inode, ..FileKey::default() },
        event,
        file_offset: 0,
        semaphore: None,
        arguments: Vec::new(),
    };
    let samples = |points: &[(Event, u64)]| Samples {
        points: points.iter().map(|&(event, inode)| point(event, inode)).collect(),
        notes: Vec::new(),
    };
    assert!(!samples(&[(Event::Free, 1)]).are_offered());
    assert!(!samples(&[(Event::Alloc, 1)]).tell_frees());
    assert!(!samples(&[(Event::Alloc, 1), (Event::Free, 2)]).tell_frees());
    assert!(samples(&[(Event::Alloc, 1), (Event::Free, 1), (Event::Free, 2)]).tell_frees());
}

#[test]
fn no_damage_makes_the_reader_panic_or_leave_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let Some(path) = built("cc", &["-O1"], directory.path()) else { return };
    let original = std::fs::read(path).unwrap();
    let whole = notes::read(&original).unwrap().1.len();
    let strings = original.windows(8).position(|bytes| bytes == b"stapsdt\0").unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut altered = 0;
    for round in 0..4_000 {
        let mut bytes = original.clone();
        match round % 4 {
            // Headers, the notes, the section headers; or the end is missing.
            0 => bytes[random.below(1024)] ^= 1 << random.below(8),
            1 => bytes[strings - 16 + random.below(900)] ^= 1 << random.below(8),
            2 => {
                let at = bytes.len() - 1 - random.below(2400);
                bytes[at] ^= 1 << random.below(8);
            }
            _ => bytes.truncate(random.below(original.len())),
        }
        let Ok((isa, notes)) = notes::read(&bytes) else { continue };
        altered += usize::from(notes.len() != whole);
        for note in notes {
            let at = usize::try_from(note.file_offset).unwrap();
            assert!(matches!(bytes[at], 0x90 | 0x66 | 0x0f), "only a nop is probed");
            assert!(note.semaphore.is_none_or(|at| at + 2 <= bytes.len() as u64));
            let _ = arguments::parse(note.arguments, isa);
        }
    }
    assert!(altered > 100, "{altered}");
}

/// Sections that were moved after linking: the address of `.stapsdt.base` says how far.
#[test]
fn addresses_follow_a_moved_base() {
    let directory = tempfile::tempdir().unwrap();
    let Some(path) = built("cc", &["-no-pie", "-g0"], directory.path()) else { return };
    let mut bytes = std::fs::read(path).unwrap();
    let before = notes::read(&bytes).unwrap().1[0].file_offset;
    let note = bytes.windows(8).position(|bytes| bytes == b"stapsdt\0").unwrap() + 8;
    // The first note as if all had lain 16 bytes lower when it was written.
    for word in [0, 8, 16] {
        let at = note + word;
        let address = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) - 16;
        bytes[at..at + 8].copy_from_slice(&address.to_le_bytes());
    }
    assert_eq!(notes::read(&bytes).unwrap().1[0].file_offset, before);
}
