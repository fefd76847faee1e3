//! How many runs masks alone ask for, exactly. Items with the same mask are a class; classes send their items to counters,
//! and a counter takes one per run. Runs suffice if everything can be sent (a maximum flow by augmenting paths); if not, the
//! counters that can be reached from what is left over are too few for the items confined to them (Hall's condition).

use std::collections::BTreeMap;

use super::counters::{BITS, Counters, FIXED, bits};

/// Items by the counters that can count them.
#[derive(Debug, Clone, Default)]
pub(super) struct Demand {
    classes: Vec<(Counters, usize)>,
}

/// Per class and counter, how many items of the class the counter counts; classes in the order of their masks.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    sent: Vec<Vec<usize>>,
    /// Sums over the classes.
    loads: Vec<usize>,
}

impl Assignment {
    fn get(&self, class: usize, bit: u8) -> usize {
        self.sent.get(class).and_then(|row| row.get(usize::from(bit))).copied().unwrap_or(0)
    }

    fn change(&mut self, class: usize, bit: u8, by: impl Fn(usize) -> usize) {
        let sent = self.sent.get_mut(class).and_then(|row| row.get_mut(usize::from(bit)));
        if let Some((sent, load)) = sent.zip(self.loads.get_mut(usize::from(bit))) {
            *sent = by(*sent);
            *load = by(*load);
        }
    }

    fn load(&self, bit: u8) -> usize {
        self.loads.get(usize::from(bit)).copied().unwrap_or(0)
    }

    /// The counters of a class: each with how many of its items it counts.
    pub(super) fn of_class(&self, class: usize) -> impl Iterator<Item = (u8, usize)> + '_ {
        self.sent.get(class).into_iter().flatten().zip(0..).map(|(items, bit)| (bit, *items))
    }
}

/// How often a counter can be used: general ones not in the runs of what is taken alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) runs: usize,
    pub(super) alone: usize,
}

impl Capacity {
    fn of(self, bit: u8) -> usize {
        if FIXED >> bit & 1 == 1 { self.runs } else { self.runs.saturating_sub(self.alone) }
    }
}

/// Counters too few for the items that need one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) counters: Counters,
}

impl Demand {
    pub(super) fn of(masks: impl Iterator<Item = Counters>) -> Self {
        let mut classes = BTreeMap::new();
        masks.for_each(|mask| *classes.entry(mask).or_insert(0) += 1);
        Self { classes: classes.into_iter().collect() }
    }

    pub(super) fn classes(&self) -> &[(Counters, usize)] {
        &self.classes
    }

    fn total(&self) -> usize {
        self.classes.iter().map(|(_, items)| items).sum()
    }

    /// Fewest runs for `alone` items taken alone and these besides, and the counters that are too few for one run less;
    /// `None` where `alone` runs do for all. Every item must have a counter.
    pub(super) fn fewest(&self, alone: usize) -> (usize, Option<Short>) {
        let (mut low, mut high) = (alone, alone + self.total());
        let mut short = None;
        while low < high {
            let runs = low + (high - low) / 2;
            match self.send(Capacity { runs, alone }) {
                Ok(_) => high = runs,
                Err(found) => {
                    short = Some(found);
                    low = runs + 1;
                }
            }
        }
        (low, short)
    }

    /// Sends every item to a counter.
    ///
    /// # Errors
    /// Counters too few for the items that need them.
    pub(super) fn send(&self, capacity: Capacity) -> Result<Assignment, Short> {
        let mut sent = Assignment { sent: vec![vec![0; BITS]; self.classes.len()], loads: vec![0; BITS] };
        for (class, (_, items)) in self.classes.iter().enumerate() {
            let mut left = *items;
            while left > 0 {
                let path = self.path(class, capacity, &sent)?;
                left -= push(&mut sent, &path, left, capacity);
            }
        }
        Ok(sent)
    }

    /// From a class to a counter with room: steps (class, counter that takes from it), the last with room. Each step but
    /// the first starts at a class that the counter before gives back.
    fn path(&self, class: usize, capacity: Capacity, sent: &Assignment) -> Result<Vec<(usize, u8)>, Short> {
        let mut reached: Counters = 0;
        // Counters in the order they were reached, with the class they were reached from and the step before.
        let mut steps: Vec<(usize, u8, Option<usize>)> = Vec::new();
        let mut reach = |class: usize, before: Option<usize>, steps: &mut Vec<_>| {
            let mask = self.classes.get(class).map_or(0, |(mask, _)| *mask);
            for bit in bits(mask & !reached) {
                reached |= 1 << bit;
                steps.push((class, bit, before));
            }
        };
        reach(class, None, &mut steps);
        let mut at = 0;
        while let Some((_, bit, _)) = steps.get(at).copied() {
            if sent.load(bit) < capacity.of(bit) {
                return Ok(trace(&steps, at));
            }
            for holder in (0..self.classes.len()).filter(|holder| sent.get(*holder, bit) > 0) {
                reach(holder, Some(at), &mut steps);
            }
            at += 1;
        }
        Err(Short { counters: steps.iter().fold(0, |set, (_, bit, _)| set | 1 << bit) })
    }
}

fn trace(steps: &[(usize, u8, Option<usize>)], last: usize) -> Vec<(usize, u8)> {
    let mut path = Vec::new();
    let mut at = Some(last);
    while let Some((class, bit, before)) = at.and_then(|at| steps.get(at)).copied() {
        path.push((class, bit));
        at = before;
    }
    path.reverse();
    path
}

/// Sends as much as the path can carry, at most `left`.
fn push(sent: &mut Assignment, path: &[(usize, u8)], left: usize, capacity: Capacity) -> usize {
    let room = path.last().map_or(0, |(_, bit)| capacity.of(*bit) - sent.load(*bit));
    let given_back = path.windows(2).map(|pair| match pair {
        [(_, bit), (class, _)] => sent.get(*class, *bit),
        _ => 0,
    });
    let amount = given_back.min().unwrap_or(left).min(room).min(left);
    for pair in path.windows(2) {
        if let [(_, bit), (class, _)] = pair {
            sent.change(*class, *bit, |items| items - amount);
        }
    }
    for (class, bit) in path {
        sent.change(*class, *bit, |items| items + amount);
    }
    amount
}
