//! The flame graphs: who asked for memory, and who accessed it.

use waytrace_model::allocation::Site;
use waytrace_model::detail::RunDetail;

use super::frames::Frames;
use super::tree::{Nodes, Tree};
use crate::flame;
use crate::flame::accesses::{Names, Sums};

/// Allocations of all sites. What has no sampled stack hangs under a node that says so.
pub fn allocations(sites: &[Site], frames: &mut Frames) -> Tree {
    let mut nodes = Nodes::below(frames.stand_in("all"));
    let unsampled = frames.stand_in("stack not sampled");
    let (mut has_live, mut has_peak) = (false, false);
    for stack in flame::fold(sites) {
        let own = stack.weights;
        has_live |= own.live_bytes.is_some();
        has_peak |= own.peak_live_bytes.is_some();
        let above = (!stack.is_sampled).then_some(unsampled);
        let path: Vec<u32> =
            above.into_iter().chain(stack.frames.iter().map(|frame| frames.function(frame))).collect();
        let (live, peak) = (own.live_bytes.unwrap_or(0), own.peak_live_bytes.unwrap_or(0));
        nodes.add(path, [own.alloc_bytes, own.alloc_count, live, peak]);
    }
    nodes.grown([Some("bytes"), Some("calls"), has_live.then_some("live"), has_peak.then_some("peak")])
}

/// Accesses by function, with what it was inlined into above it and the mapping below; `None` without any.
pub fn accesses(detail: &RunDetail, sums: &Sums, frames: &mut Frames) -> Option<Tree> {
    if sums.is_empty() {
        return None;
    }
    let names = Names::of(detail);
    let mut nodes = Nodes::below(frames.stand_in("all"));
    let unknown = frames.stand_in("instruction not known");
    for (key, sum) in sums {
        let code = names.frames(key.code);
        let mut path: Vec<u32> = code.iter().rev().map(|frame| frames.accessing(frame)).collect();
        if path.is_empty() {
            path.push(unknown);
        }
        path.push(frames.stand_in(names.region(key.region).unwrap_or("mapping not known")));
        let (loads, stores) = if key.is_store { (0, sum.accesses) } else { (sum.accesses, 0) };
        nodes.add(path, [sum.accesses, loads, stores, sum.latency_cycles.unwrap_or(0)]);
    }
    let has_latency = sums.values().any(|sum| sum.latency_cycles.is_some());
    Some(nodes.grown([Some("accesses"), Some("loads"), Some("stores"), has_latency.then_some("latency")]))
}
