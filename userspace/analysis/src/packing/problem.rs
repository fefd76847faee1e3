//! What is to be packed: units with counters, items with what they may be counted on, and what they must not share.
//!
//! Nothing here knows of CPUs. Who knows them says so in these terms: a counter the NMI watchdog holds is missing from
//! its unit's mask, the mask of an item is the one for SMT on or off, and the identical devices of a unit (the CHAs of a
//! socket) are one unit, for all of them count the same events.

use std::fmt;

/// Units, and the items to be counted on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// What counts, each independently of all others and at the same time.
    pub units: Vec<Unit>,
    /// What is to be counted, each once.
    pub items: Vec<Item>,
    /// Pairs of items, as places in `items`, that must not be counted in one run: by errata, or for a field both need.
    pub conflicts: Vec<(usize, usize)>,
    /// Sets of items, as places in `items`, that must be counted in one run. Sets that overlap are one set.
    pub together: Vec<Vec<usize>>,
}

/// A PMU, or all devices of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Its name, for messages.
    pub name: String,
    /// General counters that may be used, a bit each.
    pub general: u64,
    /// Fixed counters that may be used, a bit each.
    pub fixed: u64,
    /// The most items it counts at once, wherever it counts them; `None` where only the counters limit it.
    pub limit: Option<usize>,
    /// What its items share besides counters.
    pub pools: Vec<Pool>,
}

/// Interchangeable registers that hold one value each, such as the two offcore-response MSRs. Items that need equal
/// values share a register. What must not be used by more than k items at once is a pool of k with a value per item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    /// Its name, for messages.
    pub name: String,
    /// Registers.
    pub instances: usize,
}

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its name, for messages.
    pub name: String,
    /// Its unit, as a place in [`Problem::units`].
    pub unit: usize,
    /// General counters that can count it, a bit each.
    pub general: u64,
    /// Fixed counters that can count it, a bit each.
    pub fixed: u64,
    /// Whether it needs none of these, because it has a counter to itself that always runs, or none.
    pub unlimited: bool,
    /// Registers it needs.
    pub uses: Vec<Use>,
    /// Whether its unit can count nothing else on general counters meanwhile. Intel's readme of the perfmon data: "when
    /// this event is being collected, the remaining programmable counters are not available to count any other events".
    pub alone: bool,
    /// Whether half of its unit's general counters, rounded down but one at least, are all that may count meanwhile, it included:
    /// the others are left to the core's other thread, whose counters of the same numbers it would disturb.
    pub halves: bool,
}

/// A register an item needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// As a place in [`Unit::pools`].
    pub pool: usize,
    /// What it has to hold.
    pub value: u64,
}

/// A counter of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// One that can be programmed, by its bit.
    General(u8),
    /// One that counts a certain event only, by its bit.
    Fixed(u8),
    /// One to itself, or none: of an item that is [`Item::unlimited`].
    Own,
}

/// A problem that refers to what it does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidProblem {
    /// An item of a unit that is not there.
    Unit {
        /// The item's name.
        item: String,
        /// The place it names.
        unit: usize,
    },
    /// An item that needs a pool its unit does not have.
    Pool {
        /// The item's name.
        item: String,
        /// The place it names.
        pool: usize,
    },
    /// A pair of conflicting items of which one is not there, or both are the same.
    Conflict(usize, usize),
    /// A set to keep together with an item that is not there.
    Together {
        /// The set, as a place in [`Problem::together`].
        set: usize,
        /// The place it names.
        item: usize,
    },
}

impl fmt::Display for InvalidProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit { item, unit } => {
                write!(f, "{item} is of unit {unit}, which is not there: add the unit")
            }
            Self::Pool { item, pool } => {
                write!(f, "{item} needs pool {pool}, which its unit does not have: add the pool")
            }
            Self::Conflict(one, other) if one == other => {
                write!(f, "item {one} conflicts with itself: leave the pair out")
            }
            Self::Conflict(one, other) => {
                write!(f, "items {one} and {other} conflict, and not both are there: leave the pair out")
            }
            Self::Together { set, item } => {
                write!(f, "set {set} to keep together has item {item}, which is not there: leave it out")
            }
        }
    }
}

impl std::error::Error for InvalidProblem {}

impl Unit {
    /// General counters that count beside an item that [halves](Item::halves) them, it included.
    pub fn half(&self) -> usize {
        (self.general.count_ones() as usize / 2).max(1)
    }
}

impl Problem {
    /// Whether all that is referred to is there.
    ///
    /// # Errors
    /// The first reference that leads nowhere.
    pub fn check(&self) -> Result<(), InvalidProblem> {
        for item in &self.items {
            let unit = self.units.get(item.unit);
            let unit =
                unit.ok_or_else(|| InvalidProblem::Unit { item: item.name.clone(), unit: item.unit })?;
            if let Some(missing) = item.uses.iter().find(|one| one.pool >= unit.pools.len()) {
                return Err(InvalidProblem::Pool { item: item.name.clone(), pool: missing.pool });
            }
        }
        let there = |item: &usize| *item < self.items.len();
        let wrong = |(one, other): &&(usize, usize)| !there(one) || !there(other) || one == other;
        if let Some((one, other)) = self.conflicts.iter().find(wrong) {
            return Err(InvalidProblem::Conflict(*one, *other));
        }
        for (set, items) in self.together.iter().enumerate() {
            if let Some(item) = items.iter().find(|item| !there(item)) {
                return Err(InvalidProblem::Together { set, item: *item });
            }
        }
        Ok(())
    }
}
