//! Accesses sampled by the processor: an address watched by a debug register, of which the program says how often it
//! writes it. Needs no PMU, and takes the way a PMU's samples take.

use waytrace_model::access::Source;

use super::{accesses, ranges, samples, watched, weight};
use crate::harness::live::{self, Measured};
use crate::harness::waytrace;
use crate::harness::workload::Start;
use crate::or_skip;

const ROUNDS: u64 = 2000;
/// Accesses of a round to the word that the round's thread counts up, and to the region's truth.
const STEPS: f64 = 16.0 * 1024.0;

/// Samples the workload's running count of rounds, `{at}` in the arguments. One thread of two writes it, once a round.
fn counted(start: &Start, args: &[&str]) -> (Measured, u64) {
    let program = ["false_sharing", "60", &ROUNDS.to_string()];
    let (measured, addresses) = watched(start, &program, "rounds ", &["at"], args);
    assert!(ranges(&measured.truth).iter().all(|range| range.stores == ROUNDS as f64 * STEPS));
    (measured, addresses[0])
}

#[test]
fn every_store_to_a_watched_address_is_counted_by_its_period() {
    let _turn = or_skip!(live::turn());
    let start = or_skip!(Start::plain("access_threads.c"));
    for period in [1, 10] {
        let (measured, address) =
            counted(&start, &["--write-event", "mem:{at}:w", "--period", &period.to_string()]);
        let (report, samples) = (accesses(&measured.report), samples(&measured.store));
        assert_eq!(report.source, Source::PmuEvent);
        assert_eq!((report.rate_hz, report.kernel_samples, report.checked), (None, 0, 0));
        // The main thread sleeps meanwhile and the other one never writes it.
        assert_eq!(samples.len() as u64, ROUNDS / period, "{report:#?}");
        // All of them are counted, those between two samples too.
        assert_eq!((report.samples, report.resolved, report.stores), (ROUNDS, ROUNDS, ROUNDS));
        assert!(samples.iter().all(|sample| sample.address == address && sample.is_store), "{address:#x}");
        assert!(samples.iter().all(|sample| sample.weight == period as f64 && sample.tid == samples[0].tid));
        let [region] = &report.regions[..] else { panic!("{:#?}", report.regions) };
        assert!((region.start..region.end).contains(&address), "{region:#?}");
        // One is inlined into the other.
        let mut functions = report.functions[0].frames.iter().filter_map(|frame| frame.function.as_deref());
        assert!(functions.all(|name| ["work", "worker_main"].contains(&name)), "{:#?}", report.functions);
        // Each access traps, and nobody has measured that.
        assert_eq!(measured.report.overhead.target_pct, None);
    }
}

#[test]
fn a_watch_for_reads_takes_stores_along_and_says_so() {
    let _turn = or_skip!(live::turn());
    let start = or_skip!(Start::plain("access_threads.c"));
    let (measured, address) = counted(&start, &["--read-event", "mem:{at}", "--period", "1"]);
    let samples = samples(&measured.store);
    assert!(samples.iter().all(|sample| sample.address == address && !sample.is_store));
    // An increment is one instruction, or a load and a store.
    let seen = weight(samples.iter());
    assert!([ROUNDS, 2 * ROUNDS].contains(&(seen as u64)), "{seen}");
    let reason = measured.report.collectors.iter().find_map(|collector| collector.reason.as_deref());
    assert!(reason.is_some_and(|reason| reason.contains("stores to the address are among the loads")));
}

#[test]
fn blocks_are_joined_with_watched_accesses_as_with_others() {
    let _turn = or_skip!(live::turn());
    let start = or_skip!(Start::plain("access_threads.c"));
    let args = ["--write-event", "mem:{at}/4", "--period", "1", "--collect", "allocations", "--exact"];
    let (measured, _) = counted(&start, &args);
    let report = accesses(&measured.report);
    // The count is a static variable: no block has it.
    assert_eq!((report.stores, report.null_reason.as_deref()), (ROUNDS, None), "{report:#?}");
    assert!(report.sites.iter().all(|site| site.loads + site.stores == 0), "{:#?}", report.sites);
}

#[test]
fn what_cannot_be_sampled_is_an_error_that_says_why() {
    let pid = std::process::id().to_string();
    for (args, told) in [
        (["--write-event", "mem:0x1002/4"], "multiple of the 4 bytes"),
        (["--write-event", "mem:1000"], "mem:0xADDR[/LEN]"),
        (["--write-event", "mem:0x1000:rw"], "--write-event watches an address as `:w`"),
        (["--write-event", "minor-faults"], "`minor-faults` has no addresses"),
        (["--period", "0"], "--period"),
    ] {
        let finished = waytrace::run(&[&["profile", "--pid", &pid], &args[..]].concat());
        assert_eq!(finished.code, 2, "{args:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(told), "{args:?}: {}", finished.stderr);
    }
    let finished =
        waytrace::run(&["profile", "--pid", &pid, "--collect", "counters", "--write-event", "mem:0x1000"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("needs the accesses collector"), "{}", finished.stderr);
}
