//! The emulator against the processor: random blocks of every instruction form that can be run here.
//!
//! `WALK_SEED` and `WALK_ROUNDS` (blocks per form) make other and longer runs, `WALK_LIST=1` names the forms that were
//! not run or not followed. A failure prints the seed and, for each form that differs, a block.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod addressing;
mod blocks;
mod campaign;
mod compare;
mod emulator;
mod encoding;
mod extended;
mod forms;
mod operands;
mod processor;
mod random;
mod start;
mod trial;

use campaign::Campaign;
use processor::Processor;

/// How many forms a processor must at least run, and follow with nothing lost: fewer than any of its kind has.
fn least() -> (usize, usize) {
    if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
        (2_900, 2_400)
    } else if is_x86_feature_detected!("avx2") {
        (1_700, 1_550)
    } else {
        (1_000, 900)
    }
}

#[test]
fn what_the_walk_knows_is_what_the_processor_has() {
    let processor = match Processor::new() {
        Ok(processor) => processor,
        Err(error) => {
            println!("SKIP: no child can be traced here: {error}");
            return;
        }
    };
    let seed = setting("WALK_SEED").unwrap_or(1);
    let rounds = setting("WALK_ROUNDS").unwrap_or(10);
    let mut campaign = Campaign::new(processor, seed);
    campaign.run(rounds);
    campaign.report(setting("WALK_LIST").is_some());
    let wrong = campaign.wrong();
    assert!(wrong.is_empty(), "WALK_SEED={seed}: {} forms differ: {wrong:?}", wrong.len());
    let (run, followed) = (campaign.run_count(), campaign.followed_count());
    let (least_run, least_followed) = least();
    assert!(run >= least_run && followed >= least_followed, "{run} forms were run, {followed} followed");
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
