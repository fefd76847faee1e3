//! Blocks: allocations paired with their frees over all threads' logs.
//!
//! tracealloc logs a free after the memory can be given away again, so another thread's allocation of the same address may
//! be logged first. Then the older block ended when the newer began, and the late free belongs to the older.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use waytrace_model::access::Block;
use waytrace_model::allocation::{Site, TracedAllocation};
use waytrace_model::stack::Frame;

use super::{logs, text};
use crate::Error;

/// Blocks of a run; times are `CLOCK_MONOTONIC_RAW` nanoseconds.
#[derive(Debug, Default)]
pub struct Blocks {
    /// In the order of their ends, those that remain last.
    pub traced: Vec<TracedAllocation>,
    /// Counts of each site: frames, and the thread.
    pub sites: Vec<Site>,
    /// The thread whose allocator came first: the main one.
    pub main_tid: u32,
    pub first_ns: u64,
    pub last_ns: u64,
    /// Smallest block that was logged, in bytes.
    pub threshold_bytes: Option<u64>,
    pub notes: Vec<String>,
}

/// One line of a log, without its text.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at_ns: u64,
    is_free: bool,
    address: u64,
    size_bytes: u64,
    tid: u32,
    site: u32,
}

/// Reads all logs of a directory of the run of `program`; `None` where there are none.
pub fn read(
    folder: &Path,
    program: &str,
    end_ns: Option<u64>,
    threshold_bytes: Option<u64>,
) -> Result<Option<Blocks>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::read(folder))?.flatten() {
        if let Some((handler, tid)) = entry.file_name().to_str().and_then(logs::thread) {
            files.push((handler, tid, entry.path()));
        }
    }
    files.sort();
    let Some((_, main_tid, _)) = files.first().cloned() else { return Ok(None) };
    let libraries = logs::libraries(&text(&folder.join("maps.log"))?.unwrap_or_default());
    let mut pairing = Pairing::default();
    let mut entries = Vec::new();
    let mut strange = 0_u64;
    for (_, tid, path) in files {
        let file = BufReader::new(File::open(&path).map_err(Error::read(&path))?);
        for bytes in file.split(b'\n') {
            let bytes = bytes.map_err(Error::read(&path))?;
            let text = String::from_utf8_lossy(&bytes);
            let Some(line) = logs::line(&text) else {
                strange += u64::from(!text.trim().is_empty());
                continue;
            };
            let site = if line.is_free { 0 } else { pairing.site(tid, line.stack, &libraries, program) };
            let logs::Line { is_free, at_ns, address, size_bytes, .. } = line;
            entries.push(Entry { at_ns, is_free, address, size_bytes, tid, site });
        }
    }
    let mut blocks = pairing.pair(entries, end_ns);
    blocks.main_tid = main_tid;
    blocks.threshold_bytes = threshold_bytes;
    if strange > 0 {
        blocks.notes.push(format!("{strange} lines of the allocation logs cannot be read"));
    }
    if end_ns.is_none() {
        blocks.notes.push(
            "console.log has no TRAC_END: blocks freed when the program ended cannot be told from others"
                .to_owned(),
        );
    }
    Ok(Some(blocks))
}

#[derive(Default)]
struct Pairing {
    sites: Vec<Site>,
    numbers: HashMap<(u32, Vec<Frame>), u32>,
    open: HashMap<u64, TracedAllocation>,
    /// Frees still to be logged of blocks whose address was given away again, by address: their sizes.
    late: HashMap<u64, Vec<u64>>,
    ended: Vec<TracedAllocation>,
    late_count: u64,
}

impl Pairing {
    fn site(&mut self, tid: u32, stack: &str, libraries: &HashMap<u64, String>, program: &str) -> u32 {
        let frames = logs::frames(stack, libraries, program);
        let next = self.sites.len() as u32;
        let id = *self.numbers.entry((tid, frames.clone())).or_insert(next);
        if id == next {
            self.sites.push(Site { id, tid, frames, ..Site::default() });
        }
        id
    }

    fn pair(mut self, mut entries: Vec<Entry>, end_ns: Option<u64>) -> Blocks {
        entries.sort_by_key(|entry| entry.at_ns);
        let first_ns = entries.first().map_or(0, |entry| entry.at_ns);
        let last_ns = entries.last().map_or(0, |entry| entry.at_ns);
        for entry in entries {
            if !entry.is_free {
                self.allocated(entry);
            } else if end_ns.is_none_or(|end_ns| entry.at_ns <= end_ns) {
                self.freed(entry);
            }
        }
        let mut blocks = Blocks { first_ns, last_ns, ..Blocks::default() };
        if self.late_count > 0 {
            let count = self.late_count;
            blocks.notes.push(format!(
                "{count} frees were logged after their address was allocated again, and put right"
            ));
        }
        self.ended.sort_by_key(|block| block.to_ns);
        let mut remaining: Vec<TracedAllocation> = self.open.into_values().collect();
        remaining.sort_by_key(|block| (block.from_ns, block.address));
        blocks.traced = self.ended;
        blocks.traced.extend(remaining);
        blocks.sites = self.sites;
        count(&mut blocks.sites, &blocks.traced);
        blocks
    }

    fn allocated(&mut self, entry: Entry) {
        let block = TracedAllocation {
            from_ns: Some(entry.at_ns),
            to_ns: None,
            address: entry.address,
            size_bytes: entry.size_bytes,
            tid: entry.tid,
            site: Some(entry.site),
        };
        if let Some(older) = self.open.insert(entry.address, block) {
            self.late.entry(entry.address).or_default().push(older.size_bytes);
            self.late_count += 1;
            self.ended.push(TracedAllocation { to_ns: Some(entry.at_ns), ..older });
        }
    }

    fn freed(&mut self, entry: Entry) {
        if let Some(late) = self.late.get_mut(&entry.address)
            && let Some(at) = late.iter().position(|size| *size == entry.size_bytes)
        {
            late.swap_remove(at);
            return;
        }
        let older = self.open.remove(&entry.address).unwrap_or(TracedAllocation {
            address: entry.address,
            size_bytes: entry.size_bytes,
            ..TracedAllocation::default()
        });
        self.ended.push(TracedAllocation { to_ns: Some(entry.at_ns), ..older });
    }
}

/// Fills in what each site allocated, freed and kept.
fn count(sites: &mut [Site], traced: &[TracedAllocation]) {
    for site in sites.iter_mut() {
        (site.free_count, site.freed_bytes, site.live_bytes) = (Some(0), Some(0), Some(0));
    }
    for block in traced {
        let Some(site) = block.site.and_then(|site| sites.get_mut(site as usize)) else { continue };
        site.alloc_count += 1.0;
        site.alloc_bytes += block.size_bytes as f64;
        let add = |sum: &mut Option<u64>, more: u64| *sum = sum.map(|sum| sum.saturating_add(more));
        if block.to_ns.is_some() {
            add(&mut site.free_count, 1);
            add(&mut site.freed_bytes, block.size_bytes);
        } else {
            add(&mut site.live_bytes, block.size_bytes);
        }
    }
}

/// The blocks that live as time goes on.
#[derive(Debug)]
pub struct Live {
    /// What happens when: blocks by their beginning, and by their end.
    changes: Vec<(u64, bool, Block)>,
    next: usize,
    live: BTreeMap<u64, Block>,
}

impl Live {
    /// Blocks whose times are on the run's clock. Those of unknown beginning live from the start.
    pub fn new(traced: &[TracedAllocation]) -> Self {
        let mut changes = Vec::new();
        for block in traced {
            let Some(site) = block.site else { continue };
            let place = Block { address: block.address, size_bytes: block.size_bytes, site };
            changes.push((block.from_ns.unwrap_or(0), true, place));
            changes.extend(block.to_ns.map(|to_ns| (to_ns, false, place)));
        }
        // At one time a block ends before the next begins at its address.
        changes.sort_by_key(|(at_ns, begins, _)| (*at_ns, *begins));
        Self { changes, next: 0, live: BTreeMap::new() }
    }

    /// The block an address lies in at a time not before the last one asked for.
    pub fn block(&mut self, at_ns: u64, address: u64) -> Option<Block> {
        while let Some((_, begins, block)) = self.changes.get(self.next).filter(|(when, ..)| *when <= at_ns) {
            if *begins {
                self.live.insert(block.address, *block);
            } else {
                self.live.remove(&block.address);
            }
            self.next += 1;
        }
        let (_, block) = self.live.range(..=address).next_back()?;
        (address - block.address < block.size_bytes.max(1)).then_some(*block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at_ns: u64, sign: char, address: u64, size_bytes: u64, tid: u32) -> Entry {
        Entry { at_ns, is_free: sign == '-', address, size_bytes, tid, site: 0 }
    }

    fn spans(blocks: &Blocks) -> Vec<(Option<u64>, Option<u64>, u64, u64)> {
        blocks.traced.iter().map(|b| (b.from_ns, b.to_ns, b.address, b.size_bytes)).collect()
    }

    #[test]
    fn blocks_end_where_they_are_freed_by_whichever_thread() {
        let log = vec![
            entry(30, '-', 0xa000, 16, 2),
            entry(10, '+', 0xa000, 16, 1),
            entry(20, '+', 0xb000, 32, 1),
            entry(5, '-', 0xc000, 64, 1),
        ];
        let blocks = Pairing::default().pair(log, None);
        let expected =
            [(None, Some(5), 0xc000, 64), (Some(10), Some(30), 0xa000, 16), (Some(20), None, 0xb000, 32)];
        assert_eq!(spans(&blocks), expected);
        assert_eq!((blocks.first_ns, blocks.last_ns), (5, 30));
    }

    #[test]
    fn a_free_logged_late_belongs_to_the_older_block() {
        let log = vec![
            entry(10, '+', 0xa000, 16, 1),
            entry(20, '+', 0xa000, 48, 2),
            entry(21, '-', 0xa000, 16, 1),
            entry(30, '-', 0xa000, 48, 2),
        ];
        let blocks = Pairing::default().pair(log, None);
        assert_eq!(spans(&blocks), [(Some(10), Some(20), 0xa000, 16), (Some(20), Some(30), 0xa000, 48)]);
        assert!(blocks.notes[0].starts_with("1 frees were logged after"), "{:?}", blocks.notes);
    }

    #[test]
    fn what_is_freed_after_the_end_remains() {
        let log = vec![entry(10, '+', 0xa000, 16, 1), entry(101, '-', 0xa000, 16, 1)];
        let mut pairing = Pairing::default();
        pairing.site(1, "1+4", &HashMap::new(), "p");
        let blocks = pairing.pair(log, Some(100));
        assert_eq!(spans(&blocks), [(Some(10), None, 0xa000, 16)]);
        let site = &blocks.sites[0];
        assert_eq!((site.alloc_count, site.free_count, site.live_bytes), (1.0, Some(0), Some(16)));
    }

    #[test]
    fn an_access_belongs_to_the_block_of_its_time() {
        let block = |from, to, site| TracedAllocation {
            from_ns: Some(from),
            to_ns: to,
            address: 0x1000,
            size_bytes: 0x100,
            tid: 1,
            site: Some(site),
        };
        let mut live = Live::new(&[block(10, Some(20), 0), block(20, None, 1)]);
        let found = [(5, 0x1000), (10, 0x10ff), (19, 0x1100), (20, 0x1000), (99, 0xfff)]
            .map(|(at_ns, address)| live.block(at_ns, address).map(|block| block.site));
        assert_eq!(found, [None, Some(0), None, Some(1), None]);
    }
}
