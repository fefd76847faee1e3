//! What a turn has seen.

use std::collections::{BTreeSet, HashMap};

use waytrace_abi::allocation::Site;
use waytrace_image::symbols::Symbolizer;
use waytrace_model::access::{Access, AccessKind, AccessTotals};
use waytrace_model::allocation::{AllocationTotals, SampledStack};
use waytrace_model::histogram::Bucket;
use waytrace_model::stack::Frame;

use crate::collect::allocations::call_address;
use crate::names::Names;
use crate::stacks::Stacks;
use crate::usdt;

/// Frames of a site's name.
const NAME_FRAMES: usize = 3;
/// Sites kept.
const MAX_SITES: usize = 64;
/// Bytes a sampled access is taken to touch: its page.
const PAGE_BYTES: u64 = 4096;

/// What one turn has seen of its process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TurnResult {
    /// Length of the turn.
    pub span_ns: u64,
    /// CPU time of the process in it.
    pub target_cpu_ns: u64,
    /// Allocations per second, estimated; `None` where they were not measured.
    pub alloc_per_s: Option<f64>,
    /// Bytes asked for per second.
    pub alloc_bytes_per_s: Option<f64>,
    /// Frees per second.
    pub free_per_s: Option<f64>,
    /// Bytes freed per second, where the allocator tells the size of a freed block.
    pub freed_bytes_per_s: Option<f64>,
    /// Half of the 95 % interval of the bytes asked for, in percent of them.
    pub ci95_pct: Option<f64>,
    /// They are the allocator's own samples (`otel_memory`), not those of probes in windows.
    pub from_samples: bool,
    /// Why there are no allocations.
    pub no_allocations: Option<String>,
    /// Callers of the allocator, of most bytes first.
    pub sites: Vec<SiteShare>,
    /// Sizes asked for.
    pub sizes: Vec<Bucket>,
    /// Sampled accesses; `None` where there were none.
    pub sampled: Option<Sampled>,
    /// Why there are none.
    pub no_accesses: Option<String>,
    /// CPU time that probes took from the process.
    pub probes_cost_ns: f64,
    /// CPU time that samples took from it.
    pub samples_cost_ns: f64,
    /// waytrace's own CPU time, of all threads.
    pub own_cpu_ns: u64,
}

/// A caller of the allocator.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SiteShare {
    /// Innermost functions that are no allocator's, innermost first.
    pub name: String,
    /// Its share of all allocations, 0 to 1.
    pub count_ratio: f64,
    /// Its share of all bytes, 0 to 1.
    pub bytes_ratio: f64,
}

/// Sampled memory accesses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampled {
    /// Samples of user code.
    pub samples: u64,
    /// Those of which an access is known.
    pub resolved: u64,
    /// Of these, stores.
    pub stores: u64,
    /// Different pages accessed, as bytes: the working set is at least that.
    pub touched_bytes: u64,
    /// Mappings by name with samples and, of these, stores; of most samples first.
    pub regions: Vec<(String, u64, u64)>,
    /// Walks compared with the processor, and those that agreed.
    pub checked: (u64, u64),
}

impl TurnResult {
    /// Enters what the probes have seen; `never_ran` if there were some and the target did not run past them.
    pub(super) fn enter_allocations(&mut self, totals: &AllocationTotals, never_ran: bool) {
        let per_s = |total: Option<f64>| total.map(|total| total * 1e9 / self.span_ns.max(1) as f64);
        (self.alloc_per_s, self.alloc_bytes_per_s) = (per_s(totals.alloc_count), per_s(totals.alloc_bytes));
        (self.free_per_s, self.freed_bytes_per_s) = (per_s(totals.free_count), per_s(totals.freed_bytes));
        self.ci95_pct = totals.ci95_pct;
        self.sizes.clone_from(&totals.sizes);
        // Of turns of a target that seldom runs some must count as nothing: the others stand for more than their own time otherwise.
        if never_ran {
            (self.alloc_per_s, self.alloc_bytes_per_s, self.free_per_s) = (Some(0.0), Some(0.0), Some(0.0));
            self.freed_bytes_per_s = Some(0.0);
        }
        if self.alloc_per_s.is_none() {
            self.no_allocations.clone_from(&totals.null_reason);
        }
    }

    /// Enters sampled accesses.
    pub(super) fn enter_accesses(&mut self, accesses: &[Access], totals: &AccessTotals) {
        let names: HashMap<u32, &str> =
            totals.regions.iter().map(|region| (region.id, region.name.as_str())).collect();
        let mut pages = BTreeSet::new();
        let mut regions: HashMap<&str, (u64, u64)> = HashMap::new();
        let mut sampled = Sampled {
            samples: totals.samples,
            resolved: totals.resolved,
            checked: (totals.checked, totals.confirmed),
            ..Sampled::default()
        };
        for access in accesses {
            let is_store = u64::from(access.kind == AccessKind::Store);
            sampled.stores += is_store;
            pages.insert(access.address / PAGE_BYTES);
            let name = access.region.and_then(|region| names.get(&region).copied()).unwrap_or("[unknown]");
            let region = regions.entry(name).or_default();
            region.0 += 1;
            region.1 += is_store;
        }
        sampled.touched_bytes = pages.len() as u64 * PAGE_BYTES;
        sampled.regions =
            regions.into_iter().map(|(name, (count, stores))| (name.to_owned(), count, stores)).collect();
        sampled.regions.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.sampled = Some(sampled);
    }
}

/// Sites by name: what threads have in common is one. A site whose stacks were sampled is split by them.
pub(super) fn named(sites: &[Site], stacks: &Stacks, symbolizer: &mut Symbolizer) -> Vec<SiteShare> {
    let used = || sites.iter().enumerate().filter(|(_, site)| site.alloc_count > 0);
    let callers = used().map(|(_, site)| (site.tgid, call_address(site)));
    let names = Names::resolve_with(symbolizer, stacks, callers);
    let mut sampled = names.stacks_of(stacks);
    shares(used().flat_map(|(index, site)| {
        let stacks = sampled.remove(&(index as u32)).unwrap_or_default();
        let frames = names.frames(site.tgid, call_address(site));
        split(stacks, frames, site.alloc_count as f64, site.alloc_bytes as f64)
    }))
}

/// The sites of an allocator's own samples, likewise.
pub(super) fn sampled(
    concluded: &usdt::Concluded,
    stacks: &mut Stacks,
    symbolizer: &mut Symbolizer,
) -> Vec<SiteShare> {
    let addresses: Vec<(u32, u64)> = stacks.callers.addresses().collect();
    let names = Names::resolve_with(symbolizer, stacks, addresses.into_iter());
    let sites = usdt::callers::sites(stacks, &names, concluded);
    shares(
        sites
            .into_iter()
            .flat_map(|site| split(site.stacks, site.frames, site.alloc_count, site.alloc_bytes)),
    )
}

/// A site by its stacks, in proportion to their samples; by its caller where there are none.
fn split(
    mut stacks: Vec<SampledStack>,
    frames: Vec<Frame>,
    count: f64,
    bytes: f64,
) -> impl Iterator<Item = (String, f64, f64)> {
    if stacks.is_empty() {
        stacks.push(SampledStack { samples_count: 1, frames });
    }
    let samples: u64 = stacks.iter().map(|stack| stack.samples_count).sum();
    stacks.into_iter().map(move |stack| {
        let part = stack.samples_count as f64 / samples.max(1) as f64;
        (name(&stack.frames), part * count, part * bytes)
    })
}

fn shares(parts: impl Iterator<Item = (String, f64, f64)>) -> Vec<SiteShare> {
    let mut by_name: HashMap<String, (f64, f64)> = HashMap::new();
    let (mut count, mut bytes) = (0.0, 0.0);
    for (name, own_count, own_bytes) in parts {
        let entry = by_name.entry(name).or_default();
        *entry = (entry.0 + own_count, entry.1 + own_bytes);
        (count, bytes) = (count + own_count, bytes + own_bytes);
    }
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let mut shares: Vec<SiteShare> = by_name
        .into_iter()
        .map(|(name, (own_count, own_bytes))| SiteShare {
            name,
            count_ratio: share(own_count, count),
            bytes_ratio: share(own_bytes, bytes),
        })
        .collect();
    shares.sort_unstable_by(|a, b| b.bytes_ratio.total_cmp(&a.bytes_ratio).then_with(|| a.name.cmp(&b.name)));
    shares.truncate(MAX_SITES);
    shares
}

fn name(frames: &[Frame]) -> String {
    let callers = frames.iter().skip_while(|frame| is_pythons_allocator(frame));
    let labels: Vec<String> = callers.take(NAME_FRAMES).map(Frame::label).collect();
    if labels.is_empty() { "[unknown]".to_owned() } else { labels.join(" < ") }
}

/// CPython's allocators (Include/pymem.h, Objects/obmalloc.c): every site of a Python program is in them, so they tell nobody anything.
fn is_pythons_allocator(frame: &Frame) -> bool {
    let Some(function) = frame.function.as_deref() else { return false };
    let plain = function.trim_start_matches('_');
    let allocates = ["Malloc", "Calloc", "Realloc"].iter().any(|end| plain.ends_with(end));
    allocates && ["PyMem_", "PyObject_"].iter().any(|start| plain.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_allocators_are_no_callers() {
        let frame = |name: &str| Frame { function: Some(name.to_owned()), ..Frame::default() };
        let frames = ["_PyMem_RawMalloc", "PyObject_Malloc", "bytes_new", "type_call", "main", "start"];
        assert_eq!(name(&frames.map(frame)), "bytes_new < type_call < main");
        let foreign = ["PyObject_Call", "_PyObject_Malloc"].map(frame);
        assert_eq!(name(&foreign), "PyObject_Call < _PyObject_Malloc");
        assert_eq!(name(&["PyMem_Malloc"].map(frame)), "[unknown]");
    }
}
