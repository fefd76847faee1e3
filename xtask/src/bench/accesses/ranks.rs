//! Whether the pages that samples call hot are those that a full trace finds hot: rank correlation.
//!
//! A page of which one sample in a thousand runs would be seen has no rank that sampling could know, so the figure asked
//! for is taken over pages of which the trace makes five or more samples expected. Beside it stand all pages, and what
//! as many samples drawn from the trace itself would reach. `hotcold` has but two levels of heat, so that ranks within
//! a level are chance in the trace as well; it is asked nothing here.

use super::super::context::Context;
use super::super::figure::{Asked, Figure};
use super::lackey;
use super::places::{Anchors, Page, Places};
use super::rank;
use super::sampled;
use super::targets::{Program, Target};
use anyhow::Result;
use std::collections::HashMap;

/// A program, and how many of its rounds are traced: some millions of accesses.
struct Subject {
    name: &'static str,
    program: Program,
    rounds: u64,
    is_asked: bool,
}

const SUBJECTS: [Subject; 4] = [
    Subject { name: "zipf", program: Program::Known("access_arrays.c", "zipf"), rounds: 10, is_asked: true },
    Subject { name: "sqlite3", program: Program::Sqlite, rounds: 5000, is_asked: true },
    Subject { name: "python3", program: Program::Python, rounds: 5, is_asked: true },
    Subject {
        name: "hotcold",
        program: Program::Known("access_arrays.c", "hotcold"),
        rounds: 50,
        is_asked: false,
    },
];

/// Up to which the walker goes before others (docs/accesses.md).
const RATE_HZ: &str = "4000";
/// Pages that make fewer of all accesses are hardly told apart by anybody: their order is chance.
const LEAST_SHARE: f64 = 1.0 / 8000.0;

pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for subject in &SUBJECTS {
        eprintln!("xtask: pages of {}", subject.name);
        match measure(context, subject) {
            Ok(heat) => figures.extend(judge(subject, &heat)),
            Err(error) => {
                let name = format!("{}: rank correlation of pages", subject.name);
                figures.push(Figure::unavailable(name, "", format!("{error:#}")));
            }
        }
    }
    Ok(figures)
}

/// Pages by the trace and by the samples.
#[derive(Debug, Default)]
struct Heat {
    /// Traced accesses and sampled ones of each page.
    pages: Vec<(f64, f64)>,
    /// Percent of accesses on pages that cannot be compared, traced and sampled.
    left_out_pct: (f64, f64),
}

fn measure(context: &Context, subject: &Subject) -> Result<Heat> {
    let length = context.seconds(40, 10);
    let mut target = Target::start(context, subject.program, length.as_secs() + 1)?;
    let args = ["--collect", "accesses", "--freq", RATE_HZ];
    let sampled = sampled::run(context, &mut target, &args, length)?;
    let truth = match subject.program {
        Program::Known(..) => Some(target.truth()?),
        _ => None,
    };
    let anchors = Anchors { heap: None, stack: sampled.stack_start };
    let places = Places::new(&sampled.maps, anchors, truth.as_ref());
    let seen = places.by_page(sampled.samples.iter().map(|sample| (sample.address, sample.weight)));
    let traced = lackey::run(context, subject.program, subject.rounds)?;
    if traced.trace.malformed > 0 {
        eprintln!("xtask: {} lines of the trace of {} are no accesses", traced.trace.malformed, subject.name);
    }
    let lines = traced.trace.by_address();
    let known = traced.places.by_page(lines.map(|(address, counts)| (address, counts.total() as f64)));
    Ok(Heat::new(&known, &seen))
}

impl Heat {
    /// Of sums by page, and what had no page.
    fn new(traced: &(HashMap<Page, f64>, f64), sampled: &(HashMap<Page, f64>, f64)) -> Self {
        let of = |side: &HashMap<Page, f64>, page| side.get(page).copied().unwrap_or_default();
        let only_sampled = sampled.0.keys().filter(|page| !traced.0.contains_key(page));
        let all = traced.0.keys().chain(only_sampled);
        let mut pages: Vec<(f64, f64)> =
            all.map(|page| (of(&traced.0, page), of(&sampled.0, page))).collect();
        // A map has no order, and drawing from the pages needs one.
        pages.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
        let pct = |(side, left_out): &(HashMap<Page, f64>, f64)| {
            100.0 * left_out / (side.values().sum::<f64>() + left_out)
        };
        Self { pages, left_out_pct: (pct(traced), pct(sampled)) }
    }

    /// Pages that make such a share of the traced accesses or more.
    fn making(&self, share: f64) -> Vec<(f64, f64)> {
        let all = self.pages.iter().map(|page| page.0).sum::<f64>();
        self.pages.iter().copied().filter(|page| page.0 >= share * all).collect()
    }
}

/// The same pages with samples drawn from the truth, as many as there are.
fn perfectly_sampled(pages: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let truth: Vec<f64> = pages.iter().map(|page| page.0).collect();
    let samples = pages.iter().map(|page| page.1).sum::<f64>();
    truth.iter().copied().zip(rank::perfect(&truth, samples as u64)).collect()
}

fn judge(subject: &Subject, heat: &Heat) -> Vec<Figure> {
    let title = |what: &str| format!("{}: {what}", subject.name);
    let often = heat.making(LEAST_SHARE);
    let rho = |what: &str, pages: &[(f64, f64)]| Figure::new(title(what), "", rank::spearman(pages));
    let asked = rho("rank correlation of pages of 1 in 8,000 accesses or more", &often);
    vec![
        if subject.is_asked { asked.asked(Asked::AtLeast(0.9)) } else { asked },
        rho("the same with perfect samples", &perfectly_sampled(&often)),
        Figure::new(title("pages of 1 in 8,000 accesses or more"), "", [often.len() as f64]),
        rho("rank correlation of all pages", &heat.pages),
        rho("the same with perfect samples, all pages", &perfectly_sampled(&heat.pages)),
        Figure::new(title("all pages"), "", [heat.pages.len() as f64]),
        Figure::new(title("traced accesses that cannot be compared"), "%", [heat.left_out_pct.0]),
        Figure::new(title("sampled accesses that cannot be compared"), "%", [heat.left_out_pct.1]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of pages 0, 1, ... of the heap, and of what has no page.
    fn side(counts: &[f64], left_out: f64) -> (HashMap<Page, f64>, f64) {
        let places = Places::new("1000-9000 rw-p 00000000 00:00 0 [heap]", Anchors::default(), None);
        let page = |number: usize| (4096 * (number as u64 + 1), counts[number]);
        let (pages, _) = places.by_page((0..counts.len()).filter(|i| counts[*i] > 0.0).map(page));
        (pages, left_out)
    }

    #[test]
    fn pages_of_either_side_are_paired() {
        let heat = Heat::new(&side(&[900.0, 90.0, 10.0, 0.0], 0.0), &side(&[88.0, 10.0, 0.0, 2.0], 25.0));
        assert_eq!(heat.pages, [(900.0, 88.0), (90.0, 10.0), (10.0, 0.0), (0.0, 2.0)]);
        assert_eq!(heat.left_out_pct, (0.0, 20.0));
        assert_eq!(heat.making(0.05), [(900.0, 88.0), (90.0, 10.0)]);
        assert_eq!(rank::spearman(&heat.making(0.05)), Some(1.0));
    }

    #[test]
    fn perfect_samples_are_as_many() {
        let drawn = perfectly_sampled(&[(900.0, 88.0), (90.0, 10.0), (0.0, 2.0)]);
        assert_eq!(drawn.iter().map(|page| page.1).sum::<f64>(), 100.0);
        assert_eq!(drawn[2].1, 0.0);
        assert!(drawn[0].1 > drawn[1].1);
    }
}
