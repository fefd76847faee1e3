//! Which lines of a process to capture with the registers, learnt from its walks.
//!
//! By the time of a walk the target has gone on, and what it keeps in memory and changes all the time – counters, cursors,
//! the state of an interpreter – is not what it was at the sample. Such lines lie at the same place from walk to walk. The
//! kernel part copies them at the tick, when the thread does not run.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use waytrace_abi::access::{HOT_LINES, Hot, LINE_BYTES};

/// Walks after which the list is made anew, and what was seen counts half.
const WALKS: u32 = 16;

/// What the walks of one process have needed.
#[derive(Default)]
pub struct HotLines {
    lines: HashMap<u64, Seen>,
    walks: u32,
    listed: Vec<u64>,
}

#[derive(Default)]
struct Seen {
    uses: u32,
    changes: u32,
    held: u64,
}

impl HotLines {
    /// Takes note of the lines a walk has read, by number, and what they held. Gives a new list when it is time for one
    /// and it differs.
    pub fn learn<'l>(&mut self, wanted: impl Iterator<Item = (u64, &'l [u8; LINE_BYTES])>) -> Option<Hot> {
        for (number, bytes) in wanted {
            let held = BuildHasherDefault::<DefaultHasher>::default().hash_one(bytes);
            let seen = self.lines.entry(number).or_default();
            seen.changes += u32::from(seen.uses > 0 && seen.held != held);
            seen.uses += 1;
            seen.held = held;
        }
        self.walks += 1;
        if !self.walks.is_multiple_of(WALKS) {
            return None;
        }
        let list = self.list();
        for seen in self.lines.values_mut() {
            (seen.uses, seen.changes) = (seen.uses / 2, seen.changes / 2);
        }
        self.lines.retain(|_, seen| seen.uses > 0);
        if list == self.listed {
            return None;
        }
        let mut hot = Hot { lines: [0; HOT_LINES] };
        for (place, number) in hot.lines.iter_mut().zip(&list) {
            *place = number.wrapping_mul(LINE_BYTES as u64);
        }
        self.listed = list;
        Some(hot)
    }

    /// The lines that change most, by number. What does not change can be read as well later.
    fn list(&self) -> Vec<u64> {
        let mut all: Vec<(u32, u64)> = self
            .lines
            .iter()
            .filter(|(_, seen)| seen.changes > 0)
            .map(|(&number, seen)| (seen.changes, number))
            .collect();
        all.sort_unstable_by_key(|&(score, number)| (std::cmp::Reverse(score), number));
        all.truncate(HOT_LINES);
        let mut list: Vec<u64> = all.into_iter().map(|(_, number)| number).collect();
        list.sort_unstable();
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `walks` walks that read `changing` lines from 1000 on, and as many that never change.
    fn learn(hot: &mut HotLines, walks: u32, changing: u64) -> Option<Hot> {
        let mut last = None;
        for walk in 0..walks {
            let (new, old) = ([walk as u8; LINE_BYTES], [7; LINE_BYTES]);
            let once = 1_000_000 + u64::from(walk);
            let wanted = (0..changing).flat_map(|n| [(1000 + n, &new), (9000 + n, &old)]);
            last = hot.learn(wanted.chain([(once, &new)])).or(last);
        }
        last
    }

    fn listed(hot: &Hot) -> Vec<u64> {
        hot.lines.iter().filter(|&&line| line != 0).map(|line| line / LINE_BYTES as u64).collect()
    }

    #[test]
    fn lines_that_change_are_listed_as_long_as_walks_read_them() {
        let mut hot = HotLines::default();
        assert_eq!(learn(&mut hot, WALKS - 1, 3), None, "too early");
        assert_eq!(listed(&learn(&mut hot, 1, 3).unwrap()), [1000, 1001, 1002]);
        assert_eq!(learn(&mut hot, WALKS, 3), None, "no news");
        assert_eq!(listed(&learn(&mut hot, 8 * WALKS, 1).unwrap()), [1000]);
        assert_eq!(listed(&learn(&mut hot, WALKS, 2 * HOT_LINES as u64).unwrap()).len(), HOT_LINES);
    }
}
