//! The traced allocations that are drawn: those that cover most bytes × time, chosen out of any number in one pass.

use waytrace_model::allocation::TracedAllocation;

use crate::{Cause, Error};

/// Height of an allocation of unknown size, in bytes.
pub const SIZE_MIN: u64 = 64;

/// What was chosen, and out of how many.
#[derive(Debug, Default)]
pub struct Largest {
    /// Oldest first.
    pub drawn: Vec<TracedAllocation>,
    /// All there were.
    pub count: usize,
}

impl Largest {
    /// At most `max` of `traced`, in memory for twice as many. What remains lasts until `end_ns`.
    ///
    /// # Errors
    /// [`Error::Read`] when `traced` fails.
    pub fn of<E: Into<Cause>>(
        traced: impl Iterator<Item = Result<TracedAllocation, E>>,
        end_ns: u64,
        max: usize,
    ) -> Result<Self, Error> {
        let mut chosen = Self::default();
        for one in traced {
            chosen.drawn.push(one.map_err(Error::reading)?);
            chosen.count += 1;
            if chosen.drawn.len() >= max * 2 {
                chosen.cut(end_ns, max);
            }
        }
        chosen.cut(end_ns, max);
        chosen.drawn.sort_unstable_by_key(|one| (one.from_ns, one.to_ns, one.address));
        Ok(chosen)
    }

    fn cut(&mut self, end_ns: u64, max: usize) {
        if self.drawn.len() > max {
            self.drawn.select_nth_unstable_by_key(max, |one| std::cmp::Reverse(area(one, end_ns)));
            self.drawn.truncate(max);
        }
    }
}

fn area(one: &TracedAllocation, end_ns: u64) -> u128 {
    let lived = one.to_ns.unwrap_or(end_ns).saturating_sub(one.from_ns.unwrap_or(0));
    u128::from(lived.max(1)) * u128::from(one.size_bytes.max(SIZE_MIN))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn block(from_ns: u64, size_bytes: u64) -> TracedAllocation {
        TracedAllocation { from_ns: Some(from_ns), size_bytes, ..TracedAllocation::default() }
    }

    /// Sizes 1,000 to 30,999 in an order of their own; the hundred largest are known.
    #[test]
    fn the_largest_of_many_are_chosen_oldest_first() {
        let sizes = (0..30_000u64).map(|i| 1000 + i * 7919 % 30_000);
        let all = sizes.enumerate().map(|(at, size)| Ok::<_, Infallible>(block(at as u64 % 3, size)));
        let largest = Largest::of(all, 3, 100).unwrap();
        assert_eq!((largest.count, largest.drawn.len()), (30_000, 100));
        assert!(largest.drawn.is_sorted_by_key(|one| one.from_ns));
        let smallest = largest.drawn.iter().map(|one| area(one, 3)).min().unwrap();
        let larger = |(at, size): &(usize, u64)| area(&block(*at as u64 % 3, *size), 3) > smallest;
        let sizes = (0..30_000u64).map(|i| 1000 + i * 7919 % 30_000);
        assert!(sizes.enumerate().filter(larger).count() < 100, "a larger one was left out");
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let rows = [Ok(block(1, 1)), Err("the disk is gone"), Ok(block(2, 2))];
        let error = Largest::of(rows.into_iter(), 3, 100).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("the disk is gone"));
    }
}
