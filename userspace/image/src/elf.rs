//! ELF files as this crate needs them: code by address, file offsets, function symbols, and which function an
//! indirect call through the global offset table reaches.
//!
//! Reads lazily from a mapped file; no DWARF, no unwinding. Source: System V ABI, AMD64 supplement.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use object::elf::{self, FileHeader64, STB_LOCAL, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, Rela, SectionHeader, Sym, SymbolTable};
use object::{LittleEndian, SymbolIndex};

use crate::error::Error;

const LE: LittleEndian = LittleEndian;

/// A file mapped into memory.
#[derive(Debug)]
pub struct ImageFile {
    path: PathBuf,
    map: Mmap,
}

impl ImageFile {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// [`Error::Read`] if it cannot be opened or mapped.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        // SAFETY: the mapping is private and read-only. Its bytes may change if somebody writes to the file, which
        // the parsers survive because they check every read; installers replace files by renaming.
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        Ok(Self { path: path.to_owned(), map })
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Parses the headers.
    ///
    /// # Errors
    /// [`Error::Elf`] if it is no 64-bit x86 ELF file.
    pub fn elf(&self) -> Result<Elf<'_>, Error> {
        Elf::parse(&self.map, &self.path)
    }
}

/// A function (or untyped) symbol that is defined in the file.
#[derive(Debug, Clone, Copy)]
pub struct Symbol<'d> {
    /// Name without version.
    pub name: &'d [u8],
    /// Address in the file's own address space.
    pub address: u64,
    /// Visible in this file only.
    pub local: bool,
    /// The address is that of a resolver which picks the function at load time.
    pub indirect: bool,
}

/// What a file asks of the dynamic loader.
#[derive(Debug, Clone, Default)]
pub struct Linkage<'d> {
    /// The loader itself; programs only.
    pub interpreter: Option<&'d [u8]>,
    /// Names of the libraries wanted.
    pub needed: Vec<&'d [u8]>,
    /// Lists of directories to search, separated by colons.
    pub run_paths: Vec<&'d [u8]>,
}

/// Headers of a parsed file.
#[derive(Debug)]
pub struct Elf<'d> {
    data: &'d [u8],
    file: ElfFile64<'d, LittleEndian>,
    loads: Vec<Load>,
}

#[derive(Debug, Clone, Copy)]
struct Load {
    address: u64,
    offset: u64,
    file_bytes: u64,
    executable: bool,
}

impl<'d> Elf<'d> {
    /// Parses the headers of `data`; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Elf`] if it is no 64-bit x86 ELF file.
    pub fn parse(data: &'d [u8], path: &Path) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Elf { path: path.to_owned(), reason: reason.to_owned() };
        let file = ElfFile64::parse(data).map_err(|error| wrong(&error.to_string()))?;
        let header: &FileHeader64<LittleEndian> = file.elf_header();
        if header.e_machine(LE) != elf::EM_X86_64 {
            return Err(wrong("made for another architecture"));
        }
        let segments = header.program_headers(LE, data).map_err(|error| wrong(&error.to_string()))?;
        let loads =
            segments.iter().filter(|segment| segment.p_type(LE) == elf::PT_LOAD).map(|segment| Load {
                address: segment.p_vaddr(LE),
                offset: segment.p_offset(LE),
                file_bytes: segment.p_filesz(LE),
                executable: segment.p_flags(LE) & elf::PF_X != 0,
            });
        Ok(Self { data, loads: loads.collect(), file })
    }

    /// Offset in the file of the byte loaded at `address`.
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        self.load(address).and_then(|load| load.offset.checked_add(address - load.address))
    }

    /// Code from `address` to the end of its segment; empty where there is none.
    pub fn code_at(&self, address: u64) -> &'d [u8] {
        let Some(load) = self.load(address).filter(|load| load.executable) else { return &[] };
        let skip = address - load.address;
        let bounds = load.offset.checked_add(skip).zip(load.offset.checked_add(load.file_bytes));
        bounds.and_then(|(from, to)| self.data.get(from as usize..to as usize)).unwrap_or(&[])
    }

    /// Every executable segment: its address and its bytes in the file.
    pub fn code(&self) -> impl Iterator<Item = (u64, &'d [u8])> + '_ {
        self.loads
            .iter()
            .filter(|load| load.executable)
            .map(|load| (load.address, self.code_at(load.address)))
    }

    /// Whether the file carries a full symbol table; without, only exported functions are known.
    pub fn has_full_symbols(&self) -> bool {
        !self.file.elf_symbol_table().is_empty()
    }

    /// Functions defined here, from the full and the dynamic symbol table; aliases and duplicates included.
    pub fn functions(&self) -> impl Iterator<Item = Symbol<'d>> + '_ {
        let tables = [self.file.elf_symbol_table(), self.file.elf_dynamic_symbol_table()];
        tables.into_iter().flat_map(|table| table.iter().filter_map(|symbol| self.function(table, symbol)))
    }

    /// Slots of the global offset table that dynamic linking fills with the address of a named symbol.
    pub fn import_slots(&self) -> HashMap<u64, &'d [u8]> {
        let table = self.file.elf_dynamic_symbol_table();
        let mut slots = HashMap::new();
        for section in self.file.elf_section_table().iter() {
            let Ok(Some((relocations, link))) = section.rela(LE, self.data) else { continue };
            if link != table.section() {
                continue;
            }
            for relocation in relocations.iter().filter(|relocation| relocation.r_sym(LE, false) != 0) {
                let symbol = table.symbol(SymbolIndex(relocation.r_sym(LE, false) as usize));
                if let Some(name) = symbol.ok().and_then(|symbol| name_of(table, symbol)) {
                    slots.insert(relocation.r_offset(LE), name);
                }
            }
        }
        slots
    }

    /// What the file asks of the dynamic loader.
    pub fn linkage(&self) -> Linkage<'d> {
        let mut linkage = Linkage::default();
        let strings = self.file.elf_dynamic_symbol_table().strings();
        for segment in self.file.elf_program_headers() {
            if let Ok(Some(name)) = segment.interpreter(LE, self.data) {
                linkage.interpreter = Some(name);
            }
            let Ok(Some(entries)) = segment.dynamic(LE, self.data) else { continue };
            for entry in entries {
                let text =
                    u32::try_from(entry.d_val.get(LE)).ok().and_then(|offset| strings.get(offset).ok());
                match (entry.d_tag.get(LE), text) {
                    (elf::DT_NEEDED, Some(name)) => linkage.needed.push(name),
                    (elf::DT_RUNPATH | elf::DT_RPATH, Some(list)) => linkage.run_paths.push(list),
                    _ => {}
                }
            }
        }
        linkage
    }

    fn load(&self, address: u64) -> Option<&Load> {
        self.loads
            .iter()
            .find(|load| address.checked_sub(load.address).is_some_and(|skip| skip < load.file_bytes))
    }

    fn function(
        &self,
        table: &SymbolTable<'d, FileHeader64<LittleEndian>>,
        symbol: &elf::Sym64<LittleEndian>,
    ) -> Option<Symbol<'d>> {
        let kind = symbol.st_type();
        let defined =
            symbol.st_shndx(LE) != elf::SHN_UNDEF && matches!(kind, STT_FUNC | STT_NOTYPE | STT_GNU_IFUNC);
        let name = defined.then(|| name_of(table, symbol)).flatten()?;
        Some(Symbol {
            name,
            address: symbol.st_value(LE),
            local: symbol.st_bind() == STB_LOCAL,
            indirect: kind == STT_GNU_IFUNC,
        })
    }
}

/// The name without its version, `malloc` of `malloc@@GLIBC_2.2.5`.
fn name_of<'d>(
    table: &SymbolTable<'d, FileHeader64<LittleEndian>>,
    symbol: &elf::Sym64<LittleEndian>,
) -> Option<&'d [u8]> {
    let name = table.symbol_name(LE, symbol).ok()?;
    let end = name.iter().position(|&b| b == b'@').unwrap_or(name.len());
    name.get(..end).filter(|name| !name.is_empty())
}
