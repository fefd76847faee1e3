//! Accesses joined with allocations: which sites' memory is used, which never was, and which lines threads fight over.

use super::{accesses, sampled};
use crate::harness::live::{self, Profile};
use crate::harness::workload::Start;
use crate::or_skip;

#[test]
fn memory_of_a_site_is_told_hot_from_cold_and_touched_from_untouched() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("access_heap.c")).args(&["never_touched", "2"]).spawn();
    let profile = Profile::attach(&workload, &["--exact", "--freq", "1000"]);
    workload.go();
    let truth = workload.truth();
    let measured = live::conclude(profile, truth);
    let report = accesses(&measured.report);
    let site = |name: &str| {
        let named = |frame: &waytrace_model::stack::Frame| frame.function.as_deref() == Some(name);
        report
            .sites
            .iter()
            .find(|site| site.frames.iter().any(named))
            .unwrap_or_else(|| panic!("no {name}: {report:#?}"))
    };
    for part in &measured.truth.parts {
        let site = site(part.name.as_deref().unwrap());
        assert_eq!(site.live_bytes, Some(part.live_bytes), "{part:?}");
        assert_eq!(site.untouched_bytes, Some(part.untouched_bytes), "{part:?}");
    }
    let [hot, cold] = ["site_hot", "site_cold"].map(site);
    assert!(hot.loads > 100 && hot.stores > 0 && hot.heat.unwrap() > 1.0, "{hot:#?}");
    // They were written once, before the truth begins.
    assert!(cold.loads + cold.stores <= 10 && cold.heat.unwrap() < 0.1, "{cold:#?}");
}

#[test]
fn a_line_is_suspected_only_if_threads_write_different_words_of_it() {
    let _turn = or_skip!(live::turn());
    for (pattern, expected) in [("false_sharing", true), ("true_sharing", false), ("padded", false)] {
        let measured = sampled(or_skip!(Start::plain("access_threads.c")), pattern, &[]);
        let ranges = super::ranges(&measured.truth);
        let line = ranges[0].start & !63;
        let sharing = &accesses(&measured.report).sharing;
        let suspected = sharing.iter().find(|shared| shared.address == line);
        assert_eq!(suspected.is_some(), expected, "{pattern}: {sharing:#?}");
        if let Some(line) = suspected {
            assert_eq!(line.words.len(), 2, "{line:#?}");
            assert!(line.words[0].tid != line.words[1].tid && line.words[0].offset != line.words[1].offset);
        }
    }
}
