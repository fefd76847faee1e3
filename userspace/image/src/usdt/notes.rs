//! The `.note.stapsdt` section of an ELF file: its probes, with their addresses turned into offsets in the file.
//!
//! Each note (owner `stapsdt`, type 3) holds three addresses (of the probe, of the section `.stapsdt.base` when the file
//! was linked, of the semaphore or 0) and three strings (provider, name, arguments). Tools that move sections after
//! linking (prelink) leave the note as it is; how far `.stapsdt.base` has moved says by how much the addresses are off.

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use super::arguments::Isa;

const LE: LittleEndian = LittleEndian;
const OWNER: &[u8] = b"stapsdt";
const KIND: u32 = 3;
/// The kernel's counter under a semaphore is a `short` (include/linux/uprobes.h, `ref_ctr_offset`).
const SEMAPHORE_BYTES: u64 = 2;

/// A probe as its note describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'d> {
    /// Who offers it.
    pub provider: &'d str,
    /// What it is called.
    pub name: &'d str,
    /// Where its arguments are.
    pub arguments: &'d str,
    /// Offset in the file of the instruction to probe: a `nop`.
    pub file_offset: u64,
    /// Offset in the file of the counter that tells the program it is watched; `None` if there is none.
    pub semaphore: Option<u64>,
}

/// The probes of a file, and whose registers they name. Notes that cannot be what they say are left out: no code at the
/// address, no `nop` there, a semaphore that is not in writable memory.
///
/// # Errors
/// Why it is no ELF file of 64 bits, little endian, of an architecture known here.
pub fn read(data: &[u8]) -> Result<(Isa, Vec<Note<'_>>), String> {
    let said = |error: object::Error| error.to_string();
    let header = FileHeader64::<LittleEndian>::parse(data).map_err(said)?;
    let isa = match header.e_machine(LE) {
        _ if !header.is_little_endian() => return Err("big endian".to_owned()),
        elf::EM_X86_64 => Isa::X86_64,
        elf::EM_AARCH64 => Isa::Aarch64,
        other => return Err(format!("made for another architecture ({other})")),
    };
    let sections = header.sections(LE, data).map_err(said)?;
    let loads = loads(header, data)?;
    let base = sections.section_by_name(LE, b".stapsdt.base").map(|(_, section)| section.sh_addr(LE));
    let mut found = Vec::new();
    for section in
        sections.iter().filter(|section| sections.section_name(LE, section) == Ok(b".note.stapsdt"))
    {
        let Ok(Some(mut notes)) = section.notes(LE, data) else { continue };
        while let Ok(Some(note)) = notes.next() {
            found.extend(probe(&note, base, &loads, isa, data));
        }
    }
    Ok((isa, found))
}

type ElfNote<'d> = object::read::elf::Note<'d, FileHeader64<LittleEndian>>;

fn probe<'d>(
    note: &ElfNote<'d>,
    base: Option<u64>,
    loads: &[Load],
    isa: Isa,
    data: &'d [u8],
) -> Option<Note<'d>> {
    if note.name() != OWNER || note.n_type(LE) != KIND {
        return None;
    }
    let (address, rest) = word(note.desc())?;
    let (linked_base, rest) = word(rest)?;
    let (semaphore, rest) = word(rest)?;
    let moved = base.map_or(0, |base| base.wrapping_sub(linked_base));
    let mut strings = rest.split(|&byte| byte == 0).map(std::str::from_utf8);
    let mut string = || strings.next()?.ok();
    let (provider, name, arguments) = (string()?, string()?, string()?);
    let file_offset = offset(loads, address.wrapping_add(moved), 1, |load| load.executable)?;
    let at = data.get(usize::try_from(file_offset).ok()?..)?;
    is_nop(at, isa).then_some(())?;
    let semaphore = match semaphore {
        0 => None,
        address => {
            let at = offset(loads, address.wrapping_add(moved), SEMAPHORE_BYTES, |load| load.writable)?;
            data.get(usize::try_from(at).ok()?..)?.get(..SEMAPHORE_BYTES as usize)?;
            Some(at)
        }
    };
    Some(Note { provider, name, arguments, file_offset, semaphore })
}

fn word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*word), rest))
}

/// A breakpoint anywhere but on an instruction would damage the program; the probe macros write a `nop`.
fn is_nop(code: &[u8], isa: Isa) -> bool {
    // Intel SDM 2B, NOP: one byte; two; with an operand of four bytes, in five.
    const X86: [&[u8]; 3] = [&[0x90], &[0x66, 0x90], &[0x0f, 0x1f, 0x44, 0, 0]];
    const AARCH64: [u8; 4] = 0xd503_201f_u32.to_le_bytes();
    match isa {
        Isa::X86_64 => X86.iter().any(|nop| code.starts_with(nop)),
        Isa::Aarch64 => code.starts_with(&AARCH64),
    }
}

struct Load {
    address: u64,
    offset: u64,
    file_bytes: u64,
    executable: bool,
    writable: bool,
}

fn loads(header: &FileHeader64<LittleEndian>, data: &[u8]) -> Result<Vec<Load>, String> {
    let segments = header.program_headers(LE, data).map_err(|error| error.to_string())?;
    let loads = segments.iter().filter(|segment| segment.p_type(LE) == elf::PT_LOAD);
    let load = |segment: &elf::ProgramHeader64<LittleEndian>| Load {
        address: segment.p_vaddr(LE),
        offset: segment.p_offset(LE),
        file_bytes: segment.p_filesz(LE),
        executable: segment.p_flags(LE) & elf::PF_X != 0,
        writable: segment.p_flags(LE) & elf::PF_W != 0,
    };
    Ok(loads.map(load).collect())
}

/// Where in the file the `length` bytes at `address` are, in a segment such as wanted.
fn offset(loads: &[Load], address: u64, length: u64, wanted: fn(&Load) -> bool) -> Option<u64> {
    loads.iter().filter(|load| wanted(load)).find_map(|load| {
        let skip = address.checked_sub(load.address)?;
        (skip.checked_add(length)? <= load.file_bytes).then(|| load.offset.checked_add(skip)).flatten()
    })
}
