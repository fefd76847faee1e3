//! One mapped file (or the vDSO) as the unwinder reads it: bytes, layout, and what is known of each code address.
//!
//! The bytes are a private read-only mapping of the file, so pages are read as unwinding asks for them. Programs
//! and libraries are replaced by renaming; one cut short in place would kill its own processes with SIGBUS too.

use std::fs::File;
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use framehop::ModuleSectionInfo;
use memmap2::Mmap;

use super::coverage::{Coverage, Frames};
use super::layout::Layout;
use crate::process::Mapping;

/// The vDSO is a few pages; anything longer is not one.
const VDSO_MAX_BYTES: u64 = 64 * 1024;

/// `mov $__NR_rt_sigreturn, %rax; syscall`
const SIGRETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

/// A file's bytes, mapped or (the vDSO) copied.
enum Bytes {
    Mapped(Mmap),
    Copied(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Copied(bytes) => bytes,
        }
    }
}

/// A part of an [`Image`]'s bytes that keeps them alive.
#[derive(Clone)]
pub(super) struct Slice {
    bytes: Arc<Bytes>,
    range: Range<usize>,
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.range.clone()).unwrap_or(&[])
    }
}

/// A file that code is mapped from.
pub(super) struct Image {
    bytes: Arc<Bytes>,
    pub layout: Layout,
    frames: Frames,
}

impl Image {
    /// Maps `file`; `None` if it is no x86-64 ELF file.
    pub fn open(file: &File) -> Option<Self> {
        // SAFETY: the mapping is private and only ever read as bytes, of which any value is valid; what a
        // concurrent writer could do is stated in the module's header.
        let map = unsafe { Mmap::map(file) }.ok()?;
        Self::new(Bytes::Mapped(map))
    }

    /// Copies the vDSO out of a process that is alive.
    pub fn vdso(pid: u32, mapping: &Mapping) -> Option<Self> {
        let len = (mapping.end - mapping.start).min(VDSO_MAX_BYTES);
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
        memory.read_exact_at(&mut bytes, mapping.start).ok()?;
        Self::new(Bytes::Copied(bytes))
    }

    #[cfg(test)]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        Self::new(Bytes::Copied(bytes))
    }

    fn new(bytes: Bytes) -> Option<Self> {
        let bytes = Arc::new(bytes);
        let layout = Layout::parse(&bytes)?;
        let slice = |name: &str| {
            let range = layout.section(name)?.file.clone();
            Some(Slice { bytes: Arc::clone(&bytes), range })
        };
        let frames = Frames::new(&layout, slice(".eh_frame"), slice(".eh_frame_hdr"));
        Some(Self { bytes, layout, frames })
    }

    /// What the file's unwind tables say of the code at this stated address. Where they are silent, the code
    /// itself may be that of a signal trampoline (musl's and Go's have no entry).
    pub fn coverage(&self, svma: u64) -> Coverage {
        match self.frames.coverage(svma) {
            Coverage::Uncovered if self.is_sigreturn(svma) => Coverage::Signal,
            told => told,
        }
    }

    /// `svma` is a return address less one, and so one less than the trampoline's start.
    fn is_sigreturn(&self, svma: u64) -> bool {
        let start = svma.checked_add(1).and_then(|svma| self.layout.file_offset_of(svma));
        let code = start.and_then(|start| self.bytes.get(usize::try_from(start).ok()?..));
        code.is_some_and(|code| code.starts_with(&SIGRETURN))
    }
}

/// The adapter through which framehop reads an [`Image`].
pub(super) struct Sections<'a>(pub &'a Image);

impl ModuleSectionInfo<Slice> for Sections<'_> {
    fn base_svma(&self) -> u64 {
        self.0.layout.base_svma()
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        let name = std::str::from_utf8(name).ok()?;
        self.0.layout.section(name).map(|section| section.svma.clone())
    }

    fn section_data(&mut self, name: &[u8]) -> Option<Slice> {
        let name = std::str::from_utf8(name).ok()?;
        let range = self.0.layout.section(name)?.file.clone();
        Some(Slice { bytes: Arc::clone(&self.0.bytes), range })
    }
}
