//! What a program of known accesses tells of itself, and how far samples are off.
//!
//! Shares are compared phase by phase, for between phases samples are weighted by time; and by name, so that what
//! several threads or blocks have in common is one. The programs are `tests/workloads/access_*`.

use super::samples::Sample;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::BTreeMap;

/// A program's truth.
#[derive(Debug)]
pub struct Truth {
    pub regions: Vec<Region>,
    /// By allocating function: bytes on pages nobody has touched, in blocks that live; empty without `parts`.
    pub untouched_bytes: BTreeMap<String, f64>,
}

/// A range of addresses with its exact counts.
#[derive(Debug)]
pub struct Region {
    pub name: String,
    pub phase: String,
    pub start: u64,
    pub end: u64,
    loads: f64,
    stores: f64,
}

impl Truth {
    /// From the line `truth {...}`.
    pub fn parse(line: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(line.trim_start_matches("truth ")).context("not a truth")?;
        let regions = json["regions"].as_array().context("the truth has no regions")?;
        let parts = json["parts"].as_array().into_iter().flatten();
        let untouched =
            |part: &Value| Some((part["name"].as_str()?.to_owned(), part["untouched_bytes"].as_f64()?));
        Ok(Self {
            regions: regions.iter().map(Region::parse).collect::<Option<_>>().context("not a region")?,
            untouched_bytes: parts.filter_map(untouched).collect(),
        })
    }
}

impl Region {
    fn parse(json: &Value) -> Option<Self> {
        Some(Self {
            name: json["name"].as_str()?.to_owned(),
            phase: json["phase"].as_str().unwrap_or_default().to_owned(),
            start: json["start"].as_u64()?,
            end: json["end"].as_u64()?,
            loads: json["loads"].as_f64()?,
            stores: json["stores"].as_f64()?,
        })
    }
}

/// Loads and stores: the truth's, and the samples'.
#[derive(Debug, Default, Clone, Copy)]
struct Pair {
    truth: [f64; 2],
    seen: [f64; 2],
}

impl Pair {
    fn add(&mut self, other: &Self) {
        for kind in 0..2 {
            self.truth[kind] += other.truth[kind];
            self.seen[kind] += other.seen[kind];
        }
    }
}

/// Samples held against a truth. All in percentage points.
#[derive(Debug)]
pub struct Comparison {
    by_phase: BTreeMap<String, BTreeMap<String, Pair>>,
    elsewhere: f64,
    total: f64,
}

impl Comparison {
    pub fn new(truth: &Truth, samples: &[Sample]) -> Self {
        let mut by_phase: BTreeMap<String, BTreeMap<String, Pair>> = BTreeMap::new();
        let mut of = |region: &Region, add: Pair| {
            by_phase
                .entry(region.phase.clone())
                .or_default()
                .entry(region.name.clone())
                .or_default()
                .add(&add);
        };
        for region in &truth.regions {
            of(region, Pair { truth: [region.loads, region.stores], seen: [0.0; 2] });
        }
        let (mut elsewhere, mut total) = (0.0, 0.0);
        for sample in samples {
            total += sample.weight;
            let is_in = |region: &&Region| (region.start..region.end).contains(&sample.address);
            let seen = if sample.is_store { [0.0, sample.weight] } else { [sample.weight, 0.0] };
            match truth.regions.iter().find(is_in) {
                Some(region) => of(region, Pair { truth: [0.0; 2], seen }),
                None => elsewhere += sample.weight,
            }
        }
        Self { by_phase, elsewhere, total }
    }

    /// The largest difference of a region's share of its phase.
    pub fn region_error(&self) -> Option<f64> {
        let errors = self.by_phase.values().flat_map(|regions| {
            let whole = sum(regions);
            regions.values().map(move |pair| {
                let of = |part: [f64; 2], whole: [f64; 2]| share(part[0] + part[1], whole[0] + whole[1]);
                Some(of(pair.seen, whole.seen)? - of(pair.truth, whole.truth)?)
            })
        });
        largest(errors)
    }

    /// The largest difference of a phase's share of stores.
    pub fn store_error(&self) -> Option<f64> {
        largest(self.by_phase.values().map(|regions| {
            let Pair { truth, seen } = sum(regions);
            Some(share(seen[1], seen[0] + seen[1])? - share(truth[1], truth[0] + truth[1])?)
        }))
    }

    /// The share of a region among the samples of its phase.
    pub fn share(&self, name: &str) -> Option<f64> {
        let regions = self.by_phase.values().find(|regions| regions.contains_key(name))?;
        let (seen, whole) = (regions.get(name)?.seen, sum(regions).seen);
        share(seen[0] + seen[1], whole[0] + whole[1])
    }

    /// Samples in no region of the truth: the program's own bookkeeping, or a wrong address.
    pub fn elsewhere(&self) -> Option<f64> {
        share(self.elsewhere, self.total)
    }
}

fn sum(regions: &BTreeMap<String, Pair>) -> Pair {
    regions.values().fold(Pair::default(), |mut sum, pair| {
        sum.add(pair);
        sum
    })
}

/// In percent; `None` of nothing.
fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| 100.0 * part / whole)
}

/// The one furthest from zero; `None` if one is not known.
fn largest(errors: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let errors: Vec<f64> = errors.collect::<Option<_>>()?;
    errors.into_iter().max_by(|a, b| a.abs().total_cmp(&b.abs()))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn two_regions() -> Truth {
        Truth::parse(
            r#"truth {"regions": [
                {"name": "read", "start": 83886080, "end": 83894272, "loads": 750, "stores": 0},
                {"name": "written", "start": 83894272, "end": 83902464, "loads": 0, "stores": 250}
            ], "parts": [{"name": "site", "untouched_bytes": 4096}]}"#,
        )
        .unwrap()
    }

    fn samples(of: &[(u64, bool, usize)]) -> Vec<Sample> {
        let many = |(address, is_store, count): &(u64, bool, usize)| {
            vec![Sample { address: *address, is_store: *is_store, weight: 1.0 }; *count]
        };
        of.iter().flat_map(many).collect()
    }

    #[test]
    fn shares_are_compared_by_region_and_by_kind() {
        let samples = samples(&[(0x500_0000, false, 70), (0x500_2000, true, 30), (0x1000, false, 25)]);
        let comparison = Comparison::new(&two_regions(), &samples);
        assert_eq!(comparison.region_error().unwrap().abs(), 5.0);
        assert_eq!(comparison.store_error(), Some(5.0));
        assert_eq!(comparison.share("written"), Some(30.0));
        assert_eq!((comparison.share("gone"), comparison.elsewhere()), (None, Some(20.0)));
    }

    #[test]
    fn a_phase_is_compared_with_itself() {
        let region = |name: &str, phase: &str, start: u64, loads: u64| {
            format!(
                r#"{{"name":"{name}","phase":"{phase}","start":{start},"end":{},"loads":{loads},"stores":0}}"#,
                start + 16
            )
        };
        let regions = [region("a", "one", 0, 3), region("b", "one", 16, 1), region("c", "two", 32, 900)];
        let truth = Truth::parse(&format!(r#"truth {{"regions":[{}]}}"#, regions.join(","))).unwrap();
        // The second phase has few samples for its accesses: time decides between phases.
        let seen = samples(&[(0, false, 75), (16, false, 25), (32, false, 1)]);
        assert_eq!(Comparison::new(&truth, &seen).region_error(), Some(0.0));
        let unseen = samples(&[(0, false, 75), (16, false, 25)]);
        assert_eq!(Comparison::new(&truth, &unseen).region_error(), None);
    }

    #[test]
    fn what_was_never_touched_is_told_by_site() {
        assert_eq!(two_regions().untouched_bytes, BTreeMap::from([("site".to_owned(), 4096.0)]));
        assert!(Truth::parse("truth {}").is_err());
        assert!(Truth::parse("ready 7").is_err());
    }
}
