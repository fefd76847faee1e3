//! What would move to slow memory, coldest first, and which share of accesses would go there.
//!
//! Where blocks are known, the memory of an allocation site moves as one and the rest of a mapping as another; else whole
//! mappings do. Memory nobody has touched has no page to move.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use waytrace_model::access::Region;
use waytrace_model::access_report::TierStep;
use waytrace_model::stack::Frame;

use super::regions::Regions;
use super::sites::Merged;
use crate::interval::SampleSize;

/// What moves as one.
struct Part {
    name: String,
    start: Option<u64>,
    bytes: u64,
    accesses: u64,
}

/// What the sites take of a mapping.
#[derive(Default)]
struct Taken {
    bytes: f64,
    accesses: u64,
}

/// The least accessed per byte first. Shares are of `accesses`, all there were: what lies in no known mapping never moves.
pub(super) fn steps(
    regions: &[Region],
    sums: &Regions,
    sites: &[Merged<'_>],
    accesses: u64,
    size: SampleSize,
) -> Vec<TierStep> {
    let sites: Vec<(&Merged<'_>, u64)> =
        sites.iter().map(|site| (site, movable(site))).filter(|(_, bytes)| *bytes > 0).collect();
    let taken = taken(&sites);
    let mut parts: Vec<Part> = sites.iter().map(|(site, bytes)| of_site(site, *bytes)).collect();
    parts.extend(regions.iter().map(|region| rest(region, sums, taken.get(&region.id))));
    parts.retain(|part| part.bytes > 0);
    parts.sort_by(colder);
    let (mut moved_bytes, mut slow) = (0_u64, 0_u64);
    parts
        .into_iter()
        .map(|part| {
            moved_bytes = moved_bytes.saturating_add(part.bytes);
            slow = slow.saturating_add(part.accesses);
            let access_ratio = if accesses > 0 { slow as f64 / accesses as f64 } else { 0.0 };
            TierStep {
                name: part.name,
                start: part.start,
                bytes: part.bytes,
                access_ratio,
                moved_bytes,
                ci95_ratio: size.half_width(access_ratio),
            }
        })
        .collect()
}

/// Live bytes with memory behind them.
fn movable(site: &Merged<'_>) -> u64 {
    site.live_bytes.unwrap_or(0).saturating_sub(site.untouched_bytes.unwrap_or(0))
}

fn of_site(site: &Merged<'_>, bytes: u64) -> Part {
    let name = site.frames.first().map(Frame::label).unwrap_or_default();
    Part { name, start: None, bytes, accesses: site.total().total() }
}

/// A site's bytes lie where its blocks were seen; those of sites nobody was seen to access, where the others' do.
fn taken(sites: &[(&Merged<'_>, u64)]) -> BTreeMap<u32, Taken> {
    let mut taken: BTreeMap<u32, Taken> = BTreeMap::new();
    for (site, bytes) in sites {
        let seen: f64 = site.seen_bytes.values().map(|seen| *seen as f64).sum();
        for (region, seen_here) in site.seen_bytes.iter().filter(|_| seen > 0.0) {
            if let Some(region) = region {
                taken.entry(*region).or_default().bytes += *bytes as f64 * (*seen_here as f64 / seen);
            }
        }
        for (region, sums) in &site.sums {
            if let Some(region) = region {
                let accesses = &mut taken.entry(*region).or_default().accesses;
                *accesses = accesses.saturating_add(sums.total());
            }
        }
    }
    let all: f64 = sites.iter().map(|(_, bytes)| *bytes as f64).sum();
    let placed: f64 = taken.values().map(|one| one.bytes).sum();
    if placed > 0.0 {
        taken.values_mut().for_each(|one| one.bytes *= all / placed);
    }
    taken
}

fn rest(region: &Region, sums: &Regions, taken: Option<&Taken>) -> Part {
    let bytes = region.resident_bytes.unwrap_or_else(|| region.end.saturating_sub(region.start));
    let accesses = sums.sums(region.id).total();
    Part {
        name: region.name.clone(),
        start: Some(region.start),
        bytes: bytes.saturating_sub(taken.map_or(0, |taken| taken.bytes as u64)),
        accesses: accesses.saturating_sub(taken.map_or(0, |taken| taken.accesses)),
    }
}

/// By accesses per byte, exactly; of two alike the larger goes first.
fn colder(one: &Part, other: &Part) -> Ordering {
    let product = |accesses: u64, bytes: u64| u128::from(accesses) * u128::from(bytes);
    product(one.accesses, other.bytes)
        .cmp(&product(other.accesses, one.bytes))
        .then_with(|| other.bytes.cmp(&one.bytes))
        .then_with(|| (&one.name, one.start).cmp(&(&other.name, other.start)))
}
