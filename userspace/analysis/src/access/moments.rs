//! At how many moments something was sampled, as far as that matters. Samples of one walk are of one moment and lie near each
//! other, so that several of them say no more than one does of whether something happens again and again.

use super::sharing::REPEATED;

/// Up to [`REPEATED`] distinct moments, as hashes that are never 0; 0 where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moments([u32; REPEATED]);

impl Moments {
    pub(super) fn add(&mut self, at_ns: u64) {
        self.put((at_ns.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 | 1);
    }

    /// Those of both.
    pub(super) fn merge(&mut self, other: Self) {
        other.0.into_iter().filter(|&moment| moment != 0).for_each(|moment| self.put(moment));
    }

    /// How many, at most [`REPEATED`].
    pub(super) fn count(self) -> usize {
        self.0.into_iter().filter(|&moment| moment != 0).count()
    }

    fn put(&mut self, moment: u32) {
        if let Some(place) = self.0.iter_mut().find(|place| **place == 0 || **place == moment) {
            *place = moment;
        }
    }
}
