//! Frames for addresses: sites and their stacks, symbolised when the run is over.

use std::collections::{BTreeSet, HashMap};

use waytrace_image::symbols::Symbolizer;
use waytrace_model::allocation::SampledStack;
use waytrace_model::stack::Frame;

use crate::stacks::Stacks;

/// Frames by process and address; of one address several where functions were inlined.
#[derive(Debug, Default)]
pub struct Names(HashMap<(u32, u64), Vec<Frame>>);

impl Names {
    /// Names all addresses of the stacks and the sites' callers (given by process).
    pub fn resolve(stacks: &Stacks, callers: impl Iterator<Item = (u32, u64)>) -> Self {
        Self::resolve_with(&mut Symbolizer::default(), stacks, callers)
    }

    /// Likewise, with a symbolizer that remembers what it has named before.
    pub fn resolve_with(
        symbolizer: &mut Symbolizer,
        stacks: &Stacks,
        callers: impl Iterator<Item = (u32, u64)>,
    ) -> Self {
        let mut wanted: HashMap<u32, BTreeSet<u64>> = HashMap::new();
        for (tgid, caller) in callers {
            wanted.entry(tgid).or_default().insert(caller);
        }
        for (site, addresses) in stacks.counts.keys() {
            if let Some(tgid) = stacks.tgids.get(site) {
                wanted.entry(*tgid).or_default().extend(addresses);
            }
        }
        let mut names = HashMap::new();
        for (tgid, addresses) in wanted {
            let Some(modules) = stacks.modules.get(&tgid) else { continue };
            let addresses: Vec<u64> = addresses.into_iter().collect();
            let frames = symbolizer.symbolise(modules, &addresses);
            names.extend(addresses.into_iter().map(|address| (tgid, address)).zip(frames));
        }
        Self(names)
    }

    /// The frames of one address, innermost inlined one first.
    pub fn frames(&self, tgid: u32, address: u64) -> Vec<Frame> {
        match self.0.get(&(tgid, address)) {
            Some(frames) if !frames.is_empty() => frames.clone(),
            _ => vec![Frame { offset: address, ..Frame::default() }],
        }
    }

    /// A site's sampled stacks, most frequent first. Stacks that read the same are one: a compiler makes several calls of
    /// one line, and which of them it was says nothing.
    pub fn stacks_of(&self, stacks: &Stacks) -> HashMap<u32, Vec<SampledStack>> {
        let mut by_text: HashMap<(u32, Vec<FrameText>), SampledStack> = HashMap::new();
        for ((site, addresses), &samples_count) in &stacks.counts {
            let Some(&tgid) = stacks.tgids.get(site) else { continue };
            let frames: Vec<Frame> =
                addresses.iter().flat_map(|&address| self.frames(tgid, address)).collect();
            let text = frames.iter().map(|frame| (frame.label(), frame.file.clone(), frame.line)).collect();
            let stack =
                by_text.entry((*site, text)).or_insert_with(|| SampledStack { samples_count: 0, frames });
            stack.samples_count += samples_count;
        }
        let mut by_site: HashMap<u32, Vec<SampledStack>> = HashMap::new();
        for ((site, _), stack) in by_text {
            by_site.entry(site).or_default().push(stack);
        }
        for stacks in by_site.values_mut() {
            stacks.sort_by(|a, b| {
                b.samples_count.cmp(&a.samples_count).then_with(|| a.frames.len().cmp(&b.frames.len()))
            });
        }
        by_site
    }
}

/// What a reader sees of a frame.
type FrameText = (String, Option<String>, Option<u32>);
