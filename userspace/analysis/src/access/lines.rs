//! Which cache lines are used, by which threads and in which words; and how much memory that makes.

use std::collections::{HashMap, HashSet};

use waytrace_model::access::{Access, AccessKind};
use waytrace_model::access_report::WorkingSet;

use super::spaces::Spaces;
use super::sums::Sums;

/// Bytes of a cache line.
pub(super) const LINE_BYTES: u64 = 64;
/// Bytes of a word: what a line is divided into to tell who uses which part of it.
pub(super) const WORD_BYTES: u64 = 8;
const LINES_PER_PAGE: u64 = 64;

/// A line of a mapping, by its address over [`LINE_BYTES`].
pub(super) type Place = (Option<u32>, u64);

/// One way one thread uses a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) tid: u32,
    /// Words of one access, bit 0 the lowest: an access of 32 bytes uses four of them at once.
    pub(super) words: u8,
}

/// How often and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) sums: Sums,
    pub(super) load_samples: u32,
    pub(super) store_samples: u32,
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
}

/// All uses of lines.
#[derive(Debug, Default)]
pub(super) struct Lines(pub(super) HashMap<Key, Use>);

/// What the lines add up to.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) all: WorkingSet,
    pub(super) by_region: HashMap<u32, WorkingSet>,
    /// Lines that several threads used.
    pub(super) shared: HashSet<Place>,
}

/// The lines an access lies in, and the words of each. An access of unknown width is taken for its first byte.
pub(super) fn covered(access: &Access) -> impl Iterator<Item = (u64, u8)> {
    let (first, width) = (access.address, access.width_bytes.unwrap_or(1).max(1));
    let last = first.saturating_add(u64::from(width) - 1);
    (first / LINE_BYTES..=last / LINE_BYTES).map(move |line| {
        let start = line * LINE_BYTES;
        let word = |address: u64| (address - start) / WORD_BYTES;
        let (low, high) = (word(first.max(start)), word(last.min(start + (LINE_BYTES - 1))));
        (line, (0xff_u8 << low) & (0xff_u8 >> (7 - high)))
    })
}

impl Lines {
    pub(super) fn add(&mut self, access: &Access) {
        for (line, words) in covered(access) {
            let key = Key { place: (access.region, line), tid: access.tid, words };
            self.0.entry(key).or_insert(Use::none_at(access.at_ns)).add(access);
        }
    }

    /// Distinct memory. One sort brings the lines of a process, then those of its mappings, then their threads together.
    pub(super) fn seen(&self, spaces: &Spaces) -> Seen {
        let with_process = |key: &Key| (spaces.process(key.place.0), key.place.1, key.place.0, key.tid);
        let mut uses: Vec<_> = self.0.keys().map(with_process).collect();
        uses.sort_unstable();
        uses.dedup();
        let mut seen = Seen::default();
        let mut before = None;
        let mut last_pages: HashMap<u32, u64> = HashMap::new();
        for (process, line, region, _) in uses {
            let page = line / LINES_PER_PAGE;
            let (same_page, same_line, same_place) = match before {
                Some((p, l, r)) if p == process => {
                    (l / LINES_PER_PAGE == page, l == line, l == line && r == region)
                }
                _ => (false, false, false),
            };
            before = Some((process, line, region));
            seen.all.pages += u64::from(!same_page);
            seen.all.lines += u64::from(!same_line);
            if same_place {
                seen.shared.insert((region, line));
            } else if let Some(region) = region {
                let of_region = seen.by_region.entry(region).or_default();
                of_region.lines += 1;
                of_region.pages += u64::from(last_pages.insert(region, page) != Some(page));
            }
        }
        seen
    }
}

impl Use {
    fn none_at(at_ns: u64) -> Self {
        Self { sums: Sums::default(), load_samples: 0, store_samples: 0, first_ns: at_ns, last_ns: at_ns }
    }

    fn add(&mut self, access: &Access) {
        self.sums.add(access);
        let samples = match access.kind {
            AccessKind::Load => &mut self.load_samples,
            AccessKind::Store => &mut self.store_samples,
        };
        *samples = samples.saturating_add(1);
        self.first_ns = self.first_ns.min(access.at_ns);
        self.last_ns = self.last_ns.max(access.at_ns);
    }
}
