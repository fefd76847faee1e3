//! The live blocks that sampled accesses lie in, and how much of the live blocks was ever touched.
//!
//! A block is looked for a window after the access at most. One that was freed meanwhile is not found; one that was
//! allocated since at the same place is not taken for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use waytrace_abi::allocation::{Live, LiveKey};
use waytrace_model::access::{Access, Block, Footprint};

use super::now_ns;
use super::worker::Sampled;
use crate::kernel::LiveTable;

/// Searching the table may take this share of a CPU's time.
const SHARE: u64 = 50;
/// Accesses that wait for a search at most.
const MOST_WAITING: usize = 1 << 16;

/// Accesses and the table their blocks are looked up in.
pub struct Blocks {
    table: LiveTable,
    start_ns: u64,
    waiting: Vec<Sampled>,
    next_ns: u64,
}

impl Blocks {
    /// Of a run that began at `start_ns`.
    pub fn new(table: LiveTable, start_ns: u64) -> Self {
        Self { table, start_ns, waiting: Vec::new(), next_ns: 0 }
    }

    /// Takes accesses and gives back those whose blocks have been looked for: none, where it is too early to search a
    /// large table again.
    pub fn join(&mut self, sampled: Vec<Sampled>, is_last: bool) -> Vec<Access> {
        self.waiting.extend(sampled);
        let began_ns = now_ns();
        let must = is_last || self.waiting.len() >= MOST_WAITING;
        if self.waiting.is_empty() || (began_ns < self.next_ns && !must) {
            return Vec::new();
        }
        let mut order: Vec<(LiveKey, usize)> = self
            .waiting
            .iter()
            .enumerate()
            .map(|(index, sampled)| (LiveKey::new(sampled.tgid, sampled.access.address), index))
            .collect();
        order.sort_unstable_by_key(|(key, _)| key.packed);
        let keys: Vec<LiveKey> = order.iter().map(|(key, _)| *key).collect();
        for ((_, index), found) in order.into_iter().zip(self.table.find(&keys)) {
            let Some(sampled) = self.waiting.get_mut(index) else { continue };
            let at_ns = self.start_ns + sampled.access.at_ns;
            let was_there = found.filter(|(_, block)| block.at_ns <= at_ns);
            sampled.access.block = was_there.map(|(key, block)| Block {
                address: key.address(),
                size_bytes: block.size_bytes,
                site: block.site,
            });
        }
        self.next_ns = now_ns() + (now_ns() - began_ns) * SHARE;
        self.waiting.drain(..).map(|sampled| sampled.access).collect()
    }

    /// What of the live blocks was never touched, by site. Those of processes that have gone are left out.
    pub fn footprints(&self, tgids: &[u32]) -> Vec<Footprint> {
        let mut by_site: BTreeMap<u32, Footprint> = BTreeMap::new();
        for &tgid in tgids {
            let Ok(pages) = File::open(format!("/proc/{tgid}/pagemap")) else { continue };
            let own = LiveKey::new(tgid, 0);
            let mut blocks: Vec<(LiveKey, Live)> =
                self.table.blocks(1).filter(|(key, _)| key.same_process(own)).collect();
            blocks.sort_unstable_by_key(|(key, _)| key.packed);
            let mut pages = Pages::of(pages);
            for (key, block) in blocks {
                let Some(untouched_bytes) = pages.untouched_bytes(key.address(), block.size_bytes) else {
                    continue;
                };
                let footprint = by_site.entry(block.site).or_default();
                footprint.site = block.site;
                footprint.blocks += 1;
                footprint.live_bytes += block.size_bytes;
                footprint.untouched_bytes += untouched_bytes;
            }
        }
        by_site.into_values().collect()
    }
}

const PAGE: u64 = 4096;
/// Pages looked up at a time.
const CHUNK: u64 = 512;
/// In memory or in swap (Documentation/admin-guide/mm/pagemap.rst).
const PRESENT_OR_SWAPPED: u64 = 1 << 63 | 1 << 62;

/// `/proc/PID/pagemap`, read in chunks.
struct Pages {
    file: File,
    chunk: Option<u64>,
    words: [u8; CHUNK as usize * 8],
}

impl Pages {
    fn of(file: File) -> Self {
        Self { file, chunk: None, words: [0; CHUNK as usize * 8] }
    }

    /// Bytes of a range that lie on pages without memory; `None` if that cannot be read.
    fn untouched_bytes(&mut self, start: u64, bytes: u64) -> Option<u64> {
        let end = start.checked_add(bytes)?;
        let (mut at, mut untouched) = (start, 0);
        while at < end {
            let next = (at / PAGE + 1).checked_mul(PAGE)?.min(end);
            if !self.is_touched(at / PAGE)? {
                untouched += next - at;
            }
            at = next;
        }
        Some(untouched)
    }

    fn is_touched(&mut self, page: u64) -> Option<bool> {
        let chunk = page / CHUNK;
        if self.chunk != Some(chunk) {
            self.chunk = None;
            self.file.read_exact_at(&mut self.words, chunk.checked_mul(CHUNK * 8)?).ok()?;
            self.chunk = Some(chunk);
        }
        let word = self.words.as_chunks::<8>().0.get((page % CHUNK) as usize)?;
        Some(u64::from_le_bytes(*word) & PRESENT_OR_SWAPPED != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_never_touched_are_told_from_those_that_were() {
        const PAGES: usize = 1200;
        // SAFETY: a fresh private mapping at an address the kernel chooses.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGES * PAGE as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        // SAFETY: the mapping is ours; small pages only, so that neighbours stay untouched.
        unsafe { libc::madvise(start, PAGES * PAGE as usize, libc::MADV_NOHUGEPAGE) };
        for page in [0, 700, 701] {
            // SAFETY: within the mapping.
            unsafe { start.cast::<u8>().add(page * PAGE as usize + 5).write_volatile(1) };
        }
        let mut pages = Pages::of(File::open("/proc/self/pagemap").unwrap());
        let first = start as u64;
        assert_eq!(pages.untouched_bytes(first, PAGES as u64 * PAGE), Some((PAGES as u64 - 3) * PAGE));
        assert_eq!(pages.untouched_bytes(first + 100, PAGE), Some(100), "of the second page");
        assert_eq!(pages.untouched_bytes(first + 700 * PAGE, 2 * PAGE), Some(0));
        assert_eq!(pages.untouched_bytes(u64::MAX - 5, 100), None);
        // SAFETY: the mapping is ours and not used any more.
        unsafe { libc::munmap(start, PAGES * PAGE as usize) };
    }
}
