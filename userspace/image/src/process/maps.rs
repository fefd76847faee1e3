//! The address space of a process: `/proc/PID/maps` parsed, and its files opened from this mount namespace.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::info::living_task;
use crate::error::Error;

/// What backs a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MappingKind {
    /// A file.
    File {
        /// Path as the target sees it, without the kernel's ` (deleted)`.
        path: PathBuf,
        /// The path no longer names this file.
        deleted: bool,
    },
    /// The brk heap.
    Heap,
    /// The main thread's stack.
    Stack,
    /// The kernel's code page for fast system calls.
    Vdso,
    /// Nothing: zero-filled memory.
    Anon,
    /// Anything else by the kernel's own name: `[vvar]`, `[vsyscall]`, `[anon:name]`, `anon_inode:[…]`.
    Special(String),
}

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Offset in the file of the byte at `start`.
    pub file_offset: u64,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// May be executed.
    pub executable: bool,
    /// Writes reach the file and other processes.
    pub shared: bool,
    /// Major and minor number of the file's device; 0, 0 without a file.
    pub dev: (u32, u32),
    /// Inode of the file; 0 without a file.
    pub inode: u64,
    /// What backs it.
    pub kind: MappingKind,
}

impl Mapping {
    /// Whether `address` lies inside.
    pub fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Offset in the file of the byte mapped at `address`, which must lie inside; `None` without a file.
    pub fn file_offset_of(&self, address: u64) -> Option<u64> {
        (self.path().is_some() && self.contains(address)).then(|| self.file_offset + (address - self.start))
    }

    /// The file's path as the target sees it.
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            MappingKind::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Short name for people: the file's name, or the kind in square brackets.
    pub fn module(&self) -> String {
        match &self.kind {
            MappingKind::File { path, .. } => {
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
            MappingKind::Heap => "[heap]".to_owned(),
            MappingKind::Stack => "[stack]".to_owned(),
            MappingKind::Vdso => "[vdso]".to_owned(),
            MappingKind::Anon => "[anon]".to_owned(),
            MappingKind::Special(name) => name.clone(),
        }
    }
}

/// Mappings of the process, by ascending address. Empty if it has no memory (a zombie, a kernel thread).
///
/// # Errors
/// [`Error::Exited`] if it is gone, [`Error::Permission`] if the kernel does not show its memory.
pub fn mappings(pid: u32) -> Result<Vec<Mapping>, Error> {
    let path = format!("/proc/{}/maps", living_task(pid));
    let bytes = fs::read(path).map_err(|error| Error::from_proc(pid, "maps", error))?;
    Ok(parse_mappings(&bytes))
}

/// Parses the text of `/proc/PID/maps`. Total: a line that has another form is left out.
pub fn parse_mappings(bytes: &[u8]) -> Vec<Mapping> {
    bytes.split(|&b| b == b'\n').filter_map(parse_line).collect()
}

/// One mapping per file with executable mappings.
pub fn executable_files(mappings: &[Mapping]) -> impl Iterator<Item = &Mapping> {
    let mut known = HashSet::new();
    mappings.iter().filter(move |mapping| {
        mapping.executable
            && matches!(mapping.kind, MappingKind::File { .. })
            && known.insert((mapping.dev, mapping.inode))
    })
}

/// A path through which the mapped file can be opened from this mount namespace: `/proc/PID/root/…` while that
/// still is the same file, else `/proc/PID/map_files/…`, which needs `CAP_SYS_ADMIN` or `CAP_CHECKPOINT_RESTORE`.
/// For a mapping without a file it is a path that does not exist.
pub fn open_path(pid: u32, mapping: &Mapping) -> PathBuf {
    let task = living_task(pid);
    let by_address = PathBuf::from(format!("/proc/{task}/map_files/{:x}-{:x}", mapping.start, mapping.end));
    let Some(path) = mapping.path() else { return by_address };
    let by_name =
        Path::new("/proc").join(task.to_string()).join("root").join(path.strip_prefix("/").unwrap_or(path));
    let Ok(found) = fs::metadata(&by_name) else { return by_address };
    let dev = (libc::major(found.dev()), libc::minor(found.dev()));
    if found.ino() == mapping.inode && dev == mapping.dev {
        return by_name;
    }
    // Some file systems (btrfs, overlayfs) report one device in maps and another in stat.
    if found.ino() == mapping.inode && fs::metadata(&by_address).is_err() { by_name } else { by_address }
}

/// `start-end perms offset major:minor inode   name`; the name may hold anything but a bare newline.
fn parse_line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let (start, end) = pair(field(&mut rest)?, b'-')?;
    let perms = field(&mut rest)?;
    let file_offset = hex(field(&mut rest)?)?;
    let (major, minor) = pair(field(&mut rest)?, b':')?;
    let inode = std::str::from_utf8(field(&mut rest)?).ok()?.parse().ok()?;
    let name = &rest[rest.iter().position(|&b| b != b' ').unwrap_or(rest.len())..];
    let flag = |index: usize, letter: u8| perms.get(index) == Some(&letter);
    (start < end && perms.len() == 4).then(|| Mapping {
        start,
        end,
        file_offset,
        readable: flag(0, b'r'),
        writable: flag(1, b'w'),
        executable: flag(2, b'x'),
        shared: flag(3, b's'),
        dev: (major as u32, minor as u32),
        inode,
        kind: kind_of(name),
    })
}

fn kind_of(name: &[u8]) -> MappingKind {
    match name {
        b"" => MappingKind::Anon,
        b"[heap]" => MappingKind::Heap,
        b"[stack]" => MappingKind::Stack,
        b"[vdso]" => MappingKind::Vdso,
        [b'/', ..] => {
            let stripped = name.strip_suffix(b" (deleted)");
            let path = unescape(stripped.unwrap_or(name));
            MappingKind::File { path: path.into(), deleted: stripped.is_some() }
        }
        other => MappingKind::Special(OsStr::from_bytes(other).to_string_lossy().into_owned()),
    }
}

/// The kernel writes a newline in a path as `\012` and leaves every other byte alone, the backslash too.
fn unescape(bytes: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\012") {
            out.push(b'\n');
            rest = after;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    OsString::from_vec(out)
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
    let (field, tail) = rest.split_at(end);
    *rest = tail.strip_prefix(b" ").unwrap_or(tail);
    (!field.is_empty()).then_some(field)
}

fn pair(text: &[u8], separator: u8) -> Option<(u64, u64)> {
    let at = text.iter().position(|&b| b == separator)?;
    Some((hex(&text[..at])?, hex(&text[at + 1..])?))
}

fn hex(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    const LINE: &[u8] = b"7f00-8f00 r-xp 00002000 fe:10 247282                     /a dir/b\\012c (deleted)";

    #[test]
    fn every_field_is_read() {
        let mapping = parse_mappings(LINE).remove(0);
        assert_eq!((mapping.start, mapping.end, mapping.file_offset), (0x7f00, 0x8f00, 0x2000));
        assert_eq!((mapping.dev, mapping.inode), ((0xfe, 0x10), 247_282));
        assert!(mapping.readable && !mapping.writable && mapping.executable && !mapping.shared);
        assert_eq!(mapping.kind, MappingKind::File { path: "/a dir/b\nc".into(), deleted: true });
        assert_eq!(mapping.file_offset_of(0x7f10), Some(0x2010));
        assert_eq!(mapping.file_offset_of(0x8f00), None);
    }

    #[test]
    fn kinds_without_a_file_keep_their_names() {
        for (name, kind, module) in [
            ("", MappingKind::Anon, "[anon]"),
            ("[heap]", MappingKind::Heap, "[heap]"),
            ("[stack]", MappingKind::Stack, "[stack]"),
            ("[vdso]", MappingKind::Vdso, "[vdso]"),
            (
                "[anon:glibc: malloc]",
                MappingKind::Special("[anon:glibc: malloc]".into()),
                "[anon:glibc: malloc]",
            ),
            (
                "anon_inode:[perf_event]",
                MappingKind::Special("anon_inode:[perf_event]".into()),
                "anon_inode:[perf_event]",
            ),
        ] {
            let text = format!("1000-2000 rw-s 00000000 00:00 0 {name}\n");
            let mapping = parse_mappings(text.as_bytes()).remove(0);
            assert_eq!((mapping.kind.clone(), mapping.module().as_str()), (kind, module));
        }
    }

    #[test]
    fn damaged_text_never_panics() {
        for at in 0..LINE.len() {
            let _ = parse_mappings(&LINE[..at]);
            for value in [0, b' ', b'-', b'\n', 0xff] {
                let mut bytes = LINE.to_vec();
                bytes[at] = value;
                let _ = parse_mappings(&bytes);
            }
        }
    }

    #[test]
    fn own_code_lies_in_the_own_executable() {
        let all = mappings(std::process::id()).unwrap();
        let address = own_code_lies_in_the_own_executable as *const () as u64;
        let mapping = all.iter().find(|m| m.contains(address)).unwrap();
        assert!(mapping.executable);
        assert_eq!(mapping.path(), Some(std::env::current_exe().unwrap().as_path()));
        assert!(
            open_path(std::process::id(), mapping).starts_with(format!("/proc/{}/root", std::process::id()))
        );
        assert!(all.iter().any(|m| m.kind == MappingKind::Stack));
    }

    /// Maps a file of one page, with `change` made to it afterwards, and reads it back through [`open_path`].
    fn read_after(change: impl FnOnce(&Path)) -> std::io::Result<(PathBuf, Vec<u8>)> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x y\nz");
        fs::write(&path, [7; 4096]).unwrap();
        // SAFETY: the file is private to this test and never shortened; replacing its name leaves the inode alone.
        let map = unsafe { memmap2::Mmap::map(&File::open(&path).unwrap()) }.unwrap();
        change(&path);
        let all = mappings(std::process::id()).unwrap();
        let mapping = all.iter().find(|m| m.contains(map.as_ptr() as u64)).unwrap();
        assert_eq!(mapping.path(), Some(path.as_path()));
        let opened = open_path(std::process::id(), mapping);
        let mut bytes = Vec::new();
        File::open(&opened)?.read_to_end(&mut bytes)?;
        Ok((opened, bytes))
    }

    #[test]
    fn replaced_and_deleted_files_open_as_what_is_mapped() {
        let (opened, bytes) = read_after(|_| {}).unwrap();
        assert!(opened.to_string_lossy().contains("/root/"));
        assert_eq!(bytes, [7; 4096]);
        let remove = |path: &Path| fs::remove_file(path).unwrap();
        let replace = |path: &Path| {
            let other = path.with_extension("new");
            fs::write(&other, [9; 4096]).unwrap();
            fs::rename(other, path).unwrap();
        };
        for result in [read_after(remove), read_after(replace)] {
            match result {
                Ok((opened, bytes)) => {
                    assert!(opened.to_string_lossy().contains("/map_files/"));
                    assert_eq!(bytes, [7; 4096]);
                }
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    println!("SKIP: map_files needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
