//! The flame graph's tree: functions by call path, with every weight that is known.

use std::collections::HashMap;

use serde::Serialize;
use waytrace_model::allocation::Site;

use super::frames::Frames;
use crate::flame::{self, Weights};

/// More nodes than this cost the browser more than they show; the smallest are left out.
const NODES_MAX: usize = 20_000;

/// Nodes as columns, parents before children; node 0 is the root and stands for everything.
#[derive(Default, Serialize)]
pub struct Tree {
    parent: Vec<u32>,
    frame: Vec<u32>,
    bytes: Vec<u64>,
    calls: Vec<u64>,
    live: Option<Vec<u64>>,
    peak: Option<Vec<u64>>,
    /// Nodes left out.
    omitted: usize,
}

#[derive(Clone, Copy, Default)]
struct Node {
    parent: usize,
    frame: u32,
    weights: Weights,
}

impl Tree {
    /// The tree of all sites. What has no sampled stack hangs under a node that says so.
    pub fn of(sites: &[Site], frames: &mut Frames) -> Self {
        let mut nodes = vec![Node { frame: frames.stand_in("all"), ..Node::default() }];
        let mut children: HashMap<(usize, u32), usize> = HashMap::new();
        let unsampled = frames.stand_in("stack not sampled");
        for stack in flame::fold(sites) {
            let above = (!stack.is_sampled).then_some(unsampled);
            let path = stack.frames.iter().map(|frame| frames.function(frame));
            let path: Vec<u32> = above.into_iter().chain(path).collect();
            let mut at = 0;
            add(&mut nodes[0].weights, &stack.weights);
            for frame in path {
                at = *children.entry((at, frame)).or_insert_with(|| {
                    nodes.push(Node { parent: at, frame, ..Node::default() });
                    nodes.len() - 1
                });
                add(&mut nodes[at].weights, &stack.weights);
            }
        }
        Self::from_nodes(&nodes)
    }

    fn from_nodes(nodes: &[Node]) -> Self {
        let kept = largest(nodes);
        let mut place = vec![0; nodes.len()];
        kept.iter().enumerate().for_each(|(new, old)| place[*old] = new as u32);
        let column = |value: fn(&Weights) -> u64| kept.iter().map(|id| value(&nodes[*id].weights)).collect();
        let root = nodes.first().copied().unwrap_or_default().weights;
        Self {
            parent: kept.iter().map(|id| place[nodes[*id].parent]).collect(),
            frame: kept.iter().map(|id| nodes[*id].frame).collect(),
            bytes: column(|weights| weights.alloc_bytes),
            calls: column(|weights| weights.alloc_count),
            live: root.live_bytes.map(|_| column(|weights| weights.live_bytes.unwrap_or(0))),
            peak: root.peak_live_bytes.map(|_| column(|weights| weights.peak_live_bytes.unwrap_or(0))),
            omitted: nodes.len() - kept.len(),
        }
    }
}

fn add(sum: &mut Weights, more: &Weights) {
    let plus = |sum: &mut Option<u64>, more: Option<u64>| {
        if let Some(more) = more {
            *sum = Some(sum.unwrap_or(0).saturating_add(more));
        }
    };
    sum.alloc_bytes = sum.alloc_bytes.saturating_add(more.alloc_bytes);
    sum.alloc_count = sum.alloc_count.saturating_add(more.alloc_count);
    plus(&mut sum.live_bytes, more.live_bytes);
    plus(&mut sum.peak_live_bytes, more.peak_live_bytes);
}

/// The nodes that matter most in any weight, parents before children. A parent weighs at least as much as its
/// child and comes first among equals, so no node is kept without its parent.
fn largest(nodes: &[Node]) -> Vec<usize> {
    let root = nodes.first().copied().unwrap_or_default().weights;
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let importance = |weights: &Weights| {
        [
            share(weights.alloc_bytes, root.alloc_bytes),
            share(weights.alloc_count, root.alloc_count),
            share(weights.live_bytes.unwrap_or(0), root.live_bytes.unwrap_or(0)),
            share(weights.peak_live_bytes.unwrap_or(0), root.peak_live_bytes.unwrap_or(0)),
        ]
        .into_iter()
        .fold(0.0, f64::max)
    };
    let mut kept: Vec<usize> = (0..nodes.len()).collect();
    if nodes.len() > NODES_MAX {
        kept.sort_by(|a, b| importance(&nodes[*b].weights).total_cmp(&importance(&nodes[*a].weights)));
        kept.truncate(NODES_MAX);
        kept.sort_unstable();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_keeps_whole_paths() {
        let weighing = |parent, bytes| Node {
            parent,
            frame: 0,
            weights: Weights { alloc_bytes: bytes, ..Weights::default() },
        };
        let mut nodes = vec![weighing(0, 1_000_000)];
        for chain in 0..9_000 {
            let first = nodes.len();
            nodes.push(weighing(0, 100 + chain));
            nodes.push(weighing(first, 100 + chain));
            nodes.push(weighing(first + 1, 1));
        }
        let tree = Tree::from_nodes(&nodes);
        assert_eq!(tree.parent.len(), NODES_MAX);
        assert_eq!(tree.omitted, nodes.len() - NODES_MAX);
        for (node, parent) in tree.parent.iter().enumerate().skip(1) {
            assert!((*parent as usize) < node, "a parent comes first");
            assert!(tree.bytes[*parent as usize] >= tree.bytes[node]);
        }
    }
}
