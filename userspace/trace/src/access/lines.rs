//! The lines of memory a walk has to do with: those of its capture, and those read from the process since.
//!
//! What a walk has read once stays what it was, until the walk ends.

use waytrace_abi::access::{Capture, HOT_LINES, LINE_BYTES, LINES, line_address};

/// Lines of the process that are kept; a power of two.
const SLOTS: usize = 1024;

/// Lines of one walk. Captured ones stay where they are, in the record: most of them are never looked at, and each line that is
/// touched here costs a walk a miss, for the caches are cold when it begins.
pub struct LineCache {
    captured: Index,
    /// Hot lines the walk has read, one bit each.
    wanted_hot: [u64; HOT_LINES / 64],
    /// Lines read from the process, in a table where each has one place.
    tags: Vec<Tag>,
    lines: Vec<[u8; LINE_BYTES]>,
    walk: u32,
    /// Places of those the walk has read.
    wanted: Vec<usize>,
    /// Where it last read of the process: the first address and the one after the last.
    pub last_read: (u64, u64),
}

#[derive(Clone, Copy, Default)]
struct Tag {
    line: u64,
    walk: u32,
    is_wanted: bool,
}

impl Default for LineCache {
    fn default() -> Self {
        Self {
            captured: Index::default(),
            wanted_hot: [0; HOT_LINES / 64],
            tags: vec![Tag::default(); SLOTS],
            lines: vec![[0; LINE_BYTES]; SLOTS],
            walk: 0,
            wanted: Vec::new(),
            last_read: (0, 0),
        }
    }
}

impl LineCache {
    /// Forgets everything and takes the lines of a capture.
    pub fn begin(&mut self, capture: &Capture) {
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            self.tags.fill(Tag::default());
            self.walk = 1;
        }
        self.wanted.clear();
        self.wanted_hot = [0; HOT_LINES / 64];
        self.last_read = (0, 0);
        self.captured.fill(capture);
    }

    /// Lines that the walk from a capture has read and no register led to, with what they held.
    pub fn wanted<'c>(&'c self, capture: &'c Capture) -> impl Iterator<Item = (u64, &'c [u8; LINE_BYTES])> {
        let at = |&place: &usize| Some((self.tags.get(place)?.line, self.lines.get(place)?));
        let is_wanted = |n: &usize| self.wanted_hot[n / 64] >> (n % 64) & 1 != 0;
        let hot = (0..HOT_LINES).filter(is_wanted);
        let hot = hot.map(|n| (capture.hot[n] / LINE_BYTES as u64, &capture.hot_lines[n]));
        self.wanted.iter().filter_map(at).chain(hot)
    }

    /// A line by its number, if it is known.
    #[inline]
    pub fn get<'c>(&'c mut self, capture: &'c Capture, number: u64) -> Option<&'c [u8; LINE_BYTES]> {
        if let Some(n) = self.captured.find(capture, number) {
            let Some(hot) = n.checked_sub(LINES) else { return capture.lines.get(n) };
            self.wanted_hot[hot / 64] |= 1 << (hot % 64);
            return capture.hot_lines.get(hot);
        }
        let place = place(number);
        let tag = self.tags.get_mut(place)?;
        if tag.walk != self.walk || tag.line != number {
            return None;
        }
        if !tag.is_wanted {
            tag.is_wanted = true;
            self.wanted.push(place);
        }
        self.lines.get(place)
    }

    /// Keeps a line of the process, if it is not kept already.
    pub fn put(&mut self, number: u64, bytes: &[u8; LINE_BYTES]) {
        let place = place(number);
        if (self.tags[place].line, self.tags[place].walk) == (number, self.walk) {
            return;
        }
        self.tags[place] = Tag { line: number, walk: self.walk, is_wanted: false };
        self.lines[place] = *bytes;
    }
}

/// Finds captured lines by their numbers.
struct Index {
    /// Line of the capture and 1, those found by register first; 0: none. Each is at the first free place from its own on.
    slots: [u8; INDEX_SLOTS],
}

/// Places of the index; a power of two, and three times as many as there are lines.
const INDEX_SLOTS: usize = 512;
const _: () = assert!(LINES + HOT_LINES < u8::MAX as usize && (LINES + HOT_LINES) * 3 <= INDEX_SLOTS);

impl Default for Index {
    fn default() -> Self {
        Self { slots: [0; INDEX_SLOTS] }
    }
}

impl Index {
    fn fill(&mut self, capture: &Capture) {
        self.slots.fill(0);
        let by_register = (0..LINES).filter(|n| capture.captured >> n & 1 != 0);
        let hot = (0..HOT_LINES).filter(|n| capture.hot_captured[n / 64] >> (n % 64) & 1 != 0);
        for n in by_register.chain(hot.map(|n| LINES + n)) {
            let number = line_number(capture, n);
            if let Some(free) = places(number).find(|&place| self.slots[place] == 0) {
                self.slots[free] = n as u8 + 1;
            }
        }
    }

    #[inline]
    fn find(&self, capture: &Capture, number: u64) -> Option<usize> {
        places(number)
            .map_while(|place| usize::from(self.slots[place]).checked_sub(1))
            .find(|&n| line_number(capture, n) == number)
    }
}

/// Places of a line in the index, in the order in which they are tried.
fn places(number: u64) -> impl Iterator<Item = usize> {
    let first = place(number);
    (0..INDEX_SLOTS).map(move |step| (first + step) % INDEX_SLOTS)
}

/// Number of a line of a capture: of one found by register, or, counted on from there, of a hot one.
#[inline]
fn line_number(capture: &Capture, n: usize) -> u64 {
    let hot = n.checked_sub(LINES).and_then(|n| capture.hot.get(n));
    let address = hot.copied().unwrap_or_else(|| line_address(&capture.general, n.min(LINES - 1)));
    address / LINE_BYTES as u64
}

fn place(number: u64) -> usize {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize & (SLOTS - 1)
}
