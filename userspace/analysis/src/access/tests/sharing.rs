//! Lines that are shared falsely, and those that only look like it.

use proptest::prelude::*;
use waytrace_model::access_report::SharedWord;

use super::super::sharing::REPEATED;
use super::*;

const LINE: u64 = HEAP_START + 640;

/// `samples` accesses of one thread to one word, a nanosecond apart from `from_ns` on.
fn uses(tid: u32, word: u64, kind: AccessKind, samples: u64, from_ns: u64) -> Vec<Access> {
    (0..samples).map(|n| Access { at_ns: from_ns + n, ..access(tid, LINE + 8 * word, kind) }).collect()
}

fn lines(accesses: &[Vec<Access>]) -> Vec<u64> {
    report(&accesses.concat(), &totals(), &[]).sharing.iter().map(|line| line.address).collect()
}

const ENOUGH: u64 = REPEATED as u64;
use AccessKind::{Load, Store};

#[test]
fn a_writer_and_a_reader_of_different_words_are_found() {
    let accesses = [uses(1, 0, Store, ENOUGH, 0), uses(2, 7, Load, ENOUGH + 1, 2)].concat();
    let block = Block { address: LINE - 100, size_bytes: 200, site: 4 };
    let accesses: Vec<Access> =
        accesses.into_iter().map(|access| Access { block: Some(block), weight: 10, ..access }).collect();
    let found = report(&accesses, &totals(), &[site(4, 1, "make_counters", 200)]).sharing;
    let [line] = found.as_slice() else { panic!("one line: {found:?}") };
    assert_eq!((line.address, line.region.as_str()), (LINE, "[heap]"));
    assert_eq!((line.loads, line.stores, line.frames[0].label()), (50, 40, "make_counters".to_owned()));
    let word = |offset, tid, loads, stores| SharedWord { offset, tid, loads, stores };
    assert_eq!(line.words, [word(0, 1, 0, 40), word(56, 2, 50, 0)]);
}

#[test]
fn what_looks_alike_and_is_not_is_left_out() {
    let writer = || uses(1, 0, Store, 9, 0);
    assert_eq!(lines(&[writer(), uses(2, 1, Load, 9, 0)]), [LINE], "the pattern itself");
    assert_eq!(lines(&[writer(), uses(2, 0, Store, 9, 0)]), [], "true sharing: one word");
    assert_eq!(lines(&[writer(), uses(1, 1, Store, 9, 0)]), [], "one thread");
    assert_eq!(lines(&[uses(1, 0, Load, 9, 0), uses(2, 1, Load, 9, 0)]), [], "nobody writes");
    assert_eq!(lines(&[writer(), uses(2, 8, Load, 9, 0)]), [], "the line beside it");
    assert_eq!(lines(&[writer(), uses(2, 1, Store, ENOUGH - 1, 0)]), [], "too few on one side");
    assert_eq!(lines(&[writer(), uses(2, 1, Load, 9, 9)]), [], "one after the other: memory given on");
    let at_once =
        uses(2, 1, Load, 9, 0).into_iter().map(|access| Access { at_ns: access.at_ns / 4, ..access });
    assert_eq!(lines(&[writer(), at_once.collect()]), [], "nine samples of three walks");
    let rarely = [uses(1, 0, Load, 9, 0), uses(1, 0, Store, ENOUGH - 1, 0)].concat();
    assert_eq!(lines(&[rarely, uses(2, 1, Load, 9, 0)]), [], "too few writes to tell");
    let other = uses(2, 1, Load, 9, 0).into_iter().map(|access| Access { region: Some(9), ..access });
    assert_eq!(lines(&[writer(), other.collect()]), [], "the same address in another mapping");
}

/// A lock both take, and beside it a word of each thread.
#[test]
fn true_sharing_does_not_hide_false_sharing_on_its_line() {
    let lock = [uses(1, 0, Store, 9, 0), uses(2, 0, Store, 9, 0)].concat();
    assert_eq!(lines(&[lock.clone(), uses(1, 1, Load, 9, 0)]), []);
    assert_eq!(lines(&[lock, uses(1, 1, Load, 9, 0), uses(2, 2, Store, 9, 0)]), [LINE]);
}

/// Two read one word; the third writes beside it, and takes it away from both.
#[test]
fn sharing_is_a_matter_of_each_two_threads() {
    let readers = [uses(1, 0, Load, 9, 0), uses(2, 0, Load, 9, 0)].concat();
    assert_eq!(lines(&[readers, uses(3, 1, Store, 9, 0)]), [LINE]);
}

/// A vector load of four words uses the writer's word too.
#[test]
fn wide_accesses_use_all_their_words() {
    let wide = |word: u64, bytes: u16| -> Vec<Access> {
        let one = |access| Access { width_bytes: Some(bytes), ..access };
        uses(2, word, Load, 9, 0).into_iter().map(one).collect()
    };
    assert_eq!(lines(&[uses(1, 3, Store, 9, 0), wide(0, 32)]), [], "words 0 to 3");
    assert_eq!(lines(&[uses(1, 4, Store, 9, 0), wide(0, 32)]), [LINE]);
    let half_and_half =
        uses(1, 2, Store, 9, 0).into_iter().map(|access| Access { width_bytes: Some(32), ..access });
    assert_eq!(lines(&[half_and_half.collect(), wide(0, 32)]), [], "words 2 and 3 are used by both, always");
    // One that straddles counts on both lines, once each.
    let straddling = report(&[uses(1, 0, Store, 9, 0), wide(7, 16)].concat(), &totals(), &[]).sharing;
    assert_eq!((straddling[0].loads, straddling[0].words.len()), (9, 2));
}

#[test]
fn the_most_accessed_come_first_and_the_list_is_bounded() {
    let accesses: Vec<Access> = (0..60_u64)
        .flat_map(|n| {
            let at =
                move |access: Access| Access { address: access.address + 64 * n, weight: n + 1, ..access };
            uses(1, 0, Store, 4, 0).into_iter().chain(uses(2, 1, Load, 4, 0)).map(at)
        })
        .collect();
    let found = report(&accesses, &totals(), &[]).sharing;
    assert_eq!((found.len(), found[0].address, found[0].stores), (MOST_LINES, LINE + 64 * 59, 240));
    assert!(found.is_sorted_by(|a, b| a.loads + a.stores >= b.loads + b.stores));
}

/// A line with more stores than loads before one with more loads, if it has more in all.
#[test]
fn loads_and_stores_count_alike_for_the_order() {
    let next = |access: Access| Access { address: access.address + 64, ..access };
    let many_loads =
        [uses(1, 0, Store, 5, 0), uses(2, 1, Load, 9, 0)].concat().into_iter().map(next).collect();
    let many_stores = [uses(1, 0, Store, 10, 0), uses(2, 1, Load, 5, 0)].concat();
    assert_eq!(lines(&[many_loads, many_stores]), [LINE, LINE + 64]);
}

/// One block over both lines; on the first lies another that begins before it.
#[test]
fn a_line_is_named_by_the_lowest_block_on_it() {
    let low = Block { address: LINE - 32, size_bytes: 64, site: 8 };
    let high = Block { address: LINE + 32, size_bytes: 4096, site: 9 };
    let next = |access: Access| Access { address: access.address + 64, ..access };
    let on_first = [uses(1, 0, Store, 9, 0), uses(2, 4, Load, 9, 0)].concat();
    let in_block = |access: Access| {
        let block = if access.address < LINE + 32 { low } else { high };
        Access { block: Some(block), ..access }
    };
    let on_second: Vec<Access> = on_first.iter().cloned().map(next).collect();
    let third = on_second.iter().cloned().map(next);
    let accesses: Vec<Access> =
        on_first.iter().cloned().chain(on_second.clone()).chain(third).map(in_block).collect();
    let found = report(&accesses, &totals(), &[site(8, 1, "low", 64), site(9, 1, "high", 4096)]).sharing;
    let named: Vec<_> = found.iter().map(|line| (line.address - LINE, line.frames[0].label())).collect();
    assert_eq!(named, [(0, "low".to_owned()), (64, "high".to_owned()), (128, "high".to_owned())]);
}

/// Straight from the definition: some two threads, each with words the other has not.
fn by_definition(accesses: &[Access]) -> bool {
    let word = |access: &Access| access.address / 8 % 8;
    let own = |tid: u32, other: u32| -> Vec<&Access> {
        let theirs: Vec<u64> = accesses.iter().filter(|a| a.tid == other).map(word).collect();
        accesses.iter().filter(|a| a.tid == tid && !theirs.contains(&word(a))).collect()
    };
    let moments = |own: &[&Access], kinds: &[AccessKind]| {
        let counted = own.iter().filter(|a| kinds.contains(&a.kind)).map(|a| a.at_ns);
        counted.collect::<std::collections::BTreeSet<u64>>().len()
    };
    let stores = |own: &[&Access]| moments(own, &[Store]);
    let times = |own: &[&Access]| {
        let times: Vec<u64> = own.iter().map(|a| a.at_ns).collect();
        (times.iter().min().copied(), times.iter().max().copied())
    };
    (0..3).any(|one| {
        (0..one).any(|other| {
            let (a, b) = (own(one, other), own(other, one));
            let ((first_a, last_a), (first_b, last_b)) = (times(&a), times(&b));
            moments(&a, &[Load, Store]).min(moments(&b, &[Load, Store])) >= 4
                && stores(&a).max(stores(&b)) >= 4
                && first_a <= last_b
                && first_b <= last_a
        })
    })
}

proptest! {
    #[test]
    fn a_line_is_suspected_exactly_when_the_definition_says(
        uses in prop::collection::vec((0..3_u32, 0..4_u64, any::<bool>(), 0..40_u64), 0..60),
    ) {
        let accesses: Vec<Access> = uses.iter().map(|(tid, word, writes, at_ns)| {
            let kind = if *writes { Store } else { Load };
            // Threads have words of their own more often than not.
            let word = if word % 2 == 0 { u64::from(*tid) } else { *word };
            Access { at_ns: *at_ns + 20 * u64::from(*tid), ..access(*tid, LINE + 8 * word, kind) }
        }).collect();
        let found = report(&accesses, &totals(), &[]).sharing;
        prop_assert_eq!(!found.is_empty(), by_definition(&accesses));
    }
}
