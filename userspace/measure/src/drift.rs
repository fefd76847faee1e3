//! Drift: how far the target's pace in an epoch was from its usual one, by the events all epochs count.
//!
//! The pace is an anchor's counts for each second of wall time. What an event counted in an epoch is then kept raw and can be
//! normalised on read: divided by the epoch's pace relative to the median of all.

use waytrace_analysis::spread::median;
use waytrace_model::measured::{Epoch, MeasurementPlan};

/// Pace of an epoch by one anchor, counts per second; `None` where the anchor was not counted whole, or counted nothing.
pub fn pace(epoch: &Epoch, anchor: u32) -> Option<f64> {
    let mut value = 0.0;
    let mut counted = false;
    for count in epoch.counts.iter().filter(|count| count.event == anchor) {
        if !count.is_whole() {
            return None;
        }
        value += count.value as f64;
        counted = true;
    }
    (counted && value > 0.0 && epoch.duration_ns > 0).then(|| value * 1e9 / epoch.duration_ns as f64)
}

/// Each epoch's pace relative to the median of all: 1 is the usual one. By the first anchor that most epochs counted; `None`
/// where an epoch did not count it, for all where there is no such anchor.
///
/// Of all CPUs, a clock ticks alike whatever runs, so it is no anchor there.
pub fn relative(plan: &MeasurementPlan, epochs: &[&Epoch]) -> Vec<Option<f64>> {
    let of = |anchor: &u32| -> Vec<Option<f64>> { epochs.iter().map(|epoch| pace(epoch, *anchor)).collect() };
    let is_usable = |paces: &Vec<Option<f64>>| 2 * paces.iter().flatten().count() > paces.len();
    let Some(paces) = plan.anchors.iter().map(of).find(is_usable) else { return vec![None; epochs.len()] };
    let known: Vec<f64> = paces.iter().copied().flatten().collect();
    let Some(median) = median(&known) else { return vec![None; epochs.len()] };
    paces.into_iter().map(|pace| pace.map(|pace| pace / median)).collect()
}

/// Whether a pace is further from the usual one than a percentage allows.
pub fn is_beyond(relative: f64, max_drift_pct: f64) -> bool {
    (relative - 1.0).abs() * 100.0 > max_drift_pct
}

#[cfg(test)]
mod tests {
    use waytrace_model::measured::{EpochEnd, EventCount, Scope};

    use super::*;

    fn epoch(position: u64, counts: &[(u32, u64, bool)]) -> Epoch {
        let count = |(event, value, is_whole): &(u32, u64, bool)| EventCount {
            event: *event,
            place: 0,
            value: *value,
            time_enabled_ns: 100,
            time_running_ns: if *is_whole { 100 } else { 50 },
        };
        Epoch {
            position,
            attempt: 1,
            run: 0,
            repetition: 1,
            started_at_unix_ns: 0,
            duration_ns: 2_000_000_000,
            ended_by: EpochEnd::Duration,
            exit_code: None,
            slots: Vec::new(),
            counts: counts.iter().map(count).collect(),
            by_slot: Vec::new(),
        }
    }

    fn plan(anchors: &[u32]) -> MeasurementPlan {
        MeasurementPlan {
            scope: Scope::AllCpus,
            interval_ns: 1,
            epoch_ns: None,
            repeat: 1,
            timeout_ns: None,
            max_drift_pct: None,
            events: Vec::new(),
            anchors: anchors.to_vec(),
            runs: Vec::new(),
        }
    }

    #[test]
    fn an_epoch_twice_as_fast_drifted_by_a_factor_of_two() {
        let epochs = [100, 100, 200].map(|value| epoch(0, &[(7, value, true), (8, 5, true)]));
        assert_eq!(pace(&epochs[0], 7), Some(50.0));
        let all: Vec<&Epoch> = epochs.iter().collect();
        assert_eq!(relative(&plan(&[7]), &all), [Some(1.0), Some(1.0), Some(2.0)]);
        assert!(is_beyond(2.0, 50.0) && is_beyond(0.4, 50.0) && !is_beyond(1.5, 50.0));
    }

    #[test]
    fn an_anchor_that_was_multiplexed_or_silent_gives_way_to_the_next() {
        let epochs = [epoch(0, &[(7, 9, false), (8, 4, true)]), epoch(1, &[(7, 0, true), (8, 4, true)])];
        let all: Vec<&Epoch> = epochs.iter().collect();
        assert_eq!(relative(&plan(&[7, 8]), &all), [Some(1.0), Some(1.0)]);
        assert_eq!(relative(&plan(&[7]), &all), [None, None]);
        assert_eq!(relative(&plan(&[]), &all), [None, None]);
    }
}
