//! What the kernel part keeps of an allocator's own samples.

use aya::maps::{Array, MapData, PerCpuArray};
use waytrace_abi::allocation::{BUCKETS, Bucket, LiveSet};
use waytrace_abi::usdt::{Arguments, ONE, SQUARE_BITS, SampleTotals};
use waytrace_model::histogram;

use super::Kernel;
use super::maps::{Plain, map_as, map_error};
use crate::Error;
use crate::probes::ArgumentTable;

/// Totals of samples, from all CPUs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SampleSums {
    /// Estimated allocations.
    pub alloc_count: f64,
    /// Estimated bytes of them.
    pub alloc_bytes: f64,
    /// Estimated frees of those.
    pub free_count: f64,
    /// Estimated bytes of them.
    pub freed_bytes: f64,
    /// Samples of allocations.
    pub alloc_samples: u64,
    /// Frees of sampled blocks that were seen allocated.
    pub free_samples: u64,
    /// Frees of other sampled blocks.
    pub unseen_free_samples: u64,
    /// Hits whose arguments could not be read.
    pub unread_samples: u64,
    /// Stacks taken.
    pub stacks: u64,
    /// Variance of `alloc_bytes`.
    pub bytes_variance: f64,
    /// Variance of `alloc_count`.
    pub count_variance: f64,
    /// Sizes asked for, by log2.
    pub sizes: Vec<Estimated>,
    /// Lifetimes in nanoseconds, by log2.
    pub lifetimes: Vec<Estimated>,
}

/// A bucket of estimates.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimated {
    /// Allocations.
    pub count: f64,
    /// Their bytes.
    pub bytes: f64,
}

impl SampleSums {
    /// What came since.
    pub fn since(&self, before: &Self) -> Self {
        let histogram = |now: &[Estimated], before: &[Estimated]| -> Vec<Estimated> {
            let before = before.iter().copied().chain(std::iter::repeat(Estimated::default()));
            let difference = |(now, before): (&Estimated, Estimated)| Estimated {
                count: now.count - before.count,
                bytes: now.bytes - before.bytes,
            };
            now.iter().zip(before).map(difference).collect()
        };
        Self {
            alloc_count: self.alloc_count - before.alloc_count,
            alloc_bytes: self.alloc_bytes - before.alloc_bytes,
            free_count: self.free_count - before.free_count,
            freed_bytes: self.freed_bytes - before.freed_bytes,
            alloc_samples: self.alloc_samples - before.alloc_samples,
            free_samples: self.free_samples - before.free_samples,
            unseen_free_samples: self.unseen_free_samples - before.unseen_free_samples,
            unread_samples: self.unread_samples - before.unread_samples,
            stacks: self.stacks - before.stacks,
            bytes_variance: self.bytes_variance - before.bytes_variance,
            count_variance: self.count_variance - before.count_variance,
            sizes: histogram(&self.sizes, &before.sizes),
            lifetimes: histogram(&self.lifetimes, &before.lifetimes),
        }
    }
}

/// The buckets that hold anything.
pub fn in_model(histogram: &[Estimated]) -> Vec<histogram::Bucket> {
    let buckets = histogram.iter().enumerate().filter(|(_, bucket)| bucket.count > 0.0 || bucket.bytes > 0.0);
    buckets
        .map(|(log2, bucket)| histogram::Bucket {
            log2: log2 as u8,
            count: bucket.count,
            bytes: bucket.bytes,
        })
        .collect()
}

impl Kernel {
    /// Tells where static probes have their arguments.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn set_arguments(&mut self, table: &ArgumentTable) -> Result<(), Error> {
        let mut map = map_as!(self, "ARGUMENTS", Array<&mut MapData, Plain<Arguments>>)?;
        for (place, arguments) in (0..).zip(table.entries()) {
            map.set(place, Plain(*arguments), 0).map_err(map_error("ARGUMENTS"))?;
        }
        Ok(())
    }

    /// The totals of samples.
    ///
    /// # Errors
    /// [`Error::Map`].
    pub fn sample_sums(&mut self) -> Result<SampleSums, Error> {
        let map = map_as!(self, "SAMPLE_TOTALS", PerCpuArray<&mut MapData, Plain<SampleTotals>>)?;
        Ok(sum(&map.get(&0, 0).map_err(map_error("SAMPLE_TOTALS"))?))
    }

    /// The places of the blocks that are live now.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Syscall`].
    pub fn live_places(&self) -> Result<Vec<u32>, Error> {
        let table = self.live_table()?;
        Ok(table.places().collect())
    }

    /// Forgets all live blocks. No probe may be in place.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Map`], [`Error::Syscall`].
    pub fn clear_live(&mut self) -> Result<(), Error> {
        let used: std::collections::BTreeSet<u32> =
            self.live_places()?.into_iter().map(|place| place / waytrace_abi::allocation::WAYS).collect();
        let mut sets = map_as!(self, "LIVE_KEYS", Array<&mut MapData, Plain<LiveSet>>)?;
        for set in used {
            sets.set(set, Plain(LiveSet::default()), 0).map_err(map_error("LIVE_KEYS"))?;
        }
        self.clear_peak()
    }
}

fn sum(cpus: &[Plain<SampleTotals>]) -> SampleSums {
    let empty = || vec![Estimated::default(); BUCKETS as usize];
    let mut sums = SampleSums { sizes: empty(), lifetimes: empty(), ..SampleSums::default() };
    for Plain(cpu) in cpus {
        merge(&mut sums.sizes, &cpu.sizes);
        merge(&mut sums.lifetimes, &cpu.lifetimes);
        sums.alloc_samples += cpu.alloc_samples;
        sums.free_samples += cpu.free_samples;
        sums.unseen_free_samples += cpu.unseen_free_samples;
        sums.unread_samples += cpu.unread_samples;
        sums.stacks += cpu.stacks;
        let square = f64::from(1_u32 << (2 * SQUARE_BITS));
        sums.bytes_variance += square * cpu.bytes_variance.cast_signed() as f64;
        sums.count_variance += cpu.count_variance.cast_signed() as f64 / 256.0;
    }
    let total = |histogram: &[Estimated]| {
        histogram.iter().fold((0.0, 0.0), |sum, bucket| (sum.0 + bucket.count, sum.1 + bucket.bytes))
    };
    (sums.alloc_count, sums.alloc_bytes) = total(&sums.sizes);
    (sums.free_count, sums.freed_bytes) = total(&sums.lifetimes);
    sums
}

fn merge(sum: &mut [Estimated], part: &[Bucket]) {
    for (sum, part) in sum.iter_mut().zip(part) {
        sum.count += part.count as f64 / ONE as f64;
        sum.bytes += part.bytes as f64;
    }
}
