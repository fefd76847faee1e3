//! False sharing: threads that use different words of one cache line, at least one of them writing.
//!
//! A suspect is a line with two threads of which each uses words the other does not, at [`REPEATED`] moments or more on
//! either side, one of them storing at as many, and at overlapping times. Samples of one walk are one moment. A word both use is true sharing: it
//! has to move between their caches wherever it lies. So lines that one thread hands on to another by freeing and
//! allocating are none, nor are locks, nor what was met once by chance.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use waytrace_model::access::Region;
use waytrace_model::access_report::{SharedLine, SharedWord};
use waytrace_model::allocation::Site;

use super::lines::{Key, LINE_BYTES, Lines, Place, Use, WORD_BYTES};
use super::moments::Moments;
use super::sites::Sites;
use super::sums::Sums;
use super::table::{Table, TableSet};

/// Moments that make a use a repeated one: four is the smallest count whose exact 95 % Poisson interval (Garwood,
/// Biometrika 28, 1936) lies above one. And where two threads use a line at random times all along, the times of four
/// each overlap in 34 of 35 cases.
pub const REPEATED: usize = 4;

/// Lines reported.
pub const MOST_LINES: usize = 50;

/// Threads of a line that are compared with each other, those with most samples first.
const MOST_THREADS: usize = 64;

/// One thread's uses of a line, by the words of each.
type Thread = (u32, Vec<(u8, Use)>);

/// What a thread does in words another does not use.
#[derive(Default)]
struct Own {
    moments: Moments,
    store_moments: Moments,
    times: Option<(u64, u64)>,
}

/// The suspects among the `shared` lines, most accesses first.
pub(super) fn suspects(
    lines: &Lines,
    shared: &TableSet<Place>,
    regions: &[Region],
    blocks: &Sites,
    sites: &[Site],
) -> Vec<SharedLine> {
    let mut suspects: Vec<(Place, Sums, Vec<Thread>)> = by_place(lines, shared)
        .into_iter()
        .filter(|(_, threads)| is_falsely_shared(threads))
        .map(|(place, threads)| (place, sums(&threads), threads))
        .collect();
    suspects.sort_by_key(|(place, sums, _)| (Reverse(sums.total()), *place));
    suspects.truncate(MOST_LINES);
    let places: Vec<Place> = suspects.iter().map(|(place, ..)| *place).collect();
    let allocators = blocks.allocators_of(&places);
    suspects
        .into_iter()
        .map(|(place, sums, threads)| {
            let region = regions.iter().find(|region| Some(region.id) == place.0);
            let site = allocators.get(&place).and_then(|id| sites.iter().find(|site| site.id == *id));
            SharedLine {
                address: place.1.saturating_mul(LINE_BYTES),
                region: region.map(|region| region.name.clone()).unwrap_or_default(),
                frames: site.map(|site| site.frames.clone()).unwrap_or_default(),
                loads: sums.loads,
                stores: sums.stores,
                words: words(&threads),
            }
        })
        .collect()
}

/// Threads of each line, those with most samples first.
fn by_place(lines: &Lines, shared: &TableSet<Place>) -> Table<Place, Vec<Thread>> {
    let mut by_place: Table<Place, BTreeMap<u32, Vec<(u8, Use)>>> = Table::default();
    for (Key { place, tid, words }, made) in &lines.0 {
        if shared.contains(place) {
            by_place.entry(*place).or_default().entry(*tid).or_default().push((*words, *made));
        }
    }
    by_place
        .into_iter()
        .map(|(place, threads)| {
            let mut threads: Vec<Thread> = threads.into_iter().collect();
            threads.sort_by_key(|(_, uses)| {
                Reverse(uses.iter().map(|(_, made)| u64::from(made.samples)).sum::<u64>())
            });
            (place, threads)
        })
        .collect()
}

fn is_falsely_shared(threads: &[Thread]) -> bool {
    let compared = threads.get(..MOST_THREADS).unwrap_or(threads);
    compared.iter().enumerate().any(|(at, (_, one))| {
        compared.iter().skip(at + 1).any(|(_, other)| {
            let (mine, theirs) = (own(one, other), own(other, one));
            mine.moments.count() >= REPEATED
                && theirs.moments.count() >= REPEATED
                && mine.store_moments.count().max(theirs.store_moments.count()) >= REPEATED
                && overlap(mine.times, theirs.times)
        })
    })
}

/// Uses of `one` that touch no word of `other`.
fn own(one: &[(u8, Use)], other: &[(u8, Use)]) -> Own {
    let others = other.iter().fold(0, |all, (words, _)| all | words);
    let mut own = Own::default();
    for (_, made) in one.iter().filter(|(words, _)| words & others == 0) {
        own.moments.merge(made.moments);
        own.store_moments.merge(made.store_moments);
        let (first, last) = own.times.unwrap_or((made.first_ns, made.last_ns));
        own.times = Some((first.min(made.first_ns), last.max(made.last_ns)));
    }
    own
}

fn overlap(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.0 <= other.1 && other.0 <= one.1)
}

/// Each access once, however many words it uses.
fn sums(threads: &[Thread]) -> Sums {
    let mut sums = Sums::default();
    threads.iter().flat_map(|(_, uses)| uses).for_each(|(_, made)| sums.merge(made.sums));
    sums
}

/// An access counts in every word it uses.
fn words(threads: &[Thread]) -> Vec<SharedWord> {
    let mut by_word: BTreeMap<(u8, u32), Sums> = BTreeMap::new();
    for (tid, uses) in threads {
        for (words, made) in uses {
            for word in (0..8).filter(|word| words & (1 << word) != 0) {
                by_word.entry((word * WORD_BYTES as u8, *tid)).or_default().merge(made.sums);
            }
        }
    }
    let word = |((offset, tid), sums): ((u8, u32), Sums)| SharedWord {
        offset,
        tid,
        loads: sums.loads,
        stores: sums.stores,
    };
    by_word.into_iter().map(word).collect()
}
