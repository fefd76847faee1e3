//! Why no plan can do with fewer runs, in terms a reader can check: a set of items, what they must share, and the
//! arithmetic. [`super::validate::proves`] checks it against the problem.

use super::problem::Problem;

/// A proof of a lower bound for one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Items taken alone: each has a run of its own, whose general counters count nothing else.
    pub alone: Vec<usize>,
    /// Items that halve the general counters, and that only these can count, so that they are in other runs than those taken
    /// alone. Empty but where `rest` is [`Argument::Counters`].
    pub halving: Vec<usize>,
    /// General counters a run of theirs has, [`super::Unit::half`].
    pub half: usize,
    /// What the other runs are needed for. Where `alone` has items, the other arguments than [`Argument::Counters`] speak
    /// of items that only a general counter can count, which are in none of their runs.
    pub rest: Argument,
}

/// Why a set of items needs so many runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Argument {
    /// There is nothing to count.
    #[default]
    Nothing,
    /// Items that can be counted by some counters only: a run has each of them once (Hall).
    Counters {
        /// Items that no other counter of the unit can count.
        items: Vec<usize>,
        /// The general ones among the counters.
        general: u64,
        /// The fixed ones among the counters.
        fixed: u64,
    },
    /// The unit counts so many items at once.
    Limit {
        /// Items to be counted.
        items: Vec<usize>,
        /// [`super::Unit::limit`].
        limit: usize,
    },
    /// Each value must be in a register of the pool in so many runs, and a run has `instances` of them.
    Pool {
        /// As a place in [`super::Unit::pools`].
        pool: usize,
        /// Its registers.
        instances: usize,
        /// Each value with why the items that need it need so many runs.
        values: Vec<(u64, Argument)>,
    },
    /// No two of these can be in one run. Each is an item, or several that are kept together.
    Apart(Vec<Vec<usize>>),
}

impl Certificate {
    /// The bound it proves.
    pub fn runs(&self) -> usize {
        let alone = self.alone.len();
        match &self.rest {
            Argument::Counters { items, general, fixed } => {
                let (general, fixed) = (general.count_ones() as usize, fixed.count_ones() as usize);
                let halved = self.halved();
                let lost = alone * general + halved * general.saturating_sub(self.half);
                (items.len() + lost).checked_div_ceil(general + fixed).max(alone + halved)
            }
            rest => alone + rest.runs(),
        }
    }

    /// Fewest runs of what halves the counters.
    fn halved(&self) -> usize {
        self.halving.len().checked_div_ceil(self.half)
    }

    /// What it says, for a reader; items by at most `examples` names.
    pub fn explain(&self, problem: &Problem, unit: usize, examples: usize) -> String {
        let words = Words { problem, unit, examples };
        let alone = match self.alone.len() {
            0 => String::new(),
            count => format!("{count} are taken alone ({}); ", words.names(&self.alone)),
        };
        let halving = match self.halving.len() {
            0 => String::new(),
            count => format!(
                "{count} leave all but {} general counters to the other thread, in {} runs ({}); ",
                self.half,
                self.halved(),
                words.names(&self.halving)
            ),
        };
        let sum = match (&self.rest, self.alone.len()) {
            (Argument::Counters { items, general, fixed }, alone) if alone + self.halved() > 0 => {
                let (general, fixed) = (general.count_ones() as usize, fixed.count_ones() as usize);
                let lost = |runs: usize, each: usize| match runs * each {
                    0 => String::new(),
                    _ => format!(" + {runs}·{each}"),
                };
                let lost = lost(alone, general) + &lost(self.halved(), general.saturating_sub(self.half));
                format!("{} = ceil(({}{lost}) / {})", self.runs(), items.len(), general + fixed)
            }
            (_, 0) => format!("{}", self.runs()),
            (rest, alone) => format!("{} = {alone} + {}", self.runs(), rest.runs()),
        };
        format!("{alone}{halving}{}: at least {sum} runs", self.rest.explain(&words))
    }
}

impl Argument {
    /// Runs it proves to be needed, where nothing is taken alone.
    pub fn runs(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Counters { items, general, fixed } => {
                items.len().checked_div_ceil((general.count_ones() + fixed.count_ones()) as usize)
            }
            Self::Limit { items, limit } => items.len().checked_div_ceil(*limit),
            Self::Pool { instances, values, .. } => {
                values.iter().map(|(_, why)| why.runs()).sum::<usize>().checked_div_ceil(*instances)
            }
            Self::Apart(blocks) => blocks.len(),
        }
    }

    fn explain(&self, words: &Words) -> String {
        match self {
            Self::Nothing => "nothing else".to_owned(),
            Self::Counters { items, general, fixed } => {
                format!("{} need one of {} ({})", items.len(), counters(*general, *fixed), words.names(items))
            }
            Self::Limit { items, limit } => {
                format!("{} with at most {limit} at once ({})", items.len(), words.names(items))
            }
            Self::Pool { pool, instances, values } => {
                let total: usize = values.iter().map(|(_, why)| why.runs()).sum();
                let items: Vec<usize> = values.iter().flat_map(|(_, why)| why.items()).collect();
                format!(
                    "{} values of {}, of which a run has {instances}, in {total} runs together, ceil({total} / {instances}) ({})",
                    values.len(),
                    words.pool(*pool),
                    words.names(&items)
                )
            }
            Self::Apart(blocks) if blocks.len() == 1 => {
                format!("there is something to count ({})", words.names(&blocks.concat()))
            }
            Self::Apart(blocks) => {
                let items: Vec<usize> = blocks.iter().filter_map(|block| block.first().copied()).collect();
                format!("{} of which no two can be counted at once ({})", blocks.len(), words.names(&items))
            }
        }
    }

    /// The items it speaks of.
    pub fn items(&self) -> Vec<usize> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Counters { items, .. } | Self::Limit { items, .. } => items.clone(),
            Self::Pool { values, .. } => values.iter().flat_map(|(_, why)| why.items()).collect(),
            Self::Apart(blocks) => blocks.concat(),
        }
    }
}

struct Words<'p> {
    problem: &'p Problem,
    unit: usize,
    examples: usize,
}

impl Words<'_> {
    fn names(&self, items: &[usize]) -> String {
        let name = |item: &usize| self.problem.items.get(*item).map(|item| item.name.as_str());
        let mut names: Vec<&str> = items.iter().filter_map(name).take(self.examples).collect();
        if items.len() > names.len() {
            names.push("…");
        }
        names.join(", ")
    }

    fn pool(&self, pool: usize) -> &str {
        let unit = self.problem.units.get(self.unit);
        unit.and_then(|unit| unit.pools.get(pool)).map_or("a register", |pool| pool.name.as_str())
    }
}

/// `counters 0-3`, `counters 0, 2 and fixed 1`.
fn counters(general: u64, fixed: u64) -> String {
    let of = |name: &str, mask: u64| (mask != 0).then(|| format!("{name} {}", ranges(mask)));
    let both = [of("general counters", general), of("fixed counters", fixed)];
    both.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn ranges(mask: u64) -> String {
    let is_set = |bit: u32| mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1);
    let mut parts = Vec::new();
    let mut bit = 0;
    while bit < u64::BITS {
        let first = bit;
        while is_set(bit) {
            bit += 1;
        }
        match bit - first {
            0 => {}
            1 => parts.push(first.to_string()),
            _ => parts.push(format!("{first}-{}", bit - 1)),
        }
        bit += 1;
    }
    parts.join(",")
}

/// A quotient rounded up; 0 where there is nothing to divide by.
trait CheckedDivCeil {
    fn checked_div_ceil(self, by: Self) -> Self;
}

impl CheckedDivCeil for usize {
    fn checked_div_ceil(self, by: Self) -> Self {
        if by == 0 { 0 } else { self.div_ceil(by) }
    }
}
