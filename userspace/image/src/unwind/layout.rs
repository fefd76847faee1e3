//! Where things lie in an ELF file: segments, the sections that unwinding reads, the build id.
//!
//! Knows nothing of processes. Program headers come first, so a file whose section headers were cut off still
//! unwinds; every range is checked against the file's length. Source: System V ABI, chapters 4 and 5;
//! LSB 5.0, "Exception Frames" for `.eh_frame_hdr`.

use std::ops::Range;

use object::elf::{FileHeader64, PF_X, PT_GNU_EH_FRAME, PT_LOAD, ProgramHeader64};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{LittleEndian, Object, ObjectSection};

/// Smallest page of the architecture: what the loader rounds segments to.
const PAGE_BYTES: u64 = 4096;

/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`: how linkers write the pointer from `.eh_frame_hdr` to `.eh_frame`.
const PCREL_SDATA4: u8 = 0x1b;

/// The sections kept, as far as the file has them. Not `.debug_frame`: what has only that (Go) has frame pointers.
const SECTIONS: [&str; 4] = [".text", ".got", ".eh_frame", ".eh_frame_hdr"];

/// One `PT_LOAD` program header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub svma: u64,
    pub file: Range<u64>,
    pub executable: bool,
}

/// One section: the addresses the file states for it, and its bytes in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub name: &'static str,
    pub svma: Range<u64>,
    pub file: Range<usize>,
}

/// What was read of one file. Addresses are SVMAs: as stated in the file, before it is moved in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub segments: Vec<Segment>,
    pub sections: Vec<Section>,
    pub build_id: Option<Vec<u8>>,
}

impl Layout {
    /// Reads the layout; `None` if this is no 64-bit little-endian ELF file with something to load.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header = FileHeader64::<LittleEndian>::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let programs = header.program_headers(endian, bytes).ok()?;
        let segments: Vec<Segment> = programs.iter().filter_map(|p| segment(p, endian)).collect();
        if segments.is_empty() {
            return None;
        }
        let mut layout = Self { segments, ..Self::default() };
        if let Ok(file) = ElfFile64::<LittleEndian>::parse(bytes) {
            layout.build_id = file.build_id().ok().flatten().map(<[u8]>::to_vec);
            layout.sections = SECTIONS.iter().filter_map(|name| section(&file, name, bytes.len())).collect();
        }
        if layout.section(".eh_frame_hdr").is_none() {
            let found = programs.iter().find(|p| p.p_type(endian) == PT_GNU_EH_FRAME);
            found.and_then(|p| layout.add_unindexed_eh_frame(p, endian, bytes));
        }
        Some(layout)
    }

    /// A section by name, where the file has it and it has bytes.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Lowest stated address, rounded down to a page: 0 for most shared objects, 0x400000 for most fixed programs.
    pub fn base_svma(&self) -> u64 {
        let lowest = self.segments.iter().map(|segment| segment.svma).min().unwrap_or(0);
        lowest / PAGE_BYTES * PAGE_BYTES
    }

    /// Stated address of the byte at this offset of the file; code is preferred where segments overlap in a page.
    pub fn svma_of(&self, file_offset: u64) -> Option<u64> {
        let holds = |s: &&Segment| {
            (s.file.start / PAGE_BYTES * PAGE_BYTES..s.file.end.next_multiple_of(PAGE_BYTES))
                .contains(&file_offset)
        };
        let exact = |s: &&Segment| s.file.contains(&file_offset);
        let segments = || self.segments.iter();
        let found = segments()
            .find(|s| s.executable && exact(s))
            .or_else(|| segments().find(exact))
            .or_else(|| segments().find(|s| s.executable && holds(s)))
            .or_else(|| segments().find(holds))?;
        Some(found.svma.wrapping_add(file_offset).wrapping_sub(found.file.start))
    }

    /// Offset in the file of the byte at this stated address.
    pub fn file_offset_of(&self, svma: u64) -> Option<u64> {
        let in_file = |s: &Segment| svma >= s.svma && svma - s.svma < s.file.end - s.file.start;
        let found = self.segments.iter().find(|s| in_file(s))?;
        Some(found.file.start + (svma - found.svma))
    }

    /// What to add (wrapping) to a stated address for its address in a process that has mapped the code at
    /// `file_offset` to `start`.
    pub fn bias(&self, start: u64, file_offset: u64) -> Option<u64> {
        // The first bytes of the mapping may lie before the segment, in the page they share.
        let code = self.segments.iter().filter(|s| s.executable);
        let mut fitting = code
            .filter(|s| s.file.start / PAGE_BYTES * PAGE_BYTES <= file_offset && file_offset < s.file.end);
        match fitting.next() {
            Some(s) => Some(start.wrapping_sub(s.svma.wrapping_add(file_offset).wrapping_sub(s.file.start))),
            None => Some(start.wrapping_sub(self.svma_of(file_offset)?)),
        }
    }

    /// Without section headers, `.eh_frame_hdr` is a segment of its own and says where `.eh_frame` starts;
    /// nothing says where that ends, so it is taken to the end of its segment.
    fn add_unindexed_eh_frame(
        &mut self,
        program: &ProgramHeader64<LittleEndian>,
        endian: LittleEndian,
        bytes: &[u8],
    ) -> Option<()> {
        let (offset, size) = program.file_range(endian);
        let file = file_range(offset, size, bytes.len())?;
        let svma = program.p_vaddr(endian);
        let header = bytes.get(file.clone())?;
        if *header.get(1)? != PCREL_SDATA4 {
            return None;
        }
        let relative = i32::from_le_bytes(header.get(4..8)?.try_into().ok()?);
        let start = svma.checked_add(4)?.checked_add_signed(relative.into())?;
        let holder =
            self.segments.iter().find(|s| start >= s.svma && start - s.svma < s.file.end - s.file.start)?;
        let file_start = holder.file.start + (start - holder.svma);
        let eh_frame = file_range(file_start, holder.file.end - file_start, bytes.len())?;
        let end = start.checked_add(eh_frame.len() as u64)?;
        self.sections.push(Section { name: ".eh_frame_hdr", svma: svma..svma.checked_add(size)?, file });
        self.sections.push(Section { name: ".eh_frame", svma: start..end, file: eh_frame });
        Some(())
    }
}

fn segment(program: &ProgramHeader64<LittleEndian>, endian: LittleEndian) -> Option<Segment> {
    let (offset, size) = program.file_range(endian);
    let svma = program.p_vaddr(endian);
    svma.checked_add(size)?;
    let end = offset.checked_add(size)?;
    // Room to round up to a page without overflow.
    (program.p_type(endian) == PT_LOAD && end < u64::MAX - PAGE_BYTES).then(|| Segment {
        svma,
        file: offset..end,
        executable: program.p_flags(endian) & PF_X != 0,
    })
}

fn section(file: &ElfFile64<'_, LittleEndian>, name: &'static str, file_bytes: usize) -> Option<Section> {
    let found = file.section_by_name(name)?;
    let (offset, size) = found.file_range().filter(|&(_, size)| size > 0)?;
    let svma = found.address()..found.address().checked_add(size)?;
    // A compressed section's bytes are of no use here.
    found.compressed_file_range().ok().filter(|r| r.format == object::CompressionFormat::None)?;
    Some(Section { name, svma, file: file_range(offset, size, file_bytes)? })
}

fn file_range(offset: u64, size: u64, file_bytes: usize) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (end <= file_bytes && start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed_program() -> Layout {
        let segment = |svma, file, executable| Segment { svma, file, executable };
        Layout {
            segments: vec![
                segment(0x40_0000, 0..0x500, false),
                segment(0x40_1800, 0x800..0x2a00, true),
                segment(0x40_4a00, 0x2a00..0x3000, false),
            ],
            ..Layout::default()
        }
    }

    #[test]
    fn a_fixed_program_is_not_moved() {
        // The second segment starts inside a page: the loader maps its page from offset 0 to 0x401000.
        assert_eq!(fixed_program().bias(0x40_1000, 0), Some(0));
        assert_eq!(fixed_program().bias(0x40_2000, 0x1000), Some(0));
        assert_eq!(fixed_program().base_svma(), 0x40_0000);
    }

    #[test]
    fn a_moved_program_has_one_bias_for_all_its_pages() {
        let base = 0x7f00_1234_5000_u64;
        for page in 0..3 {
            let file_offset = page * PAGE_BYTES;
            assert_eq!(
                fixed_program().bias(base + 0x1000 + file_offset, file_offset),
                Some(base - 0x40_0000)
            );
        }
    }

    #[test]
    fn offsets_translate_to_the_code_that_holds_them() {
        assert_eq!(fixed_program().svma_of(0x900), Some(0x40_1900));
        assert_eq!(fixed_program().svma_of(0x100), Some(0x40_0100));
        assert_eq!(fixed_program().svma_of(0x2a10), Some(0x40_4a10));
        assert_eq!(fixed_program().svma_of(0x9000), None);
    }

    #[test]
    fn the_section_headers_are_not_needed() {
        let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let whole = Layout::parse(&bytes).unwrap();
        // e_shoff, e_shnum and e_shstrndx of the ELF header.
        bytes[0x28..0x30].fill(0);
        bytes[0x3c..0x40].fill(0);
        let cut = Layout::parse(&bytes).unwrap();
        assert_eq!(cut.segments, whole.segments);
        assert_eq!(cut.section(".eh_frame_hdr"), whole.section(".eh_frame_hdr"));
        let start = |layout: &Layout| layout.section(".eh_frame").map(|s| (s.svma.start, s.file.start));
        assert!(start(&whole).is_some());
        assert_eq!(start(&cut), start(&whole));
    }

    #[test]
    fn damaged_headers_never_panic() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let head = &bytes[..4096];
        for at in 0..1024 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = head.to_vec();
                damaged[at] = value;
                if let Some(layout) = Layout::parse(&damaged) {
                    let _ = (layout.base_svma(), layout.svma_of(0x1000), layout.bias(0x1000, 0x1000));
                }
            }
        }
        assert_eq!(Layout::parse(&head[..40]), None);
        assert_eq!(Layout::parse(b"#!/bin/sh\n"), None);
    }
}
