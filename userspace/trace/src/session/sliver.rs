//! A run seldom ends with a window. What is left after the last whole one joins it, for a window of a millisecond says
//! nothing about rates.

use std::collections::HashMap;

use waytrace_model::allocation::AllocationWindow;
use waytrace_model::batch::Batch;
use waytrace_model::counter::CounterReading;

/// Joins the last batch with the one before if it covers less than a quarter of the interval.
pub fn join(batches: &mut Vec<Batch>, interval_ns: u64) {
    let is_sliver = |batch: &Batch| batch.window.end_ns - batch.window.start_ns < interval_ns / 4;
    if batches.len() < 2 || !batches.last().is_some_and(is_sliver) {
        return;
    }
    let (Some(sliver), Some(whole)) = (batches.pop(), batches.last_mut()) else { return };
    whole.window.end_ns = sliver.window.end_ns;
    whole.threads.extend(sliver.threads);
    add_readings(&mut whole.readings, sliver.readings);
    whole.allocations = match (whole.allocations, sliver.allocations) {
        (Some(whole), Some(sliver)) => Some(sum(&whole, &sliver)),
        (whole, sliver) => whole.or(sliver),
    };
    whole.map_events.extend(sliver.map_events);
    whole.phases.extend(sliver.phases);
    whole.traced.extend(sliver.traced);
    whole.accesses.extend(sliver.accesses);
    whole.heat.extend(sliver.heat);
}

/// One reading a thread and event, as before.
fn add_readings(readings: &mut Vec<CounterReading>, more: Vec<CounterReading>) {
    let mut places: HashMap<(u32, u16), usize> =
        readings.iter().enumerate().map(|(place, reading)| ((reading.tid, reading.event), place)).collect();
    for reading in more {
        let place = *places.entry((reading.tid, reading.event)).or_insert(readings.len());
        match readings.get_mut(place) {
            Some(sum) => {
                sum.value += reading.value;
                sum.time_enabled_ns += reading.time_enabled_ns;
                sum.time_running_ns += reading.time_running_ns;
            }
            None => readings.push(reading),
        }
    }
}

/// What was not measured in the sliver does not take away what was measured before it.
fn sum(whole: &AllocationWindow, sliver: &AllocationWindow) -> AllocationWindow {
    let add = |a: Option<f64>, b: Option<f64>| a.map(|a| a + b.unwrap_or(0.0));
    AllocationWindow {
        alloc_count: add(whole.alloc_count, sliver.alloc_count),
        alloc_bytes: add(whole.alloc_bytes, sliver.alloc_bytes),
        free_count: add(whole.free_count, sliver.free_count),
        freed_bytes: add(whole.freed_bytes, sliver.freed_bytes),
        live_bytes: sliver.live_bytes,
        mmap_bytes: whole.mmap_bytes + sliver.mmap_bytes,
        munmap_bytes: whole.munmap_bytes + sliver.munmap_bytes,
        probed_ratio: whole.probed_ratio,
    }
}

#[cfg(test)]
mod tests {
    use waytrace_model::access::{Access, AccessKind};
    use waytrace_model::allocation::TracedAllocation;
    use waytrace_model::run::Window;

    use super::*;

    fn batch(start_ns: u64, end_ns: u64, readings: &[(u32, u16, u64)]) -> Batch {
        let reading = |&(tid, event, value): &(u32, u16, u64)| CounterReading {
            tid,
            event,
            value,
            time_enabled_ns: value,
            time_running_ns: value,
        };
        let window = Window { index: start_ns / 100, start_ns, end_ns };
        Batch { window, readings: readings.iter().map(reading).collect(), ..Batch::default() }
    }

    #[test]
    fn a_sliver_joins_the_window_before() {
        let mut batches = vec![batch(0, 100, &[(7, 0, 5)]), batch(100, 110, &[(7, 0, 1), (8, 0, 2)])];
        join(&mut batches, 100);
        assert_eq!(batches, [batch(0, 110, &[(7, 0, 6), (8, 0, 2)])]);
    }

    #[test]
    fn what_comes_with_a_sliver_is_kept() {
        let mut batches = vec![batch(0, 100, &[]), batch(100, 110, &[])];
        for batch in &mut batches {
            batch.traced.push(TracedAllocation::default());
            batch.accesses.push(access());
        }
        join(&mut batches, 100);
        assert_eq!((batches[0].traced.len(), batches[0].accesses.len()), (2, 2));
    }

    fn access() -> Access {
        Access {
            at_ns: 0,
            tid: 1,
            cpu: None,
            address: 4096,
            width_bytes: None,
            kind: AccessKind::Load,
            code: None,
            region: None,
            block: None,
            weight: 1,
            precise: None,
        }
    }

    #[test]
    fn longer_ends_and_lone_windows_stay() {
        for batches in [vec![batch(0, 100, &[]), batch(100, 150, &[])], vec![batch(0, 3, &[(7, 0, 5)])]] {
            let mut joined = batches.clone();
            join(&mut joined, 100);
            assert_eq!(joined, batches);
        }
    }
}
