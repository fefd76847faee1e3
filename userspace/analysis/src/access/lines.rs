//! Which cache lines are used, by which threads and in which words; and how much memory that makes.

use waytrace_model::access::{Access, AccessKind};
use waytrace_model::access_report::WorkingSet;

use super::moments::Moments;
use super::sharing::REPEATED;
use super::spaces::Spaces;
use super::sums::Sums;
use super::table::{Table, TableSet};

/// Bytes of a cache line.
pub(super) const LINE_BYTES: u64 = 64;
/// Bytes of a word: what a line is divided into to tell who uses which part of it.
pub(super) const WORD_BYTES: u64 = 8;
/// Lines of a page of 4 KiB.
pub(super) const LINES_PER_PAGE: u64 = 64;
/// Moments below which no two threads can each have [`REPEATED`].
const LEAST_SHARED: usize = 2 * REPEATED;

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
    pub(super) samples: u32,
    pub(super) moments: Moments,
    pub(super) store_moments: Moments,
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
}

/// All uses of lines.
#[derive(Debug, Default)]
pub(super) struct Lines(pub(super) Table<Key, Use>);

/// What the lines add up to.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) all: WorkingSet,
    pub(super) by_region: Table<u32, WorkingSet>,
    /// Lines that several threads used, with samples enough to say more.
    pub(super) shared: TableSet<Place>,
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

    /// Distinct memory, and the lines worth a closer look. One sort brings the lines of a process together, and within one
    /// its mappings.
    pub(super) fn seen(&self, spaces: &Spaces) -> Seen {
        let mut uses: Vec<_> = self
            .0
            .iter()
            .map(|(key, made)| {
                (spaces.process(key.place.0), key.place.1, key.place.0, key.tid, made.moments.count())
            })
            .collect();
        uses.sort_unstable();
        let mut seen = Seen::default();
        let mut last_pages: Table<u32, u64> = Table::default();
        let (mut last_page, mut last_line) = (None, None);
        for of_place in uses.chunk_by(|one, other| (one.0, one.1, one.2) == (other.0, other.1, other.2)) {
            let Some((process, line, region, tid, _)) = of_place.first().copied() else { continue };
            let page = line / LINES_PER_PAGE;
            seen.all.pages += u64::from(last_page.replace((process, page)) != Some((process, page)));
            seen.all.lines += u64::from(last_line.replace((process, line)) != Some((process, line)));
            if let Some(region) = region {
                let of_region = seen.by_region.entry(region).or_default();
                of_region.lines += 1;
                of_region.pages += u64::from(last_pages.insert(region, page) != Some(page));
            }
            let moments: usize = of_place.iter().map(|one| one.4).sum();
            if moments >= LEAST_SHARED && of_place.iter().any(|one| one.3 != tid) {
                seen.shared.insert((region, line));
            }
        }
        seen
    }
}

impl Use {
    fn none_at(at_ns: u64) -> Self {
        Self {
            sums: Sums::default(),
            samples: 0,
            moments: Moments::default(),
            store_moments: Moments::default(),
            first_ns: at_ns,
            last_ns: at_ns,
        }
    }

    fn add(&mut self, access: &Access) {
        self.sums.add(access);
        self.samples = self.samples.saturating_add(1);
        self.moments.add(access.at_ns);
        if access.kind == AccessKind::Store {
            self.store_moments.add(access.at_ns);
        }
        self.first_ns = self.first_ns.min(access.at_ns);
        self.last_ns = self.last_ns.max(access.at_ns);
    }
}
