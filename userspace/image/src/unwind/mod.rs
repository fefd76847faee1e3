//! Full call stacks from a few registers and a raw copy of the stack, for code without frame pointers.
//!
//! The kernel side copies the bytes at the stack pointer; here they are unwound by the `.eh_frame` tables of the
//! files the process has mapped, off the hot path and without touching the process. Code without tables (JITs)
//! is followed by its frame pointers. Symbols are not resolved here; see [`crate::symbols`].
//!
//! Files are read through [`crate::process::open_path`] when they are first seen mapped and stay open, so other
//! mount namespaces, deleted or replaced files and processes that have exited since are no special cases.
//! Source: System V ABI for AMD64, section 3.7; the [framehop] crate evaluates the tables.
//!
//! [framehop]: https://docs.rs/framehop

mod coverage;
pub(crate) mod file_key;
mod image;
pub(crate) mod layout;
mod space;
mod walk;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::sync::{Arc, Weak};

use framehop::FrameAddress;

use crate::process::{Mapping, MappingKind, open_path};
use file_key::FileKey;
use image::Image;
use space::Space;

/// The registers an unwind starts from, as they were when the stack was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// Instruction pointer.
    pub ip: u64,
    /// Stack pointer: the address of the first byte copied.
    pub sp: u64,
    /// Frame pointer (`rbp`), whatever the code uses it for.
    pub bp: u64,
}

/// Why a stack ends where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The outermost frame of the thread was reached.
    Complete,
    /// The next frame lies beyond the bytes that were copied.
    Truncated,
    /// Neither unwind tables nor frame pointers lead on from this address. An address in no mapping known means
    /// that the maps changed since [`Unwinder::sync`].
    NoUnwindInfo {
        /// Where it ended.
        address: u64,
    },
    /// `max_frames` were found and there are more.
    Limit,
}

/// An unwound stack, innermost frame first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The first address (the instruction pointer itself, from [`Unwinder::unwind`]), then for each caller the address to look up: its return address less one,
    /// which lies in the call itself (or, of a function a signal interrupted, the very address).
    pub addresses: Vec<u64>,
    /// Why there is no more.
    pub end: End,
}

/// Unwinds the stacks of any number of processes. One per drain worker: it is `Send`, not shared.
#[derive(Default)]
pub struct Unwinder {
    spaces: HashMap<u32, Space>,
    /// Files are parsed once for all processes, and closed with the last process that maps them.
    files: HashMap<FileKey, Weak<Image>>,
}

impl Unwinder {
    /// An unwinder that knows no process yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells what process `pid` has mapped now (its code mappings are picked out of `mappings`); only what changed
    /// since last time is opened and parsed. To be called before the first unwind, when mappings change, and
    /// while the process still lives: what is open by then serves after its exit.
    pub fn sync(&mut self, pid: u32, mappings: &[Mapping]) {
        let files = &mut self.files;
        let space = self.spaces.entry(pid).or_default();
        space.update(mappings, |mapping| load(files, pid, mapping));
        files.retain(|_, image| image.strong_count() > 0);
    }

    /// Drops what is known of a process, for instance after its last stack was unwound.
    pub fn forget(&mut self, pid: u32) {
        self.spaces.remove(&pid);
        self.files.retain(|_, image| image.strong_count() > 0);
    }

    /// Unwinds one stack of process `pid` from `registers` through `stack`, the bytes from `registers.sp` upwards,
    /// to at most `max_frames` frames (at least the first is always returned). `registers.ip` is what was about to
    /// run, such as the entry of a probed function.
    ///
    /// Total: whatever the registers, the bytes and the files hold, it returns after at most `max_frames` steps.
    pub fn unwind(&mut self, pid: u32, registers: Registers, stack: &[u8], max_frames: usize) -> Stack {
        self.unwind_from(
            pid,
            FrameAddress::from_instruction_pointer(registers.ip),
            registers,
            stack,
            max_frames,
        )
    }

    /// [`unwind`](Self::unwind) from a caller: `registers.ip` is the return address of the call and `registers.sp`
    /// the stack pointer after it has returned. The first address is then `ip` less one.
    pub fn unwind_caller(
        &mut self,
        pid: u32,
        registers: Registers,
        stack: &[u8],
        max_frames: usize,
    ) -> Stack {
        let start = FrameAddress::from_return_address(registers.ip)
            .unwrap_or(FrameAddress::from_instruction_pointer(registers.ip));
        self.unwind_from(pid, start, registers, stack, max_frames)
    }

    fn unwind_from(
        &mut self,
        pid: u32,
        start: FrameAddress,
        registers: Registers,
        stack: &[u8],
        max_frames: usize,
    ) -> Stack {
        match self.spaces.get_mut(&pid) {
            Some(space) => walk::walk(space, start, registers, stack, max_frames),
            None => {
                let address = start.address_for_lookup();
                Stack { addresses: vec![address], end: End::NoUnwindInfo { address } }
            }
        }
    }
}

fn load(files: &mut HashMap<FileKey, Weak<Image>>, pid: u32, mapping: &Mapping) -> Option<Arc<Image>> {
    if mapping.kind == MappingKind::Vdso {
        return Image::vdso(pid, mapping).map(Arc::new);
    }
    mapping.path()?;
    let path = open_path(pid, mapping);
    let file = File::open(&path).inspect_err(|error| {
        tracing::debug!(pid, module = mapping.module(), %error, "no unwind tables: cannot open the file");
    });
    let file = file.ok()?;
    match files.entry(FileKey::of(&file).ok()?) {
        Entry::Occupied(mut known) => {
            if let Some(image) = known.get().upgrade() {
                return Some(image);
            }
            let image = Arc::new(Image::open(&file)?);
            known.insert(Arc::downgrade(&image));
            Some(image)
        }
        Entry::Vacant(free) => {
            let image = Arc::new(Image::open(&file)?);
            free.insert(Arc::downgrade(&image));
            Some(image)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
