//! What turns have seen of a target's processes, carried over to the target and its window.
//!
//! A turn sees one process for a part of the window. What it saw per CPU time of the process is taken to hold for all CPU time of the target in the window: for
//! the time around the turn, and for processes beside it, which as a rule do the same work. A target of one process that was looked at for most of the
//! window needs no such step.

use std::collections::HashMap;

use waytrace_model::allocation::Mode;
use waytrace_model::monitor::{Metric, Region, SiteRate, TargetWindow};
use waytrace_trace::turn::{Sampled, SiteShare, TurnResult};

/// A turn in which the process used less CPU time says nothing per CPU time.
const LEAST_CPU_NS: u64 = 200_000;
/// From this share of a window on a turn is taken for the window.
const MOST_OF_IT: f64 = 0.8;
/// Buckets of sizes: to 2^47 bytes.
const SIZES: usize = 48;

/// The turns of one target in one window.
#[derive(Debug, Default)]
pub struct Closer {
    turns: Vec<TurnResult>,
}

impl Closer {
    /// Adds a turn.
    pub fn add(&mut self, turn: TurnResult) {
        self.turns.push(turn);
    }

    /// Enters what they come to for a window of that length.
    pub fn enter(&self, target: &mut TargetWindow, length_ns: u64) {
        let window_cpu_ns = target.values.get(Metric::Cpu).unwrap_or(0.0);
        if window_cpu_ns == 0.0 {
            self.enter_idle(target);
            return;
        }
        let span_ns: u64 = self.turns.iter().map(|turn| turn.span_ns).sum();
        let turned_cpu_ns: u64 = self.turns.iter().map(|turn| turn.target_cpu_ns).sum();
        if self.turns.is_empty() || turned_cpu_ns < LEAST_CPU_NS {
            let why = if self.turns.is_empty() {
                "no closer look in this window"
            } else {
                "it hardly ran while it was looked at"
            };
            for collector in ["allocations", "accesses"] {
                target.absent.insert(collector.to_owned(), why.to_owned());
            }
            return;
        }
        let is_most = target.processes.len() == 1 && span_ns as f64 >= MOST_OF_IT * length_ns as f64;
        let factor =
            if is_most { length_ns as f64 / span_ns as f64 } else { window_cpu_ns / turned_cpu_ns as f64 };
        self.enter_allocations(target, factor, length_ns);
        self.enter_accesses(target);
        let cost_ns: f64 = self.turns.iter().map(|turn| turn.probes_cost_ns + turn.samples_cost_ns).sum();
        target.values.set(Metric::Overhead, Some(cost_ns / window_cpu_ns));
    }

    /// Who did not run did not allocate.
    fn enter_idle(&self, target: &mut TargetWindow) {
        for metric in [Metric::AllocCount, Metric::AllocBytes, Metric::FreeCount, Metric::FreedBytes] {
            target.values.set(metric, Some(0.0));
        }
        target.values.set(Metric::Overhead, Some(0.0));
        target.absent.insert("accesses".to_owned(), "it did not run".to_owned());
    }

    fn enter_allocations(&self, target: &mut TargetWindow, factor: f64, length_ns: u64) {
        let seen: Vec<&TurnResult> =
            self.turns.iter().filter(|turn| turn.alloc_bytes_per_s.is_some()).collect();
        if seen.is_empty() {
            let why = self.turns.iter().find_map(|turn| turn.no_allocations.clone());
            let why = why.unwrap_or_else(|| "not measured".to_owned());
            target.absent.insert("allocations".to_owned(), why);
            return;
        }
        // Turns of which some saw nothing stand for all of them.
        let part =
            |turns: &[&TurnResult]| turns.iter().map(|turn| turn.target_cpu_ns).sum::<u64>().max(1) as f64;
        let all: Vec<&TurnResult> = self.turns.iter().collect();
        let factor = factor * part(&all) / part(&seen);
        let amount = |rate: fn(&TurnResult) -> Option<f64>| -> Option<f64> {
            let amounts: Option<Vec<f64>> =
                seen.iter().map(|turn| Some(rate(turn)? * turn.span_ns as f64 / 1e9)).collect();
            Some(amounts?.iter().sum::<f64>() * factor)
        };
        let bytes = amount(|turn| turn.alloc_bytes_per_s);
        let count = amount(|turn| turn.alloc_per_s);
        target.values.set(Metric::AllocBytes, bytes);
        target.values.set(Metric::AllocCount, count);
        target.values.set(Metric::FreeCount, amount(|turn| turn.free_per_s));
        target.values.set(Metric::FreedBytes, amount(|turn| turn.freed_bytes_per_s));
        let span_ns: u64 = seen.iter().map(|turn| turn.span_ns).sum();
        target.values.set(Metric::Probed, Some((span_ns as f64 / length_ns.max(1) as f64).min(1.0)));
        if let Some(reason) = seen.iter().find_map(|turn| turn.no_allocations.clone()) {
            target.absent.insert("allocations".to_owned(), reason);
        }
        let only_samples = seen.iter().all(|turn| turn.from_samples);
        target.alloc_mode = Some(if only_samples { Mode::Sampled } else { Mode::Budgeted });
        target.sites = sites(&seen, count.unwrap_or(0.0), bytes.unwrap_or(0.0), length_ns);
        target.sizes = sizes(&seen, factor);
    }

    fn enter_accesses(&self, target: &mut TargetWindow) {
        let seen: Vec<&Sampled> = self.turns.iter().filter_map(|turn| turn.sampled.as_ref()).collect();
        let resolved: u64 = seen.iter().map(|sampled| sampled.resolved).sum();
        if resolved == 0 {
            let why = self.turns.iter().find_map(|turn| turn.no_accesses.clone());
            let why = why.unwrap_or_else(|| "no sample came in the time looked at".to_owned());
            target.absent.insert("accesses".to_owned(), why);
            return;
        }
        let stores: u64 = seen.iter().map(|sampled| sampled.stores).sum();
        target.values.set(Metric::Samples, Some(resolved as f64));
        target.values.set(Metric::Stores, Some(stores as f64 / resolved as f64));
        // Turns of several processes touch different pages, those of one mostly the same.
        let touched = seen.iter().map(|sampled| sampled.touched_bytes).max();
        target.values.set(Metric::WorkingSet, touched.map(|bytes| bytes as f64));
        target.regions = regions(&seen, resolved);
    }
}

/// Sites of several turns; each turn counts by the CPU time it saw.
fn sites(turns: &[&TurnResult], count: f64, bytes: f64, length_ns: u64) -> Vec<SiteRate> {
    let all_ns: u64 = turns.iter().map(|turn| turn.target_cpu_ns).sum();
    let mut shares: HashMap<&str, (f64, f64)> = HashMap::new();
    for turn in turns {
        let weight = turn.target_cpu_ns as f64 / all_ns.max(1) as f64;
        for SiteShare { name, count_ratio, bytes_ratio } in &turn.sites {
            let share = shares.entry(name).or_default();
            share.0 += weight * count_ratio;
            share.1 += weight * bytes_ratio;
        }
    }
    let length_s = length_ns.max(1) as f64 / 1e9;
    let mut sites: Vec<SiteRate> = shares
        .into_iter()
        .map(|(name, (own_count, own_bytes))| SiteRate {
            name: name.to_owned(),
            alloc_per_s: own_count * count / length_s,
            bytes_per_s: own_bytes * bytes / length_s,
        })
        .collect();
    sites.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s).then_with(|| a.name.cmp(&b.name)));
    sites.truncate(TargetWindow::MAX_SITES);
    sites
}

fn sizes(turns: &[&TurnResult], factor: f64) -> Vec<f64> {
    let mut sizes = vec![0.0; SIZES];
    for bucket in turns.iter().flat_map(|turn| &turn.sizes) {
        if let Some(bytes) = sizes.get_mut(usize::from(bucket.log2)) {
            *bytes += bucket.bytes * factor;
        }
    }
    while sizes.last() == Some(&0.0) {
        sizes.pop();
    }
    sizes
}

fn regions(seen: &[&Sampled], resolved: u64) -> Vec<Region> {
    let mut counts: HashMap<&str, (u64, u64)> = HashMap::new();
    for (name, count, stores) in seen.iter().flat_map(|sampled| &sampled.regions) {
        let region = counts.entry(name).or_default();
        region.0 += count;
        region.1 += stores;
    }
    let mut regions: Vec<Region> = counts
        .into_iter()
        .map(|(name, (count, stores))| Region {
            name: name.to_owned(),
            share_ratio: count as f64 / resolved.max(1) as f64,
            store_ratio: stores as f64 / count.max(1) as f64,
        })
        .collect();
    regions.sort_by(|a, b| b.share_ratio.total_cmp(&a.share_ratio).then_with(|| a.name.cmp(&b.name)));
    regions
}

#[cfg(test)]
mod tests {
    use waytrace_model::histogram::Bucket;
    use waytrace_model::monitor::ProcessWindow;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn turn(span_s: f64, cpu_ms: u64, bytes_per_s: f64) -> TurnResult {
        TurnResult {
            span_ns: (span_s * 1e9) as u64,
            target_cpu_ns: cpu_ms * 1_000_000,
            alloc_per_s: Some(bytes_per_s / 100.0),
            alloc_bytes_per_s: Some(bytes_per_s),
            free_per_s: Some(bytes_per_s / 100.0),
            sites: vec![SiteShare { name: "a < b".to_owned(), count_ratio: 1.0, bytes_ratio: 1.0 }],
            sizes: vec![Bucket { log2: 6, count: 10.0, bytes: bytes_per_s * span_s }],
            probes_cost_ns: 1e6,
            ..TurnResult::default()
        }
    }

    fn target(cpu_ms: u64, processes: usize) -> TargetWindow {
        TargetWindow {
            values: [(Metric::Cpu, cpu_ms as f64 * 1e6)].into_iter().collect(),
            processes: vec![ProcessWindow::default(); processes],
            ..TargetWindow::default()
        }
    }

    fn entered(turns: Vec<TurnResult>, mut target: TargetWindow) -> TargetWindow {
        let mut closer = Closer::default();
        turns.into_iter().for_each(|turn| closer.add(turn));
        closer.enter(&mut target, 10 * SECOND);
        target
    }

    #[test]
    fn what_a_turn_saw_per_cpu_time_holds_for_the_window() {
        // In 2 s it used 500 ms and allocated 2,000 bytes; in the window four processes used 4 s.
        let target = entered(vec![turn(2.0, 500, 1_000.0)], target(4_000, 4));
        assert_eq!(target.values.get(Metric::AllocBytes), Some(16_000.0));
        assert_eq!(target.values.get(Metric::FreedBytes), None);
        assert_eq!(target.values.get(Metric::Probed), Some(0.2));
        assert_eq!((target.sites[0].bytes_per_s, target.sizes[6]), (1_600.0, 16_000.0));
        assert_eq!(target.values.get(Metric::Overhead), Some(1e6 / 4e9));
    }

    #[test]
    fn a_turn_of_nearly_the_whole_window_is_taken_for_it() {
        let target = entered(vec![turn(9.0, 500, 1_000.0)], target(900, 1));
        assert_eq!(target.values.get(Metric::AllocBytes), Some(10_000.0));
    }

    #[test]
    fn where_allocations_come_from_is_told() {
        let of = |from_samples| TurnResult { from_samples, ..turn(2.0, 500, 1_000.0) };
        let mode = |turns: Vec<TurnResult>| entered(turns, target(4_000, 2)).alloc_mode;
        assert_eq!(mode(vec![of(true), of(true)]), Some(Mode::Sampled));
        assert_eq!(mode(vec![of(true), of(false)]), Some(Mode::Budgeted));
        assert_eq!(mode(Vec::new()), None);
    }

    #[test]
    fn turns_add_up() {
        let target = entered(vec![turn(2.0, 500, 1_000.0), turn(2.0, 1_500, 3_000.0)], target(4_000, 2));
        // 8,000 bytes in 2 s of CPU time.
        assert_eq!(target.values.get(Metric::AllocBytes), Some(16_000.0));
    }

    #[test]
    fn absent_is_said_and_idle_is_nothing() {
        let none = entered(Vec::new(), target(4_000, 1));
        assert_eq!(none.values.get(Metric::AllocBytes), None);
        assert_eq!(none.absent["allocations"], "no closer look in this window");
        let idle = entered(Vec::new(), target(0, 1));
        assert_eq!(idle.values.get(Metric::AllocBytes), Some(0.0));
        let refused = TurnResult {
            no_allocations: Some("no allocator".to_owned()),
            alloc_bytes_per_s: None,
            ..turn(2.0, 500, 0.0)
        };
        assert_eq!(entered(vec![refused], target(4_000, 1)).absent["allocations"], "no allocator");
    }

    #[test]
    fn regions_are_shares_of_all_samples() {
        let sampled = |name: &str, count, stores| Sampled {
            samples: count,
            resolved: count,
            stores,
            touched_bytes: 4096 * count,
            regions: vec![(name.to_owned(), count, stores)],
            checked: (0, 0),
        };
        let with = |sampled| TurnResult { sampled: Some(sampled), ..turn(2.0, 500, 1.0) };
        let target = entered(
            vec![with(sampled("[heap]", 30, 10)), with(sampled("[stack]", 10, 10))],
            target(1_000, 1),
        );
        assert_eq!(target.values.get(Metric::Stores), Some(0.5));
        let shares: Vec<_> = target.regions.iter().map(|r| (r.name.as_str(), r.share_ratio)).collect();
        assert_eq!(shares, [("[heap]", 0.75), ("[stack]", 0.25)]);
    }
}
