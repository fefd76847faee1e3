//! What the kernel part sums up of samples that come with an address, window by window: taken out, named by region, and
//! made the measure of the samples handed on one by one.
//!
//! Windows are the run's own, so that working sets stand beside counters of the same time; entries of a window are no more
//! than its samples, so that shorter windows cost no more rows than the samples would. Where samples were left out, the
//! rest is weighted by what all of its window and CPU came to over what the rest came to (a ratio estimator): a sample has
//! the same chance as any other of its window and CPU, so the weights are right on average for every part of them, and
//! add up to what was counted but for samples on the edge of a window, of which the record's time is the earlier by some
//! microseconds.

use std::collections::{BTreeMap, HashMap};

use waytrace_abi::heat::{HeatKey, HeatTotal, LINE_BYTES, PAGE_BYTES, TotalKey, direction};
use waytrace_model::access_heat::{HeatCell, HeatSums, HeatWindow};

use crate::kernel;

/// How long after its end a window is taken for complete: a program that runs at its end has ended by then, however long
/// the host may have kept its CPU.
const GRACE_NS: u64 = 20_000_000;
/// Windows whose weights are kept for samples yet to come.
const KEPT_WINDOWS: u64 = 8;

/// Sums taken out so far.
#[derive(Debug, Default)]
pub struct Heat {
    start_ns: u64,
    interval_ns: u64,
    /// The first window not taken out yet.
    next: u64,
    /// By window and CPU.
    shares: HashMap<(u64, u64), Share>,
    /// Weight by CPU that nothing handed on stands for yet.
    carried: HashMap<u64, u64>,
    windows: Vec<HeatWindow>,
    /// Samples with an address.
    pub samples: u64,
    /// Samples of kernel code.
    pub in_kernel: u64,
    /// Samples without an address.
    pub no_address: u64,
    /// Weight of all samples there were.
    pub weight: u64,
}

/// What samples of a window and CPU stand for.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    weight: u64,
    passed_weight: u64,
    /// What rounding has left over of the samples so far, in parts of `passed_weight`.
    rest: u128,
}

impl Heat {
    /// Windows of `interval_ns` from `start_ns` on.
    pub fn new(start_ns: u64, interval_ns: u64) -> Self {
        Self { start_ns, interval_ns: interval_ns.max(1), ..Self::default() }
    }

    /// The first window that is not complete at `now_ns`; `None` if there is none to be taken out before it.
    pub fn complete(&self, now_ns: u64) -> Option<u64> {
        let end = now_ns.saturating_sub(self.start_ns).saturating_sub(GRACE_NS) / self.interval_ns;
        (end > self.next).then_some(end)
    }

    /// When the windows that were taken out end, in nanoseconds since the run started.
    pub fn taken_until_ns(&self) -> u64 {
        self.next.saturating_mul(self.interval_ns)
    }

    /// Adds what was taken out of the windows before `end`; `region` numbers the mapping of a process's address.
    pub fn add(&mut self, taken: &kernel::Heat, end: u64, mut region: impl FnMut(u32, u64) -> Option<u32>) {
        let mut windows: BTreeMap<u64, HeatWindow> = BTreeMap::new();
        for (key, total) in &taken.totals {
            self.count(total);
            let window = windows.entry(key.window).or_default();
            window.samples += total.samples;
            window.passed += total.passed;
            window.sums.add(&HeatSums {
                loads: total.weights[direction::LOAD as usize],
                stores: total.weights[direction::STORE as usize],
                unknown: total.weights[direction::UNKNOWN as usize],
            });
        }
        for (entries, bytes, is_line) in [(&taken.pages, PAGE_BYTES, false), (&taken.lines, LINE_BYTES, true)]
        {
            for ((window, tgid, number), sums) in by_place(entries) {
                let address = number.saturating_mul(bytes);
                let region = region(tgid, address);
                let cell = HeatCell { tgid, address, is_line, region, sums };
                windows.entry(window).or_default().cells.push(cell);
            }
        }
        for (window, sums) in windows {
            let start_ns = window.saturating_mul(self.interval_ns);
            self.windows.push(HeatWindow { start_ns, ..sums });
        }
        // Samples of what was taken out just now are yet to be weighed, however many windows that is.
        let oldest = self.next.saturating_sub(KEPT_WINDOWS);
        self.shares.retain(|(window, _), _| *window >= oldest);
        self.share(&taken.totals);
        self.next = self.next.max(end);
    }

    /// Of a window and CPU with nothing handed on, what the next one of that CPU has handed on stands for it too.
    fn share(&mut self, totals: &[(TotalKey, HeatTotal)]) {
        let mut totals: Vec<_> = totals.iter().collect();
        totals.sort_unstable_by_key(|(key, _)| key.window);
        for (key, total) in totals {
            let weight = total.weights.iter().sum::<u64>() + self.carried.remove(&key.cpu).unwrap_or(0);
            if total.passed_weight == 0 {
                self.carried.insert(key.cpu, weight);
            } else {
                let share = self.shares.entry((key.window, key.cpu)).or_default();
                share.weight += weight;
                share.passed_weight += total.passed_weight;
            }
        }
    }

    fn count(&mut self, total: &HeatTotal) {
        self.samples += total.samples;
        self.in_kernel += total.in_kernel;
        self.no_address += total.no_address;
        self.weight += total.weights.iter().sum::<u64>() + total.other_weight;
    }

    /// What a sample stands for that was handed on at `at_ns` of the run.
    pub fn weigh(&mut self, at_ns: u64, cpu: Option<u32>, weight: u64) -> u64 {
        let key = (at_ns / self.interval_ns.max(1), u64::from(cpu.unwrap_or(0)));
        let share = self.shares.get_mut(&key).filter(|share| share.weight > share.passed_weight);
        let Some(share) = share.filter(|share| share.passed_weight > 0) else { return weight };
        let parts = u128::from(weight) * u128::from(share.weight) + share.rest;
        share.rest = parts % u128::from(share.passed_weight);
        u64::try_from(parts / u128::from(share.passed_weight)).unwrap_or(u64::MAX)
    }

    /// Windows taken out since the last time.
    pub fn take(&mut self) -> Vec<HeatWindow> {
        std::mem::take(&mut self.windows)
    }
}

/// Directions of a place put together, in order of window, process and address.
fn by_place(entries: &[(HeatKey, u64)]) -> BTreeMap<(u64, u32, u64), HeatSums> {
    let mut places: BTreeMap<(u64, u32, u64), HeatSums> = BTreeMap::new();
    for &(key, weight) in entries {
        let mut sums = HeatSums::default();
        match key.direction {
            direction::LOAD => sums.loads = weight,
            direction::STORE => sums.stores = weight,
            _ => sums.unknown = weight,
        }
        places.entry((key.window, key.tgid, key.number)).or_default().add(&sums);
    }
    places
}

#[cfg(test)]
#[path = "heat_tests.rs"]
mod tests;
