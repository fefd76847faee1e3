//! Hash tables for millions of small keys. std's hash takes longer than all else that is done with a sample; this one
//! multiplies and folds each part of a key, under a secret that differs from table to table, so that no file can be
//! written for keys to collide.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

pub(super) type Table<K, V> = HashMap<K, V, Secret>;
pub(super) type TableSet<K> = HashSet<K, Secret>;

/// Fractional digits of pi, which have no pattern.
const FACTOR: u64 = 0x243f_6a88_85a3_08d3;
const LAST_FACTOR: u64 = 0x1319_8a2e_0370_7345;

/// What a table's hashes begin with.
#[derive(Debug, Clone)]
pub(super) struct Secret(u64);

/// A hash in the making.
pub(super) struct Fold(u64);

impl Default for Secret {
    fn default() -> Self {
        Self(RandomState::new().hash_one(FACTOR))
    }
}

impl BuildHasher for Secret {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold(self.0)
    }
}

impl Hasher for Fold {
    fn write_u64(&mut self, part: u64) {
        self.0 = folded(self.0 ^ part, FACTOR);
    }

    fn write_u8(&mut self, part: u8) {
        self.write_u64(part.into());
    }

    fn write_u32(&mut self, part: u32) {
        self.write_u64(part.into());
    }

    fn write_usize(&mut self, part: usize) {
        self.write_u64(part as u64);
    }

    fn write_isize(&mut self, part: isize) {
        self.write_u64(part as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    /// Once more: tables use the low and the top bits, and one fold leaves patterns of arrays in both.
    fn finish(&self) -> u64 {
        folded(self.0 ^ LAST_FACTOR, LAST_FACTOR)
    }
}

fn folded(value: u64, factor: u64) -> u64 {
    let product = u128::from(value) * u128::from(factor);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neighbouring lines, as arrays make them, spread over buckets (low bits) and tags (top bits) like random numbers: of
    /// 65,536 keys in as many buckets 1/e stay empty, which leaves 41,427; the bounds are more than ten standard deviations away.
    #[test]
    fn neighbouring_keys_spread() {
        let secret = Secret::default();
        for step in [1, 64, 4096, 1 << 32] {
            let hashes: Vec<u64> =
                (0..65_536_u64).map(|key| secret.hash_one((Some(7_u32), key * step))).collect();
            let distinct =
                |bits: fn(u64) -> u64| hashes.iter().map(|hash| bits(*hash)).collect::<HashSet<u64>>().len();
            let (buckets, tags) = (distinct(|hash| hash & 0xffff), distinct(|hash| hash >> 48));
            assert!((40_500..=42_300).contains(&buckets), "step {step}: {buckets} buckets");
            assert!((40_500..=42_300).contains(&tags), "step {step}: {tags} tags");
        }
    }
}
