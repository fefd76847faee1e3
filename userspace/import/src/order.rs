//! Items in the order of their times: perf writes a file CPU by CPU, a round at a time.
//!
//! When a round ends, everything older than the newest item of the round before has been written (perf's own rule,
//! `tools/perf/util/ordered-events.c`).

use crate::item::Item;

/// Items that wait at most, of a file without rounds: beyond it the older half goes on, sorted as far as that goes.
const MOST: usize = 1 << 20;

/// A queue that is emptied in order.
#[derive(Debug, Default)]
pub struct Order {
    waiting: Vec<(u64, Item)>,
    newest_ns: u64,
    /// What is no newer can go when the round ends.
    limit_ns: u64,
}

impl Order {
    /// Takes an item in; one without a time goes with the newest.
    pub fn push(&mut self, time_ns: Option<u64>, item: Item, take: &mut dyn FnMut(u64, Item)) {
        let time_ns = time_ns.unwrap_or(self.newest_ns);
        self.newest_ns = self.newest_ns.max(time_ns);
        self.waiting.push((time_ns, item));
        if self.waiting.len() >= MOST {
            self.waiting.sort_by_key(|(time_ns, _)| *time_ns);
            for (time_ns, item) in self.waiting.drain(..MOST / 2) {
                take(time_ns, item);
            }
        }
    }

    /// A round has ended.
    pub fn round(&mut self, take: &mut dyn FnMut(u64, Item)) {
        let limit_ns = std::mem::replace(&mut self.limit_ns, self.newest_ns);
        self.waiting.sort_by_key(|(time_ns, _)| *time_ns);
        let ready = self.waiting.partition_point(|(time_ns, _)| *time_ns <= limit_ns);
        for (time_ns, item) in self.waiting.drain(..ready) {
            take(time_ns, item);
        }
    }

    /// The file has ended.
    pub fn end(mut self, take: &mut dyn FnMut(u64, Item)) {
        self.waiting.sort_by_key(|(time_ns, _)| *time_ns);
        for (time_ns, item) in self.waiting {
            take(time_ns, item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_come_out_in_order_and_nothing_waits_longer_than_it_must() {
        let mut order = Order::default();
        let mut times = Vec::new();
        let mut take = |time_ns: u64, _| times.push(time_ns);
        let rounds: [&[u64]; 3] = [&[1, 5, 2, 4], &[3, 9, 6, 7], &[8, 12, 10]];
        for round in rounds {
            for time_ns in round {
                order.push(Some(*time_ns), Item::Throttled, &mut take);
            }
            order.round(&mut take);
        }
        assert_eq!(order.waiting.len(), 2, "the newest of the last round but one has gone");
        order.end(&mut take);
        assert_eq!(times, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]);
    }

    #[test]
    fn items_of_one_time_keep_their_order() {
        let mut order = Order::default();
        let mut found = Vec::new();
        for count in 0..5 {
            order.push(None, Item::Lost("x", count), &mut |_, _| panic!("too soon"));
        }
        order.end(&mut |_, item| found.push(item));
        assert_eq!(found, (0..5).map(|count| Item::Lost("x", count)).collect::<Vec<_>>());
    }
}
