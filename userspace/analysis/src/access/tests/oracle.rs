//! Random samples against sums made the plain way, and in another order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn any_access() -> impl Strategy<Value = Access> {
    let place = (prop_oneof![Just(HEAP_START), Just(STACK_START)], 0..3000_u64, prop::option::of(0..80_u16));
    (place, 0..3_u32, any::<bool>(), 0..5_u64, prop::option::of(0..4_u32)).prop_map(
        |((start, offset, width_bytes), tid, writes, weight, site)| {
            let address = start + offset * 3;
            let kind = if writes { AccessKind::Store } else { AccessKind::Load };
            let block = site.map(|site| Block { address: address & !255, size_bytes: 256, site });
            Access { width_bytes, weight, block, code: site, ..access(tid, address, kind) }
        },
    )
}

fn known() -> (AccessTotals, Vec<Site>) {
    let mut totals = totals();
    totals.code = (0..3).map(|id| Code { id, frames: vec![frame(&format!("f{}", id / 2))] }).collect();
    (totals, vec![site(0, 1, "a", 100), site(1, 2, "a", 50), site(2, 1, "b", 0)])
}

fn distinct(accesses: &[Access], region: Option<u32>, unit: u64) -> u64 {
    let mut places = BTreeSet::new();
    for access in accesses.iter().filter(|access| region.is_none() || access.region == region) {
        let bytes = u64::from(access.width_bytes.unwrap_or(1).max(1));
        places.extend((access.address..access.address + bytes).map(|byte| byte / unit));
    }
    places.len() as u64
}

fn weights(accesses: &[Access], wanted: impl Fn(&Access) -> bool) -> (u64, u64) {
    let of = |kind| accesses.iter().filter(|a| a.kind == kind && wanted(a)).map(|a| a.weight).sum();
    (of(AccessKind::Load), of(AccessKind::Store))
}

proptest! {
    #[test]
    fn sums_are_those_of_the_samples(accesses in prop::collection::vec(any_access(), 0..200)) {
        let (totals, sites) = known();
        let found = report(&accesses, &totals, &sites);
        prop_assert_eq!((found.loads, found.stores), weights(&accesses, |_| true));
        prop_assert_eq!(found.working_set.lines, distinct(&accesses, None, 64));
        prop_assert_eq!(found.working_set.pages, distinct(&accesses, None, 4096));
        for (id, name) in [(HEAP, "[heap]"), (STACK, "[stack]")] {
            let region = found.regions.iter().find(|region| region.name == name).unwrap();
            prop_assert_eq!((region.loads, region.stores), weights(&accesses, |a| a.region == Some(id)));
            prop_assert_eq!(region.working_set.lines, distinct(&accesses, Some(id), 64));
            prop_assert_eq!(region.working_set.pages, distinct(&accesses, Some(id), 4096));
        }
        for (name, codes) in [("f0", [0, 1].as_slice()), ("f1", &[2])] {
            let function = found.functions.iter().find(|function| function.frames[0].label() == name);
            let of_function = weights(&accesses, |a| a.code.is_some_and(|code| codes.contains(&code)));
            prop_assert_eq!(function.map_or((0, 0), |f| (f.loads, f.stores)), of_function);
        }
        for (name, ids) in [("a", [0, 1].as_slice()), ("b", &[2])] {
            let site = found.sites.iter().find(|site| site.frames[0].label() == name);
            let mine = |a: &Access| a.block.is_some_and(|block| ids.contains(&block.site));
            prop_assert_eq!(site.map_or((0, 0), |s| (s.loads, s.stores)), weights(&accesses, mine));
            let blocks: BTreeSet<_> =
                accesses.iter().filter(|a| mine(a)).map(|a| a.block.map(|b| (b.address, b.site))).collect();
            prop_assert_eq!(site.map_or(0, |s| s.blocks_seen), blocks.len() as u64);
        }
    }

    /// But for those taken at once, which follow each other.
    #[test]
    fn the_order_of_samples_and_sites_does_not_matter(
        (accesses, shuffled) in prop::collection::vec(any_access(), 0..100)
            .prop_map(|accesses| (0..).zip(accesses).map(|(at_ns, access)| Access { at_ns, ..access }).collect())
            .prop_flat_map(|accesses: Vec<Access>| (Just(accesses.clone()), Just(accesses).prop_shuffle())),
    ) {
        let (totals, sites) = known();
        let reversed: Vec<Site> = sites.iter().rev().cloned().collect();
        prop_assert_eq!(report(&accesses, &totals, &sites), report(&shuffled, &totals, &reversed));
    }

    /// Live bytes, each weighing alike, are accessed as much as the average on average.
    #[test]
    fn heat_is_one_on_average(accesses in prop::collection::vec(any_access(), 1..100), live in 1..9999_u64) {
        let sites = [site(0, 1, "a", live), site(1, 2, "b", 500), site(2, 1, "c", 3)];
        let found = report(&accesses, &totals(), &sites).sites;
        let weighted = |s: &waytrace_model::access_report::SiteAccesses| Some(s.heat? * s.live_bytes? as f64);
        let bytes: u64 = found.iter().filter_map(|site| site.live_bytes).sum();
        if found.iter().any(|site| site.loads + site.stores > 0) {
            let mean = found.iter().filter_map(weighted).sum::<f64>() / bytes as f64;
            prop_assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        }
    }
}
