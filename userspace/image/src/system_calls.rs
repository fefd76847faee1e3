//! Where a target's code makes the system calls that change its address space, and where a uprobe there is cheap.
//!
//! A system-call tracepoint makes *every* system call of every process on the machine dearer, by 35 to 45 ns; a busy
//! server lost 8 % to eight of them. The calls of interest are rare and made in few places: a C library's wrappers, the
//! dynamic loader, Go's runtime. There a constant number is loaded and `syscall` follows, so they are found by their bytes,
//! in stripped and static programs as well. After the instruction all is at hand: the kernel keeps every argument register,
//! and the result is in `rax` (System V ABI, AMD64 supplement, A.2.1). So one probe tells the whole call, on the first
//! instruction behind it that the kernel emulates; compilers put a comparison and a conditional jump there.
//!
//! Not found: calls through `syscall(2)`, whose number is not constant, and code made at run time.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, Register,
};

use crate::allocators::{FileKey, file_key, file_name, needed};
use crate::elf::{Elf, ImageFile};
use crate::emulated::{is_emulated, is_probeable};
use crate::error::Error;
use crate::process::{self, Mapping, open_path};

/// A system call that changes the address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `mmap`.
    Mmap,
    /// `munmap`.
    Munmap,
    /// `mremap`.
    Mremap,
    /// `brk`.
    Brk,
}

impl Call {
    /// By its number, `arch/x86/entry/syscalls/syscall_64.tbl`.
    fn from_number(number: u32) -> Option<Self> {
        match number {
            9 => Some(Self::Mmap),
            11 => Some(Self::Munmap),
            12 => Some(Self::Brk),
            25 => Some(Self::Mremap),
            _ => None,
        }
    }

    /// Registers that must still hold what they held at the call. `rcx`, into which the CPU writes the address behind
    /// `syscall`, tells a hit that comes from the call from one by a jump from elsewhere.
    fn registers(self) -> &'static [Register] {
        use Register::{RAX, RCX, RDI, RDX, RSI};
        match self {
            Self::Mmap | Self::Mremap => &[RAX, RCX, RDI, RSI, RDX],
            Self::Munmap => &[RAX, RCX, RDI, RSI],
            Self::Brk => &[RAX, RCX],
        }
    }
}

/// A place in a file to probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The call made just before.
    pub call: Call,
    /// Offset in the file of the instruction to probe.
    pub file_offset: u64,
    /// Bytes from the instruction behind `syscall` to it.
    pub distance: u8,
    /// The kernel single-steps it: no cheaper place exists.
    pub single_stepped: bool,
}

/// The places in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlaces {
    /// File name of the module.
    pub module: String,
    /// Path that opens the file from here.
    pub path: PathBuf,
    /// The same file whatever it is called.
    pub key: FileKey,
    /// The places.
    pub places: Vec<Place>,
}

/// Searches every executable file mapped into process `pid`. Files that cannot be read are left out.
pub fn find(pid: u32, mappings: &[Mapping]) -> Vec<FilePlaces> {
    let files = process::executable_files(mappings);
    files
        .filter_map(|mapping| {
            let key = FileKey { dev: mapping.dev, inode: mapping.inode };
            search(open_path(pid, mapping), mapping.module(), key)
        })
        .collect()
}

/// Searches the files of a command not started yet, as [`crate::allocators::find_for_command`] does.
///
/// # Errors
/// [`Error::Read`] or [`Error::Elf`] if the program itself cannot be read.
pub fn find_for_command(
    program: &Path,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<FilePlaces>, Error> {
    let files = needed::files(program, environment)?;
    Ok(files
        .into_iter()
        .filter_map(|path| {
            let (name, key) = (file_name(&path), file_key(&path));
            search(path, name, key)
        })
        .collect())
}

fn search(path: PathBuf, module: String, key: FileKey) -> Option<FilePlaces> {
    let file = ImageFile::open(&path).ok()?;
    let elf = file.elf().ok()?;
    let places = places(&elf);
    drop(file);
    (!places.is_empty()).then_some(FilePlaces { module, path, key, places })
}

fn places(elf: &Elf<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for (address, code) in elf.code() {
        for at in syscalls(code) {
            let Some(call) = number_before(code, at).and_then(Call::from_number) else { continue };
            let behind = at + SYSCALL.len();
            let place = code.get(behind..).and_then(|code| choose(call, code));
            let found = place.and_then(|(distance, single_stepped)| {
                let file_offset = elf.file_offset(address + (behind + usize::from(distance)) as u64)?;
                Some(Place { call, file_offset, distance, single_stepped })
            });
            places.extend(found);
        }
    }
    places
}

const SYSCALL: [u8; 2] = [0x0f, 0x05];

fn syscalls(code: &[u8]) -> impl Iterator<Item = usize> + '_ {
    code.windows(SYSCALL.len()).enumerate().filter(|(_, bytes)| *bytes == SYSCALL).map(|(at, _)| at)
}

/// How far before the call its number may be loaded.
const MOST_BYTES_BEFORE: usize = 40;
/// `mov eax, imm32`.
const MOV_EAX: u8 = 0xb8;
const MOV_EAX_BYTES: usize = 5;

/// The constant in `eax` at the `syscall` at `at`: loaded by an instruction from which the code runs straight to it.
fn number_before(code: &[u8], at: usize) -> Option<u32> {
    let nearest = at.checked_sub(MOV_EAX_BYTES)?;
    let farthest = at.saturating_sub(MOST_BYTES_BEFORE);
    (farthest..=nearest).rev().find_map(|from| {
        let [MOV_EAX, number @ ..] = code.get(from..from + MOV_EAX_BYTES)? else { return None };
        let between = code.get(from + MOV_EAX_BYTES..at)?;
        runs_straight(between).then(|| u32::from_le_bytes(number.try_into().unwrap_or_default()))
    })
}

/// Whether the bytes are whole instructions without a jump that leave `rax` alone.
fn runs_straight(code: &[u8]) -> bool {
    let mut info = InstructionInfoFactory::new();
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid()
            || instruction.flow_control() != FlowControl::Next
            || overwrites(&mut info, &instruction, &[Register::RAX])
        {
            return false;
        }
    }
    true
}

fn overwrites(info: &mut InstructionInfoFactory, instruction: &Instruction, kept: &[Register]) -> bool {
    info.info(instruction).used_registers().iter().any(|used| {
        !matches!(used.access(), OpAccess::None | OpAccess::Read | OpAccess::CondRead)
            && kept.contains(&used.register().full_register())
    })
}

/// Instructions looked at behind a call.
const MOST_INSTRUCTIONS_BEHIND: usize = 8;

/// Where to probe in the code behind a call, in bytes, and whether that is single-stepped.
fn choose(call: Call, code: &[u8]) -> Option<(u8, bool)> {
    let code = &code[..code.len().min(MOST_INSTRUCTIONS_BEHIND * 15)];
    let mut info = InstructionInfoFactory::new();
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut stepped = None;
    for _ in 0..MOST_INSTRUCTIONS_BEHIND {
        let from = decoder.position();
        if !decoder.can_decode() {
            break;
        }
        let instruction = decoder.decode();
        let bytes = &code[from..decoder.position()];
        let distance = u8::try_from(from).ok()?;
        if is_emulated(&instruction, bytes, false) {
            return Some((distance, false));
        }
        if stepped.is_none() && is_probeable(&instruction, bytes) {
            stepped = Some((distance, true));
        }
        if instruction.flow_control() != FlowControl::Next
            || overwrites(&mut info, &instruction, call.registers())
        {
            break;
        }
    }
    stepped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mov eax, 9; mov r10d, ecx; syscall; cmp rax, -4096; ja +0x10; ret`
    const MMAP: [u8; 19] =
        [0xb8, 9, 0, 0, 0, 0x41, 0x89, 0xca, 0x0f, 5, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x10, 0xc3];

    #[test]
    fn a_call_is_told_by_its_constant_number() {
        assert_eq!(syscalls(&MMAP).collect::<Vec<_>>(), [8]);
        assert_eq!(number_before(&MMAP, 8), Some(9));
    }

    #[test]
    fn a_number_that_is_changed_or_jumped_over_is_not_taken() {
        // mov eax, 9; mov eax, edi; syscall
        assert_eq!(number_before(&[0xb8, 9, 0, 0, 0, 0x89, 0xf8, 0x0f, 5], 7), None);
        // mov eax, 9; jne +1; nop; syscall
        assert_eq!(number_before(&[0xb8, 9, 0, 0, 0, 0x75, 1, 0x90, 0x0f, 5], 8), None);
        // The nearest one counts.
        assert_eq!(number_before(&[0xb8, 9, 0, 0, 0, 0xb8, 11, 0, 0, 0, 0x0f, 5], 10), Some(11));
    }

    #[test]
    fn the_jump_behind_the_comparison_is_probed() {
        assert_eq!(choose(Call::Mmap, &MMAP[10..]), Some((6, false)));
    }

    #[test]
    fn registers_that_are_needed_must_still_be_there() {
        // mov rdx, rax; cmp rax, -4096; ja: mmap's protection is gone, munmap needs no rdx.
        let code = [0x48, 0x89, 0xc2, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x10];
        assert_eq!(choose(Call::Mmap, &code), Some((0, true)));
        assert_eq!(choose(Call::Munmap, &code), Some((9, false)));
    }

    #[test]
    fn code_without_a_cheap_place_is_stepped_and_garbage_gives_none() {
        assert_eq!(choose(Call::Brk, &[0x48, 0x89, 0xc2, 0xc3]), Some((0, true)));
        assert_eq!(choose(Call::Brk, &[]), None);
        assert_eq!(number_before(&[0x0f, 5], 0), None);
    }

    /// Where the compiler put them in the C library of this machine.
    #[test]
    fn the_c_librarys_wrappers_are_found_without_a_single_step() {
        let own = process::mappings(std::process::id()).unwrap();
        let files = find(std::process::id(), &own);
        let libc = files.iter().find(|file| file.module.starts_with("libc.so")).unwrap();
        for call in [Call::Mmap, Call::Munmap, Call::Mremap, Call::Brk] {
            let places: Vec<_> = libc.places.iter().filter(|place| place.call == call).collect();
            assert!(!places.is_empty(), "{call:?}: {files:?}");
        }
        let stepped: Vec<_> = libc.places.iter().filter(|place| place.single_stepped).collect();
        assert!(stepped.is_empty(), "{stepped:?}");
    }
}
