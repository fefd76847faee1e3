//! Tables that are too small, filled by stores this thread makes itself: what they have no room for is in the totals.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use waytrace_abi::settings::Settings;
use waytrace_hw::counter::Inherit;
use waytrace_hw::sampling::{Rate, Sampler, Sampling, SamplingSource, Scope};

use super::*;
use crate::kernel::Constants;
use waytrace_hw::clock;

#[repr(align(4096))]
struct Page(AtomicU64);

static PAGES: [Page; 4] = [const { Page(AtomicU64::new(0)) }; 4];

const STORES: u64 = 50;

/// The kernel part with these tables, or a printed SKIP.
fn kernel(heat: HeatRoom) -> Option<Kernel> {
    let constants = Constants {
        everyone: false,
        follow_forks: false,
        lifetimes: false,
        every_stack: false,
        min_traced_bytes: u64::MAX,
        wrappers_present: false,
        event_count: 0,
        // All that is done here is one window.
        interval_ns: u64::MAX / 2,
        phases: false,
        accesses: false,
        heat,
        samples: false,
        max_live: 1,
        ring_bytes: 4096,
    };
    Kernel::load(&constants).map_err(|error| println!("SKIP: {error}")).ok()
}

/// Watches on the words; four at most fit a thread.
fn watches(kernel: &mut Kernel) -> Option<Vec<Sampler>> {
    let program = kernel.perf_event_program("heat_store").unwrap();
    let watch = |page: &Page| {
        let source = SamplingSource::watch(page.0.as_ptr() as u64, 8, true);
        let scope = Scope::Threads { tids: vec![0], inherit: Inherit::Nobody };
        let mut sampler = Sampler::open(source, &scope, Rate::Period(1), 4096)?;
        sampler.run_at_samples(|_| program.as_fd())?;
        sampler.enable()?;
        Ok(sampler)
    };
    let opened: Result<Vec<Sampler>, waytrace_hw::Error> = PAGES.iter().map(watch).collect();
    opened.map_err(|error| println!("SKIP: {error}")).ok()
}

/// Stores to each word in turn and takes out what was counted.
fn stored(heat: HeatRoom) -> Option<Heat> {
    let mut kernel = kernel(heat)?;
    let (single_tgid, run_start_ns) = (std::process::id(), clock::monotonic_ns());
    kernel.configure(Settings { single_tgid, run_start_ns, ..Settings::default() }).unwrap();
    let mut samplers = watches(&mut kernel)?;
    for value in 0..STORES {
        PAGES.iter().for_each(|page| page.0.store(value, Ordering::Relaxed));
    }
    for sampler in &mut samplers {
        sampler.disable().unwrap();
        assert_eq!(sampler.watched().unwrap(), Some(STORES));
    }
    let taken = kernel.take_heat(1).unwrap();
    assert_eq!(kernel.take_heat(u64::MAX).unwrap(), Heat::default(), "what was taken is gone");
    Some(taken)
}

fn weights(cells: &[(HeatKey, u64)]) -> u64 {
    cells.iter().map(|(_, weight)| weight).sum()
}

#[test]
fn what_finds_no_room_is_still_in_the_totals() {
    let all = STORES * PAGES.len() as u64;
    for (heat, pages, lines) in
        [(HeatRoom { pages: 64, lines: 64 }, 4, 4), (HeatRoom { pages: 2, lines: 2 }, 2, 2)]
    {
        let Some(taken) = stored(heat) else { return };
        let totals = taken.totals.iter().map(|(_, total)| total);
        let counted: u64 = totals.clone().map(|total| total.weights.iter().sum::<u64>()).sum();
        assert_eq!((counted, totals.map(|total| total.samples).sum::<u64>()), (all, all));
        // A page that has a place keeps it.
        assert_eq!((taken.pages.len(), weights(&taken.pages)), (pages, STORES * pages as u64), "{taken:?}");
        assert!(taken.pages.iter().all(|(key, weight)| key.window == 0 && *weight == STORES), "{taken:?}");
        assert!(taken.lines.len() <= lines, "{taken:?}");
        match lines {
            4 => assert_eq!(weights(&taken.lines), all),
            _ => {
                assert!(
                    weights(&taken.lines) < all,
                    "lines that made way took their counts along: {taken:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_handed_on_follows_the_window() {
    assert_eq!([0, 1, 100_000_000, 1_000_000_000, u64::MAX].map(passed)[..4], [1, 1, 1_000, 10_000]);
}
