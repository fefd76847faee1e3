//! A perf event's rings in memory: that of records, and the AUX area some PMUs write into.
//!
//! What was written is copied out in one piece, so that records that go around the end are whole and the kernel gets its
//! room back at once. Source: `perf_event_open(2)`, "MMAP layout"; `struct perf_event_mmap_page`.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use perf_event_open_sys::bindings::perf_event_mmap_page;

/// A ring of records.
#[derive(Debug)]
pub struct Ring {
    map: MmapRaw,
    data_offset: usize,
    data_bytes: usize,
}

/// Positions in a ring count on for ever; this is where they lie in memory.
fn split(tail: u64, head: u64, size: usize) -> Option<(usize, usize, usize)> {
    let len = usize::try_from(head.checked_sub(tail)?).ok().filter(|len| *len <= size)?;
    let start = (tail % size as u64) as usize;
    let first = len.min(size - start);
    Some((start, first, len - first))
}

impl Ring {
    /// Maps the ring of an open event, of at least `bytes` for records: a power of two of pages.
    ///
    /// # Errors
    /// The kernel's answer: EPERM past `perf_event_mlock_kb`, EINVAL where the event is inherited and of all CPUs.
    pub fn map(event: RawFd, bytes: usize) -> io::Result<Self> {
        let page = page_bytes();
        let data_bytes = bytes.max(page).checked_next_power_of_two().ok_or(io::ErrorKind::InvalidInput)?;
        let map = MmapOptions::new().len(page + data_bytes).map_raw(event)?;
        Ok(Self { map, data_offset: page, data_bytes })
    }

    fn page(&self) -> *const perf_event_mmap_page {
        self.map.as_ptr().cast()
    }

    fn position(&self, field: *const u64) -> &AtomicU64 {
        // SAFETY: callers pass a field of the first page of `map`, which is mapped as long as `self` lives and aligned as
        // the kernel's structure is; kernel and user side access positions only as whole words.
        unsafe { AtomicU64::from_ptr(field.cast_mut()) }
    }

    /// Adds all that was written since the last time to `bytes`, and gives its room back. Positions that cannot be are an
    /// empty ring.
    pub fn take(&self, bytes: &mut Vec<u8>) {
        // SAFETY: `page` points to the mapped first page; only addresses of its fields are taken.
        let (head, tail) =
            unsafe { (&raw const (*self.page()).data_head, &raw const (*self.page()).data_tail) };
        let (head, tail) = (self.position(head), self.position(tail));
        let written = head.load(Ordering::Acquire);
        // SAFETY: `data_offset` and `data_bytes` are the mapping's own; the kernel does not write between tail and
        // head, which `Acquire` has made visible.
        unsafe {
            let start = self.map.as_ptr().add(self.data_offset);
            copy(start, self.data_bytes, tail.load(Ordering::Relaxed), written, bytes);
        }
        tail.store(written, Ordering::Release);
    }

    /// Maps the AUX area beside this ring: `bytes`, rounded up to a power of two of pages.
    ///
    /// # Errors
    /// The kernel's answer; EOPNOTSUPP where the PMU has none.
    pub fn map_aux(&self, event: RawFd, bytes: usize) -> io::Result<Aux> {
        let bytes = bytes.max(page_bytes()).checked_next_power_of_two().ok_or(io::ErrorKind::InvalidInput)?;
        let offset = (self.data_offset + self.data_bytes) as u64;
        // SAFETY: the two fields lie in the mapped first page, and the kernel reads them only in the mmap that follows.
        unsafe {
            let page = self.page().cast_mut();
            (&raw mut (*page).aux_offset).write_volatile(offset);
            (&raw mut (*page).aux_size).write_volatile(bytes as u64);
        }
        let map = MmapOptions::new().offset(offset).len(bytes).map_raw(event)?;
        Ok(Aux { map, bytes })
    }

    /// Adds `size` bytes of the AUX area from position `offset` on to `bytes`, and gives their room back. True if they
    /// were there.
    pub fn take_aux(&self, aux: &Aux, offset: u64, size: u64, bytes: &mut Vec<u8>) -> bool {
        let Some(end) = offset.checked_add(size) else { return false };
        // SAFETY: as in `take`.
        let (head, tail) =
            unsafe { (&raw const (*self.page()).aux_head, &raw const (*self.page()).aux_tail) };
        let head = self.position(head).load(Ordering::Acquire);
        if head < end {
            return false;
        }
        // SAFETY: the area is `aux.bytes` long and mapped as long as `aux` lives; the kernel does not write between tail
        // and head.
        let is_whole = unsafe { copy(aux.map.as_ptr(), aux.bytes, offset, end, bytes) };
        self.position(tail).store(end, Ordering::Release);
        is_whole
    }
}

/// The area a PMU writes into by itself.
#[derive(Debug)]
pub struct Aux {
    map: MmapRaw,
    bytes: usize,
}

/// Copies what lies between two positions of a ring.
///
/// # Safety
/// `start` points to `size` mapped bytes, and nobody writes between the positions.
unsafe fn copy(start: *const u8, size: usize, tail: u64, head: u64, bytes: &mut Vec<u8>) -> bool {
    let Some((at, first, second)) = split(tail, head, size) else { return false };
    // SAFETY: `split` gives at + first <= size and second <= at.
    unsafe {
        bytes.extend_from_slice(std::slice::from_raw_parts(start.add(at), first));
        bytes.extend_from_slice(std::slice::from_raw_parts(start, second));
    }
    true
}

fn page_bytes() -> usize {
    // SAFETY: sysconf takes a number and gives one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_around_the_end_is_two_pieces() {
        assert_eq!(split(0, 16, 64), Some((0, 16, 0)));
        assert_eq!(split(56, 80, 64), Some((56, 8, 16)));
        assert_eq!(split(640, 704, 64), Some((0, 64, 0)));
        assert_eq!(split(650, 714, 64), Some((10, 54, 10)));
        assert_eq!(split(0, 0, 64), Some((0, 0, 0)));
        assert_eq!((split(8, 0, 64), split(0, 65, 64)), (None, None), "positions that cannot be");
    }

    #[test]
    fn a_copy_puts_the_pieces_together() {
        let memory: Vec<u8> = (0..64).collect();
        let mut copied = Vec::new();
        // SAFETY: `memory` is 64 bytes that nobody writes.
        assert!(unsafe { copy(memory.as_ptr(), 64, 60, 68, &mut copied) });
        assert_eq!(copied, [60, 61, 62, 63, 0, 1, 2, 3]);
    }

    #[test]
    fn what_is_no_event_has_no_ring() {
        assert!(Ring::map(-1, 4096).is_err());
        assert!(Ring::map(-1, usize::MAX).is_err());
    }
}
