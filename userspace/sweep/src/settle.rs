//! When a new mask has had its effect.
//!
//! After a change the target is looked at in slices, short at first and longer the longer it takes, so that what is waited too
//! much is in proportion to what had to be waited. It is at rest when two things hold over the last [`LAST`] slices:
//!
//! - **The cache is filled.** With an occupancy: it is within the mask, and what still came in is less than [`FILLING`] of the
//!   references. A line that adds to the occupancy is a miss that a full cache would not have; so this bounds by how much the
//!   miss ratio would still be wrong. Without an occupancy: as many lines were missed since the change as the mask holds, or
//!   nothing is missed any more.
//! - **The pace is steady.** Instructions per cycle of the later half of these slices are those of the earlier one, within
//!   [`STEADY`], or, where slices differ among one another anyway, within two standard errors of that difference.

use waytrace_model::sweep::Settled;

use crate::counters::{Counts, ratio};

/// Slices that must be at rest.
const LAST: usize = 4;
/// Most of the references that may still fill an empty place.
const FILLING: f64 = 0.005;
/// Most by which instructions per cycle may still change.
const STEADY: f64 = 0.01;
/// Growth of the occupancy within the last slices, as a share of the mask, where references are not known.
const GROWTH: f64 = 0.01;
/// How far above the mask an occupancy may be: counters of occupancy have units of up to 64 KiB times sets of caches, and what
/// prefetchers and neighbours do is booked late.
const TOLERANCE: f64 = 0.02;
/// Shortest slice: reading counters and monitors takes a part of a millisecond.
const SHORTEST_NS: u64 = 2_000_000;
/// A slice's share of what was waited.
const SHARE: u64 = 10;
/// Longest slice.
const LONGEST_NS: u64 = 50_000_000;

/// What a slice came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slice {
    /// Counted in it.
    pub counts: Counts,
    /// Bytes held at its end.
    pub occupancy_bytes: Option<u64>,
    /// Bytes that came from memory in it.
    pub traffic_bytes: Option<u64>,
}

/// What a mask can hold.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Bytes of the mask in all caches swept.
    pub mask_bytes: Option<u64>,
    /// Bytes of a line.
    pub line_bytes: u64,
}

impl Room {
    /// Whether so many bytes are more than the mask holds, by more than monitors are wrong.
    pub fn is_exceeded_by(&self, held_bytes: u64) -> bool {
        self.mask_bytes.is_some_and(|bytes| held_bytes as f64 > bytes as f64 * (1.0 + TOLERANCE))
    }
}

/// A change under way.
#[derive(Debug)]
pub struct Settling {
    room: Room,
    slices: Vec<Slice>,
    elapsed_ns: u64,
}

impl Settling {
    /// From a change on; lines outside the mask are gone.
    pub fn new(room: Room) -> Self {
        Self { room, slices: Vec::new(), elapsed_ns: 0 }
    }

    /// Length of the next slice, nanoseconds.
    pub fn next_ns(&self) -> u64 {
        (self.elapsed_ns / SHARE).clamp(SHORTEST_NS, LONGEST_NS)
    }

    /// Takes a slice, and tells by what the target is at rest; `None`: not yet.
    pub fn push(&mut self, slice: Slice, ns: u64) -> Option<Settled> {
        self.slices.push(slice);
        self.elapsed_ns = self.elapsed_ns.saturating_add(ns);
        let last = self.slices.get(self.slices.len().checked_sub(LAST)?..)?;
        let is_known =
            last.iter().all(|slice| slice.occupancy_bytes.is_some()) && self.room.mask_bytes.is_some();
        let is_filled = if is_known { self.fills_no_more(last) } else { self.was_filled(last) };
        (is_filled && self.is_steady(last)).then_some(if is_known {
            Settled::Occupancy
        } else {
            Settled::Rate
        })
    }

    fn fills_no_more(&self, last: &[Slice]) -> bool {
        let (Some(first), Some(end), Some(mask)) = (
            last.first().and_then(|slice| slice.occupancy_bytes),
            last.last().and_then(|slice| slice.occupancy_bytes),
            self.room.mask_bytes,
        ) else {
            return false;
        };
        if self.room.is_exceeded_by(end) {
            return false;
        }
        // The first slice's own growth is not known.
        let growth = end.saturating_sub(first);
        match sum(last.get(1..).unwrap_or_default(), |slice| slice.counts.references) {
            Some(references) => growth as f64 <= FILLING * references as f64 * self.room.line_bytes as f64,
            None => growth as f64 <= GROWTH * mask as f64,
        }
    }

    fn was_filled(&self, last: &[Slice]) -> bool {
        let missed = |slices: &[Slice]| {
            sum(slices, |slice| slice.counts.misses).or_else(|| {
                let line = self.room.line_bytes.max(1);
                sum(slices, |slice| slice.traffic_bytes.map(|bytes| bytes / line))
            })
        };
        let is_quiet = || match (missed(last), sum(last, |slice| slice.counts.references)) {
            (Some(misses), Some(references)) => misses as f64 <= FILLING * references as f64,
            _ => false,
        };
        match (missed(&self.slices), self.room.mask_bytes) {
            (Some(misses), Some(bytes)) => misses.saturating_mul(self.room.line_bytes) >= bytes || is_quiet(),
            // Nothing tells what came in: the pace alone decides.
            _ => true,
        }
    }

    fn is_steady(&self, last: &[Slice]) -> bool {
        let half = last.len() / 2;
        let (Some(early), Some(late)) = (last.get(..half), last.get(half..)) else { return false };
        let (Some(before), Some(after)) = (ipc(early), ipc(late)) else { return true };
        let change = (after - before).abs();
        change <= STEADY * before.max(after) || self.noise().is_some_and(|noise| change <= 2.0 * noise)
    }

    /// Standard error of the difference between two means of `LAST / 2` slices, from how slices differ from the ones next to
    /// them: a trend hardly shows in that. Of at least twice as many slices.
    fn noise(&self) -> Option<f64> {
        let values: Vec<f64> = self.slices.iter().filter_map(|slice| slice.counts.ipc()).collect();
        let recent = values.get(values.len().checked_sub(2 * LAST)?..)?;
        let pairs = recent.iter().zip(recent.iter().skip(1));
        let squares: f64 = pairs.map(|(one, next)| (next - one).powi(2)).sum();
        let variance = squares / (2.0 * (recent.len() - 1) as f64);
        Some((2.0 * variance / (LAST / 2) as f64).sqrt())
    }
}

fn sum(slices: &[Slice], of: impl Fn(&Slice) -> Option<u64>) -> Option<u64> {
    slices.iter().map(of).sum()
}

fn ipc(slices: &[Slice]) -> Option<f64> {
    ratio(sum(slices, |slice| slice.counts.instructions)?, sum(slices, |slice| slice.counts.cycles)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: u64 = 64;
    const ROOM: Room = Room { mask_bytes: Some(1 << 20), line_bytes: LINE };

    /// What was waited until it is at rest, of at most 4 s.
    fn settle(room: Room, slice: impl Fn(u64, u64) -> Slice) -> Option<(u64, Settled)> {
        let mut settling = Settling::new(room);
        let mut now = 0;
        while now < 4_000_000_000 {
            let ns = settling.next_ns();
            now += ns;
            if let Some(settled) = settling.push(slice(now, ns), ns) {
                return Some((now, settled));
            }
        }
        None
    }

    fn counts(ipc: f64, references: u64, misses: u64) -> Counts {
        Counts {
            instructions: Some((ipc * 1e9) as u64),
            cycles: Some(1_000_000_000),
            references: Some(references),
            misses: Some(misses),
            ..Counts::default()
        }
    }

    /// A cache that fills at a constant rate until it is full after `full_ns`.
    fn filling(full_ns: u64, is_told: bool) -> impl Fn(u64, u64) -> Slice {
        move |now, ns| {
            let held = |at: u64| (1 << 20) * at.min(full_ns) / full_ns;
            let came = (held(now) - held(now - ns)) / LINE;
            let counts = counts(if came > 0 { 0.5 } else { 1.0 }, 4 * (came + 1_000), came);
            Slice { counts, occupancy_bytes: is_told.then(|| held(now)), traffic_bytes: None }
        }
    }

    #[test]
    fn it_waits_until_the_cache_is_full_and_not_twice_as_long() {
        for full_ms in [20, 100, 400, 1_500] {
            for (is_told, by) in [(true, Settled::Occupancy), (false, Settled::Rate)] {
                let full_ns = full_ms * 1_000_000;
                let (waited, settled) = settle(ROOM, filling(full_ns, is_told)).unwrap();
                assert_eq!(settled, by);
                assert!((full_ns..=2 * full_ns).contains(&waited), "{full_ms} ms, {is_told}: {waited}");
            }
        }
    }

    #[test]
    fn what_is_at_rest_is_found_so_at_once() {
        let still = |_, _| Slice {
            counts: counts(1.0, 1000, 0),
            occupancy_bytes: Some(1 << 19),
            traffic_bytes: None,
        };
        assert_eq!(settle(ROOM, still), Some((4 * SHORTEST_NS, Settled::Occupancy)));
    }

    #[test]
    fn lines_outside_the_mask_are_no_rest() {
        let above = |_, _| Slice {
            counts: counts(1.0, 1000, 0),
            occupancy_bytes: Some((1 << 20) + (1 << 16)),
            traffic_bytes: None,
        };
        assert_eq!(settle(ROOM, above), None);
    }

    #[test]
    fn phases_are_noise_and_a_trend_is_not() {
        let held = Some(1 << 19);
        let alternating = |now: u64, _| {
            let ipc = if (now / SHORTEST_NS).is_multiple_of(3) { 0.3 } else { 0.9 };
            Slice { counts: counts(ipc, 1000, 0), occupancy_bytes: held, traffic_bytes: None }
        };
        assert!(settle(ROOM, alternating).is_some());
        let rising = |now: u64, _| Slice {
            counts: counts(now as f64 / 1e9, 1000, 0),
            occupancy_bytes: held,
            traffic_bytes: None,
        };
        assert_eq!(settle(ROOM, rising).map(|(_, settled)| settled), None);
    }
}
