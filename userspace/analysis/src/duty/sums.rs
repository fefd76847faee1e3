//! Sums over the parts of windows, by what they probed.

use super::{Kind, Sample};

/// Sums over parts of one kind, in the units of [`Sample`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    pub cpu_ns: f64,
    pub elapsed_ns: f64,
    pub alloc_traps_ns: f64,
    pub free_traps_ns: f64,
    pub allocs: f64,
    pub alloc_bytes: f64,
    pub frees: f64,
    pub freed_bytes: f64,
    pub windows: f64,
}

impl Sums {
    fn of(sample: &Sample) -> Self {
        Self {
            cpu_ns: sample.cpu_ns,
            elapsed_ns: sample.elapsed_ns,
            alloc_traps_ns: sample.alloc_traps_ns,
            free_traps_ns: sample.free_traps_ns,
            allocs: sample.alloc_count,
            alloc_bytes: sample.alloc_bytes,
            frees: sample.free_count,
            freed_bytes: sample.freed_bytes,
            windows: 1.0,
        }
    }

    fn plus(&self, other: &Self, sign: f64) -> Self {
        Self {
            cpu_ns: self.cpu_ns + sign * other.cpu_ns,
            elapsed_ns: self.elapsed_ns + sign * other.elapsed_ns,
            alloc_traps_ns: self.alloc_traps_ns + sign * other.alloc_traps_ns,
            free_traps_ns: self.free_traps_ns + sign * other.free_traps_ns,
            allocs: self.allocs + sign * other.allocs,
            alloc_bytes: self.alloc_bytes + sign * other.alloc_bytes,
            frees: self.frees + sign * other.frees,
            freed_bytes: self.freed_bytes + sign * other.freed_bytes,
            windows: self.windows + sign * other.windows,
        }
    }
}

/// The sums of all parts by kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Strata {
    pub allocs: Sums,
    pub frees: Sums,
    pub both: Sums,
}

impl Strata {
    pub fn of(samples: &[Sample]) -> Self {
        let mut strata = Self::default();
        samples.iter().for_each(|sample| strata.add(sample, 1.0));
        strata
    }

    fn add(&mut self, sample: &Sample, sign: f64) {
        let sums = match sample.kind {
            Kind::Allocs => &mut self.allocs,
            Kind::Frees => &mut self.frees,
            Kind::Both => &mut self.both,
        };
        *sums = sums.plus(&Sums::of(sample), sign);
    }

    /// The sums without these parts.
    pub fn without(mut self, samples: &[Sample]) -> Self {
        samples.iter().for_each(|sample| self.add(sample, -1.0));
        self
    }

    pub fn all(&self) -> Sums {
        self.with_allocs().plus(&self.frees, 1.0)
    }

    /// Parts that saw allocations.
    pub fn with_allocs(&self) -> Sums {
        self.allocs.plus(&self.both, 1.0)
    }

    /// Parts that saw frees.
    pub fn with_frees(&self) -> Sums {
        self.frees.plus(&self.both, 1.0)
    }
}
