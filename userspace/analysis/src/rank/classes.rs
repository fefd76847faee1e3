//! Which events tell classes of observations apart, an observation being one repetition of one measurement.
//!
//! How well an event does is eta²: the share of its variation that lies between the classes (Fisher's one-way analysis of
//! variance), with its p and, for many events, q. It is told beside it how often two observations of different classes are in
//! the right order (AUC, averaged over pairs of classes after Hand & Till, Machine Learning 45, 2001), which asks for no scale.
//!
//! Events are chosen one by one: each time the one with most eta² × novelty. Novelty is what of its variation *within* the
//! classes none of those chosen has too. So a copy of a chosen event is worth nothing, while one that tells the same classes apart
//! by itself is: its errors are its own, and both together err less. Novelty is taken event by event: with as few repetitions as
//! there are, what several events explain together would be chance.

use super::Run;
use crate::correlate::{Series, adjusted, of_groups};
use crate::packing::{InvalidProblem, Problem, fill_one_run};

/// How well an event tells classes apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    /// Share of its variation between the classes, 0–1.
    pub eta_squared: f64,
    /// Probability that two observations of different classes are in their usual order, 0.5–1; ties count half.
    pub auc: f64,
    /// Probability of so large an eta² by chance; `None` where there are too few observations to say.
    pub p: Option<f64>,
    /// `p` adjusted for the number of events.
    pub q: Option<f64>,
}

/// An event chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Teller {
    /// As a place in [`Problem::items`].
    pub item: usize,
    /// How well it tells the classes apart by itself.
    pub told: Told,
    /// Share of its variation within the classes that none of those before has, 0–1.
    pub novelty_ratio: f64,
}

/// Events chosen for telling classes apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Tellers {
    /// What counts them.
    pub run: Run,
    /// In the order of choice.
    pub chosen: Vec<Teller>,
    /// Of all events, in their order; `None` where a class has no observation of it, or it does not vary.
    pub all: Vec<Option<Told>>,
}

/// Below this share of the whole, a variation is what rounding left.
const ROUNDING: f64 = 1e-12;

/// Events that fit one run and tell most of the classes, where series i is of item i and has a value per observation, and
/// `classes` a number per observation. Taken are events with a q below `most_q`; it ends where none that fits has more than `least`
/// of its variation within the classes, 0–1, to itself.
///
/// # Errors
/// A problem that refers to what it does not have.
pub fn by_classes(
    problem: &Problem,
    series: &[Series],
    classes: &[usize],
    least: f64,
    most_q: f64,
) -> Result<Tellers, InvalidProblem> {
    let all = told(series, classes);
    let centred: Vec<Series> = series.iter().map(|one| centred(one, classes)).collect();
    let mut novelty = vec![1.0_f64; series.len()];
    let mut chosen: Vec<Teller> = Vec::new();
    let mut take = |novelty: &mut Vec<f64>, items: &[usize]| {
        for item in items {
            let is_new = !chosen.iter().any(|one| one.item == *item);
            if let (true, Some(told), Some(own)) =
                (is_new, all.get(*item).copied().flatten(), novelty.get(*item))
            {
                chosen.push(Teller { item: *item, told, novelty_ratio: *own });
                for (other, novelty) in novelty.iter_mut().enumerate() {
                    *novelty = novelty.min(1.0 - likeness(series, &centred, *item, other));
                }
            }
        }
    };
    let is_sure = |told: &Told| told.q.is_some_and(|q| q < most_q);
    let run = fill_one_run(problem, |taken, refused| {
        take(&mut novelty, taken);
        let mut best: Option<(f64, usize)> = None;
        for (item, (told, novelty)) in all.iter().zip(&novelty).enumerate() {
            let Some(told) = told.filter(is_sure).filter(|_| *novelty > least.max(ROUNDING)) else {
                continue;
            };
            if item >= problem.items.len() || taken.contains(&item) || refused.contains(&item) {
                continue;
            }
            let worth = told.eta_squared * novelty;
            // The first of equals.
            if best.is_none_or(|(most, _)| worth > most) {
                best = Some((worth, item));
            }
        }
        best.map(|(_, item)| item)
    })?;
    let placed: Vec<usize> =
        run.groups.iter().flat_map(|group| &group.placed).map(|placed| placed.item).collect();
    take(&mut novelty, &placed);
    Ok(Tellers { run, chosen, all })
}

/// How well each event tells the classes apart by itself.
pub fn told(series: &[Series], classes: &[usize]) -> Vec<Option<Told>> {
    let mut all: Vec<Option<Told>> = series.iter().map(|one| alone(one, classes)).collect();
    let p: Vec<Option<f64>> = all.iter().map(|told| told.and_then(|told| told.p)).collect();
    for (told, q) in all.iter_mut().zip(adjusted(&p)) {
        if let Some(told) = told {
            told.q = q;
        }
    }
    all
}

/// The values of each class, by its number.
fn by_class(series: &Series, classes: &[usize]) -> Vec<Vec<f64>> {
    let count = classes.iter().max().map_or(0, |most| most + 1);
    let mut values = vec![Vec::new(); count];
    for (value, class) in series.iter().zip(classes) {
        if let (Some(value), Some(values)) = (value.filter(|value| value.is_finite()), values.get_mut(*class))
        {
            values.push(value);
        }
    }
    values
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn variation(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

fn alone(series: &Series, classes: &[usize]) -> Option<Told> {
    let values = by_class(series, classes);
    if values.len() < 2 || values.iter().any(Vec::is_empty) {
        return None;
    }
    let all = values.concat();
    let (total, within) = (variation(&all), values.iter().map(|own| variation(own)).sum::<f64>());
    let scale = all.iter().map(|value| value * value).sum::<f64>();
    if total <= scale * ROUNDING {
        return None;
    }
    let eta_squared = (1.0 - within / total).clamp(0.0, 1.0);
    let p = of_groups(eta_squared, values.len(), all.len());
    Some(Told { eta_squared, auc: auc(&values), p, q: None })
}

fn auc(values: &[Vec<f64>]) -> f64 {
    let mut sum = 0.0;
    let mut pairs = 0.0;
    for (at, one) in values.iter().enumerate() {
        for other in values.iter().skip(at + 1) {
            let below = |value: &f64| {
                let score = |than: &f64| match value.partial_cmp(than) {
                    Some(std::cmp::Ordering::Less) => 1.0,
                    Some(std::cmp::Ordering::Equal) => 0.5,
                    _ => 0.0,
                };
                other.iter().map(score).sum::<f64>()
            };
            let share = one.iter().map(below).sum::<f64>() / (one.len() * other.len()).max(1) as f64;
            sum += share.max(1.0 - share);
            pairs += 1.0;
        }
    }
    if pairs > 0.0 { sum / pairs } else { 0.5 }
}

/// Differences to the mean of the class.
fn centred(series: &Series, classes: &[usize]) -> Series {
    let means: Vec<f64> = by_class(series, classes).iter().map(|values| mean(values)).collect();
    let centre = |(value, class): (&Option<f64>, &usize)| Some((*value)? - means.get(*class)?);
    series.iter().zip(classes).map(centre).collect()
}

/// Squared correlation of two events within the classes; over all observations where one of them never varies within.
fn likeness(series: &[Series], centred: &[Series], one: usize, other: usize) -> f64 {
    let of = |all: &[Series]| Some(squared_correlation(all.get(one)?, all.get(other)?));
    let varies = |item: usize| {
        let values =
            |all: &[Series]| all.get(item).map(|one| one.iter().copied().flatten().collect::<Vec<f64>>());
        let (own, all) = (values(centred).unwrap_or_default(), values(series).unwrap_or_default());
        variation(&own) > variation(&all) * ROUNDING
    };
    let likeness = if varies(one) && varies(other) { of(centred) } else { of(series) };
    likeness.unwrap_or(0.0)
}

/// 0 where one of them does not vary.
fn squared_correlation(one: &Series, other: &Series) -> f64 {
    let both: (Vec<f64>, Vec<f64>) =
        one.iter().zip(other).filter_map(|(one, other)| (*one).zip(*other)).unzip();
    let (one, other) = (mean(&both.0), mean(&both.1));
    let product: f64 = both.0.iter().zip(&both.1).map(|(a, b)| (a - one) * (b - other)).sum();
    let scale = variation(&both.0) * variation(&both.1);
    if scale > 0.0 { (product * product / scale).min(1.0) } else { 0.0 }
}

#[cfg(test)]
#[path = "classes_tests.rs"]
mod tests;
