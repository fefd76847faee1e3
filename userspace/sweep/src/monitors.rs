//! What the caches' monitors tell of the target: bytes it holds, bytes it moves from and to memory.

use waytrace_hw::rdt::{CacheAllocation, EventReading, Monitored, RdtError, Reading};
use waytrace_model::cache::CacheId;
use waytrace_model::sweep::CacheMonitor;
use waytrace_occupancy::{LOCAL, OCCUPANCY, TOTAL, moved};

/// Readings of a class or monitor at one time.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<EventReading>);

/// Reads the caches of `ids`; nothing where the machine monitors nothing.
///
/// # Errors
/// The class or monitor is gone, or its files cannot be read.
pub fn read(allocation: &dyn CacheAllocation, whom: &Monitored, ids: &[CacheId]) -> Result<Sample, RdtError> {
    let readings = allocation.read(whom)?;
    Ok(Sample(readings.into_iter().filter(|reading| ids.contains(&reading.cache_id)).collect()))
}

impl Sample {
    /// Bytes held in all caches together; `None` where any does not tell.
    pub fn occupancy(&self) -> Option<u64> {
        self.sum(OCCUPANCY)
    }

    /// Whether traffic from and to memory is told.
    pub fn has_traffic(&self) -> bool {
        self.sum(TOTAL).is_some()
    }

    fn sum(&self, event: &str) -> Option<u64> {
        let mut of = self.0.iter().filter(|reading| reading.event == event).peekable();
        of.peek()?;
        of.map(value).sum()
    }

    fn of(&self, event: &str, cache_id: CacheId) -> Option<&EventReading> {
        self.0.iter().find(|reading| reading.event == event && reading.cache_id == cache_id)
    }

    fn moved(&self, before: &Self, event: &str, cache_id: CacheId, wrap_bytes: Option<u64>) -> Option<u64> {
        let (now, before) = (value(self.of(event, cache_id)?)?, value(before.of(event, cache_id)?)?);
        moved(before, now, wrap_bytes)
    }

    /// Bytes moved in all caches together since `before`; `None` where any does not tell.
    pub fn traffic_since(&self, before: &Self, wrap_bytes: Option<u64>) -> Option<u64> {
        let mut of = self.0.iter().filter(|reading| reading.event == TOTAL).peekable();
        of.peek()?;
        of.map(|reading| self.moved(before, TOTAL, reading.cache_id, wrap_bytes)).sum()
    }

    /// As a point holds it: what was held at the window's end, what was moved within it.
    pub fn since(&self, before: &Self, ids: &[CacheId], wrap_bytes: Option<u64>) -> Vec<CacheMonitor> {
        let of = |cache_id: &CacheId| CacheMonitor {
            cache_id: *cache_id,
            occupancy_bytes: self.of(OCCUPANCY, *cache_id).and_then(value),
            total_bytes: self.moved(before, TOTAL, *cache_id, wrap_bytes),
            local_bytes: self.moved(before, LOCAL, *cache_id, wrap_bytes),
            missing: self.missing(*cache_id),
        };
        if self.0.is_empty() { Vec::new() } else { ids.iter().map(of).collect() }
    }

    fn missing(&self, cache_id: CacheId) -> Option<String> {
        let word = |reading: &EventReading| {
            Some(match reading.reading {
                Reading::Value(_) => return None,
                Reading::Unavailable => "unavailable",
                Reading::Unassigned => "unassigned",
                Reading::Error => "error",
            })
        };
        let of = self.0.iter().filter(|reading| reading.cache_id == cache_id);
        of.filter_map(word).next().map(str::to_owned)
    }
}

fn value(reading: &EventReading) -> Option<u64> {
    match reading.reading {
        Reading::Value(value) => Some(value),
        Reading::Unavailable | Reading::Unassigned | Reading::Error => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(of: &[(&str, u32, Reading)]) -> Sample {
        let reading = |(event, id, reading): &(&str, u32, Reading)| EventReading {
            event: (*event).to_owned(),
            cache_id: CacheId(*id),
            reading: *reading,
        };
        Sample(of.iter().map(reading).collect())
    }

    #[test]
    fn caches_are_summed_only_where_all_tell() {
        let both = sample(&[(OCCUPANCY, 0, Reading::Value(3)), (OCCUPANCY, 1, Reading::Value(4))]);
        assert_eq!((both.occupancy(), both.has_traffic()), (Some(7), false));
        let one = sample(&[(OCCUPANCY, 0, Reading::Value(3)), (OCCUPANCY, 1, Reading::Unavailable)]);
        assert_eq!(one.occupancy(), None);
        let monitors = one.since(&both, &[CacheId(0), CacheId(1)], None);
        assert_eq!(monitors[1].missing.as_deref(), Some("unavailable"));
        assert_eq!((monitors[0].occupancy_bytes, monitors[0].total_bytes), (Some(3), None));
    }

    #[test]
    fn a_counter_that_started_again_went_on() {
        let at = |bytes| sample(&[(TOTAL, 0, Reading::Value(bytes))]);
        assert_eq!(at(50).traffic_since(&at(20), Some(1000)), Some(30));
        assert_eq!(at(10).traffic_since(&at(990), Some(1000)), Some(20));
        // A counter that never wraps and went back says nothing.
        assert_eq!(at(10).traffic_since(&at(990), None), None);
        assert_eq!(at(10).traffic_since(&sample(&[]), Some(1000)), None);
    }
}
