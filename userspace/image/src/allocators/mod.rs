//! Which functions of a target allocate and free memory, and where a uprobe on each is cheap.
//!
//! Of functions stacked on each other (`operator new` on `malloc`, `reallocarray` on `realloc`) only the lowest is
//! probed, so that a call counts once; those above become [`Wrapper`]s, through which a caller can be looked up,
//! as far as symbols name them: a stripped Rust program's calls of aligned blocks seem to come from its runtime.
//! A lowest function may still call another one on some path: those places are listed, and whoever counts must
//! ignore such hits. Only a jump from one into another with the frame unchanged (glibc's `aligned_alloc` of at most
//! 16 bytes' alignment into `malloc`) cannot be told from two calls. Reads files only; places no probe.

mod kind;
mod layers;
mod module;
mod names;
pub(crate) mod needed;
mod x86;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

pub use kind::{Action, AllocFn, Arguments, Family, FreedSize, Register};
pub use names::is_allocation_function;

use crate::error::Error;
use crate::process::{self, Mapping, open_path};
use module::Module;

/// Names a file on this machine: device as (major, minor), and inode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileKey {
    /// Device.
    pub dev: (u32, u32),
    /// Inode.
    pub inode: u64,
}

/// An allocation function and the instruction in it to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePoint {
    /// File name of the module.
    pub module: String,
    /// Path that opens the module from here.
    pub path: PathBuf,
    /// The same file whatever it is called.
    pub key: FileKey,
    /// Symbol; of several for one address the most common.
    pub function: String,
    /// What it is.
    pub kind: AllocFn,
    /// Whose it is.
    pub allocator: Family,
    /// Where the arguments are at the probed instruction; often, but not always, where they were at entry.
    pub arguments: Arguments,
    /// Offset in the file of the probed instruction.
    pub file_offset: u64,
    /// Bytes from the function's entry to it.
    pub function_offset: u32,
    /// Bytes from the stack pointer at that instruction up to the return address.
    pub return_slot: u16,
    /// The kernel single-steps it: no cheaper place exists.
    pub single_stepped: bool,
    /// A call with a null pointer (`realloc(NULL, size)`) goes on to another probed function, which counts it,
    /// often by a jump that leaves the stack as it is.
    pub null_passed_on: bool,
    /// Offset in the file of the function's entry.
    pub entry_file_offset: u64,
}

impl ProbePoint {
    /// Offset in the file for a return probe. It goes to the probed instruction if the return address is on top of
    /// the stack there, which is where the kernel looks for it; else to the entry, where it may be single-stepped.
    pub fn return_file_offset(&self) -> u64 {
        if self.return_slot == 0 { self.file_offset } else { self.entry_file_offset }
    }

    /// How the size of a block given to this function can be known without having seen its allocation.
    pub fn freed_size(&self) -> FreedSize {
        match (self.kind.action(), self.allocator) {
            (Action::Free, _) if self.arguments.size.is_some() => FreedSize::SizedArg,
            (Action::Free | Action::Realloc, Family::Glibc) => FreedSize::GlibcChunk,
            _ => FreedSize::Unknown,
        }
    }
}

/// A place in a wrapper to which the layer below returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// File name of the module.
    pub module: String,
    /// Path that opens the module from here.
    pub path: PathBuf,
    /// The same file whatever it is called.
    pub key: FileKey,
    /// Symbol of the wrapper.
    pub function: String,
    /// Offset in the file of the instruction after the call.
    pub return_file_offset: u64,
    /// Bytes from the stack pointer at the called function's entry (where it points at its return address) up to
    /// the wrapper's own return address.
    pub cfa_return_slot: u32,
}

/// A place in a probed function to which another probed function returns that it calls. A hit with this return
/// address belongs to a call that is counted already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NestedReturn {
    /// Path that opens the module from here.
    pub path: PathBuf,
    /// The same file whatever it is called.
    pub key: FileKey,
    /// Symbol of the calling function.
    pub function: String,
    /// Offset in the file of the instruction after the call.
    pub return_file_offset: u64,
}

/// All there is to probe in a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllocatorMap {
    /// Functions of the lowest layer.
    pub probes: Vec<ProbePoint>,
    /// Calls into them from the layers above.
    pub wrappers: Vec<Wrapper>,
    /// Calls among functions of the lowest layer. None of them is also in `wrappers`.
    pub nested: Vec<NestedReturn>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Searches every executable file mapped into process `pid`.
///
/// # Errors
/// [`Error::NoAllocator`] when none of them defines an allocation function.
pub fn find(pid: u32, mappings: &[Mapping]) -> Result<AllocatorMap, Error> {
    let options = x86::Options { calls: !has_shadow_stack(pid) };
    let mut notes = Vec::new();
    let mut looked_at = Vec::new();
    let mut modules: Vec<Module> = Vec::new();
    for mapping in process::executable_files(mappings).filter(|mapping| !is_loader(&mapping.module())) {
        let name = mapping.module();
        let key = FileKey { dev: mapping.dev, inode: mapping.inode };
        match Module::read(&open_path(pid, mapping), &name, key, options) {
            Ok(module) => modules.push(module),
            Err(error) => notes.push(error.to_string()),
        }
        looked_at.push(name);
    }
    finish(modules, notes, looked_at, false)
}

/// Searches a command not started yet: the program and the libraries the dynamic loader will map for it.
/// `environment` looks up the variables it will be started with. What it opens later by itself is not seen: search
/// the process again once it runs.
///
/// # Errors
/// [`Error::Read`] or [`Error::Elf`] if the program cannot be read, [`Error::NoAllocator`] as in [`find`].
pub fn find_for_command(
    program: &Path,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<AllocatorMap, Error> {
    let (mut modules, mut notes, mut looked_at) = (Vec::new(), Vec::new(), Vec::new());
    for path in needed::files(program, environment)? {
        let name = file_name(&path);
        if is_loader(&name) {
            continue;
        }
        match Module::read(&path, &name, file_key(&path), x86::Options { calls: true }) {
            Ok(module) => modules.push(module),
            Err(error) => notes.push(error.to_string()),
        }
        looked_at.push(name);
    }
    finish(modules, notes, looked_at, true)
}

/// Searches one file. Allocation functions it imports count as lower layers.
///
/// # Errors
/// [`Error::Read`] or [`Error::Elf`] if it cannot be read, [`Error::NoAllocator`] if it defines none.
pub fn find_in_file(path: &Path) -> Result<AllocatorMap, Error> {
    let name = file_name(path);
    let module = Module::read(path, &name, file_key(path), x86::Options { calls: true })?;
    finish(vec![module], Vec::new(), vec![name], true)
}

fn finish(
    modules: Vec<Module>,
    mut notes: Vec<String>,
    looked_at: Vec<String>,
    others_exist: bool,
) -> Result<AllocatorMap, Error> {
    let lowest = layers::lowest(&modules, others_exist);
    let mut map = AllocatorMap::default();
    for (module, lowest) in modules.into_iter().zip(lowest) {
        module.report(&lowest, &mut map);
    }
    notes.append(&mut map.notes);
    let AllocatorMap { wrappers, nested, .. } = &mut map;
    nested.retain(|nested| {
        !wrappers.iter().any(|w| (w.key, w.return_file_offset) == (nested.key, nested.return_file_offset))
    });
    if map.probes.is_empty() && map.wrappers.is_empty() {
        return Err(Error::NoAllocator { looked_at, notes });
    }
    map.notes = notes;
    Ok(map)
}

/// glibc's dynamic loader, whose own allocator serves only itself until libc is there. musl's is its libc.
fn is_loader(name: &str) -> bool {
    name.starts_with("ld-linux") || name.starts_with("ld-2.")
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

pub(crate) fn file_key(path: &Path) -> FileKey {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map_or_else(
        |_| FileKey::default(),
        |found| FileKey { dev: (libc::major(found.dev()), libc::minor(found.dev())), inode: found.ino() },
    )
}

/// Whether the process checks return addresses against a hardware shadow stack.
fn has_shadow_stack(pid: u32) -> bool {
    let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    String::from_utf8_lossy(&status).lines().any(|line| {
        line.strip_prefix("x86_Thread_features:").is_some_and(|features| features.contains("shstk"))
    })
}
