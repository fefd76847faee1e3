//! The table of live blocks, searched by address while the target changes it.

use std::os::fd::AsFd;

use waytrace_abi::allocation::{Live, LiveKey, LiveSet, WAYS};

use super::{Kernel, sys};
use crate::Error;

/// A view of the table that is kept.
pub struct LiveTable {
    keys: sys::View,
    blocks: sys::View,
}

impl Kernel {
    /// The table of live blocks.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Syscall`].
    pub fn live_table(&self) -> Result<LiveTable, Error> {
        let view = |name: &str, bytes: usize| match self.ebpf.map(name) {
            Some(aya::maps::Map::Array(data)) => {
                sys::View::new(data.fd().as_fd(), bytes).map_err(Error::syscall(format!("mapping {name}")))
            }
            _ => Err(Error::Missing(name.to_owned())),
        };
        Ok(LiveTable {
            keys: view("LIVE_KEYS", self.live_sets * size_of::<LiveSet>())?,
            blocks: view("LIVE", self.live_sets * WAYS as usize * size_of::<Live>())?,
        })
    }
}

impl LiveTable {
    /// All blocks of at least `min_bytes`, in no order.
    pub fn blocks(&self, min_bytes: u64) -> impl Iterator<Item = (LiveKey, Live)> + '_ {
        let used = self.keys.words().enumerate().filter(|(_, packed)| *packed != 0);
        used.filter_map(move |(place, packed)| {
            let block: Live = self.blocks.at(place)?;
            (block.size_bytes >= min_bytes).then_some((LiveKey { packed }, block))
        })
    }

    /// Places that hold a block.
    pub fn places(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(self.keys.words()).filter(|(_, packed)| *packed != 0).map(|(place, _)| place)
    }

    /// For each of the addresses, given by ascending key, the block it lies in, if that is there now.
    pub fn find(&self, sorted: &[LiveKey]) -> Vec<Option<(LiveKey, Live)>> {
        // Of each address the nearest block below it: first of those above the address before it, then of all.
        let mut nearest = vec![(0, 0); sorted.len()];
        for (place, packed) in self.keys.words().enumerate().filter(|(_, packed)| *packed != 0) {
            let above = sorted.partition_point(|key| key.packed < packed);
            if let Some(best) = nearest.get_mut(above)
                && packed > best.0
            {
                *best = (packed, place);
            }
        }
        let mut best = (0, 0);
        let mut found = Vec::with_capacity(sorted.len());
        for (key, candidate) in sorted.iter().zip(nearest) {
            best = candidate.max(best);
            found.push(self.block_around(*key, LiveKey { packed: best.0 }, best.1));
        }
        found
    }

    fn block_around(&self, key: LiveKey, start: LiveKey, place: usize) -> Option<(LiveKey, Live)> {
        let block: Live = self.blocks.at(place)?;
        let offset = key.address().checked_sub(start.address())?;
        // Freed meanwhile, its place may be another's.
        let is_still_there = self.keys.at::<u64>(place) == Some(start.packed);
        (start.packed != 0 && key.same_process(start) && is_still_there && offset < block.size_bytes.max(1))
            .then_some((start, block))
    }
}
