//! Folds allocation sites into weighted stacks, the common input of every stack view.
//!
//! A site's totals are exact (or one estimate); its stacks are samples. So the totals are split over the stacks in
//! proportion to their samples, and the parts add up to the whole again, to the byte. A site without samples
//! contributes its immediate caller alone: nothing is guessed above it.

pub mod accesses;

use std::collections::BTreeMap;

use waytrace_model::allocation::Site;
use waytrace_model::stack::Frame;

/// What one stack allocated. The last three are known in exact mode only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weights {
    /// Bytes asked for.
    pub alloc_bytes: u64,
    /// Allocations.
    pub alloc_count: u64,
    /// Bytes still live at the end.
    pub live_bytes: Option<u64>,
    /// Allocations still live at the end.
    pub live_count: Option<u64>,
    /// Bytes that were live when the process peaked.
    pub peak_live_bytes: Option<u64>,
}

/// A thread's stack with its share of a site's totals.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedStack<'a> {
    /// Thread, or 0 for all.
    pub tid: u32,
    /// Root first; the last frame is the innermost. Empty only if not even the caller is known.
    pub frames: Vec<&'a Frame>,
    /// This stack's share.
    pub weights: Weights,
    /// The frames come from a sampled stack; otherwise they are the immediate caller only.
    pub is_sampled: bool,
}

/// The stacks of all sites, in the order of the sites.
pub fn fold(sites: &[Site]) -> Vec<WeightedStack<'_>> {
    sites.iter().flat_map(fold_site).collect()
}

fn fold_site(site: &Site) -> Vec<WeightedStack<'_>> {
    let whole = weights(site);
    let samples: u64 = site.stacks.iter().map(|stack| stack.samples_count).sum();
    if samples == 0 {
        return vec![WeightedStack {
            tid: site.tid,
            frames: caller(site),
            weights: whole,
            is_sampled: false,
        }];
    }
    let mut seen = 0;
    let mut part = |count: u64| {
        let from = seen;
        seen += count;
        slice(whole, from, seen, samples)
    };
    site.stacks
        .iter()
        .map(|stack| WeightedStack {
            tid: site.tid,
            frames: if stack.frames.is_empty() { caller(site) } else { stack.frames.iter().rev().collect() },
            weights: part(stack.samples_count),
            is_sampled: true,
        })
        .collect()
}

/// The immediate caller, root first: what was inlined into it comes after it.
fn caller(site: &Site) -> Vec<&Frame> {
    let inlined = site.frames.iter().take_while(|frame| frame.inlined).count();
    site.frames.iter().take(inlined + 1).rev().collect()
}

fn weights(site: &Site) -> Weights {
    let count = |value: f64| value.round() as u64;
    let alloc_count = count(site.alloc_count);
    Weights {
        alloc_bytes: count(site.alloc_bytes),
        alloc_count,
        live_bytes: site.live_bytes,
        live_count: site.live_bytes.and(site.free_count).map(|freed| alloc_count.saturating_sub(freed)),
        peak_live_bytes: site.peak_live_bytes,
    }
}

/// The part of `whole` that belongs to samples `from..to` of `samples`; adjacent parts add up without a remainder.
fn slice(whole: Weights, from: u64, to: u64, samples: u64) -> Weights {
    let below = |value: u64, at: u64| (u128::from(value) * u128::from(at) / u128::from(samples)) as u64;
    let part = |value: u64| below(value, to) - below(value, from);
    Weights {
        alloc_bytes: part(whole.alloc_bytes),
        alloc_count: part(whole.alloc_count),
        live_bytes: whole.live_bytes.map(part),
        live_count: whole.live_count.map(part),
        peak_live_bytes: whole.peak_live_bytes.map(part),
    }
}

/// One `root;…;innermost` line per different stack with its bytes, in the order of the lines.
pub(crate) fn lines(sites: &[Site]) -> BTreeMap<String, u64> {
    let mut merged = BTreeMap::new();
    for stack in fold(sites).iter().filter(|stack| stack.weights.alloc_bytes > 0) {
        *merged.entry(line(&stack.frames)).or_default() += stack.weights.alloc_bytes;
    }
    merged
}

fn line(frames: &[&Frame]) -> String {
    if frames.is_empty() {
        return "[unknown]".to_owned();
    }
    let names: Vec<String> = frames.iter().map(|frame| separable(&frame.label())).collect();
    names.join(";")
}

/// A name that cannot be taken for two frames or two lines.
fn separable(name: &str) -> String {
    crate::text::plain(name).replace(';', ":")
}

#[cfg(test)]
mod tests {
    use waytrace_model::allocation::SampledStack;

    use super::*;

    fn frame(name: &str) -> Frame {
        Frame { function: Some(name.to_owned()), ..Frame::default() }
    }

    fn site(bytes: f64, stacks: &[(u64, &[&str])]) -> Site {
        let stacks = stacks.iter().map(|&(samples_count, names)| SampledStack {
            samples_count,
            frames: names.iter().map(|name| frame(name)).collect(),
        });
        Site {
            alloc_bytes: bytes,
            alloc_count: 10.0,
            live_bytes: Some(7),
            free_count: Some(4),
            frames: vec![frame("caller"), frame("never_sampled_parent")],
            stacks: stacks.collect(),
            ..Site::default()
        }
    }

    fn names(stack: &WeightedStack<'_>) -> Vec<String> {
        stack.frames.iter().map(|frame| frame.label()).collect()
    }

    #[test]
    fn totals_split_by_samples_and_add_up() {
        let sites = [site(1001.0, &[(2, &["caller", "a", "main"]), (1, &["caller", "b", "main"])])];
        let stacks = fold(&sites);
        assert_eq!(names(&stacks[0]), ["main", "a", "caller"]);
        assert_eq!(stacks.iter().map(|s| s.weights.alloc_bytes).collect::<Vec<_>>(), [667, 334]);
        assert_eq!(stacks.iter().map(|s| s.weights.alloc_count).sum::<u64>(), 10);
        assert_eq!(stacks.iter().filter_map(|s| s.weights.live_bytes).sum::<u64>(), 7);
        assert_eq!(stacks.iter().filter_map(|s| s.weights.live_count).sum::<u64>(), 6);
    }

    #[test]
    fn without_samples_only_the_caller_is_claimed() {
        let mut sites = [site(5.0, &[])];
        assert_eq!(names(&fold(&sites)[0]), ["caller"]);
        assert!(!fold(&sites)[0].is_sampled);
        sites[0].frames[0].inlined = true;
        assert_eq!(
            names(&fold(&sites)[0]),
            ["never_sampled_parent", "caller"],
            "the function it was inlined into"
        );
        sites[0].frames.clear();
        assert_eq!(lines(&sites), BTreeMap::from([("[unknown]".to_owned(), 5)]));
    }

    #[test]
    fn huge_totals_do_not_overflow() {
        let sites = [site(u64::MAX as f64, &[(u64::MAX / 2, &["a"]), (1, &["b"])])];
        let total: u128 = fold(&sites).iter().map(|stack| u128::from(stack.weights.alloc_bytes)).sum();
        assert_eq!(total, u128::from(u64::MAX));
    }

    #[test]
    fn names_cannot_become_frames() {
        let sites = [site(5.0, &[(1, &["a;b\nc"])])];
        assert_eq!(lines(&sites).into_keys().collect::<Vec<_>>(), ["a:b\u{fffd}c"]);
    }
}
