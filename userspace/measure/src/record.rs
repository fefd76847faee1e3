//! Readings of groups → what each event counted at each place, in every slot and in the whole epoch.
//!
//! Counters only grow, so a slot's count is the difference of two readings. What threads of one process counted is added up.

use std::collections::BTreeMap;

use waytrace_model::measured::{EventCount, Slot, SlotCount};

use crate::groups::{GroupReading, Groups};

/// Value, time enabled, time running.
type Triple = [u64; 3];

/// One epoch's readings.
#[derive(Debug)]
pub struct Recorder {
    /// What to keep, and under which event and place.
    cells: Vec<(u32, u32)>,
    /// For each group, the cell of each of its events; `None` for an event that was refused elsewhere.
    of_group: Vec<Vec<Option<usize>>>,
    /// For each group, what was read last.
    last: Vec<GroupReading>,
    totals: Vec<Triple>,
    in_slot: Vec<Triple>,
    slots: Vec<Slot>,
    by_slot: Vec<SlotCount>,
    unreadable: u64,
}

/// What an epoch comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The slots, in order of time.
    pub slots: Vec<Slot>,
    /// Totals by event and place.
    pub counts: Vec<EventCount>,
    /// Counts by slot, without those that are 0 and whole.
    pub by_slot: Vec<SlotCount>,
    /// Groups that could not be read at the end of a slot; their counts fall into the next that could.
    pub unreadable: u64,
}

impl Recorder {
    /// For groups that have just been opened: their counters begin at 0.
    pub fn new<C>(groups: &Groups<C>) -> Self {
        let mut index = BTreeMap::new();
        let refused = |event: u32| groups.refused.iter().any(|one| one.event == event);
        let of_group = groups.groups.iter().map(|group| {
            let cell = |event: &u32| {
                let next = index.len();
                (!refused(*event)).then(|| *index.entry((*event, group.place.key())).or_insert(next))
            };
            group.events.iter().map(cell).collect()
        });
        let of_group: Vec<Vec<Option<usize>>> = of_group.collect();
        let mut cells = vec![(0, 0); index.len()];
        for (key, cell) in index {
            if let Some(place) = cells.get_mut(cell) {
                *place = key;
            }
        }
        Self {
            last: vec![GroupReading::default(); of_group.len()],
            totals: vec![[0; 3]; cells.len()],
            in_slot: vec![[0; 3]; cells.len()],
            cells,
            of_group,
            slots: Vec::new(),
            by_slot: Vec::new(),
            unreadable: 0,
        }
    }

    /// Takes the values there are now as the beginning, where groups stayed open from an epoch before.
    pub fn begin_at(&mut self, readings: Vec<Option<GroupReading>>) {
        for (last, reading) in self.last.iter_mut().zip(readings) {
            if let Some(reading) = reading {
                *last = reading;
            }
        }
    }

    /// A reading of all groups ends a slot, at `end_ns` from the start of the epoch.
    pub fn add(&mut self, end_ns: u64, readings: Vec<Option<GroupReading>>) {
        let start_ns = self.slots.last().map_or(0, |slot| slot.end_ns);
        for ((cells, last), reading) in self.of_group.iter().zip(&mut self.last).zip(readings) {
            let Some(reading) = reading else {
                self.unreadable += 1;
                continue;
            };
            let enabled = reading.time_enabled_ns.saturating_sub(last.time_enabled_ns);
            let running = reading.time_running_ns.saturating_sub(last.time_running_ns);
            for (position, (cell, value)) in cells.iter().zip(&reading.values).enumerate() {
                let before = last.values.get(position).copied().unwrap_or(0);
                let Some(sum) = cell.and_then(|cell| self.in_slot.get_mut(cell)) else { continue };
                add(sum, [value.saturating_sub(before), enabled, running]);
            }
            *last = reading;
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { start_ns, end_ns });
        for ((key, in_slot), total) in self.cells.iter().zip(&mut self.in_slot).zip(&mut self.totals) {
            let counted = std::mem::take(in_slot);
            add(total, counted);
            let count = count(*key, counted);
            if count.value != 0 || !count.is_whole() {
                self.by_slot.push(SlotCount { slot, count });
            }
        }
    }

    /// What it comes to.
    pub fn finish(self) -> Recorded {
        let counts = self.cells.iter().zip(&self.totals).map(|(key, total)| count(*key, *total));
        Recorded {
            counts: counts.collect(),
            slots: self.slots,
            by_slot: self.by_slot,
            unreadable: self.unreadable,
        }
    }
}

fn add(sum: &mut Triple, more: Triple) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.saturating_add(more);
    }
}

fn count((event, place): (u32, u32), [value, time_enabled_ns, time_running_ns]: Triple) -> EventCount {
    EventCount { event, place, value, time_enabled_ns, time_running_ns }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
