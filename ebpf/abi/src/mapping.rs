//! Address-space changes, from probes behind system calls or from the system-call tracepoints.

use crate::pod::pod;

/// `mmap`.
pub const MMAP: u32 = 0;
/// `munmap`.
pub const MUNMAP: u32 = 1;
/// `mremap`.
pub const MREMAP: u32 = 2;
/// `brk`.
pub const BRK: u32 = 3;

/// Ring record: a successful call that changed the address space.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct MapChange {
    /// [`crate::tag::MAP`].
    pub tag: u32,
    /// One of the constants above.
    pub kind: u32,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// When it returned.
    pub at_ns: u64,
    /// Start of the range after the call.
    pub address: u64,
    /// Bytes added.
    pub added_bytes: u64,
    /// Bytes removed.
    pub removed_bytes: u64,
    /// 1 if the new mapping is executable: a library may have been loaded.
    pub executable: u64,
}

/// What a probe behind a system call is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCookie {
    /// One of the constants above.
    pub kind: u32,
    /// Bytes from the instruction behind `syscall` to the probed one.
    pub distance: u8,
}

impl CallCookie {
    /// As the 64 bits of an attach cookie.
    pub const fn pack(self) -> u64 {
        self.kind as u64 | (self.distance as u64) << 32
    }

    /// From the 64 bits.
    pub const fn unpack(bits: u64) -> Self {
        Self { kind: bits as u32, distance: (bits >> 32) as u8 }
    }
}

/// A call between its entry and its return.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Pending {
    /// Which call.
    pub kind: u64,
    /// First argument.
    pub address: u64,
    /// Old length.
    pub old_bytes: u64,
    /// New length.
    pub new_bytes: u64,
    /// 1 if executable memory was asked for.
    pub executable: u64,
}

/// Bytes mapped and unmapped since the start, by all targets.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct MapTotals {
    /// Added.
    pub added_bytes: u64,
    /// Removed.
    pub removed_bytes: u64,
    /// Calls.
    pub call_count: u64,
}

pod!(MapChange = 56, Pending = 40, MapTotals = 24);
