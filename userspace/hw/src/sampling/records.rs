//! Records of a perf ring or a `perf.data` file. Total: any bytes give a record, one that is not of interest, or damage.
//!
//! Source: `enum perf_event_type` in `include/uapi/linux/perf_event.h`.

use super::bytes::Bytes;
use super::layout::{self, Layout};
use super::sample::Sample;

/// Bytes of a record's header.
pub const HEADER_BYTES: usize = 8;

const MISC_COMM_EXEC: u16 = 1 << 13;
const MISC_CPU_MODE: u16 = 7;
const MISC_USER: u16 = 2;

/// `PERF_RECORD_*`, `misc`, and the size of the whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Type.
    pub kind: u32,
    /// Flags.
    pub misc: u16,
    /// Bytes, the header's among them.
    pub size: u16,
}

impl Header {
    /// Reads the first bytes of a record; `None` where they are too few, or its size cannot be.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes::new(bytes);
        let header = Self { kind: bytes.u32()?, misc: bytes.u16()?, size: bytes.u16()? };
        (usize::from(header.size) >= HEADER_BYTES).then_some(header)
    }

    /// Whether a sample is of user code.
    pub fn is_user(&self) -> bool {
        self.misc & MISC_CPU_MODE == MISC_USER
    }

    /// Whether a name was given by `exec`.
    pub fn is_exec(&self) -> bool {
        self.misc & MISC_COMM_EXEC != 0
    }
}

/// A file or anonymous memory that a process mapped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapped {
    /// Process.
    pub tgid: u32,
    /// Thread that mapped it.
    pub tid: u32,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Offset in the file of the first byte.
    pub file_offset: u64,
    /// Whether code can be executed there; `None` where the record does not tell.
    pub executable: Option<bool>,
    /// Path, or what stands in for one: `//anon`, `[heap]`, `[stack]`, `[vdso]`.
    pub path: String,
}

/// What a record tells of a process or thread, whether it is sampled just now or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskChange {
    /// A mapping.
    Mapped(Mapped),
    /// A thread has a new name.
    Named {
        /// Process.
        tgid: u32,
        /// Thread.
        tid: u32,
        /// Name.
        comm: String,
    },
    /// A thread or process has begun.
    Forked {
        /// Its process.
        tgid: u32,
        /// Itself.
        tid: u32,
        /// The process that made it.
        parent_tgid: u32,
    },
    /// A thread has ended.
    Exited {
        /// Its process.
        tgid: u32,
        /// Itself.
        tid: u32,
    },
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A sample.
    Sample(Sample),
    /// Records that found no room in the ring.
    Lost(u64),
    /// Samples the PMU or the kernel lost before there was a record.
    LostSamples(u64),
    /// The kernel holds samples back.
    Throttled,
    /// And no longer does.
    Unthrottled,
    /// What became of a task.
    Task(TaskChange),
    /// Bytes have come into the AUX area.
    Aux {
        /// Where they begin, counted from the start of the session.
        offset: u64,
        /// How many.
        size: u64,
        /// `PERF_AUX_FLAG_*`.
        flags: u64,
    },
    /// Of no interest here, by its type.
    Other(u32),
}

/// What ends a record that is no sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trailer {
    /// Process that caused it.
    pub tgid: Option<u32>,
    /// Thread that caused it.
    pub tid: Option<u32>,
    /// Nanoseconds of the event's clock.
    pub time_ns: Option<u64>,
    /// CPU.
    pub cpu: Option<u32>,
}

impl Record {
    /// Reads a record's body: what follows the header. `None` is damage: it is shorter than its type says.
    pub fn decode(header: Header, layout: &Layout, body: &[u8]) -> Option<Self> {
        if header.kind == kind::SAMPLE {
            return Sample::decode(layout, body).map(Self::Sample);
        }
        let own = body.len().checked_sub(layout.trailer_bytes())?;
        let mut bytes = Bytes::new(body.get(..own)?);
        Some(match header.kind {
            kind::LOST => {
                bytes.u64()?;
                Self::Lost(bytes.u64()?)
            }
            kind::LOST_SAMPLES => Self::LostSamples(bytes.u64()?),
            kind::THROTTLE => Self::Throttled,
            kind::UNTHROTTLE => Self::Unthrottled,
            kind::MMAP => mapped(&mut bytes, false)?,
            kind::MMAP2 => mapped(&mut bytes, true)?,
            kind::COMM => {
                let (tgid, tid) = (bytes.u32()?, bytes.u32()?);
                Self::Task(TaskChange::Named { tgid, tid, comm: Bytes::text(bytes.rest()) })
            }
            kind::FORK => {
                let (tgid, parent_tgid, tid) = (bytes.u32()?, bytes.u32()?, bytes.u32()?);
                Self::Task(TaskChange::Forked { tgid, tid, parent_tgid })
            }
            kind::EXIT => {
                let (tgid, _, tid) = (bytes.u32()?, bytes.u32()?, bytes.u32()?);
                Self::Task(TaskChange::Exited { tgid, tid })
            }
            kind::AUX => Self::Aux { offset: bytes.u64()?, size: bytes.u64()?, flags: bytes.u64()? },
            other => Self::Other(other),
        })
    }
}

impl Trailer {
    /// Reads the ids at the end of a record that is no sample; empty where the event writes none.
    pub fn decode(layout: &Layout, body: &[u8]) -> Self {
        let start = body.len().checked_sub(layout.trailer_bytes());
        let Some(mut bytes) = start.and_then(|start| body.get(start..)).map(Bytes::new) else {
            return Self::default();
        };
        let mut trailer = Self::default();
        if !layout.sample_id_all {
            return trailer;
        }
        if layout.has(layout::TID) {
            (trailer.tgid, trailer.tid) = (bytes.u32(), bytes.u32());
        }
        if layout.has(layout::TIME) {
            trailer.time_ns = bytes.u64();
        }
        for field in [layout::ID, layout::STREAM_ID] {
            if layout.has(field) {
                bytes.u64();
            }
        }
        if layout.has(layout::CPU) {
            trailer.cpu = bytes.u32();
        }
        trailer
    }
}

fn mapped(bytes: &mut Bytes<'_>, second: bool) -> Option<Record> {
    const PROT_EXEC: u32 = 4;
    let (tgid, tid) = (bytes.u32()?, bytes.u32()?);
    let (start, len, file_offset) = (bytes.u64()?, bytes.u64()?, bytes.u64()?);
    let mut executable = None;
    if second {
        // Device and inode, or a build id in the same place.
        bytes.take(24)?;
        executable = Some(bytes.u32()? & PROT_EXEC != 0);
        bytes.u32()?;
    }
    let path = Bytes::text(bytes.rest());
    let mapped = Mapped { tgid, tid, start, len, file_offset, executable, path };
    Some(Record::Task(TaskChange::Mapped(mapped)))
}

/// `PERF_RECORD_*` of the kernel. User-space tools number theirs from 64.
pub mod kind {
    /// A mapping.
    pub const MMAP: u32 = 1;
    /// Lost records.
    pub const LOST: u32 = 2;
    /// A name.
    pub const COMM: u32 = 3;
    /// End of a thread.
    pub const EXIT: u32 = 4;
    /// Samples are held back.
    pub const THROTTLE: u32 = 5;
    /// Samples are no longer held back.
    pub const UNTHROTTLE: u32 = 6;
    /// Begin of a thread.
    pub const FORK: u32 = 7;
    /// A sample.
    pub const SAMPLE: u32 = 9;
    /// A mapping, told in more detail.
    pub const MMAP2: u32 = 10;
    /// Bytes in the AUX area.
    pub const AUX: u32 = 11;
    /// Lost samples.
    pub const LOST_SAMPLES: u32 = 13;
}

/// The records in a piece of memory, in their order, and how many bytes at its end are no whole record.
#[derive(Debug, Clone)]
pub struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What could not be read: after the last record, bytes of a part of one, or of none.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (Header, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::parse(self.0)?;
        let (record, rest) = self.0.split_at_checked(header.size.into())?;
        self.0 = rest;
        Some((header, record.get(HEADER_BYTES..)?))
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
