//! The allocation functions of one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::kind::{AllocFn, Family};
use super::names::{self, Meaning};
use super::x86::{self, Code, Options, Point, Wrapping};
use super::{AllocatorMap, FileKey, NestedReturn, ProbePoint, Wrapper};
use crate::elf::{Elf, ImageFile};
use crate::error::Error;

/// One function, under all its names.
#[derive(Debug)]
pub(super) struct Function {
    pub address: u64,
    name: String,
    /// Names other files can reach it by.
    pub exported: Vec<String>,
    kind: AllocFn,
    family: Family,
    entry_file_offset: u64,
    point: Option<(Point, u64)>,
    null_passed_on: bool,
    /// File offsets to which allocation functions return that it calls.
    nested_offsets: Vec<u64>,
    /// How it passes on; `None` if it does the work itself.
    pub wrapping: Option<Wrapping>,
    /// Of each call site in `wrapping`, the file offset it returns to.
    site_offsets: Vec<Option<u64>>,
}

/// One file and what was found in it.
#[derive(Debug)]
pub(super) struct Module {
    name: String,
    path: PathBuf,
    key: FileKey,
    pub functions: Vec<Function>,
    notes: Vec<String>,
}

/// Names seen for one address.
struct Named {
    best: Meaning,
    name: String,
    exported: Vec<String>,
}

impl Module {
    /// Finds and analyses the allocation functions of the file at `path`.
    pub fn read(path: &Path, name: &str, key: FileKey, options: Options) -> Result<Self, Error> {
        let file = ImageFile::open(path)?;
        let elf = file.elf()?;
        let mut module = Self {
            name: name.to_owned(),
            path: path.to_owned(),
            key,
            functions: Vec::new(),
            notes: Vec::new(),
        };
        let named = module.collect(&elf);
        if named.is_empty() {
            let linkage = elf.linkage();
            if !elf.has_full_symbols() && linkage.needed.is_empty() {
                module
                    .notes
                    .push(format!("{name} is static and stripped, so nothing in it can be found by name"));
            }
            return Ok(module);
        }
        let family = module_family(&elf, name);
        let listed =
            named.iter().map(|(address, named)| (*address, named.best.function, named.best.arguments));
        let code = Code::new(&elf, listed);
        for (address, named) in &named {
            module.add(&elf, &code, *address, named, family, options);
        }
        Ok(module)
    }

    /// Symbols of allocation functions by address.
    fn collect(&mut self, elf: &Elf<'_>) -> BTreeMap<u64, Named> {
        let mut found: BTreeMap<u64, Named> = BTreeMap::new();
        for symbol in elf.functions() {
            let Some(meaning) = names::lookup(symbol.name, symbol.local) else { continue };
            let name = String::from_utf8_lossy(symbol.name).into_owned();
            if symbol.indirect {
                let note = format!("{} in {} is chosen at load time and not probed", name, self.name);
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
                continue;
            }
            if elf.code_at(symbol.address).is_empty() {
                continue;
            }
            let entry = found.entry(symbol.address).or_insert_with(|| Named {
                best: meaning,
                name: name.clone(),
                exported: Vec::new(),
            });
            if meaning.rank < entry.best.rank {
                entry.best = meaning;
                entry.name.clone_from(&name);
            }
            if !symbol.local && !entry.exported.contains(&name) {
                entry.exported.push(name);
            }
        }
        found
    }

    fn add(
        &mut self,
        elf: &Elf<'_>,
        code: &Code<'_, '_>,
        address: u64,
        named: &Named,
        family: Family,
        options: Options,
    ) {
        let Meaning { function: kind, arguments, .. } = named.best;
        let Some(entry_file_offset) = elf.file_offset(address) else { return };
        let wrapping = x86::analyse(code, address, kind, arguments);
        let sites = wrapping.iter().flat_map(|wrapping| &wrapping.sites);
        let site_offsets = sites.map(|site| elf.file_offset(site.return_address)).collect();
        let nested = if wrapping.is_none() { x86::nested_returns(code, address) } else { Vec::new() };
        let point = x86::choose(code, address, kind, arguments, options);
        self.functions.push(Function {
            address,
            name: named.name.clone(),
            exported: named.exported.clone(),
            kind,
            family: named.best.family.unwrap_or(family),
            entry_file_offset,
            point: point.and_then(|point| Some((point, elf.file_offset(point.address)?))),
            null_passed_on: x86::passes_null_on(code, address, kind, arguments),
            nested_offsets: nested.into_iter().filter_map(|address| elf.file_offset(address)).collect(),
            wrapping,
            site_offsets,
        });
    }

    /// Adds what was found to `map`; `lowest` says of each function whether it is to be probed.
    pub fn report(self, lowest: &[bool], map: &mut AllocatorMap) {
        map.notes.extend(self.notes.iter().cloned());
        for (function, lowest) in self.functions.iter().zip(lowest) {
            if *lowest {
                self.report_probe(function, map);
            } else {
                self.report_wrapper(function, map);
            }
        }
    }

    fn report_probe(&self, function: &Function, map: &mut AllocatorMap) {
        let Some((point, file_offset)) = function.point else {
            map.notes.push(format!("the kernel refuses a probe on {} in {}", function.name, self.name));
            return;
        };
        let distance =
            point.address.checked_sub(function.address).and_then(|bytes| u32::try_from(bytes).ok());
        map.probes.push(ProbePoint {
            module: self.name.clone(),
            path: self.path.clone(),
            key: self.key,
            function: function.name.clone(),
            kind: function.kind,
            allocator: function.family,
            arguments: point.arguments,
            file_offset,
            function_offset: distance.unwrap_or(0),
            return_slot: point.return_slot,
            single_stepped: point.single_stepped,
            null_passed_on: function.null_passed_on,
            entry_file_offset: function.entry_file_offset,
        });
        map.nested.extend(function.nested_offsets.iter().map(|offset| NestedReturn {
            path: self.path.clone(),
            key: self.key,
            function: function.name.clone(),
            return_file_offset: *offset,
        }));
    }

    fn report_wrapper(&self, function: &Function, map: &mut AllocatorMap) {
        let sites = function.wrapping.iter().flat_map(|wrapping| &wrapping.sites);
        for (site, offset) in sites.zip(&function.site_offsets) {
            let Some((return_file_offset, cfa_return_slot)) = offset.zip(site.return_slot) else {
                map.notes.push(format!(
                    "the caller of {} in {} cannot be told: its frame has no fixed size",
                    function.name, self.name
                ));
                continue;
            };
            let wrapper = Wrapper {
                module: self.name.clone(),
                path: self.path.clone(),
                key: self.key,
                function: function.name.clone(),
                return_file_offset,
                cfa_return_slot,
            };
            // Wrappers may share the code that calls, as in jumps to a common slow path.
            let known = map
                .wrappers
                .iter()
                .find(|other| other.key == self.key && other.return_file_offset == return_file_offset);
            match known {
                None => map.wrappers.push(wrapper),
                Some(other) if other.cfa_return_slot == cfa_return_slot => {}
                Some(other) => map.notes.push(format!(
                    "{} and {} in {} share a call with different frames; the caller of {} may be shown wrong",
                    other.function, function.name, self.name, function.name
                )),
            }
        }
    }
}

/// Whose allocator a file with plainly named functions is, told by what else it defines.
fn module_family(elf: &Elf<'_>, name: &str) -> Family {
    let mut glibc = false;
    let mut musl = name.contains("musl");
    for symbol in elf.functions() {
        match symbol.name {
            b"mi_malloc" => return Family::Mimalloc,
            b"tc_malloc" => return Family::Tcmalloc,
            b"mallocx" | b"je_mallocx" | b"_rjem_mallocx" => return Family::Jemalloc,
            b"__libc_memalign" | b"gnu_get_libc_version" => glibc = true,
            b"__libc_malloc_impl" | b"__malloc_donate" | b"_dlstart" => musl = true,
            _ => {}
        }
    }
    match (glibc, musl) {
        (true, _) => Family::Glibc,
        (false, true) => Family::Musl,
        (false, false) => Family::Other,
    }
}
