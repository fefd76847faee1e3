//! Finds separate debug information, and says how much of it there is before it is read.
//!
//! Looked for on this host and below the target's root: by build id in `.build-id`, then by the file's debug link
//! beside it, in `.debug`, and below `/usr/lib/debug`. What is found must have the same build id; a file without one
//! must match the link's checksum. Source: "Debugging Information in Separate Files" of the GDB manual.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection};

use super::hex;
use super::modules::Module;

const DEBUG_DIRECTORY: &str = "usr/lib/debug";

/// The debug file of `module`, if there is one. `roots` are searched in order.
pub(super) fn find(module: &Module, roots: &[PathBuf]) -> Option<File> {
    // SAFETY: a private mapping, read as bytes while this call lasts.
    let bytes = unsafe { Mmap::map(&module.file) }.ok()?;
    let own = ElfFile64::<LittleEndian>::parse(&*bytes).ok()?;
    let build_id = module.layout.build_id.as_deref();
    let link = own.gnu_debuglink().ok().flatten();
    let candidates =
        by_build_id(build_id).into_iter().chain(by_link(&module.path, link.map(|(name, _)| name)));
    let candidates: Vec<PathBuf> = candidates.collect();
    roots.iter().flat_map(|root| candidates.iter().map(move |candidate| root.join(candidate))).find_map(
        |path| {
            let file = File::open(path).ok()?;
            // SAFETY: as above.
            let bytes = unsafe { Mmap::map(&file) }.ok()?;
            let found = ElfFile64::<LittleEndian>::parse(&*bytes).ok()?;
            let same = match build_id {
                Some(id) => found.build_id().ok().flatten() == Some(id),
                None => link.is_some_and(|(_, checksum)| crc32(&bytes) == checksum),
            };
            (same && debug_bytes(&found) > 0).then_some(file)
        },
    )
}

/// Bytes of debug information in the file once unpacked: about what reading it costs in memory.
pub(super) fn debug_size_bytes(file: &File) -> u64 {
    // SAFETY: a private mapping, read as bytes while this call lasts.
    let Ok(bytes) = (unsafe { Mmap::map(file) }) else { return 0 };
    ElfFile64::<LittleEndian>::parse(&*bytes).map_or(0, |file| debug_bytes(&file))
}

fn debug_bytes(file: &ElfFile64<'_, LittleEndian>) -> u64 {
    if file.section_by_name(".debug_info").is_none() {
        return 0;
    }
    let debug = file.sections().filter(|s| s.name_bytes().is_ok_and(|name| name.starts_with(b".debug_")));
    debug.map(|s| s.compressed_file_range().map_or(s.size(), |range| range.uncompressed_size)).sum()
}

fn by_build_id(build_id: Option<&[u8]>) -> Option<PathBuf> {
    let (first, rest) = build_id?.split_first().filter(|(_, rest)| !rest.is_empty())?;
    Some(Path::new(DEBUG_DIRECTORY).join(format!(".build-id/{first:02x}/{}.debug", hex(rest))))
}

fn by_link(path: &Path, link: Option<&[u8]>) -> Vec<PathBuf> {
    let name = link.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.contains('/'));
    let directory = path.parent().and_then(|parent| parent.strip_prefix("/").ok());
    match (name, directory) {
        (Some(name), Some(directory)) => vec![
            directory.join(name),
            directory.join(".debug").join(name),
            Path::new(DEBUG_DIRECTORY).join(directory).join(name),
        ],
        _ => Vec::new(),
    }
}

/// The checksum of debug links: CRC-32 as in zip.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_the_standard_one() {
        // The check value every CRC-32 catalogue states.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn candidates_lie_where_packages_put_them() {
        assert_eq!(
            by_build_id(Some(&[0xab, 0xcd, 0xef])),
            Some("usr/lib/debug/.build-id/ab/cdef.debug".into())
        );
        assert_eq!(by_build_id(Some(&[])), None);
        let paths = by_link(Path::new("/opt/x/prog"), Some(b"prog.debug"));
        let expected = ["opt/x/prog.debug", "opt/x/.debug/prog.debug", "usr/lib/debug/opt/x/prog.debug"];
        assert_eq!(paths, expected.map(PathBuf::from));
        assert!(by_link(Path::new("/opt/x/prog"), Some(b"../../etc/passwd")).is_empty());
    }
}
