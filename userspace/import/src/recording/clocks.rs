//! Two clocks in one run: perf's samples and tracealloc's logs. What can be said of them is said; nothing is shifted unasked.

use crate::heimdallr::Blocks;
use crate::item::{Clock, Facts};
use crate::survey::Survey;

/// How times of a recording become times of the run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Time zero of the run on the samples' clock.
    pub samples_zero_ns: u64,
    /// And on that of the allocations.
    pub blocks_zero_ns: u64,
    /// Last time of either, counted from the start of the run.
    pub last_ns: u64,
    /// The allocations cannot be put beside the samples.
    pub drops_blocks: bool,
    pub note: Option<String>,
}

impl Clocks {
    /// Of samples and allocations, where there are both.
    pub fn of(facts: &Facts, survey: &Survey, blocks: Option<&Blocks>, align: bool) -> Self {
        let samples = survey.first_ns.map(|first_ns| (first_ns, survey.last_ns));
        let blocks = blocks.map(|blocks| (blocks.first_ns, blocks.last_ns));
        let (samples, blocks) = match (samples, blocks) {
            (Some(samples), Some(blocks)) => (samples, blocks),
            (Some((first_ns, last_ns)), None) | (None, Some((first_ns, last_ns))) => {
                let last_ns = last_ns - first_ns;
                return Self {
                    samples_zero_ns: first_ns,
                    blocks_zero_ns: first_ns,
                    last_ns,
                    ..Self::default()
                };
            }
            (None, None) => return Self::default(),
        };
        let overlap = samples.0 <= blocks.1 && blocks.0 <= samples.1;
        let clock = facts.clock.name();
        if overlap || facts.clock == Clock::RAW {
            let zero_ns = samples.0.min(blocks.0);
            let last_ns = samples.1.max(blocks.1) - zero_ns;
            let note = format!(
                "samples have {clock} and allocations CLOCK_MONOTONIC_RAW: nothing was shifted, so a block may seem to begin \
                 and end as much too early or late as the two differ (record with `perf record -k CLOCK_MONOTONIC_RAW`)"
            );
            let note = (facts.clock != Clock::RAW).then_some(note);
            return Self {
                samples_zero_ns: zero_ns,
                blocks_zero_ns: zero_ns,
                last_ns,
                drops_blocks: false,
                note,
            };
        }
        let apart_s = blocks.0.abs_diff(samples.0) as f64 / 1e9;
        let length = |span: (u64, u64)| span.1 - span.0;
        let told = format!(
            "samples have {clock}, allocations CLOCK_MONOTONIC_RAW, and they begin {apart_s:.3} s apart"
        );
        let (last_ns, note) = if align {
            let note = format!("{told}: as asked for, the first allocation was put at the first sample");
            (length(samples).max(length(blocks)), note)
        } else {
            let note = format!(
                "{told} without a time in common: allocations were left out; --align-clocks puts the first at the first sample"
            );
            (length(samples), note)
        };
        Self {
            samples_zero_ns: samples.0,
            blocks_zero_ns: blocks.0,
            last_ns,
            drops_blocks: !align,
            note: Some(note),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(clock: Clock, samples: (u64, u64), blocks: (u64, u64), align: bool) -> Clocks {
        let facts = Facts { clock, ..Facts::default() };
        let mut survey = Survey::default();
        (survey.first_ns, survey.last_ns) = (Some(samples.0), samples.1);
        let blocks = Blocks { first_ns: blocks.0, last_ns: blocks.1, ..Blocks::default() };
        Clocks::of(&facts, &survey, Some(&blocks), align)
    }

    #[test]
    fn one_clock_needs_no_word() {
        let same = clocks(Clock::RAW, (100, 200), (90, 250), false);
        assert_eq!((same.samples_zero_ns, same.blocks_zero_ns, same.last_ns, same.note), (90, 90, 160, None));
    }

    #[test]
    fn two_clocks_that_meet_are_left_as_they_are_and_told() {
        let two = clocks(Clock::Perf, (100, 200), (150, 250), true);
        assert_eq!((two.samples_zero_ns, two.blocks_zero_ns, two.drops_blocks), (100, 100, false));
        assert!(two.note.unwrap().contains("nothing was shifted"));
    }

    #[test]
    fn two_clocks_that_never_meet_are_joined_only_when_asked() {
        let apart = clocks(Clock::Id(1), (100, 200), (5_000_000_100, 5_000_000_400), false);
        assert!(apart.drops_blocks && apart.last_ns == 100);
        assert!(apart.note.unwrap().contains("5.000 s apart"), "how far is said");
        let aligned = clocks(Clock::Id(1), (100, 200), (5_000_000_100, 5_000_000_400), true);
        assert_eq!(
            (aligned.samples_zero_ns, aligned.blocks_zero_ns, aligned.last_ns),
            (100, 5_000_000_100, 300)
        );
        assert!(!aligned.drops_blocks && aligned.note.unwrap().contains("as asked for"));
    }
}
