//! Two measurements of the same events: how much each changed, how surely, and which changes are no chance.
//!
//! Each event has a value per repetition on either side. Its effect is given twice: as the ratio of medians with a bootstrap
//! interval ([`Ratio`]), and as Cliff's delta (Psychol. Bull. 114, 1993), which asks for no scale: the share of pairs in which
//! the second is larger less the share in which it is smaller. Whether they differ at all is Mann & Whitney's test
//! (`mann_whitney`), adjusted for the number of events ([`adjusted`]). Four repetitions on either side are the fewest with
//! which a single event can reach p < 0.05; among hundreds of events it takes more.

mod mann_whitney;

use crate::correlate::adjusted;
use crate::spread::{Ratio, Spread};

/// How an event changed from one measurement to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Of the first measurement; `None` without a repetition that has it.
    pub before: Option<Spread>,
    /// Of the second.
    pub after: Option<Spread>,
    /// Median after to median before; `None` where a side is missing or the first's median is not above 0.
    pub ratio: Option<Ratio>,
    /// Cliff's delta, -1 (all of the second are smaller) to 1 (all are larger); `None` where a side is missing.
    pub delta: Option<f64>,
    /// Probability of so large a difference by chance.
    pub p: Option<f64>,
    /// `p` adjusted for the number of events: the expected share of false discoveries down to this one.
    pub q: Option<f64>,
}

/// The values of an event, one per repetition, before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sides<'v> {
    /// Of the first measurement.
    pub before: &'v [f64],
    /// Of the second.
    pub after: &'v [f64],
}

/// Changes of all events, in their order; intervals are drawn from `seed`. Values that are no finite numbers are left out.
pub fn changes(events: &[Sides<'_>], seed: u64) -> Vec<Change> {
    let mut changes: Vec<Change> = events.iter().map(|event| change(*event, seed)).collect();
    let p: Vec<Option<f64>> = changes.iter().map(|change| change.p).collect();
    for (change, q) in changes.iter_mut().zip(adjusted(&p)) {
        change.q = q;
    }
    changes
}

fn change(sides: Sides<'_>, seed: u64) -> Change {
    let finite =
        |values: &[f64]| values.iter().copied().filter(|value| value.is_finite()).collect::<Vec<f64>>();
    let (before, after) = (finite(sides.before), finite(sides.after));
    Change {
        before: Spread::of(&before),
        after: Spread::of(&after),
        ratio: Ratio::of(&after, &before, seed),
        delta: mann_whitney::delta(&before, &after),
        p: mann_whitney::p(&before, &after),
        q: None,
    }
}

#[cfg(test)]
mod tests;
