//! Which events to watch when only one run's worth can be watched at a time, without multiplexing.
//!
//! From a list by preference, those that fit; or, from how events correlate, those that tell most about all others. The latter
//! are principal variables (McCabe, Technometrics 26, 1984), chosen one by one: each time the event that explains most of what
//! the chosen ones leave unexplained in all events. An event like no other explains itself alone, and a copy of a chosen one
//! nothing, so neither noise nor redundancy comes first. With labels, those that tell labelled classes apart (`classes`).

mod classes;
mod residual;

use crate::correlate::Matrix;
use crate::packing::{InvalidProblem, Problem, Run, fill_one_run};
pub use classes::{Teller, Tellers, Told, by_classes, told};
use residual::Residual;

/// The best events that fit one run: in this order, places in [`Problem::items`], each is taken if it fits beside those before.
///
/// # Errors
/// A problem that refers to what it does not have.
pub fn by_preference(problem: &Problem, order: &[usize]) -> Result<Run, InvalidProblem> {
    let mut left = order.iter().copied().filter(|item| *item < problem.items.len());
    let mut offered = std::collections::BTreeSet::new();
    fill_one_run(problem, |_, _| left.find(|item| offered.insert(*item)))
}

/// Events chosen for what they tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// What counts them.
    pub run: Run,
    /// In the order of choice.
    pub chosen: Vec<Chosen>,
}

/// An event chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// As a place in [`Problem::items`].
    pub item: usize,
    /// Share of the variation of all events, each by its own measure, that it adds to what is explained, 0–1.
    pub gain_ratio: f64,
    /// Share explained with it and those before, 0–1.
    pub explained_ratio: f64,
}

/// Events that fit one run and tell most about all, where series i of the matrix is of item i. Ends where no event that fits
/// has more than `least` of its own variation, 0–1, unexplained.
///
/// # Errors
/// A problem that refers to what it does not have.
pub fn by_information(problem: &Problem, matrix: &Matrix, least: f64) -> Result<Selection, InvalidProblem> {
    let mut residual = Residual::of(matrix);
    let mut chosen = Vec::new();
    let mut take = |residual: &mut Residual, items: &[usize]| {
        for item in items {
            if !chosen.iter().any(|one: &Chosen| one.item == *item) {
                let before = residual.explained();
                residual.take(*item);
                let explained_ratio = residual.explained();
                chosen.push(Chosen { item: *item, gain_ratio: explained_ratio - before, explained_ratio });
            }
        }
    };
    let run = fill_one_run(problem, |taken, refused| {
        take(&mut residual, taken);
        let may =
            |item: usize| item < problem.items.len() && !taken.contains(&item) && !refused.contains(&item);
        residual.best(may, least)
    })?;
    // The last one was not followed by another choice if every item was offered.
    let placed: Vec<usize> =
        run.groups.iter().flat_map(|group| &group.placed).map(|placed| placed.item).collect();
    take(&mut residual, &placed);
    Ok(Selection { run, chosen })
}

#[cfg(test)]
mod tests;
