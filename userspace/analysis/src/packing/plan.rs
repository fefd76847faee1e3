//! What packing gives: runs, and per unit how near they are to what can be proven.

use super::certificate::Certificate;
use super::problem::Counter;

/// Every item in one run, or the reason why in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// To be measured one after another.
    pub runs: Vec<Run>,
    /// One per unit of the problem, in its order.
    pub units: Vec<UnitBound>,
    /// Items no run can count.
    pub unplaceable: Vec<Unplaceable>,
    /// Sets of [`super::Problem::together`] no run can count together, as places there. Their items are in the runs one by one.
    pub separated: Vec<usize>,
}

/// What is counted at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// One per unit that has anything to count, in the order of the units.
    pub groups: Vec<UnitGroup>,
}

/// What one unit counts in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitGroup {
    /// As a place in [`super::Problem::units`].
    pub unit: usize,
    /// In the order of the items.
    pub placed: Vec<Placed>,
}

/// An item on a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// As a place in [`super::Problem::items`].
    pub item: usize,
    /// What counts it.
    pub counter: Counter,
}

/// How many runs a unit takes, and how many it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitBound {
    /// Items in the runs.
    pub items: usize,
    /// Runs in which it counts anything.
    pub runs: usize,
    /// Fewest runs any plan needs for it.
    pub lower_bound: usize,
    /// Why no plan needs fewer.
    pub certificate: Certificate,
}

impl Plan {
    /// Fewest runs any plan needs: all units count at once, so it is the largest of the units' bounds.
    pub fn lower_bound(&self) -> usize {
        self.units.iter().map(|unit| unit.lower_bound).max().unwrap_or(0)
    }
}

/// An item no run can count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaceable {
    /// As a place in [`super::Problem::items`].
    pub item: usize,
    /// Why.
    pub reason: Reason,
}

/// Why no run can count an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No counter of its unit can.
    NoCounter,
    /// It needs more registers of a pool, a place in [`super::Unit::pools`], than there are.
    PoolTooSmall(usize),
    /// Its unit may count nothing.
    NothingAllowed,
}

impl Reason {
    /// A sentence's end, for a reader: why `item` is in no run.
    pub fn explain(self, problem: &super::Problem, item: usize) -> String {
        let unit = problem.items.get(item).and_then(|item| problem.units.get(item.unit));
        let name = unit.map_or("its unit", |unit| unit.name.as_str());
        match self {
            Self::NoCounter => format!("no counter of {name} can count it"),
            Self::PoolTooSmall(pool) => {
                let pool = unit.and_then(|unit| unit.pools.get(pool));
                let (pool, there) =
                    pool.map_or(("a register", 0), |pool| (pool.name.as_str(), pool.instances));
                format!("it needs more values of {pool} than the {there} that {name} has")
            }
            Self::NothingAllowed => format!("{name} may count nothing: its limit is 0"),
        }
    }
}
