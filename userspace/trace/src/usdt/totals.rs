//! What samples add up to.

use waytrace_model::allocation::{AllocationTotals, Mode};

use super::pace::Watched;
use crate::kernel::{SampleSums, Sums, in_model};

/// Half-width of a 95 % interval in standard deviations.
const NORMAL_95: f64 = 1.96;

/// The run's totals, but for mappings; what cannot be told is null and has its reason.
pub fn totals(sums: &SampleSums, tell_frees: bool, watched: Watched, after: &Sums) -> AllocationTotals {
    let mut reasons = vec!["temporaries need every call: use --exact".to_owned()];
    let unseen = sums.unseen_free_samples;
    if !tell_frees {
        reasons.push(
            "live, frees and lifetimes: this allocator does not tell when a sampled block ends".to_owned(),
        );
    }
    match watched {
        Watched::All if tell_frees && unseen > 0 => {
            reasons.push(format!("frees: {unseen} sampled blocks ended that were allocated before the run"));
        }
        Watched::All => {}
        Watched::Ratio(ratio) => reasons.push(format!(
            "live, frees, lifetimes and the 95 % interval: samples came so often that the budget allowed to watch for \
             {:.0} % of the target's CPU time only",
            100.0 * ratio
        )),
        Watched::Swamped => reasons.push(
            "totals: samples came so often that while it was watched the target did little else than hand them out; use \
             --alloc-source probes"
                .to_owned(),
        ),
    }
    if sums.alloc_samples == 0 {
        reasons.push("the 95 % interval: no sample came; run longer".to_owned());
    }
    let scale = match watched {
        Watched::All => Some(1.0),
        Watched::Ratio(ratio) => Some(1.0 / ratio),
        Watched::Swamped => None,
    };
    let is_whole = watched == Watched::All;
    let knows_live = tell_frees && is_whole;
    let knows_frees = knows_live && unseen == 0;
    let interval = |value: f64, variance: f64| {
        (value > 0.0 && is_whole).then(|| 100.0 * NORMAL_95 * variance.max(0.0).sqrt() / value)
    };
    let mut sizes = in_model(&sums.sizes);
    for bucket in &mut sizes {
        bucket.count *= scale.unwrap_or(1.0);
        bucket.bytes *= scale.unwrap_or(1.0);
    }
    AllocationTotals {
        mode: Some(Mode::Sampled),
        alloc_count: scale.map(|scale| scale * sums.alloc_count),
        alloc_bytes: scale.map(|scale| scale * sums.alloc_bytes),
        free_count: knows_frees.then_some(sums.free_count),
        freed_bytes: knows_frees.then_some(sums.freed_bytes),
        live_bytes: knows_live.then_some(after.peak.live_bytes),
        peak_live_bytes: knows_live.then_some(after.peak.peak_bytes),
        alloc_count_ci95_pct: interval(sums.alloc_count, sums.count_variance),
        ci95_pct: interval(sums.alloc_bytes, sums.bytes_variance),
        null_reason: Some(reasons.join("; ")),
        sizes,
        lifetimes: if knows_live { in_model(&sums.lifetimes) } else { Vec::new() },
        ..AllocationTotals::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_is_null_with_its_reason() {
        let sums = SampleSums {
            alloc_count: 400.0,
            alloc_bytes: 1e6,
            alloc_samples: 4,
            bytes_variance: 1e8,
            ..SampleSums::default()
        };
        let all = totals(&sums, true, Watched::All, &Sums::default());
        assert_eq!((all.free_count, all.live_bytes), (Some(0.0), Some(0)));
        assert!((all.ci95_pct.unwrap() - 1.96).abs() < 1e-9, "{all:?}");
        let without = totals(&sums, false, Watched::All, &Sums::default());
        assert_eq!((without.free_count, without.live_bytes, without.alloc_bytes), (None, None, Some(1e6)));
        assert!(without.null_reason.unwrap().contains("does not tell when"));
        let before = totals(
            &SampleSums { unseen_free_samples: 3, ..sums.clone() },
            true,
            Watched::All,
            &Sums::default(),
        );
        assert_eq!((before.freed_bytes, before.live_bytes), (None, Some(0)));
        assert!(before.null_reason.unwrap().contains("3 sampled blocks"));
        let half = totals(&sums, true, Watched::Ratio(0.5), &Sums::default());
        assert_eq!((half.alloc_bytes, half.live_bytes, half.ci95_pct), (Some(2e6), None, None));
        assert!(half.null_reason.unwrap().contains("50 %"));
        let swamped = totals(&sums, true, Watched::Swamped, &Sums::default());
        assert_eq!((swamped.alloc_bytes, swamped.alloc_count), (None, None));
        assert!(swamped.null_reason.unwrap().contains("--alloc-source probes"));
        let none = totals(&SampleSums::default(), true, Watched::All, &Sums::default());
        assert_eq!((none.alloc_bytes, none.ci95_pct), (Some(0.0), None));
        assert!(none.null_reason.unwrap().contains("no sample came"));
    }
}
