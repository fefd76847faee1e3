//! Advice on slow memory, computed by hand and by its rules.

use proptest::prelude::*;

use super::*;

fn shown(report: &AccessReport) -> Vec<(&str, u64, f64, u64)> {
    let steps = report.tiers.iter();
    steps.map(|step| (step.name.as_str(), step.bytes, step.access_ratio, step.moved_bytes)).collect()
}

/// 1 access in 1 MiB of heap against 3 in 64 KiB of stack, and one nobody knows the mapping of.
#[test]
fn mappings_move_coldest_per_byte_first() {
    let unknown = Access { region: None, ..load(0) };
    let accesses = [load(HEAP_START), store(STACK_START), load(STACK_START), load(STACK_START), unknown];
    let accesses = (0..).zip(accesses).map(|(at_ns, access)| Access { at_ns, ..access }).collect::<Vec<_>>();
    let found = report(&accesses, &totals(), &[]);
    assert_eq!(
        shown(&found),
        [("[heap]", 1 << 20, 0.2, 1 << 20), ("[stack]", 1 << 16, 0.8, (1 << 20) + (1 << 16))]
    );
    assert_eq!((found.tiers[0].start, found.tiers[1].start), (Some(HEAP_START), Some(STACK_START)));
    // Wilson for 1 of 5: 1.96 · sqrt(0.2 · 0.8 · 5 + 1.96² / 4) / (5 + 1.96²) = 0.2941.
    assert!((found.tiers[0].ci95_ratio - 0.2941).abs() < 1e-4, "{}", found.tiers[0].ci95_ratio);
}

#[test]
fn memory_behind_a_mapping_is_what_moves() {
    let mut totals = totals();
    totals.regions[0].resident_bytes = Some(8192);
    // 1 access in 8 KiB is more per byte than 7 in 64 KiB.
    let mut accesses = vec![load(STACK_START); 7];
    accesses.push(load(HEAP_START));
    let found = report(&accesses, &totals, &[]);
    assert_eq!(
        shown(&found),
        [("[stack]", 1 << 16, 0.875, 1 << 16), ("[heap]", 8192, 1.0, (1 << 16) + 8192)]
    );
}

/// `cold` is never accessed and partly untouched; `hot` has 3 of 5 accesses; the rest of the heap has one that lies in no
/// block, and the bytes the sites leave.
#[test]
fn sites_move_apart_from_the_rest_of_their_mapping() {
    let sites = [site(1, 1, "hot", 4096), site(2, 1, "cold", 65_536), site(3, 1, "unbacked", 500)];
    let mut totals = totals();
    totals.footprints = vec![
        Footprint { site: 2, blocks: 1, live_bytes: 65_536, untouched_bytes: 16_384 },
        Footprint { site: 3, blocks: 1, live_bytes: 500, untouched_bytes: 500 },
    ];
    let block = |offset| in_block(HEAP_START, 4096, 1, offset);
    let accesses = [block(0), block(8), block(16), load(HEAP_START + 0x8000), load(STACK_START)];
    let found = report(&accesses, &totals, &sites);
    let rest = (1 << 20) - 4096 - 49_152;
    let expected = [
        ("cold", 49_152, 0.0, 49_152),
        ("[heap]", rest, 0.2, 49_152 + rest),
        ("[stack]", 1 << 16, 0.4, 49_152 + rest + (1 << 16)),
        ("hot", 4096, 1.0, (1 << 20) + (1 << 16)),
    ];
    assert_eq!(shown(&found), expected);
    assert_eq!((found.tiers[0].start, found.tiers[1].start), (None, Some(HEAP_START)));
}

proptest! {
    #[test]
    fn steps_grow_colder_first_and_end_with_all_there_is(
        sizes in prop::collection::vec(0..1_000_000_u64, 1..8),
        picks in prop::collection::vec((0..8_usize, 1..50_u64), 0..60),
    ) {
        let mut totals = totals();
        totals.regions = (0..).zip(&sizes).map(|(id, bytes)| {
            Region { resident_bytes: Some(*bytes), ..region(id, "r", 0x1000 * u64::from(id), 0x1000) }
        }).collect();
        let accesses: Vec<Access> = picks.iter().map(|(pick, weight)| {
            let region = Some((pick % sizes.len()) as u32);
            Access { region, weight: *weight, ..load(0) }
        }).collect();
        let found = report(&accesses, &totals, &[]);
        let per_byte: Vec<f64> = found.tiers.iter().map(|step| {
            let of = |start| accesses.iter().filter(move |one| one.region.map(|id| 0x1000 * u64::from(id)) == start);
            of(step.start).map(|one| one.weight).sum::<u64>() as f64 / step.bytes as f64
        }).collect();
        prop_assert!(per_byte.is_sorted(), "{per_byte:?}");
        prop_assert!(found.tiers.is_sorted_by(|a, b| a.access_ratio <= b.access_ratio));
        prop_assert!(found.tiers.iter().all(|step| (0.0..=1.0).contains(&step.access_ratio) && step.ci95_ratio <= 0.5));
        prop_assert_eq!(found.tiers.last().map_or(0, |step| step.moved_bytes), sizes.iter().sum::<u64>());
        prop_assert_eq!(found.tiers.len(), sizes.iter().filter(|bytes| **bytes > 0).count());
    }
}
