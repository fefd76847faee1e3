//! Which numbers of ways are visited, and in which order.
//!
//! A sweep visits every number once, shuffled, so that what changes with time (load, temperature, phases) does not pass for an
//! effect of the ways. Reference points with all ways stand in between: what changed between two of them did not come of ways.

use waytrace_analysis::spread::Random;
use waytrace_hw::topology::parse_list;
use waytrace_model::sweep::SweepPlan;

use crate::SweepError;

/// Points between two reference points: with fewer, most of the time would go to references; with more, minutes may lie
/// between them.
pub const REFERENCE_EVERY: u32 = 4;

/// One point to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Ways of its mask.
    pub ways: u32,
    /// Taken only to compare others with.
    pub reference: bool,
}

/// The numbers of ways to visit, ascending: those of `list` (`1-4,8`), or every one from `least` to `most`. All ways are always
/// among them, for all else is compared with that.
///
/// # Errors
/// [`SweepError::Ways`] for a list that is none, or a number that this cache does not take.
pub fn ways(list: Option<&str>, least: u32, most: u32) -> Result<Vec<u32>, SweepError> {
    let mut ways = match list {
        None => (least..=most).collect(),
        Some(text) => {
            let wrong = |reason: String| SweepError::Ways { text: text.to_owned(), reason, least, most };
            let ways = parse_list(text).map_err(|_| wrong("it is not a list of numbers".to_owned()))?;
            if ways.is_empty() {
                return Err(wrong("it is empty".to_owned()));
            }
            if let Some(other) = ways.iter().find(|ways| !(least..=most).contains(*ways)) {
                return Err(wrong(format!("no mask can have {other} ways here")));
            }
            ways
        }
    };
    if ways.last() != Some(&most) {
        ways.push(most);
    }
    Ok(ways)
}

/// The points of one sweep in their order.
pub fn order(plan: &SweepPlan, sweep: u32) -> Vec<Planned> {
    let most = plan.ways.last().copied().unwrap_or(0);
    let reference = Planned { ways: most, reference: true };
    let mut ways = plan.ways.clone();
    // Each sweep has an order of its own, the same for the same seed.
    Random::new(plan.seed ^ u64::from(sweep).wrapping_mul(0x9e37_79b9_7f4a_7c15)).shuffle(&mut ways);
    let every = usize::try_from(plan.reference_every.max(1)).unwrap_or(usize::MAX);
    let mut points = Vec::new();
    for part in ways.chunks(every) {
        points.push(reference);
        points.extend(part.iter().map(|&ways| Planned { ways, reference: false }));
    }
    points.push(reference);
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> SweepPlan {
        SweepPlan {
            ways: (1..=12).collect(),
            repeats: Some(1),
            window_ns: 1,
            settle_cap_ns: 1,
            every_ns: None,
            reference_every: 4,
            pressure_bytes: None,
            others_confined: false,
            seed,
            max_slowdown: None,
            slo: None,
        }
    }

    #[test]
    fn every_number_comes_once_between_references() {
        for sweep in 0..20 {
            let order = order(&plan(7), sweep);
            let mut ways: Vec<u32> =
                order.iter().filter(|point| !point.reference).map(|point| point.ways).collect();
            ways.sort_unstable();
            assert_eq!(ways, (1..=12).collect::<Vec<_>>());
            let references: Vec<usize> = (0..order.len()).filter(|&index| order[index].reference).collect();
            assert_eq!(references, [0, 5, 10, 15]);
            assert!(order.iter().filter(|point| point.reference).all(|point| point.ways == 12));
        }
    }

    #[test]
    fn the_seed_decides_and_sweeps_differ() {
        assert_eq!(order(&plan(7), 3), order(&plan(7), 3));
        assert_ne!(order(&plan(7), 0), order(&plan(7), 1));
        assert_ne!(order(&plan(7), 0), order(&plan(8), 0));
    }

    #[test]
    fn lists_are_checked_and_hold_all_ways() {
        assert_eq!(ways(None, 2, 5).unwrap(), [2, 3, 4, 5]);
        assert_eq!(ways(Some("8,1-3,2"), 1, 12).unwrap(), [1, 2, 3, 8, 12]);
        for (text, needle) in
            [("x", "not a list"), ("", "empty"), ("0", "no mask can have 0"), ("13", "13 ways")]
        {
            let error = ways(Some(text), 1, 12).unwrap_err().to_string();
            assert!(error.contains(needle) && error.contains("from 1 to 12"), "{error}");
        }
    }
}
