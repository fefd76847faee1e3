//! From readings of a monitor to what came in an interval, over counters that wrap, begin anew, or give nothing.

use std::collections::BTreeMap;

use waytrace_hw::rdt::{EventReading, Reading};
use waytrace_model::cache::CacheId;
use waytrace_model::cache_watch::Missing;

/// The one event that is no counter.
pub const OCCUPANCY: &str = "llc_occupancy";
/// Traffic.
pub const TOTAL: &str = "mbm_total_bytes";
/// That with the node's own memory.
pub const LOCAL: &str = "mbm_local_bytes";

/// All events of a class or group.
#[derive(Debug, Default)]
pub struct Meter {
    events: BTreeMap<(String, CacheId), Count>,
    removed: bool,
    whole: bool,
}

#[derive(Debug, Default)]
struct Count {
    last: Option<u64>,
    moved: u64,
    missing: Option<Missing>,
}

impl Meter {
    /// Begins an interval.
    pub fn begin(&mut self) {
        self.whole = !self.events.is_empty();
        for count in self.events.values_mut() {
            count.moved = 0;
            count.missing = None;
        }
    }

    /// Takes readings. `wrap` is where a counter starts again from 0; `None` is never.
    pub fn observe(&mut self, readings: &[EventReading], wrap: Option<u64>) {
        for EventReading { event, cache_id, reading } in readings {
            // A monitor that is read for the first time has moved nothing since: its interval begins here.
            let is_new = !self.events.contains_key(&(event.clone(), *cache_id));
            let count = self.events.entry((event.clone(), *cache_id)).or_default();
            count.take(*reading, if event == OCCUPANCY { None } else { wrap }, event == OCCUPANCY || is_new);
        }
    }

    /// Whether it was read for the first time before this interval began, so that what it counts is all of it.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether it was never read.
    pub fn is_new(&self) -> bool {
        self.events.is_empty()
    }

    /// There is nothing to be read any more.
    pub fn remove(&mut self) {
        self.removed = true;
    }

    /// Whether there is nothing to be read any more.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// Caches that gave something.
    pub fn caches(&self) -> impl Iterator<Item = CacheId> {
        self.events.keys().map(|(_, cache)| *cache)
    }

    /// Bytes of an event in this interval: held at its end, or moved within it.
    ///
    /// # Errors
    /// Why there is no number.
    pub fn value(&self, event: &str, cache: CacheId) -> Result<u64, Missing> {
        if self.removed {
            return Err(Missing::Removed);
        }
        let count = self.events.get(&(event.to_owned(), cache)).ok_or(Missing::NotMonitored)?;
        match (count.missing, count.last) {
            (Some(missing), _) => Err(missing),
            (None, Some(last)) if event == OCCUPANCY => Ok(last),
            (None, Some(_)) => Ok(count.moved),
            (None, None) => Err(Missing::Restarted),
        }
    }
}

impl Count {
    /// `fresh` readings stand alone.
    fn take(&mut self, reading: Reading, wrap: Option<u64>, fresh: bool) {
        let now = match reading {
            Reading::Value(now) => now,
            Reading::Unavailable => return self.miss(Missing::Unavailable),
            Reading::Unassigned => return self.miss(Missing::Unassigned),
            Reading::Error => return self.miss(Missing::Error),
        };
        if !fresh {
            match self.last.map(|before| moved(before, now, wrap)) {
                Some(Some(bytes)) => self.moved = self.moved.saturating_add(bytes),
                Some(None) | None => self.missing = self.missing.or(Some(Missing::Restarted)),
            }
        }
        self.last = Some(now);
    }

    /// What came until the next reading cannot be told from what came before.
    fn miss(&mut self, why: Missing) {
        self.missing = Some(why);
        self.last = None;
    }
}

/// Bytes from one reading of a counter to the next. `wrap` is where it starts again from 0, which it may have done once; `None` is
/// never. `None` where it went back and does not wrap, or was above its wrap.
pub fn moved(before: u64, now: u64, wrap: Option<u64>) -> Option<u64> {
    match wrap.filter(|_| now < before) {
        Some(wrap) => wrap.checked_sub(before)?.checked_add(now),
        None => now.checked_sub(before),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CACHE: CacheId = CacheId(3);

    fn reading(event: &str, reading: Reading) -> EventReading {
        EventReading { event: event.to_owned(), cache_id: CACHE, reading }
    }

    fn total(meter: &mut Meter, now: Reading, wrap: Option<u64>) -> Result<u64, Missing> {
        meter.observe(&[reading(TOTAL, now)], wrap);
        meter.value(TOTAL, CACHE)
    }

    #[test]
    fn what_is_no_number_is_told_and_not_made_up_for() {
        use Reading::{Error, Unassigned, Unavailable, Value};
        let mut meter = Meter::default();
        assert_eq!(meter.value(TOTAL, CACHE), Err(Missing::NotMonitored));
        for (now, expected) in [
            (Value(100), Ok(0)),
            (Value(160), Ok(60)),
            (Unavailable, Err(Missing::Unavailable)),
            // Of two intervals together nobody knows how much came in which.
            (Value(500), Err(Missing::Restarted)),
            (Value(700), Ok(200)),
            (Unassigned, Err(Missing::Unassigned)),
            (Error, Err(Missing::Error)),
            (Value(0), Err(Missing::Restarted)),
            (Value(40), Ok(40)),
            // Without a wrap nothing but a new beginning makes a counter smaller.
            (Value(10), Err(Missing::Restarted)),
            (Value(11), Ok(1)),
        ] {
            meter.begin();
            assert_eq!(total(&mut meter, now, None), expected, "{now:?}");
        }
        meter.remove();
        assert_eq!(meter.value(TOTAL, CACHE), Err(Missing::Removed));
    }

    #[test]
    fn an_interval_is_whole_if_there_is_a_reading_from_before_it() {
        let mut meter = Meter::default();
        meter.begin();
        assert!(meter.is_new() && !meter.is_whole());
        meter.observe(&[reading(TOTAL, Reading::Unavailable)], None);
        assert!(!meter.is_new() && !meter.is_whole());
        meter.begin();
        assert!(meter.is_whole());
    }

    #[test]
    fn readings_within_an_interval_add_up_and_occupancy_is_the_last() {
        let mut meter = Meter::default();
        let wrap = Some(1 << 30);
        for (counted, held) in [((1 << 30) - 10, 7), (5, 9), (20, 8)] {
            let both = [reading(TOTAL, Reading::Value(counted)), reading(OCCUPANCY, Reading::Value(held))];
            meter.observe(&both, wrap);
        }
        assert_eq!((meter.value(TOTAL, CACHE), meter.value(OCCUPANCY, CACHE)), (Ok(30), Ok(8)));
        meter.begin();
        meter.observe(&[reading(TOTAL, Reading::Unavailable)], wrap);
        meter.observe(&[reading(TOTAL, Reading::Value(3))], wrap);
        assert_eq!(meter.value(TOTAL, CACHE), Err(Missing::Unavailable), "a part of the interval is missing");
    }

    proptest! {
        /// A counter of any width and scale shows what moved, as long as it went round once at most.
        #[test]
        fn a_wrap_loses_nothing(
            bits in 24u32..44,
            scale_bits in 0u32..13,
            start in any::<u64>(),
            steps in prop::collection::vec(any::<u64>(), 1..20),
        ) {
            let (units, scale) = (1u64 << bits, 1u64 << scale_bits);
            let wrap = units * scale;
            let mut true_units = start % units;
            let mut meter = Meter::default();
            meter.observe(&[reading(TOTAL, Reading::Value(true_units % units * scale))], Some(wrap));
            let mut sum = 0;
            for step in steps {
                let step = step % units;
                true_units += step;
                sum += step * scale;
                meter.observe(&[reading(TOTAL, Reading::Value(true_units % units * scale))], Some(wrap));
                prop_assert_eq!(meter.value(TOTAL, CACHE), Ok(sum));
            }
        }
    }
}
