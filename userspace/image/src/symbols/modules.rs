//! The code a process has mapped, with its files held open.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::Error;
use crate::process::{Mapping, MappingKind, mappings, open_path};
use crate::unwind::file_key::FileKey;
use crate::unwind::layout::Layout;

/// First parts of the names of libraries that are not the program's own code: the C and C++ runtimes, the loader,
/// and allocators.
const SYSTEM: [&str; 20] = [
    "libc.so",
    "libc-2.",
    "ld-linux",
    "ld-musl",
    "ld-2.",
    "libpthread",
    "libm.so",
    "libdl.so",
    "librt.so",
    "libgcc_s",
    "libstdc++",
    "libc++",
    "libunwind",
    "libjemalloc",
    "libtcmalloc",
    "libmimalloc",
    "libhoard",
    "libsnmalloc",
    "librpmalloc",
    "libscudo",
];

/// Where an address lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Which of the [`Modules`]: see [`Modules::name`].
    pub module_index: usize,
    /// Offset in the file of the byte at the address.
    pub file_offset: u64,
    /// The address as the file states it, before it was moved in memory.
    pub svma: u64,
}

/// Code mapped at an address, up to the end of its mapping.
#[derive(Debug, Clone, Copy)]
pub struct MappedCode<'m> {
    /// The file and the offset in it of the byte at the address. `None` where the code is the process's own: made at run
    /// time, or from a file but writable, or from one that could not be read.
    pub file: Option<(FileKey, &'m File, u64)>,
    /// First address after the mapping.
    pub end: u64,
}

/// One file that code is or was mapped from.
#[derive(Debug)]
pub(super) struct Module {
    pub name: String,
    /// As the target sees it.
    pub path: PathBuf,
    pub key: FileKey,
    pub file: File,
    pub layout: Layout,
    is_executable: bool,
}

impl Module {
    /// A path that names the open file whatever became of its name.
    pub fn open_path(&self) -> PathBuf {
        fd_path(&self.file)
    }
}

pub(super) fn fd_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// One executable mapping.
#[derive(Debug, Clone)]
struct Code {
    mapping: Mapping,
    /// `None` without a file, or with one that cannot be read.
    module: Option<usize>,
}

/// A process's executable mappings and their files. What is unmapped stays known until something else is mapped in
/// its place. Cloning shares the open files: for the child of a fork, clone the parent's and [`sync`](Self::sync).
#[derive(Debug, Clone, Default)]
pub struct Modules {
    codes: Vec<Code>,
    modules: Vec<Arc<Module>>,
    /// The target's root directory, which it keeps reachable after its exit.
    root: Option<Arc<File>>,
    /// The process's id as it sees it itself.
    pub(super) inner_pid: Option<u32>,
}

impl Modules {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what process `pid` has mapped now and opens the files that are new.
    ///
    /// # Errors
    /// [`Error::Exited`] or [`Error::Permission`]; what was known before stays.
    pub fn sync(&mut self, pid: u32) -> Result<(), Error> {
        self.sync_with(pid, &mappings(pid)?);
        Ok(())
    }

    /// [`sync`](Self::sync) with mappings that were read already.
    pub fn sync_with(&mut self, pid: u32, mappings: &[Mapping]) {
        let executable = fs::metadata(format!("/proc/{pid}/exe")).ok().map(|meta| FileKey::of_meta(&meta));
        if let Ok(root) = File::open(format!("/proc/{pid}/root")) {
            self.root = Some(Arc::new(root));
        }
        self.inner_pid = inner_pid(pid).or(self.inner_pid);
        let mut codes: Vec<Code> = Vec::new();
        for mapping in mappings.iter().filter(|m| m.executable) {
            let known = self.code(mapping.start).filter(|code| code.mapping == *mapping);
            let module = match known {
                Some(code) => code.module,
                None => self.module_of(pid, mapping, executable),
            };
            codes.push(Code { mapping: mapping.clone(), module });
        }
        codes.sort_by_key(|code| code.mapping.start);
        let is_free = |old: &Code| {
            let before_end = codes.partition_point(|new| new.mapping.start < old.mapping.end);
            codes[..before_end].last().is_none_or(|new| new.mapping.end <= old.mapping.start)
        };
        let kept: Vec<Code> = self.codes.iter().filter(|old| is_free(old)).cloned().collect();
        codes.extend(kept);
        codes.sort_by_key(|code| code.mapping.start);
        self.codes = codes;
    }

    /// Where `address` lies; `None` outside of code from a file that could be read.
    pub fn locate(&self, address: u64) -> Option<Location> {
        let code = self.code(address)?;
        let module_index = code.module?;
        let file_offset = code.mapping.file_offset_of(address)?;
        let bias = self.modules[module_index].layout.bias(code.mapping.start, code.mapping.file_offset)?;
        Some(Location { module_index, file_offset, svma: address.wrapping_sub(bias) })
    }

    /// What is known of the code at `address`; `None` outside of executable mappings.
    pub fn code_at(&self, address: u64) -> Option<MappedCode<'_>> {
        let code = self.code(address)?;
        let module = code.module.filter(|_| !code.mapping.writable).and_then(|index| self.modules.get(index));
        let file =
            module.and_then(|module| Some((module.key, &module.file, code.mapping.file_offset_of(address)?)));
        Some(MappedCode { file, end: code.mapping.end })
    }

    /// File name of a module of a [`Location`].
    pub fn name(&self, module_index: usize) -> Option<&str> {
        self.modules.get(module_index).map(|module| module.name.as_str())
    }

    /// Whether `address` is in code the program brought along: its executable always, generated code, and any library
    /// but the language runtimes, the loader and allocators.
    pub fn is_own_code(&self, address: u64) -> bool {
        let Some(code) = self.code(address) else { return false };
        if code.module.is_some_and(|index| self.modules[index].is_executable) {
            return true;
        }
        match &code.mapping.kind {
            MappingKind::File { .. } => {
                let name = code.mapping.module();
                !SYSTEM.iter().any(|system| name.starts_with(system))
            }
            MappingKind::Anon | MappingKind::Heap | MappingKind::Stack => true,
            MappingKind::Special(name) => name.starts_with("[anon"),
            MappingKind::Vdso => false,
        }
    }

    pub(super) fn module(&self, module_index: usize) -> &Module {
        &self.modules[module_index]
    }

    /// The mapping of `address`, for what has no symbols.
    pub(super) fn mapping(&self, address: u64) -> Option<&Mapping> {
        self.code(address).map(|code| &code.mapping)
    }

    /// The target's root directory, as a path that outlives the process.
    pub(super) fn root(&self) -> Option<PathBuf> {
        self.root.as_deref().map(fd_path)
    }

    fn code(&self, address: u64) -> Option<&Code> {
        let after = self.codes.partition_point(|code| code.mapping.start <= address);
        let code = self.codes.get(after.checked_sub(1)?)?;
        code.mapping.contains(address).then_some(code)
    }

    fn module_of(&mut self, pid: u32, mapping: &Mapping, executable: Option<FileKey>) -> Option<usize> {
        let path = mapping.path()?.to_owned();
        let opened = File::open(open_path(pid, mapping));
        let file = opened
            .inspect_err(|error| tracing::debug!(pid, path = %path.display(), %error, "no symbols: cannot open the file"))
            .ok()?;
        let key = FileKey::of(&file).ok()?;
        if let Some(index) = self.modules.iter().position(|module| module.key == key) {
            return Some(index);
        }
        // SAFETY: a private mapping, read as bytes while this call lasts.
        let bytes = unsafe { Mmap::map(&file) }.ok()?;
        let layout = Layout::parse(&bytes)?;
        let is_executable = executable == Some(key);
        self.modules.push(Arc::new(Module {
            name: mapping.module(),
            path,
            key,
            file,
            layout,
            is_executable,
        }));
        Some(self.modules.len() - 1)
    }
}

/// The last of the ids in `NStgid` is the one in the innermost PID namespace.
fn inner_pid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NStgid:"))?;
    ids.split_ascii_whitespace().next_back()?.parse().ok()
}
