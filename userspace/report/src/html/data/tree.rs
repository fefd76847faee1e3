//! A flame graph's tree: functions by call path, with every weight that is known.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

/// More nodes than this cost the browser more than they show; the smallest are left out.
const NODES_MAX: usize = 20_000;

/// Nodes as columns, parents before children; node 0 is the root and stands for everything.
#[derive(Default, Serialize)]
pub struct Tree {
    parent: Vec<u32>,
    frame: Vec<u32>,
    /// By the name of the weight.
    #[serde(flatten)]
    weights: BTreeMap<&'static str, Vec<u64>>,
    /// Nodes left out.
    omitted: usize,
}

#[derive(Clone, Copy)]
struct Node<const N: usize> {
    parent: usize,
    frame: u32,
    weights: [u64; N],
}

/// A tree in the making, of N weights.
pub struct Nodes<const N: usize> {
    list: Vec<Node<N>>,
    children: HashMap<(usize, u32), usize>,
}

impl<const N: usize> Nodes<N> {
    /// Nothing but the root.
    pub fn below(root: u32) -> Self {
        Self { list: vec![Node { parent: 0, frame: root, weights: [0; N] }], children: HashMap::new() }
    }

    /// Adds a path from the root down; all on it weigh more.
    pub fn add(&mut self, path: impl IntoIterator<Item = u32>, weights: [u64; N]) {
        let mut at = 0;
        self.weigh(at, weights);
        for frame in path {
            at = *self.children.entry((at, frame)).or_insert_with(|| {
                self.list.push(Node { parent: at, frame, weights: [0; N] });
                self.list.len() - 1
            });
            self.weigh(at, weights);
        }
    }

    fn weigh(&mut self, node: usize, more: [u64; N]) {
        if let Some(node) = self.list.get_mut(node) {
            node.weights.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
    }

    /// The tree, with a column for each weight that has a name.
    pub fn grown(&self, names: [Option<&'static str>; N]) -> Tree {
        let kept = self.largest();
        let mut place = vec![0; self.list.len()];
        kept.iter().enumerate().for_each(|(new, old)| place[*old] = new as u32);
        let nodes = || kept.iter().filter_map(|id| self.list.get(*id));
        let columns = names.into_iter().enumerate().filter_map(|(at, name)| Some((name?, at)));
        Tree {
            parent: nodes().filter_map(|node| place.get(node.parent).copied()).collect(),
            frame: nodes().map(|node| node.frame).collect(),
            weights: columns
                .map(|(name, at)| (name, nodes().filter_map(|node| node.weights.get(at).copied()).collect()))
                .collect(),
            omitted: self.list.len() - kept.len(),
        }
    }

    /// The nodes that matter most in any weight, parents before children. A parent weighs at least as much as its
    /// child and comes first among equals, so no node is kept without its parent.
    fn largest(&self) -> Vec<usize> {
        let root = self.list.first().map_or([0; N], |root| root.weights);
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let importance = |node: &usize| {
            let weights = self.list.get(*node).map_or([0; N], |node| node.weights);
            weights.into_iter().zip(root).map(|(part, whole)| share(part, whole)).fold(0.0, f64::max)
        };
        let mut kept: Vec<usize> = (0..self.list.len()).collect();
        if kept.len() > NODES_MAX {
            kept.sort_by(|a, b| importance(b).total_cmp(&importance(a)));
            kept.truncate(NODES_MAX);
            kept.sort_unstable();
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_share_what_they_have_in_common() {
        let mut nodes = Nodes::below(9);
        nodes.add([1, 2], [10, 1]);
        nodes.add([1, 3], [5, 0]);
        nodes.add([], [1, 1]);
        let tree = nodes.grown([Some("bytes"), None]);
        assert_eq!((tree.parent, tree.frame), (vec![0, 0, 1, 1], vec![9, 1, 2, 3]));
        assert_eq!(tree.weights, BTreeMap::from([("bytes", vec![16, 15, 10, 5])]));
    }

    #[test]
    fn pruning_keeps_whole_paths() {
        let mut nodes = Nodes::below(0);
        for chain in 0..9_000 {
            nodes.add([chain, 1], [99 + u64::from(chain)]);
            nodes.add([chain, 1, 2], [1]);
        }
        let tree = nodes.grown([Some("bytes")]);
        assert_eq!(tree.parent.len(), NODES_MAX);
        assert_eq!(tree.omitted, nodes.list.len() - NODES_MAX);
        let bytes = &tree.weights["bytes"];
        for (node, parent) in tree.parent.iter().enumerate().skip(1) {
            assert!((*parent as usize) < node, "a parent comes first");
            assert!(bytes[*parent as usize] >= bytes[node]);
        }
    }
}
