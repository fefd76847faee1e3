//! User-space static probes (USDT) by which an allocator hands out its own samples: the `otel_memory` contract.
//!
//! An allocator that samples fires `otel_memory:alloc(pointer, size, weighted_bytes)` at each allocation it has picked and
//! `otel_memory:free(pointer)` when that block is freed. The expected sum of `weighted_bytes` is the true number of bytes
//! (OpenTelemetry eBPF profiler, design document 00003, memory profiling). A probe is a `nop` in its code and a note in its
//! file that says where, and where the arguments are ([`arguments`], [`notes`]). A semaphore, a counter the kernel raises
//! while the probe is watched, lets it do no work for nobody.
//!
//! Files are read, no probe is placed.

pub mod arguments;
mod notes;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use arguments::{Argument, Isa};

use crate::allocators::{FileKey, file_key, file_name, needed};
use crate::elf::ImageFile;
use crate::error::Error;
use crate::process::{self, Mapping, open_path};

/// The provider of the contract.
pub const PROVIDER: &str = "otel_memory";

/// What a probe tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A sampled allocation: pointer, size, weighted bytes.
    Alloc,
    /// The end of one: pointer.
    Free,
}

impl Event {
    /// Its name in the note.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alloc => "alloc",
            Self::Free => "free",
        }
    }

    fn arguments(self) -> usize {
        match self {
            Self::Alloc => 3,
            Self::Free => 1,
        }
    }
}

/// A place to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePoint {
    /// File name of the module.
    pub module: String,
    /// Path that opens the module from here.
    pub path: PathBuf,
    /// The same file whatever it is called.
    pub key: FileKey,
    /// What it tells.
    pub event: Event,
    /// Offset in the file of the instruction.
    pub file_offset: u64,
    /// Offset in the file of the semaphore.
    pub semaphore: Option<u64>,
    /// Where its arguments are, as many as [`Event`] has.
    pub arguments: Vec<Argument>,
}

/// The contract's probes in the files of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples {
    /// Where they are.
    pub points: Vec<ProbePoint>,
    /// Probes by these names that cannot be read, and why.
    pub notes: Vec<String>,
}

impl Samples {
    /// Whether allocations can be told by them.
    pub fn are_offered(&self) -> bool {
        self.points.iter().any(|point| point.event == Event::Alloc)
    }

    /// Whether the ends of blocks can be told, too: every file that tells of allocations tells of them.
    pub fn tell_frees(&self) -> bool {
        let files = |event| -> HashSet<FileKey> {
            self.points.iter().filter(|point| point.event == event).map(|point| point.key).collect()
        };
        self.are_offered() && files(Event::Alloc).is_subset(&files(Event::Free))
    }
}

/// Searches every executable file mapped into process `pid`. Files that cannot be read offer nothing.
pub fn find(pid: u32, mappings: &[Mapping]) -> Samples {
    let mut samples = Samples::default();
    for mapping in process::executable_files(mappings) {
        let key = FileKey { dev: mapping.dev, inode: mapping.inode };
        search(&open_path(pid, mapping), &mapping.module(), key, &mut samples);
    }
    samples
}

/// Searches the files of a command not started yet, as [`crate::allocators::find_for_command`] does.
///
/// # Errors
/// [`Error::Read`] or [`Error::Elf`] if the program itself cannot be read.
pub fn find_for_command(
    program: &Path,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Samples, Error> {
    let mut samples = Samples::default();
    for path in needed::files(program, environment)? {
        let (name, key) = (file_name(&path), file_key(&path));
        search(&path, &name, key, &mut samples);
    }
    Ok(samples)
}

fn search(path: &Path, module: &str, key: FileKey, samples: &mut Samples) {
    let Ok(file) = ImageFile::open(path) else { return };
    let Ok((isa, notes)) = notes::read(file.bytes()) else { return };
    if Some(isa) != Isa::NATIVE {
        return;
    }
    for note in notes.iter().filter(|note| note.provider == PROVIDER) {
        let events = [Event::Alloc, Event::Free];
        // `mmap` and `munmap` of the contract: waytrace sees mappings by itself.
        let Some(event) = events.into_iter().find(|event| event.name() == note.name) else { continue };
        let arguments = arguments::parse(note.arguments, isa).and_then(|mut arguments| {
            let enough = arguments.len() >= event.arguments();
            arguments.truncate(event.arguments());
            enough.then_some(arguments)
        });
        let Some(arguments) = arguments else {
            samples.notes.push(format!(
                "{module}:{PROVIDER}:{} has arguments of a form not known: `{}`",
                note.name, note.arguments
            ));
            continue;
        };
        samples.points.push(ProbePoint {
            module: module.to_owned(),
            path: path.to_owned(),
            key,
            event,
            file_offset: note.file_offset,
            semaphore: note.semaphore,
            arguments,
        });
    }
}
